"""Any classification network of torchvision without its last linear layer: a picture as one vector."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pipeline.extractors import weights as weight_files
from pipeline.extractors.compute import ComputeSettings
from pipeline.extractors.imagenet import PREPROCESSING, imagenet_input
from pipeline.extractors.network import NetworkExtractor
from pipeline.extractors.published import label, published, refuse_unknown
from pipeline.picture import Picture
from schemas.errors import UsageError

if TYPE_CHECKING:
    import torch


class BackboneSettings(ComputeSettings):
    """Options of what stands on a backbone. weights, seed: the backbone's."""

    backbone: str = "resnet152"  # a classification model by torchvision's name


@dataclass(frozen=True)
class Backbone:
    """A network by name, and its weights: `default` (torchvision's), `random` by seed, or a file in their layout."""

    name: str
    weights: str
    seed: int

    @classmethod
    def of(cls, settings: BackboneSettings) -> "Backbone":
        """As configured."""
        return cls(settings.backbone, settings.weights, settings.seed)

    def identity(self) -> str:
        """What the weights are, without loading them. UsageError where the name or the file is unknown."""
        return weight_files.identity(self.weights, self.seed, label(self.name))

    def fetch(self) -> None:
        """torchvision's weights, where the network allows."""
        if self.weights == weight_files.DEFAULT:
            weight_files.state_dict(self.weights, published(self.name))

    def network(self) -> "torch.nn.Module":
        """Pictures (B, 3, H, W) -> vectors (B, width); fp32, on CPU."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = self._whole()
        parent, _, last = self._last[0].rpartition(".")
        setattr(network.get_submodule(parent), last, torch.nn.Identity())
        if self.weights != weight_files.RANDOM:
            weight_files.load_strictly(network, self._tensors(), self.weights)
        return network

    @property
    def width(self) -> int:
        """Of a picture's vector: 2,048 for resnet152."""
        return self._last[1]

    def _tensors(self) -> Mapping[str, "torch.Tensor"]:
        return weight_files.state_dict(self.weights, published(self.name))

    def _whole(self) -> "torch.nn.Module":
        from torchvision import models

        refuse_unknown(self.name)
        return models.get_model(self.name, weights=None)

    @cached_property
    def _last(self) -> tuple[str, int]:
        """Name and inputs of the last linear layer, from a network that takes no memory."""
        import torch

        with torch.device("meta"):
            modules = dict(self._whole().named_modules())
        linear = {name: module.in_features for name, module in modules.items() if isinstance(module, torch.nn.Linear)}
        if not linear:
            raise UsageError(
                f"backbone {self.name}: expected a network that ends in a linear layer, found none. Try resnet152."
            )
        return list(linear.items())[-1]


class BackboneExtractor(NetworkExtractor):
    """What reads pictures with a backbone. A subclass says what follows it, and what the rows are."""

    Settings = BackboneSettings

    @property
    def backbone(self) -> Backbone:
        """As configured."""
        return Backbone.of(self.settings)

    def weights_identity(self) -> Any:
        """The backbone's."""
        return self.backbone.identity()

    def fingerprint_parts(self) -> Mapping[str, Any]:
        """Backbone, preprocessing, precision, layout and batch size. A subclass adds what follows."""
        return {**super().fingerprint_parts(), **PREPROCESSING, "backbone": self.backbone.name}

    def fetch(self) -> None:
        """torchvision's weights, where the network allows."""
        self.backbone.fetch()

    def prepare(self, picture: Picture) -> Any:
        """(3, 224, 224) float32."""
        return picture.once(imagenet_input)
