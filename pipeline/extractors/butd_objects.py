"""Objects by bottom-up attention (§3.1): 36 boxes a picture with features, classes and attributes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pydantic

from pipeline.extractors import weights as weight_files
from pipeline.extractors.compute import ComputeSettings, autocast
from pipeline.extractors.network import NetworkExtractor
from pipeline.extractors.objects import objects_spec, padded
from pipeline.picture import Picture
from schemas.errors import UsageError
from schemas.features import Row

if TYPE_CHECKING:
    import torch


FIT_CACHE = 16
"""Regions whose tensors in res5 a C library keeps from one part to the next (each below 32 MB)."""


class ButdSettings(ComputeSettings):
    """Options of the `butd_objects` feature. The defaults are the original's with 36 objects a picture."""

    batch_size: int = pydantic.Field(1, ge=1, le=1)  # pictures differ in size, so each goes by itself
    weights_sha256: str = ""  # what the weights' file must be
    resize: Literal["caffe", "pil"] = "caffe"  # bilinear on floats as cv2, or Pillow's on bytes as detectron2
    min_side: int = pydantic.Field(600, ge=16)  # of the network's input
    max_side: int = pydantic.Field(1000, ge=16)
    boxes: Literal["auto", "caffe", "detectron2"] = "auto"  # how boxes are coded; auto: as the weights' layout says
    selection: Literal["original", "regressed"] = "original"
    min_objects: int = pydantic.Field(36, ge=0)
    max_objects: int = pydantic.Field(36, ge=1)
    confidence: float = pydantic.Field(0.2, ge=0, le=1)  # of an object, by the original selection
    class_overlap: float = pydantic.Field(0.3, ge=0, le=1)  # above which a class keeps one of two boxes (original)
    rising_from: float = pydantic.Field(0.5, ge=0.1, le=0.9)  # the first overlap allowed (regressed)
    proposals: int = pydantic.Field(300, ge=1)
    proposals_before: int = pydantic.Field(6000, ge=1)  # that enter suppression
    proposal_overlap: float = pydantic.Field(0.7, ge=0, le=1)
    rois_at_once: int = pydantic.Field(0, ge=0)  # regions that go through res5 together; 0: 16 on a CPU, all on a GPU

    @pydantic.model_validator(mode="after")
    def _enough(self) -> "ButdSettings":
        if self.min_objects > self.max_objects:
            raise ValueError(f"min_objects {self.min_objects} is more than max_objects {self.max_objects}")
        return self


class ButdObjects(NetworkExtractor):
    """At most `max_objects` a picture, stored as `objects_spec` says, of 1600 classes and 400 attributes.

    A feature is the mean of res5 over the proposal.
    """

    Settings = ButdSettings
    memory_gb = 6.0
    width: ClassVar[int] = 2048  # of an object's vector

    def __init__(self, settings: ButdSettings) -> None:
        self.spec = objects_spec("butd_objects", settings.max_objects, self.width, version=2)
        super().__init__(settings)

    def weights_identity(self) -> str:
        """A file's sha256, or a seed. UsageError where it is not the file that `weights_sha256` names."""
        options = self.settings
        if options.weights == weight_files.DEFAULT:
            raise UsageError(
                "features.butd_objects.weights=default: there is no address left to fetch them from. Get a file as "
                "docs/weights.md tells and name it, or use `random` for a trial."
            )
        found = weight_files.identity(options.weights, options.seed, "")
        if options.weights_sha256 and found != f"sha256:{options.weights_sha256.lower()}":
            raise UsageError(
                f"features.butd_objects.weights={options.weights}: expected sha256 {options.weights_sha256}, "
                f"found {found}. Is it the file you meant?"
            )
        return found

    def fingerprint_parts(self) -> Mapping[str, Any]:
        """Weights, and every option that changes values."""
        elsewhere = {*ComputeSettings.model_fields, "weights_sha256"}
        return {**super().fingerprint_parts(), "options": self.settings.model_dump(exclude=elsewhere)}

    def fetch(self) -> None:
        """Nothing is fetched, but a file that does not fill the network is refused before any work."""
        from pipeline.extractors.weight_kinds import check_bottom_up

        if self.settings.weights != weight_files.RANDOM:
            check_bottom_up(weight_files.existing(self.settings.weights))

    def network(self) -> "torch.nn.Module":
        """The detector with its weights, normalisation folded in."""
        from pipeline.extractors.butd.boxes import CAFFE
        from pipeline.extractors.butd.layouts import read_weights
        from pipeline.extractors.butd.network import BottomUpAttention, randomise
        from pipeline.extractors.butd.proposals import ProposalRules

        options = self.settings
        rules = ProposalRules(options.proposals_before, options.proposals, options.proposal_overlap)
        if options.weights == weight_files.RANDOM:
            network = BottomUpAttention(convention=CAFFE.asked(options.boxes), rules=rules)
            return randomise(network, options.seed).fold()
        tensors, convention = read_weights(weight_files.existing(options.weights))
        network = BottomUpAttention(convention=convention.asked(options.boxes), rules=rules)
        weight_files.load_strictly(network, tensors, options.weights)
        return network.fold()

    def load(self) -> None:
        """Regions go through res5 in parts of one size, in halves of it where memory does not suffice."""
        super().load()
        on_cpu = self._device.type == "cpu"
        self._pieces.at_once = self.settings.rois_at_once or (FIT_CACHE if on_cpu else self.settings.proposals)

    def quickened(self, network: Any) -> Any:
        """With res5's 3x3 convolutions by Winograd's filtering."""
        return network.quicken()

    def prepare(self, picture: Picture) -> Any:
        """The picture as the network's `Input`."""
        from pipeline.extractors.butd.picture import INPUTS

        options = self.settings
        return INPUTS[options.resize](picture.pixels, options.min_side, options.max_side)

    def extract(self, inputs: Sequence[Any]) -> list[Row]:
        """One picture after the other."""
        import torch

        from pipeline.extractors.butd.objects import find_objects
        from pipeline.extractors.butd.selection import SelectionRules

        options = self.settings
        rules = SelectionRules(
            options.min_objects, options.max_objects, options.confidence, options.class_overlap, options.rising_from
        )
        rows = []
        with torch.inference_mode(), autocast(self._device, options.precision):
            for given in inputs:
                found = find_objects(self._network, given, options.selection, rules, self._pieces)
                number, size = torch.tensor(len(found.boxes)), torch.tensor(given.size)
                rows += self.rows([*found, number, size])
        return rows

    def rows(self, outputs: Sequence["torch.Tensor"]) -> list[Row]:
        """The row of one picture. outputs: its arrays in the order of the spec, as long as there are objects."""
        return [padded(self.spec, outputs)]
