"""VGG-16 grid (§3.1): the 7 x 7 cells of the last convolution, with 512 channels each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from m3h.pipeline.extractors import weights as weight_files
from m3h.pipeline.extractors.backbones.published import label, published
from m3h.pipeline.extractors.computing.graph import Subject
from m3h.pipeline.extractors.imagenet import PREPROCESSING, imagenet_input
from m3h.pipeline.extractors.network import NetworkExtractor
from m3h.pipeline.images.picture import Picture
from m3h.schemas.features import ArraySpec, FeatureSpec, Row

if TYPE_CHECKING:
    import numpy as np
    import torch


MODEL = "vgg16"


class VggGrid(NetworkExtractor):
    """(49, 512) per picture, cell 7*y + x: torchvision's VGG-16 up to its adaptive pooling, for inputs of 224 x 224."""

    spec = FeatureSpec("vgg_grid", arrays=(ArraySpec("features", (49, 512)),), version=3)  # Winograd's filtering

    def weights_identity(self) -> str:
        """torchvision's label, the sha256 of a file, or the seed."""
        return weight_files.identity(self.settings.weights, self.settings.seed, label(MODEL))

    def fingerprint_parts(self) -> Mapping[str, object]:
        """Weights, preprocessing, precision, layout and batch size."""
        return {**super().fingerprint_parts(), **PREPROCESSING}

    def fetch(self) -> None:
        """Download torchvision's weights if they are used."""
        if self.settings.weights == weight_files.DEFAULT:
            weight_files.state_dict(self.settings.weights, published(MODEL))

    def network(self) -> "torch.nn.Module":
        """VGG-16 without its classifier."""
        import torch
        from torchvision.models import vgg16

        random = self.settings.weights == weight_files.RANDOM
        with torch.random.fork_rng(devices=[]), torch.device("cpu" if random else "meta"):
            torch.manual_seed(self.settings.seed)
            vgg = vgg16(weights=None)
        trunk = torch.nn.Sequential()
        trunk.add_module("features", vgg.features if random else vgg.features.to_empty(device="cpu"))
        if not random:
            tensors = weight_files.state_dict(self.settings.weights, published(MODEL))
            weight_files.load_strictly(trunk, tensors, self.settings.weights)
        return trunk.append(vgg.avgpool)

    def faster_on_cpu(self, network: Any) -> "torch.nn.Module":
        """The network with Winograd's filtering for all convolutions but the first, which has three channels."""
        from m3h.pipeline.extractors.winograd import with_winograd

        network.features = with_winograd(network.features)
        return network

    def about(self) -> Subject:
        """VGG-16 for inputs of 224 x 224."""
        return replace(super().about(), network=MODEL)

    def prepare(self, picture: Picture) -> "np.ndarray":
        """The picture as (3, 224, 224) float32."""
        return picture.once(imagenet_input)

    def rows(self, outputs: Sequence["torch.Tensor"]) -> list[Row]:
        """outputs: (B, 512, 7, 7)."""
        return [{"features": grid_lc} for grid_lc in outputs[0].flatten(2).mT.contiguous().numpy()]
