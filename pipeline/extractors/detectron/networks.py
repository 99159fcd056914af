"""Builds detectron2 networks from a configuration, and runs them to get boxes with their features.

Axes: R boxes, D width of a box's feature, C channels, H and W pixels of the resized picture.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3h.schemas.errors import UsageError

if TYPE_CHECKING:
    import torch
    from detectron2.config import CfgNode
    from detectron2.structures import Boxes, Instances


def build(cfg: "CfgNode", origin: Path, device: str = "cpu") -> "torch.nn.Module":
    """The network that `cfg` describes, as detectron2 initialises it.

    Args:
        cfg: the complete configuration.
        origin: the configuration's file, for error messages.
        device: the network's device; `meta` builds it without values, only for its shapes.

    Raises:
        UsageError: a part of the network is unknown, or it is not a network that finds upright boxes in one picture.
    """
    import torch
    from detectron2.modeling import GeneralizedRCNN, build_model

    from m3h.pipeline.extractors.detectron import butd_graph  # noqa: F401 (its import registers parts)

    cfg = cfg.clone()
    cfg.MODEL.DEVICE = device
    try:
        with torch.device(device):
            network = build_model(cfg)
    except (KeyError, AssertionError, ValueError) as error:
        raise UsageError(f"config {origin}: detectron2 cannot build this network: {error.args[0]}.") from error
    heads = getattr(network, "roi_heads", None)
    finds_boxes = isinstance(network, GeneralizedRCNN) and network.proposal_generator is not None
    if not finds_boxes or not (hasattr(heads, "res5") or hasattr(heads, "box_head")) or _is_rotated(cfg):
        found = f"{cfg.MODEL.META_ARCHITECTURE} with {cfg.MODEL.ROI_HEADS.NAME}"
        raise UsageError(
            f"config {origin}: expected a network with proposals and upright boxes, such as Faster or Mask R-CNN "
            f"(MODEL.META_ARCHITECTURE GeneralizedRCNN), got {found}."
        )
    return network


def _is_rotated(cfg: "CfgNode") -> bool:
    return "RROIHeads" in cfg.MODEL.ROI_HEADS.NAME or "Rotated" in cfg.MODEL.ANCHOR_GENERATOR.NAME


def feature_width(network: "torch.nn.Module") -> int:
    """D, the width of the last layer before the box predictor."""
    heads: Any = network.roi_heads
    if hasattr(heads, "res5"):
        return heads.res5[-1].out_channels
    shape = _box_head(heads).output_shape
    return shape.channels * (shape.height or 1) * (shape.width or 1)


def _box_head(heads: Any) -> Any:
    """The box head. For a cascade it is that of the last stage, which sees the final boxes."""
    return heads.box_head[-1] if heads.box_head.__class__.__name__ == "ModuleList" else heads.box_head


def detect(network: Any, image_chw: "torch.Tensor", size: tuple[int, int]) -> "Instances":
    """The objects of one picture: pred_boxes (x1, y1, x2, y2), pred_classes, scores and box_features (R, D).

    They are sorted by score, unless the network has another order.

    Args:
        network: a network from `build`, with its weights.
        image_chw: the resized picture, float32, 0 to 255, with the channels of cfg.INPUT.FORMAT.
        size: height and width of the original picture, for pred_boxes in its pixels.
    """
    from detectron2.modeling.postprocessing import detector_postprocess

    images = network.preprocess_image([{"image": image_chw}])
    maps = {name: x.float() for name, x in network.backbone(images.tensor).items()}  # half precision moves the borders
    proposals, _ = network.proposal_generator(images, maps, None)
    (found,), _ = network.roi_heads(images, maps, proposals, None)
    if not found.has("box_features"):
        found.box_features = box_features(network.roi_heads, maps, found.pred_boxes)
    return detector_postprocess(found, *size)


def box_features(heads: Any, maps: dict[str, "torch.Tensor"], boxes: "Boxes") -> "torch.Tensor":
    """The features of boxes, (R, D): the mean of res5 for a C4 network, the box head's last layer (fc7) for others.

    Args:
        heads: the network's roi_heads.
        maps: the backbone's outputs by name.
        boxes: the boxes in pixels of the resized picture.
    """
    if hasattr(heads, "res5"):
        return heads._shared_roi_transform([maps[name] for name in heads.in_features], [boxes]).mean((2, 3))
    pooled = heads.box_pooler([maps[name] for name in heads.box_in_features], [boxes])
    return _box_head(heads)(pooled).flatten(1)
