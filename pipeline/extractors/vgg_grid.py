"""VGG-16 grid (§3.1): the 7 x 7 cells of the last convolution, 512 channels each."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.extractors import weights as weight_files
from pipeline.extractors.imagenet import PREPROCESSING, imagenet_input
from pipeline.extractors.network import NetworkExtractor
from pipeline.extractors.published import label, published
from pipeline.picture import Picture
from schemas.features import ArraySpec, FeatureSpec, Row

if TYPE_CHECKING:
    import torch


MODEL = "vgg16"


class VggGrid(NetworkExtractor):
    """(49, 512) a picture, cell 7*y + x: torchvision's VGG-16 up to its adaptive pooling, input of 224 x 224."""

    spec = FeatureSpec("vgg_grid", arrays=(ArraySpec("features", (49, 512)),), version=3)  # Winograd's filtering

    def weights_identity(self) -> Any:
        """torchvision's, a file's sha256, or a seed."""
        return weight_files.identity(self.settings.weights, self.settings.seed, label(MODEL))

    def fingerprint_parts(self) -> Mapping[str, Any]:
        """Weights, preprocessing, precision, layout and batch size."""
        return {**super().fingerprint_parts(), **PREPROCESSING}

    def fetch(self) -> None:
        """torchvision's weights, where the network allows."""
        if self.settings.weights == weight_files.DEFAULT:
            weight_files.state_dict(self.settings.weights, published(MODEL))

    def network(self) -> "torch.nn.Module":
        """All of VGG-16 but its classifier."""
        import torch
        from torchvision.models import vgg16

        random = self.settings.weights == weight_files.RANDOM
        with torch.random.fork_rng(devices=[]), torch.device("cpu" if random else "meta"):
            torch.manual_seed(self.settings.seed)
            whole = vgg16(weights=None)
        trunk = torch.nn.Sequential()
        trunk.add_module("features", whole.features if random else whole.features.to_empty(device="cpu"))
        if not random:
            tensors = weight_files.state_dict(self.settings.weights, published(MODEL))
            weight_files.load_strictly(trunk, tensors, self.settings.weights)
        return trunk.append(whole.avgpool)

    def quickened(self, network: Any) -> Any:
        """With all convolutions but the first, of three channels, by Winograd's filtering."""
        from pipeline.extractors.winograd import quickened

        network.features = quickened(network.features)
        return network

    def prepare(self, picture: Picture) -> Any:
        """(3, 224, 224) float32."""
        return picture.once(imagenet_input)

    def rows(self, outputs: Sequence["torch.Tensor"]) -> list[Row]:
        """outputs: (B, 512, 7, 7)."""
        return [{"features": grid_lc} for grid_lc in outputs[0].flatten(2).mT.contiguous().numpy()]
