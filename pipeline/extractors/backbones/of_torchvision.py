"""Classification networks of torchvision."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from m3h.pipeline.extractors import weights as weight_files
from m3h.pipeline.extractors.backbones.architecture import Architecture
from m3h.pipeline.extractors.backbones.preprocessing import Preprocessing, preprocessing
from m3h.pipeline.extractors.backbones.published import check_model, label, published

if TYPE_CHECKING:
    import torch


class OfTorchvision(Architecture):
    """name: as `torchvision.models.list_models` has it. Its weights are those of the first version, see `published`."""

    module, package, extra = "torchvision", "torchvision", "pipeline"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        check_model(name)

    def build(self) -> "torch.nn.Module":
        """Without weights."""
        from torchvision import models

        quiet = {"init_weights": True} if self.name in ("googlenet", "inception_v3") else {}
        return models.get_model(self.name, weights=None, **quiet)

    def preprocessing(self) -> Preprocessing:
        """As the published weights state it."""
        how = published(self.name).transforms()
        colours = {"mean": tuple(how.mean), "std": tuple(how.std)}
        sizes = tuple(how.crop_size)
        return preprocessing(
            f"torchvision:{self.name}", sizes, how.resize_size[0], how.interpolation.value, mode="center", **colours
        )

    def classes(self) -> tuple[str, ...]:
        """As the published weights state them."""
        return tuple(published(self.name).meta["categories"])

    def weights_identity(self, weights: str, seed: int) -> str:
        """torchvision's label for the default."""
        if weights == weight_files.DEFAULT:
            return weight_files.identity(weights, seed, label(self.name))
        return super().weights_identity(weights, seed)

    def tensors(self, weights: str) -> Mapping[str, "torch.Tensor"]:
        """Of a file, or of torchvision's weights, which are downloaded once."""
        if weights == weight_files.DEFAULT:
            return weight_files.state_dict(weights, published(self.name))
        return super().tensors(weights)
