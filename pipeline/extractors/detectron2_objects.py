"""Objects by any detectron2 configuration and weights: boxes, classes, scores and the features of the boxes.

detectron2 is imported only here and below `detectron/`, and only when this feature is asked for.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pydantic

from pipeline.extractors import weights as weight_files
from pipeline.extractors.compute import ComputeSettings, autocast
from pipeline.extractors.detectron import checkpoints, configs, installed, networks
from pipeline.extractors.network import NetworkExtractor
from pipeline.extractors.objects import objects_spec, padded
from pipeline.picture import Picture
from schemas.features import Row

if TYPE_CHECKING:
    import torch


SMALLEST = 3
"""Pixels a side of the least input: of a line of pixels resizing would leave nothing, and stems need some to pool."""


class Detectron2Settings(ComputeSettings):
    """Options of the `detectron2_objects` feature. None: what the configuration says."""

    config: str = configs.BUTD  # a YAML file, one that detectron2 brings along, or butd
    weights: str = "default"  # a checkpoint of that configuration, or random; there is no default
    objects: int = pydantic.Field(36, ge=1)  # boxes a picture at most
    score_threshold: float | None = pydantic.Field(None, ge=0, le=1)
    nms_threshold: float | None = pydantic.Field(None, ge=0, le=1)
    batch_size: Literal[1] = 1  # pictures differ in size, and padding one to its neighbour's would change its values


class Detectron2Objects(NetworkExtractor):
    """`objects` boxes a picture, stored as `butd_objects` are. The width of a feature is the network's."""

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

    def weights_identity(self) -> Any:
        """A file's sha256, or a seed."""
        return checkpoints.identity(self.settings)

    def fingerprint_parts(self) -> Mapping[str, Any]:
        """detectron2's version, the configuration with all it inherits, weights and precision."""
        return {**super().fingerprint_parts(), "engine": installed.engine_version(), "config": self._values}

    def fetch(self) -> None:
        """Nothing is fetched, but a checkpoint that does not fit the configuration is refused before any work."""
        if self.settings.weights != weight_files.RANDOM:
            checkpoints.fitting_tensors(networks.build(self._cfg, self._file, "meta"), self.settings.weights)

    def network(self) -> "torch.nn.Module":
        """As configured, with its weights."""
        from pipeline.extractors.butd.network import randomise

        settings, network = self.settings, networks.build(self._cfg, self._file)
        if settings.weights == weight_files.RANDOM:
            return randomise(network, settings.seed)  # detectron2's own choice overflows where BatchNorm is frozen
        return checkpoints.fill(network, settings.weights)

    def prepare(self, picture: Picture) -> Any:
        """Pixels (3, h, w) float32, resized as detectron2's own predictor does, and the picture's height and width."""
        import numpy as np
        from detectron2.data import transforms

        pixels_hwc = np.asarray(picture.pixels)
        if self._cfg.INPUT.FORMAT == "BGR":
            pixels_hwc = pixels_hwc[:, :, ::-1]
        height, width = pixels_hwc.shape[:2]
        if shortest := self._cfg.INPUT.MIN_SIZE_TEST:
            longest = self._cfg.INPUT.MAX_SIZE_TEST
            size = transforms.ResizeShortestEdge.get_output_shape(height, width, shortest, longest)
            size = [max(SMALLEST, side) for side in size]
            pixels_hwc = transforms.ResizeTransform(height, width, *size).apply_image(pixels_hwc)
        return np.ascontiguousarray(pixels_hwc.transpose(2, 0, 1), dtype=np.float32), height, width

    def extract(self, inputs: Sequence[Any]) -> list[Row]:
        """Each picture by itself."""
        return [row for prepared in inputs for row in self.rows(self._found(*prepared))]

    def _found(self, pixels_chw: Any, height: int, width: int) -> list["torch.Tensor"]:
        import torch

        with torch.inference_mode(), autocast(self._device, self.settings.precision):
            image_chw = torch.from_numpy(pixels_chw).to(self._device)
            found = networks.detect(self._network, image_chw, height, width)[: self.settings.objects]
        attributes = (torch.zeros(0, dtype=torch.int64), torch.zeros(0))
        if found.has("attributes"):
            attributes = (found.attributes, found.attribute_scores)
        objects = (found.box_features, found.pred_boxes.tensor, found.pred_classes, found.scores, *attributes)
        floats = [tensor.float() if tensor.is_floating_point() else tensor for tensor in objects]
        return [*floats, torch.tensor(len(found)), torch.tensor([width, height])]

    def rows(self, outputs: Sequence["torch.Tensor"]) -> list[Row]:
        """Of one picture. outputs: the arrays of the spec, as long as there are objects."""
        return [padded(self.spec, outputs)]
