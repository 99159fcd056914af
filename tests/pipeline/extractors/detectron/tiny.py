"""detectron2 configurations of every kind we read, small enough for a test, most of them upon files it brings along."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from m3h.pipeline.extractors.detectron.configs import BUTD, config_file, overlaid
from m3h.pipeline.images.picture import Picture

RESNET = {"DEPTH": 50, "STEM_OUT_CHANNELS": 4, "RES2_OUT_CHANNELS": 16, "WIDTH_PER_GROUP": 4}
SMALL: dict[str, Any] = {
    "MODEL": {"RESNETS": RESNET, "RPN": {"PRE_NMS_TOPK_TEST": 200, "POST_NMS_TOPK_TEST": 40}},
    "INPUT": {"MIN_SIZE_TEST": 64, "MAX_SIZE_TEST": 90},
}
PYRAMID = {"FPN": {"OUT_CHANNELS": 8}, "ROI_BOX_HEAD": {"FC_DIM": 24}, "ROI_HEADS": {"SCORE_THRESH_TEST": 0.01}}
KINDS: dict[str, tuple[str | None, dict[str, Any]]] = {  # the file it goes by, and its model
    "c4": (
        "COCO-Detection/faster_rcnn_R_50_C4_1x.yaml",
        {"ANCHOR_GENERATOR": {"SIZES": [[8, 16, 32]]}, "ROI_HEADS": {"SCORE_THRESH_TEST": 0.01}},
    ),
    "fpn": ("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.yaml", PYRAMID),
    "cascade": ("Misc/cascade_mask_rcnn_R_50_FPN_1x.yaml", PYRAMID),
    "grid": (  # as grid-feats-vqa writes it
        None,
        {
            "META_ARCHITECTURE": "GeneralizedRCNN",
            "ATTRIBUTE_ON": True,
            "RESNETS": {"OUT_FEATURES": ["res5"], "RES5_DILATION": 2},
            "RPN": {"IN_FEATURES": ["res5"]},
            "ROI_HEADS": {
                "NAME": "AttributeStandardROIHeads",
                "IN_FEATURES": ["res5"],
                "NUM_CLASSES": 20,
                "SCORE_THRESH_TEST": 0.01,
            },
            "ROI_BOX_HEAD": {
                "NAME": "AttributeFastRCNNConvFCHead",
                "NUM_FC": 2,
                "FC_DIM": 24,
                "POOLER_RESOLUTION": 1,
                "POOLER_SAMPLING_RATIO": 2,
            },
        },
    ),
    "butd": (
        str(config_file(BUTD)),
        {
            "RPN": {"CONV_DIMS": [32]},
            "ROI_HEADS": {"NUM_CLASSES": 10},
            "ROI_ATTRIBUTE_HEAD": {"NUM_CLASSES": 7},
        },
    ),
}


def tiny_config(folder: Path, kind: str, **above: Any) -> Path:
    """A configuration file in `folder`. above: sections that override it."""
    base, model = KINDS[kind]
    values = overlaid(overlaid({"VERSION": 2, **SMALL}, {"MODEL": model}), above)
    file = folder / f"{kind}.yaml"
    file.write_text(yaml.safe_dump({**values, **({"_BASE_": str(config_file(base))} if base else {})}))
    return file


def shown(seed: int, size: tuple[int, int] = (80, 60)) -> Picture:
    """A decoded picture (width, height) of random patches."""
    patches = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    picture = Picture(Path(f"{seed}.jpg"))
    picture.pixels = Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC)  # type: ignore[misc]
    return picture
