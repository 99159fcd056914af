"""Reads a detectron2 configuration from local YAML files. No code in them is run. detectron2's defaults complete it."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from m3h.pipeline.extractors.detectron.installed import require
from m3h.schemas.config import read_yaml
from m3h.schemas.errors import UsageError

if TYPE_CHECKING:
    from detectron2.config import CfgNode

BUTD = "butd"
"""The name of the bottom-up attention graph: `butd.yaml` beside this file."""

BASE = "_BASE_"
"""The field that names the files from which a file inherits."""

INFERENCE_SECTIONS = ("VERSION", "MODEL", "INPUT", "TEST")
"""The sections that inference reads. The others describe the training."""

GRID_FEATS = {
    "AttributeRes5ROIHeads": "Res5ROIHeads",
    "AttributeStandardROIHeads": "StandardROIHeads",
    "AttributeFastRCNNConvFCHead": "FastRCNNConvFCHead",
}
"""Parts of grid-feats-vqa, and the parts of detectron2 that replace them. They differ only by an attribute head."""


def config_file(config: str) -> Path:
    """The file that the setting `config` means: `butd`, a path, or a file that detectron2 contains."""
    if config == BUTD:
        return Path(__file__).with_name("butd.yaml")
    contained = require() / "model_zoo" / "configs" / config
    return contained if contained.is_file() and not Path(config).is_file() else Path(config)


def read_config(file: Path, inherited_by: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The values of a file, which override those of its `_BASE_` files.

    UsageError when a file is missing, is not plain YAML, is not local, or inherits from itself. inherited_by: the files
    that inherit from this one.
    """
    if file.resolve() in inherited_by:
        raise UsageError(
            f"config {file}: inherits from itself by {BASE}, by way of {', '.join(map(str, inherited_by))}."
        )
    own = read_yaml(file)
    named = own.pop(BASE, [])
    bases = named if isinstance(named, list) else [named]
    values: dict[str, Any] = {}
    for base in bases:
        if not isinstance(base, str):
            raise UsageError(f"config {file}: {BASE}: expected the name of a file or several, got {named!r}.")
        if "://" in base:
            raise UsageError(f"config {file}: {BASE} {base}: expected a local file; fetch it and name it here.")
        parent = file.parent / Path(base).expanduser()
        values = overlaid(values, read_config(parent, (*inherited_by, file.resolve())))
    return overlaid(values, own)


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both configurations merged section by section. A value in `above` overrides the one in `below`."""
    merged = dict(below)
    for name, value in above.items():
        are_sections = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = overlaid(merged[name], value) if are_sections else value
    return merged


def inference_values(file: Path, **overrides: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration that changes the boxes it finds. overrides: sections that override the file's."""
    values = overlaid(read_config(file), overrides)
    model = values.get("MODEL")
    if not isinstance(model, dict):
        raise UsageError(f"config {file}: MODEL: expected fields and values, got {model!r}.")
    ignored = {"WEIGHTS", "DEVICE"}  # the feature's own settings replace them
    network = {name: value for name, value in model.items() if name not in ignored}
    return {name: values[name] for name in INFERENCE_SECTIONS if name in values} | {"MODEL": network}


def completed(values: Mapping[str, Any], origin: Path) -> "CfgNode":
    """The configuration `values` with detectron2's defaults for the rest. Masks and keypoints are off: they are unused.

    UsageError when detectron2 does not know a field, or expects another type of value. origin: for error messages.
    """
    from detectron2.config import CfgNode, get_cfg

    cfg = get_cfg()
    cfg.MODEL.ATTRIBUTE_ON = False
    cfg.INPUT.MAX_ATTR_PER_INS = 16
    attributes = {"OBJ_EMBED_DIM": 256, "FC_DIM": 512, "LOSS_WEIGHT": 0.5, "NUM_CLASSES": 400}
    cfg.MODEL.ROI_ATTRIBUTE_HEAD = CfgNode(attributes)  # fields of grid-feats-vqa
    cfg.MODEL.BOTTOM_UP = CfgNode({"MIN_OBJECTS": 36})  # least number of objects, even with little confidence
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as copy:  # detectron2 upgrades old versions only from a file
        yaml.safe_dump(dict(values), copy)
        copy.flush()
        try:
            cfg.merge_from_file(copy.name, allow_unsafe=False)
        except (KeyError, ValueError, AssertionError) as error:
            raise UsageError(f"config {origin}: detectron2 refuses it: {error.args[0]}.") from error
    cfg.MODEL.MASK_ON = cfg.MODEL.KEYPOINT_ON = False
    for section in (cfg.MODEL.ROI_HEADS, cfg.MODEL.ROI_BOX_HEAD):
        section.NAME = GRID_FEATS.get(section.NAME, section.NAME)
    return cfg
