"""Any network of timm, torchvision or open_clip, read at one layer: a grid of cells, or one vector a picture."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from m3h.pipeline.extractors import weights as weight_files
from m3h.pipeline.extractors.backbones import small
from m3h.pipeline.extractors.backbones.architecture import Architecture, fitting
from m3h.pipeline.extractors.backbones.catalog import architecture
from m3h.pipeline.extractors.compute import ComputeSettings
from m3h.pipeline.extractors.computing.graph import Subject
from m3h.pipeline.extractors.network import NetworkExtractor
from m3h.pipeline.images.picture import Picture
from m3h.schemas.errors import UsageError
from m3h.schemas.features import ArraySpec, FeatureSpec, Row

if TYPE_CHECKING:
    import numpy as np
    import torch

    from m3h.pipeline.extractors.backbones.layers import Tap
    from m3h.pipeline.extractors.backbones.one_pass import ReadNetwork
    from m3h.pipeline.extractors.backbones.preprocessing import Preprocessing


class NetworkSettings(ComputeSettings):
    """Options of every feature of a backbone.

    network: `small` (EfficientNet-Lite0, of the extra m3h[small]), timm:NAME, torchvision:NAME or open_clip:NAME.
    weights: default (only of `small` and torchvision), random, or a file. whole: resize the whole picture to the
    network's input rather than cut its middle out, as most networks were trained.
    """

    network: str = small.NAME
    whole: bool = False


class BackboneSettings(NetworkSettings):
    """Options of `backbone`. form: a grid of n cells, or one vector. layer: a module's name; the last one if empty."""

    form: Literal["grid", "pooled"] = "grid"
    layer: str = ""


class BackboneNetwork(NetworkExtractor):
    """A feature that a whole network computes. A subclass says where it is read, and makes rows.

    Features of one network, with the same batches, that torch computes together share its weights and its passes. An
    engine that reads a graph gets one of each feature: how it joins layers depends on which of them are read, and a
    row's bits must not depend on the features beside it.
    """

    feature: ClassVar[str]

    def __init__(self, settings: Any) -> None:
        try:
            self.architecture: Architecture = architecture(settings.network)
        except UsageError as error:
            raise UsageError(f"features.{self.feature}.network={settings.network}: {error}") from error
        self.settings = settings
        self.spec = self.own_spec()
        super().__init__(settings)

    @abstractmethod
    def own_spec(self) -> FeatureSpec:
        """What it stores, as its settings and its network decide."""

    @cached_property
    def preprocessing(self) -> "Preprocessing":
        """How a picture becomes the network's input."""
        own = self.architecture.preprocessing()
        return own.of_whole() if self.settings.whole else own

    def weights_identity(self) -> str:
        """The sha256 of a file, torchvision's label, or the seed."""
        return self.architecture.weights_identity(self.settings.weights, self.settings.seed)

    def fingerprint_parts(self) -> Mapping[str, object]:
        """Network, weights, preprocessing, precision, layout and batch size. A subclass adds where it is read."""
        parts = {"network": self.architecture.identity, "input": self.preprocessing.identity()}
        return {**super().fingerprint_parts(), **parts}

    def fetch(self) -> None:
        """Get the weights and try whether they fit the network. UsageError where they do not."""
        if self.settings.weights != weight_files.RANDOM:
            fitting(self.architecture.empty(), self.architecture.tensors(self.settings.weights), self.settings.weights)

    def prepare(self, picture: Picture) -> "np.ndarray":
        """The picture as (3, S, S) float32. Features of networks with the same input share it."""
        return picture.once(self.preprocessing)

    @property
    def shared_network(self) -> str:
        """Network, weights, how it computes and which batches: what decides whether two features want the same pass."""
        if not self._engine.calls_network:
            return ""
        of = self.settings
        computes = f"{self.architecture.identity} {self.weights_identity()} {of.engine} {of.precision} {of.device}"
        return f"{computes} {self.batch_size} {self.preprocessing.identity()}"

    def about(self) -> Subject:
        """The network for its own inputs."""
        side = self.preprocessing.side
        return Subject(self.feature, self.settings.network, (3, side, side))

    @abstractmethod
    def reader(self, network: "torch.nn.Module") -> "torch.nn.Module":
        """A module that is called with the network's output, after each pass, and gives what `rows` takes."""

    def network(self) -> "ReadNetwork":
        """The network, which this feature reads, and where torch computes also the others of it."""
        from m3h.pipeline.extractors.backbones.one_pass import ReadNetwork, read_network

        shared = self.shared_network
        read = read_network(shared, self.whole_network) if shared else ReadNetwork(self.whole_network())
        self._place = read.add(f"{self.feature} {sorted(self.fingerprint_parts().items())}", self.reader)
        self._read = read if shared else None
        return read

    def extract(self, inputs: Sequence[Any]) -> list[Row]:
        """The rows of a batch; without computing, if it was the last one that another feature of the network had."""
        if self._read is None:
            return super().extract(inputs)
        outputs, spared = self._read.outputs(inputs, self.outputs)
        self.spared_seconds += spared
        return self.rows([outputs[self._place]])

    def whole_network(self) -> "torch.nn.Module":
        """The network with its weights, and nothing taken off."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            network = self.architecture.build()
        if self.settings.weights != weight_files.RANDOM:
            tensors = self.architecture.tensors(self.settings.weights)
            network.load_state_dict(fitting(network, tensors, self.settings.weights))
        return network


class BackboneFeature(BackboneNetwork):
    """`features` (n, width): the cells of one layer, row by row; (1, width) where they are pooled."""

    feature = "backbone"
    Settings = BackboneSettings

    def own_spec(self) -> FeatureSpec:
        """(n, width), found out without computing anything."""
        shape = (1 if self._pooled else self._tap.cells, self._tap.width)
        return FeatureSpec(self.feature, arrays=(ArraySpec("features", shape),))

    @property
    def _pooled(self) -> bool:
        return self.settings.form == "pooled"

    @cached_property
    def _tap(self) -> "Tap":
        from m3h.pipeline.extractors.backbones.layers import find_tap

        side, named = self.preprocessing.side, self.settings.network
        kind = {"pooled": self._pooled, "classifies": self.architecture.classifies}
        return find_tap(self.architecture.empty(), self.settings.layer, side, named=named, **kind)

    def fingerprint_parts(self) -> Mapping[str, object]:
        """As of every backbone, and the layer, whether or not it was named."""
        read = {"layer": self._tap.layer, "before": self._tap.before, "form": self.settings.form}
        return {**super().fingerprint_parts(), **read}

    def reader(self, network: "torch.nn.Module") -> "torch.nn.Module":
        """It reads one layer."""
        from m3h.pipeline.extractors.backbones.layers import Tapped

        return Tapped(network, self._tap, pooled=self._pooled)

    def rows(self, outputs: Sequence["torch.Tensor"]) -> list[Row]:
        """outputs: (B, n, width)."""
        return [{"features": cells_nd} for cells_nd in outputs[0].contiguous().numpy()]
