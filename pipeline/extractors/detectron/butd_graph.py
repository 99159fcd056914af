"""Bottom-up attention as a detectron2 network. Importing this module registers the parts that `butd.yaml` names.

The names of its tensors are those of `m3h.pipeline.extractors.butd.network`, so both networks load the same state dict.
"""

from typing import Any

import torch
from detectron2.config import CfgNode, configurable
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, ROI_HEADS_REGISTRY
from detectron2.modeling.backbone.resnet import BasicStem, BottleneckBlock, ResNet, build_resnet_backbone
from detectron2.modeling.roi_heads import FastRCNNOutputLayers, Res5ROIHeads
from detectron2.structures import ImageList, Instances
from torch import Tensor, nn
from torch.nn import functional as F

from m3h.pipeline.extractors.butd.boxes import DETECTRON2
from m3h.pipeline.extractors.butd.selection import SelectionRules, select_original


class CaffeStem(BasicStem):
    """detectron2's stem with Caffe's pooling: it has no padding and rounds up."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, C, H / 4, W / 4)."""
        return F.max_pool2d(F.relu_(self.conv1(x)), kernel_size=3, stride=2, ceil_mode=True)


@BACKBONE_REGISTRY.register()
def build_bottom_up_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> ResNet:
    """detectron2's ResNet with CaffeStem."""
    backbone = build_resnet_backbone(cfg, input_shape)
    resnets = cfg.MODEL.RESNETS
    backbone.stem = CaffeStem(input_shape.channels, resnets.STEM_OUT_CHANNELS, resnets.NORM)
    return backbone


class BottomUpPredictor(FastRCNNOutputLayers):
    """Predicts classes and deltas as detectron2 does, and attributes from a region and its class's embedding."""

    def __init__(self, cfg: CfgNode, input_shape: ShapeSpec) -> None:
        super().__init__(cfg, input_shape)
        width = input_shape.channels
        self.cls_embedding = nn.Embedding(self.num_classes + 1, width // 8)
        self.fc_attr = nn.Linear(width + width // 8, width // 4)
        self.attr_score = nn.Linear(width // 4, cfg.MODEL.ROI_ATTRIBUTE_HEAD.NUM_CLASSES + 1)

    def attributes(self, pooled_nc: Tensor, class_n: Tensor) -> Tensor:
        """(N, 401) logits; the background is the last attribute."""
        with_class = torch.cat((pooled_nc, self.cls_embedding(class_n)), dim=1)
        return self.attr_score(F.relu_(self.fc_attr(with_class)))


@ROI_HEADS_REGISTRY.register()
class BottomUpROIHeads(Res5ROIHeads):
    """Heads whose res5 keeps a region's 14 x 14 cells, with the original selection of unregressed proposals."""

    @configurable
    def __init__(self, *, rules: SelectionRules, **parts: Any) -> None:
        super().__init__(**parts)
        self.rules = rules

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec]) -> dict[str, Any]:
        """The arguments of the constructor. detectron2 calls this."""
        parts = super().from_config(cfg, input_shape)
        width = cfg.MODEL.RESNETS.RES2_OUT_CHANNELS * 8
        parts["box_predictor"] = BottomUpPredictor(cfg, ShapeSpec(channels=width, height=1, width=1))
        max_objects, heads = cfg.TEST.DETECTIONS_PER_IMAGE, cfg.MODEL.ROI_HEADS
        min_objects = min(max_objects, cfg.MODEL.BOTTOM_UP.MIN_OBJECTS)
        rules = SelectionRules(min_objects, max_objects, heads.SCORE_THRESH_TEST, heads.NMS_THRESH_TEST)
        return {**parts, "rules": rules}

    @classmethod
    def _build_res5_block(cls, cfg: CfgNode) -> tuple[nn.Sequential, int]:
        resnets = cfg.MODEL.RESNETS
        width = resnets.RES2_OUT_CHANNELS * 8
        blocks = ResNet.make_stage(
            BottleneckBlock,
            3,
            stride_per_block=[1, 1, 1],
            in_channels=width // 2,
            bottleneck_channels=resnets.WIDTH_PER_GROUP * 8,
            out_channels=width,
            norm=resnets.NORM,
            stride_in_1x1=resnets.STRIDE_IN_1X1,
            dilation=2,
        )
        return nn.Sequential(*blocks), width

    def forward(
        self, images: ImageList, features: dict[str, Tensor], proposals: list[Instances], targets: None = None
    ) -> tuple[list[Instances], dict[str, Tensor]]:
        """The objects of one picture: detectron2's fields, and box_features, attributes, attribute_scores.

        detectron2 calls this with positional arguments.

        Args:
            images: the picture.
            features: the backbone's maps by name.
            proposals: the proposals of the one picture.
            targets: not used; detectron2 passes it in training.
        """
        (proposed,) = proposals
        boxes = proposed.proposal_boxes
        pooled_nc = self._shared_roi_transform([features[name] for name in self.in_features], [boxes]).mean((2, 3))
        logit_nc, _ = self.box_predictor(pooled_nc)
        score_nc = logit_nc.float().softmax(dim=1)[:, :-1]
        selected = select_original(boxes.tensor.cpu().numpy(), score_nc.cpu().numpy(), self.rules, edge=DETECTRON2.edge)
        kept = torch.from_numpy(selected).to(score_nc.device)
        attribute_nc = self.box_predictor.attributes(pooled_nc[kept], logit_nc[kept].argmax(dim=1))
        found = Instances(proposed.image_size)
        found.pred_boxes, found.box_features = boxes[kept], pooled_nc[kept]
        found.scores, found.pred_classes = score_nc[kept].max(dim=1)
        found.attribute_scores, found.attributes = attribute_nc.float().softmax(dim=1)[:, :-1].max(dim=1)
        return [found], {}
