"""Which network a setting names."""

from functools import lru_cache

from m3h.pipeline.extractors.backbones.architecture import Architecture
from m3h.pipeline.extractors.backbones.of_open_clip import OfOpenClip
from m3h.pipeline.extractors.backbones.of_timm import OfTimm
from m3h.pipeline.extractors.backbones.of_torchvision import OfTorchvision
from m3h.pipeline.extractors.backbones.small import NAME, Small
from m3h.schemas.errors import UsageError


@lru_cache(maxsize=8)
def architecture(network: str) -> Architecture:
    """The network of a setting: `small`, or LIBRARY:NAME. UsageError for any other, or where the library is missing."""
    if network == NAME:
        return Small()
    library, _, name = network.partition(":")
    kinds: dict[str, type[Architecture]] = {"timm": OfTimm, "torchvision": OfTorchvision, "open_clip": OfOpenClip}
    if library not in kinds or not name:
        raise UsageError(
            f"expected {NAME}, or one of {', '.join(f'{kind}:NAME' for kind in kinds)}, for example timm:resnet50."
        )
    return kinds[library](name)
