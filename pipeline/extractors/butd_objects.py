"""Objects by bottom-up attention (§3.1): 36 boxes per picture with features, classes and attributes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import pydantic

from m3h.pipeline.extractors import weights as weight_files
from m3h.pipeline.extractors.compute import ComputeSettings, autocast
from m3h.pipeline.extractors.network import NetworkExtractor
from m3h.pipeline.extractors.objects import objects_spec, padded_row
from m3h.pipeline.images.picture import Picture
from m3h.schemas.errors import UsageError
from m3h.schemas.features import Row

if TYPE_CHECKING:
    import torch

    from m3h.pipeline.extractors.butd.network import BottomUpAttention
    from m3h.pipeline.extractors.butd.picture import Input


CPU_REGIONS = 16
"""Regions that go through res5 together on a CPU. Their tensors stay below 32 MB each, so that the C library reuses
their memory."""


class ButdSettings(ComputeSettings):
    """Options of the `butd_objects` feature. The defaults are those of the original with 36 objects per picture."""

    batch_size: int = pydantic.Field(1, ge=1, le=1)  # pictures differ in size, so each is computed alone
    weights_sha256: str = ""  # required sha256 of the weights' file
    resize: Literal["caffe", "pil"] = "caffe"  # bilinear on floats as in cv2, or Pillow's on bytes as in detectron2
    min_side: int = pydantic.Field(600, ge=16)  # pixels of the network's input
    max_side: int = pydantic.Field(1000, ge=16)
    boxes: Literal["auto", "caffe", "detectron2"] = "auto"  # how boxes are coded; auto: by the weights' layout
    selection: Literal["original", "regressed"] = "original"
    min_objects: int = pydantic.Field(36, ge=0)
    max_objects: int = pydantic.Field(36, ge=1)
    confidence: float = pydantic.Field(0.2, ge=0, le=1)  # least confidence of an object (original)
    class_overlap: float = pydantic.Field(0.3, ge=0, le=1)  # IoU above which a class keeps one of two boxes (original)
    first_overlap: float = pydantic.Field(0.5, ge=0.1, le=0.9)  # the first IoU threshold (regressed)
    proposals: int = pydantic.Field(300, ge=1)
    pre_nms_proposals: int = pydantic.Field(6000, ge=1)  # proposals before suppression
    proposal_overlap: float = pydantic.Field(0.7, ge=0, le=1)
    roi_batch_size: int = pydantic.Field(0, ge=0)  # regions that go through res5 together; 0: 16 on a CPU, all on a GPU

    @pydantic.model_validator(mode="after")
    def _limits_agree(self) -> "ButdSettings":
        if self.min_objects > self.max_objects:
            raise ValueError(f"min_objects {self.min_objects} is more than max_objects {self.max_objects}")
        return self


class ButdObjects(NetworkExtractor):
    """At most `max_objects` objects per picture, of 1600 classes and 400 attributes; see `objects_spec`.

    The feature of an object is the mean of res5 over its proposal.
    """

    one_pass = False
    Settings = ButdSettings
    memory_gb = 6.0
    width: ClassVar[int] = 2048  # width of an object's feature vector

    def __init__(self, settings: ButdSettings) -> None:
        self.spec = objects_spec("butd_objects", settings.max_objects, self.width, version=2)
        super().__init__(settings)

    def weights_identity(self) -> str:
        """The sha256 of a file, or the seed. UsageError when the file does not have the sha256 `weights_sha256`."""
        options = self.settings
        if options.weights == weight_files.DEFAULT:
            raise UsageError(
                "features.butd_objects.weights=default: these weights cannot be downloaded any more. Get a file as "
                "docs/weights.md explains and name it, or use `random` for a trial."
            )
        found = weight_files.identity(options.weights, options.seed, "")
        if options.weights_sha256 and found != f"sha256:{options.weights_sha256.lower()}":
            raise UsageError(
                f"features.butd_objects.weights={options.weights}: expected sha256 {options.weights_sha256}, "
                f"found {found}. Is it the file you meant?"
            )
        return found

    def fingerprint_parts(self) -> Mapping[str, object]:
        """Weights, and every option that changes values."""
        covered = {*ComputeSettings.model_fields, "weights_sha256"}  # they are in the other parts
        return {**super().fingerprint_parts(), "options": self.settings.model_dump(exclude=covered)}

    def fetch(self) -> None:
        """Nothing is downloaded. A file that does not fit the network is refused here, before any work."""
        from m3h.pipeline.extractors.weight_kinds import check_bottom_up

        if self.settings.weights != weight_files.RANDOM:
            check_bottom_up(weight_files.find_file(self.settings.weights))

    def network(self) -> "BottomUpAttention":
        """The detector with its weights. The normalisation is folded into the convolutions."""
        from m3h.pipeline.extractors.butd.boxes import CAFFE
        from m3h.pipeline.extractors.butd.layouts import read_weights
        from m3h.pipeline.extractors.butd.network import BottomUpAttention, randomise
        from m3h.pipeline.extractors.butd.proposals import ProposalRules

        options = self.settings
        rules = ProposalRules(options.pre_nms_proposals, options.proposals, options.proposal_overlap)
        if options.weights == weight_files.RANDOM:
            network = BottomUpAttention(convention=CAFFE.resolve(options.boxes), rules=rules)
            return randomise(network, options.seed).fold()
        tensors, convention = read_weights(weight_files.find_file(options.weights))
        network = BottomUpAttention(convention=convention.resolve(options.boxes), rules=rules)
        weight_files.load_strictly(network, tensors, options.weights)
        return network.fold()

    def load(self) -> None:
        """Regions go through res5 in parts of a fixed size. When memory runs out, the size is halved."""
        super().load()
        on_cpu = self._device.type == "cpu"
        self._splitter.at_once = self.settings.roi_batch_size or (CPU_REGIONS if on_cpu else self.settings.proposals)

    def faster_on_cpu(self, network: "BottomUpAttention") -> "BottomUpAttention":
        """The network with Winograd's filtering for the 3x3 convolutions of res5."""
        return network.use_winograd()

    def prepare(self, picture: Picture) -> "Input":
        """The picture as the network's input."""
        from m3h.pipeline.extractors.butd.picture import INPUTS

        options = self.settings
        return INPUTS[options.resize](picture.pixels, options.min_side, options.max_side)

    def extract(self, inputs: "Sequence[Input]") -> list[Row]:
        """The rows of the pictures, which are computed one after the other."""
        import torch

        from m3h.pipeline.extractors.butd.objects import find_objects
        from m3h.pipeline.extractors.butd.selection import SelectionRules

        options = self.settings
        rules = SelectionRules(
            options.min_objects, options.max_objects, options.confidence, options.class_overlap, options.first_overlap
        )
        rows = []
        with torch.inference_mode(), autocast(self._device, options.precision):
            for image in inputs:
                objects = find_objects(
                    self._network, image, rules, selection=options.selection, in_parts=self._splitter
                )
                number, size = torch.tensor(len(objects.boxes)), torch.tensor(image.size)
                rows += self.rows([*objects, number, size])
        return rows

    def rows(self, outputs: Sequence["torch.Tensor"]) -> list[Row]:
        """The row of one picture. outputs: its arrays in the order of the spec, one entry per object."""
        return [padded_row(self.spec, outputs)]
