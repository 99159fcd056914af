"""detectron2 networks that find boxes: built from a configuration, filled, and asked for boxes with their features.

Axes: R boxes, D width of a box's feature, C channels, H and W pixels of the resized picture.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.errors import UsageError

if TYPE_CHECKING:
    import torch


def build(cfg: Any, origin: Path, device: str = "cpu") -> "torch.nn.Module":
    """The network that `cfg` describes, as detectron2 initialises it. device: `meta` for its shapes alone.

    Raises UsageError where it is none that finds boxes in one picture by itself, or a part of it is unknown.
    """
    import torch
    from detectron2.modeling import GeneralizedRCNN, build_model

    from pipeline.extractors.detectron import butd_graph  # noqa: F401 (registers its parts)

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


def _is_rotated(cfg: Any) -> bool:
    return "RROIHeads" in cfg.MODEL.ROI_HEADS.NAME or "Rotated" in cfg.MODEL.ANCHOR_GENERATOR.NAME


def feature_width(network: "torch.nn.Module") -> int:
    """D: what the last layer before the box predictor gives for a box."""
    heads: Any = network.roi_heads
    if hasattr(heads, "res5"):
        return heads.res5[-1].out_channels
    shape = _box_head(heads).output_shape
    return shape.channels * (shape.height or 1) * (shape.width or 1)


def _box_head(heads: Any) -> Any:
    """Of a cascade, the one of its last stage: it sees the final boxes."""
    return heads.box_head[-1] if heads.box_head.__class__.__name__ == "ModuleList" else heads.box_head


def detect(network: Any, image_chw: "torch.Tensor", height: int, width: int) -> Any:
    """detectron2's Instances of one picture: pred_boxes (xyxy pixels of a picture of height x width), pred_classes,
    scores and box_features (R, D), by score unless the network has an order of its own.

    image_chw: float32, 0 to 255, channels as cfg.INPUT.FORMAT says.
    """
    from detectron2.modeling.postprocessing import detector_postprocess

    images = network.preprocess_image([{"image": image_chw}])
    maps = {name: x.float() for name, x in network.backbone(images.tensor).items()}  # half precision moves borders
    proposals, _ = network.proposal_generator(images, maps, None)
    (found,), _ = network.roi_heads(images, maps, proposals, None)
    if not found.has("box_features"):
        found.box_features = box_features(network.roi_heads, maps, found.pred_boxes)
    return detector_postprocess(found, height, width)


def box_features(heads: Any, maps: dict[str, "torch.Tensor"], boxes: Any) -> "torch.Tensor":
    """(R, D): res5's mean over a box of a C4 network, the box head's last layer (fc7) of the others."""
    if hasattr(heads, "res5"):
        return heads._shared_roi_transform([maps[name] for name in heads.in_features], [boxes]).mean((2, 3))
    pooled = heads.box_pooler([maps[name] for name in heads.box_in_features], [boxes])
    return _box_head(heads)(pooled).flatten(1)
