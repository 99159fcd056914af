"""A classification network of torchvision without its last linear layer. It turns a picture into one vector."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from m3h.pipeline.extractors import weights as weight_files
from m3h.pipeline.extractors.backbones.published import check_model, label, published
from m3h.pipeline.extractors.compute import ComputeSettings
from m3h.pipeline.extractors.computing.graph import Subject
from m3h.pipeline.extractors.imagenet import PREPROCESSING, imagenet_input
from m3h.pipeline.extractors.network import NetworkExtractor
from m3h.pipeline.images.picture import Picture
from m3h.schemas.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import torch


class BackboneSettings(ComputeSettings):
    """Options of a feature that uses a backbone. weights, seed: of the backbone."""

    backbone: str = "resnet152"  # a classification model by torchvision's name


@dataclass(frozen=True)
class Backbone:
    """A network and its weights.

    name: torchvision's name. weights: `default` (torchvision's), `random`, or a file in torchvision's layout.
    seed: of random weights.
    """

    name: str
    weights: str
    seed: int

    @classmethod
    def of(cls, settings: BackboneSettings) -> "Backbone":
        """The backbone of these settings."""
        return cls(settings.backbone, settings.weights, settings.seed)

    def identity(self) -> str:
        """The identity of the weights, without loading them. UsageError for an unknown network or file."""
        return weight_files.identity(self.weights, self.seed, label(self.name))

    def fetch(self) -> None:
        """Download torchvision's weights if they are used. UsageError when that fails."""
        if self.weights == weight_files.DEFAULT:
            weight_files.state_dict(self.weights, published(self.name))

    def network(self) -> "torch.nn.Module":
        """The network without its last layer: pictures (B, 3, H, W) -> vectors (B, width); fp32, on CPU."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = self._full_network()
        parent, _, last = self._last_layer[0].rpartition(".")
        setattr(network.get_submodule(parent), last, torch.nn.Identity())
        if self.weights != weight_files.RANDOM:
            weight_files.load_strictly(network, self._tensors(), self.weights)
        return network

    @property
    def width(self) -> int:
        """The width of a picture's vector, for example 2,048 for resnet152."""
        return self._last_layer[1]

    def _tensors(self) -> Mapping[str, "torch.Tensor"]:
        return weight_files.state_dict(self.weights, published(self.name))

    def _full_network(self) -> "torch.nn.Module":
        from torchvision import models

        check_model(self.name)
        return models.get_model(self.name, weights=None)

    @cached_property
    def _last_layer(self) -> tuple[str, int]:
        """The name and the number of inputs of the last linear layer. The network is built without its values."""
        import torch

        with torch.device("meta"):
            modules = dict(self._full_network().named_modules())
        linear = {name: module.in_features for name, module in modules.items() if isinstance(module, torch.nn.Linear)}
        if not linear:
            raise UsageError(
                f"backbone {self.name}: expected a network that ends in a linear layer, found none. Try resnet152."
            )
        return list(linear.items())[-1]


class BackboneExtractor(NetworkExtractor):
    """A feature that uses a backbone. A subclass defines the layers after it and the rows."""

    Settings = BackboneSettings

    @property
    def backbone(self) -> Backbone:
        """The backbone of the settings."""
        return Backbone.of(self.settings)

    def weights_identity(self) -> str:
        """The identity of the backbone's weights."""
        return self.backbone.identity()

    def fingerprint_parts(self) -> Mapping[str, object]:
        """Backbone, preprocessing, precision, layout and batch size. A subclass adds its own layers."""
        return {**super().fingerprint_parts(), **PREPROCESSING, "backbone": self.backbone.name}

    def fetch(self) -> None:
        """Download torchvision's weights if they are used."""
        self.backbone.fetch()

    def about(self) -> Subject:
        """The backbone for inputs of 224 x 224."""
        return replace(super().about(), network=self.backbone.name)

    def prepare(self, picture: Picture) -> "np.ndarray":
        """The picture as (3, 224, 224) float32."""
        return picture.once(imagenet_input)
