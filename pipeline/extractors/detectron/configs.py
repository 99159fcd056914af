"""A detectron2 configuration: local YAML files, nothing in them ever run, completed with detectron2's defaults."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.extractors.detectron.installed import require
from schemas.config import read_yaml
from schemas.errors import UsageError

BUTD = "butd"
"""The name of the bottom-up attention graph: `butd.yaml` beside this file."""

BASE = "_BASE_"
"""The field that names the files whose values a file goes by where it does not say otherwise."""

ABOUT_VALUES = ("VERSION", "MODEL", "INPUT", "TEST")
"""Sections that inference reads; the others tell how the network was trained."""

GRID_FEATS = {
    "AttributeRes5ROIHeads": "Res5ROIHeads",
    "AttributeStandardROIHeads": "StandardROIHeads",
    "AttributeFastRCNNConvFCHead": "FastRCNNConvFCHead",
}
"""Parts of grid-feats-vqa that differ from detectron2's in an attribute head alone, which nothing here asks."""


def config_file(config: str) -> Path:
    """The file that a setting names: our own by name, a path, or one that detectron2 brings along."""
    if config == BUTD:
        return Path(__file__).with_name("butd.yaml")
    brought = require() / "model_zoo" / "configs" / config
    return brought if brought.is_file() and not Path(config).is_file() else Path(config)


def read_config(file: Path, inherited_by: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Values of a file over those of its `_BASE_` files. inherited_by: the files that led here.

    Raises UsageError where a file is missing, not plain YAML, not local, or its own ancestor.
    """
    if file.resolve() in inherited_by:
        raise UsageError(f"config {file}: is its own {BASE}, by way of {', '.join(map(str, inherited_by))}.")
    own = read_yaml(file)
    found = own.pop(BASE, [])
    bases = found if isinstance(found, list) else [found]
    values: dict[str, Any] = {}
    for base in bases:
        if not isinstance(base, str):
            raise UsageError(f"config {file}: {BASE}: expected the name of a file or several, got {found!r}.")
        if "://" in base:
            raise UsageError(f"config {file}: {BASE} {base}: expected a local file; fetch it and name it here.")
        parent = file.parent / Path(base).expanduser()
        values = overlaid(values, read_config(parent, (*inherited_by, file.resolve())))
    return overlaid(values, own)


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both together, section by section; where both have a value, `above`'s."""
    merged = dict(below)
    for name, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = overlaid(merged[name], value) if both else value
    return merged


def inference_values(file: Path, **above: Any) -> dict[str, Any]:
    """What of a configuration changes the boxes it finds. above: sections that override the file's."""
    values = overlaid(read_config(file), above)
    model = values.get("MODEL")
    if not isinstance(model, dict):
        raise UsageError(f"config {file}: MODEL: expected fields and values, got {model!r}.")
    mine = {"WEIGHTS", "DEVICE"}  # settings of ours
    network = {name: value for name, value in model.items() if name not in mine}
    return {name: values[name] for name in ABOUT_VALUES if name in values} | {"MODEL": network}


def completed(values: Mapping[str, Any], origin: Path) -> Any:
    """A CfgNode: detectron2's defaults under `values`. Masks and keypoints are off: nobody would read them.

    Raises UsageError where detectron2 knows no such field, or its value is of another kind.
    """
    from detectron2.config import CfgNode, get_cfg

    cfg = get_cfg()
    cfg.MODEL.ATTRIBUTE_ON = False
    cfg.INPUT.MAX_ATTR_PER_INS = 16
    attributes = {"OBJ_EMBED_DIM": 256, "FC_DIM": 512, "LOSS_WEIGHT": 0.5, "NUM_CLASSES": 400}
    cfg.MODEL.ROI_ATTRIBUTE_HEAD = CfgNode(attributes)  # these three are grid-feats-vqa's
    cfg.MODEL.BOTTOM_UP = CfgNode({"FEWEST": 36})  # objects, however unsure, where there are so many proposals
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as plain:  # it upgrades older versions only from a file
        yaml.safe_dump(dict(values), plain)
        plain.flush()
        try:
            cfg.merge_from_file(plain.name, allow_unsafe=False)
        except (KeyError, ValueError, AssertionError) as error:
            raise UsageError(f"config {origin}: detectron2 does not take it: {error.args[0]}.") from error
    cfg.MODEL.MASK_ON = cfg.MODEL.KEYPOINT_ON = False
    for section in (cfg.MODEL.ROI_HEADS, cfg.MODEL.ROI_BOX_HEAD):
        section.NAME = GRID_FEATS.get(section.NAME, section.NAME)
    return cfg
