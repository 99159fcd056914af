"""Image towers of open_clip (https://github.com/mlfoundations/open_clip), and its text towers for labels by words."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from m3h.pipeline.extractors.backbones.architecture import Architecture, fitting, unknown_network
from m3h.pipeline.extractors.backbones.preprocessing import Preprocessing, preprocessing
from m3h.pipeline.extractors.weights import RANDOM
from m3h.schemas.errors import UsageError

if TYPE_CHECKING:
    import torch

TOWER = "visual."


def _is_no_news(record: logging.LogRecord) -> bool:
    """Passes all but open_clip's warning that it loads no weights: they are loaded here."""
    return "No pretrained weights loaded" not in record.getMessage()


class OfOpenClip(Architecture):
    """name: as `open_clip.list_models` has it."""

    classifies = False
    module, package, extra = "open_clip", "open-clip-torch", "open_clip"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        import open_clip

        if name not in open_clip.list_models():
            raise unknown_network("open_clip", name, open_clip.list_models())

    def both_towers(self) -> "torch.nn.Module":
        """The whole network, without weights. On the device `meta` where torch's current device is that."""
        import open_clip
        import torch

        root = logging.getLogger()
        root.addFilter(_is_no_news)
        try:
            return open_clip.create_model(self.name, pretrained=None, device=torch.empty(0).device)
        finally:
            root.removeFilter(_is_no_news)

    def build(self) -> "torch.nn.Module":
        """The image tower."""
        return self.both_towers().visual  # type: ignore[return-value]

    def preprocessing(self) -> Preprocessing:
        """As the image tower states it."""
        how: dict[str, Any] = self.empty().preprocess_cfg  # type: ignore[assignment]
        size = how["size"]
        sizes = (size,) if isinstance(size, int) else tuple(size)
        mode = "center" if how["resize_mode"] == "shortest" else how["resize_mode"]
        colours = {"mean": tuple(how["mean"]), "std": tuple(how["std"])}
        return preprocessing(f"open_clip:{self.name}", sizes, sizes[0], how["interpolation"], mode=mode, **colours)

    def classes(self) -> tuple[str, ...]:
        """It has none of its own."""
        raise UsageError(
            f"network open_clip:{self.name}: it looks for words that you give it: "
            "features.backbone_labels.words=FILE, one a line."
        )

    def tensors(self, weights: str) -> Mapping[str, "torch.Tensor"]:
        """Of the image tower."""
        found = super().tensors(weights)
        return {name.removeprefix(TOWER): tensor for name, tensor in found.items() if name.startswith(TOWER)}

    def no_default(self) -> str:
        """open_clip's weights come from Hugging Face."""
        return (
            f"network open_clip:{self.name}: its weights are not downloaded here. Get open_clip_model.safetensors of "
            "one of https://huggingface.co/laion and set weights=FILE, or weights=random for a trial."
        )

    def try_text(self, weights: str) -> None:
        """UsageError where the text tower's tokenizer cannot be had here, or the weights lack the text tower."""
        import torch

        self._tokenizer()
        if weights != RANDOM:
            with torch.device("meta"):
                fitting(self.both_towers(), super().tensors(weights), weights)

    def _tokenizer(self) -> "Callable[[list[str]], torch.Tensor]":
        import open_clip

        try:
            return open_clip.get_tokenizer(self.name)
        except Exception as error:  # some are of another library, or would be downloaded
            said = " ".join(str(error).split())[:200]
            raise UsageError(
                f"network open_clip:{self.name}: its tokenizer cannot be had here ({said}). Choose another network."
            ) from error

    def word_vectors(self, words: Sequence[str], weights: str, seed: int) -> tuple["torch.Tensor", "torch.Tensor"]:
        """The vectors of sentences by the text tower, (V, D) of length 1, and the scale of their products."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            clip = self.both_towers().eval()
        if weights != RANDOM:
            clip.load_state_dict(fitting(clip, super().tensors(weights), weights))
        with torch.inference_mode():
            tokens = self._tokenizer()(list(words))
            return clip.encode_text(tokens, normalize=True), clip.logit_scale.exp()  # type: ignore[operator]
