"""Objects by any detectron2 configuration and weights: boxes, classes, scores and the features of the boxes.

detectron2 is imported only in this file and in `detectron/`, and only when this feature is used.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import pydantic

from m3h.pipeline.extractors import weights as weight_files
from m3h.pipeline.extractors.compute import ComputeSettings, autocast
from m3h.pipeline.extractors.detectron import checkpoints, configs, installed, networks
from m3h.pipeline.extractors.network import NetworkExtractor
from m3h.pipeline.extractors.objects import objects_spec, padded_row
from m3h.pipeline.images.picture import Picture
from m3h.schemas.features import Row

if TYPE_CHECKING:
    import numpy as np
    import torch

    Prepared = tuple[np.ndarray, int, int]


MIN_SIDE = 3
"""Fewest pixels of a side of the input. Resizing must leave at least one pixel, and the stem pools over three."""


class Detectron2Settings(ComputeSettings):
    """Options of the `detectron2_objects` feature. None: the value of the configuration."""

    config: str = configs.BUTD  # a YAML file, one that detectron2 contains, or butd
    weights: str = "default"  # a checkpoint of that configuration, or random; there is no default
    objects: int = pydantic.Field(36, ge=1)  # most boxes per picture
    score_threshold: float | None = pydantic.Field(None, ge=0, le=1)
    nms_threshold: float | None = pydantic.Field(None, ge=0, le=1)
    batch_size: Literal[1] = 1  # pictures differ in size, and padding them to one size would change their values


class Detectron2Objects(NetworkExtractor):
    """At most `objects` boxes per picture, stored as in `butd_objects`. The network decides the width of a feature."""

    one_pass = False
    Settings = Detectron2Settings

    def __init__(self, settings: Detectron2Settings) -> None:
        installed.require()
        self._file = configs.config_file(settings.config)
        heads = {"SCORE_THRESH_TEST": settings.score_threshold, "NMS_THRESH_TEST": settings.nms_threshold}
        self._values = configs.inference_values(
            self._file,
            MODEL={"ROI_HEADS": {name: value for name, value in heads.items() if value is not None}},
            TEST={"DETECTIONS_PER_IMAGE": settings.objects},
        )
        self._cfg = configs.completed(self._values, self._file)
        width = networks.feature_width(networks.build(self._cfg, self._file, "meta"))
        self.spec = objects_spec("detectron2_objects", settings.objects, width)
        super().__init__(settings)

    def weights_identity(self) -> str:
        """The sha256 of a file, or the seed."""
        return checkpoints.identity(self.settings.weights, self.settings.seed)

    def fingerprint_parts(self) -> Mapping[str, object]:
        """detectron2's version, the configuration with everything it inherits, weights and precision."""
        return {**super().fingerprint_parts(), "engine": installed.engine_version(), "config": self._values}

    def fetch(self) -> None:
        """Nothing is downloaded. A checkpoint that does not fit the configuration is refused here, before any work."""
        if self.settings.weights != weight_files.RANDOM:
            checkpoints.fitting_tensors(networks.build(self._cfg, self._file, "meta"), self.settings.weights)

    def network(self) -> "torch.nn.Module":
        """The network of the configuration, with its weights."""
        from m3h.pipeline.extractors.butd.network import randomise

        settings, network = self.settings, networks.build(self._cfg, self._file)
        if settings.weights == weight_files.RANDOM:
            return randomise(
                network, settings.seed
            )  # detectron2's own initialisation overflows with a frozen BatchNorm
        return checkpoints.fill(network, settings.weights)

    def prepare(self, picture: Picture) -> "Prepared":
        """Pixels (3, h, w) float32, resized as detectron2's predictor does it, and the picture's height and width."""
        import numpy as np
        from detectron2.data import transforms

        pixels_hwc = np.asarray(picture.pixels)
        if self._cfg.INPUT.FORMAT == "BGR":
            pixels_hwc = pixels_hwc[:, :, ::-1]
        height, width = pixels_hwc.shape[:2]
        if shortest := self._cfg.INPUT.MIN_SIZE_TEST:
            longest = self._cfg.INPUT.MAX_SIZE_TEST
            size = transforms.ResizeShortestEdge.get_output_shape(height, width, shortest, longest)
            size = [max(MIN_SIDE, side) for side in size]
            pixels_hwc = transforms.ResizeTransform(height, width, *size).apply_image(pixels_hwc)
        return np.ascontiguousarray(pixels_hwc.transpose(2, 0, 1), dtype=np.float32), height, width

    def extract(self, inputs: "Sequence[Prepared]") -> list[Row]:
        """The rows of the pictures, which are computed one after the other."""
        return [row for prepared in inputs for row in self.rows(self._find_objects(*prepared))]

    def _find_objects(self, pixels_chw: "np.ndarray", height: int, width: int) -> list["torch.Tensor"]:
        import torch

        with torch.inference_mode(), autocast(self._device, self.settings.precision):
            image_chw = torch.from_numpy(pixels_chw).to(self._device)
            found = networks.detect(self._network, image_chw, (height, width))[: self.settings.objects]
        attributes = (torch.zeros(0, dtype=torch.int64), torch.zeros(0))
        if found.has("attributes"):
            attributes = (found.attributes, found.attribute_scores)
        objects = (found.box_features, found.pred_boxes.tensor, found.pred_classes, found.scores, *attributes)
        floats = [tensor.float() if tensor.is_floating_point() else tensor for tensor in objects]
        return [*floats, torch.tensor(len(found)), torch.tensor([width, height])]

    def rows(self, outputs: Sequence["torch.Tensor"]) -> list[Row]:
        """The row of one picture. outputs: its arrays in the order of the spec, one entry per object."""
        return [padded_row(self.spec, outputs)]
