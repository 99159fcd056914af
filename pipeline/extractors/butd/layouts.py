"""The published weights of bottom-up attention, each in its own layout, as the tensors of `network`.

    caffe         .caffemodel of the paper, or a pickle of its layers, each a list of arrays
    milvlg        .pth of MILVLG's bottom-up-attention.pytorch: Caffe's numbers under detectron2's names
    detectron2    .pkl of airsplay's py-bottom-up-attention, pytorch_model.bin of transformers' LXMERT example,
                  or the network's own names in .safetensors

What differs besides names: in the first two the background is the first class and attribute and has a regression of
its own, their objectness is a pair of channels, background first, and their boxes are Caffe's (`boxes.CAFFE`). Anchors
that a file carries are used; a file without gets its convention's.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.extractors.butd.boxes import CAFFE, DETECTRON2, Convention
from pipeline.extractors.butd.caffemodel import read_caffemodel
from pipeline.extractors.pickled import read_pickle
from schemas.errors import UsageError

Tensors = dict[str, Tensor]

HEAD = "roi_heads.box_predictor."
RPN = "proposal_generator.rpn_head."
CELLS = "proposal_generator.anchor_generator.cell_anchors.0"
NO_STATISTICS = 1.0 - 1e-5
"""A variance that, with the normalisation's epsilon, divides by one: of files whose statistics went into the gain."""


def read_weights(path: Path) -> tuple[Tensors, Convention]:
    """The network's tensors, and how its boxes are coded. UsageError where no layout fits."""
    return convert(*recognise(path), str(path))


def convert(layout: str, given: Mapping[str, Any], origin: str) -> tuple[Tensors, Convention]:
    """What a file of that layout holds, as `read_weights` gives it."""
    try:
        return LAYOUTS[layout](given, origin)
    except (ValueError, TypeError, IndexError, RuntimeError) as error:
        raise UsageError(
            f"weights {origin}: not as layout {layout} has its arrays ({error}). Is the file whole?"
        ) from error


def recognise(path: Path) -> tuple[str, Mapping[str, Any]]:
    """The layout's name, and what the file holds by name."""
    given = unwrapped(_read(path))
    if "rpn_cls_score" in given:
        return "caffe", given
    if f"{HEAD}cls_embed.weight" in given:
        return "milvlg", given
    if f"{HEAD}cls_score.weight" in given:
        return "detectron2", given
    raise UsageError(
        f"weights {path}: expected weights of bottom-up attention: Caffe's (a layer rpn_cls_score), MILVLG's "
        f"({HEAD}cls_embed.weight) or detectron2's ({HEAD}cls_score.weight); found {_shown(given)}."
    )


def _shown(given: Mapping[str, Any]) -> str:
    names = [str(name)[:60] for name in list(given)[:3]]
    return f"{len(given)} names such as {', '.join(names)}" if names else "nothing in it"


def _read(path: Path) -> Any:
    from pipeline.extractors.weights import read_tensors

    if path.suffix == ".caffemodel":
        return read_caffemodel(path)
    return read_pickle(path) if path.suffix in (".pkl", ".pickle") else read_tensors(path)


def unwrapped(given: Any) -> Mapping[str, Any]:
    """A checkpoint's `model` or `state_dict`, without the prefix of a network trained on several GPUs."""
    for wrapper in ("model", "state_dict"):
        if isinstance(given, Mapping) and isinstance(given.get(wrapper), Mapping):
            given = given[wrapper]
    if not isinstance(given, Mapping):
        return {}
    return {str(name).removeprefix("module."): value for name, value in given.items()}


def _tensor(given: Mapping[str, Any], name: str, origin: str) -> Tensor:
    value = given.get(name)
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        value = torch.from_numpy(np.array(value, order="C"))
    if not isinstance(value, Tensor):
        found = "nothing" if value is None else type(value).__name__
        raise UsageError(f"weights {origin}: expected an array {name}, got {found}. Is the file whole?")
    return value.float()


def from_detectron2(given: Mapping[str, Any], origin: str) -> tuple[Tensors, Convention]:
    """Its names are ours. What was only of use in training is left."""
    tensors = {
        name: _tensor(given, name, origin)
        for name in given
        if name.split(".")[0] in ("backbone", "proposal_generator", "roi_heads") and "num_batches" not in name
    }
    for name in [name for name in tensors if name.endswith(".norm.weight")]:
        norm = name.removesuffix("weight")
        tensors.setdefault(f"{norm}running_mean", torch.zeros_like(tensors[name]))
        tensors.setdefault(f"{norm}running_var", torch.full_like(tensors[name], NO_STATISTICS))
    tensors.setdefault(CELLS, DETECTRON2.cell_anchors())
    return tensors, DETECTRON2


def from_milvlg(given: Mapping[str, Any], origin: str) -> tuple[Tensors, Convention]:
    """Other names in the heads, Caffe's order of classes and channels."""
    renamed = {
        re.sub(r"attr_linear1\b", "fc_attr", name.replace("cls_embed.", "cls_embedding.")).replace(
            "attr_linear2", "attr_score"
        ): value
        for name, value in given.items()
    }
    renamed.setdefault(CELLS, CAFFE.cell_anchors())
    tensors, _ = from_detectron2(renamed, origin)
    return _background_last(tensors), CAFFE


def from_caffe(given: Mapping[str, Any], origin: str) -> tuple[Tensors, Convention]:
    """A list of blobs a layer. Caffe's BatchNorm holds sums and their number; a Scale layer gain and offset."""
    tensors: Tensors = {CELLS: CAFFE.cell_anchors()}
    for layer in given:
        name = _caffe_name(layer)
        blobs = [_tensor({str(i): blob}, str(i), f"{origin}, layer {layer}") for i, blob in enumerate(given[layer])]
        if name is None:
            continue
        if layer.startswith("bn"):
            mean, variance, number = blobs
            number = number.flatten()[0]
            divisor = number if number else 1.0
            tensors[f"{name}.running_mean"], tensors[f"{name}.running_var"] = mean / divisor, variance / divisor
            continue
        for part, blob in zip(("weight", "bias"), blobs, strict=False):
            tensors[f"{name}.{part}"] = blob
    return _background_last(tensors), CAFFE


_HEADS = {
    "rpn_conv/3x3": f"{RPN}conv", "rpn_cls_score": f"{RPN}objectness_logits", "rpn_bbox_pred": f"{RPN}anchor_deltas",
    **{name: HEAD + name for name in ("cls_score", "bbox_pred", "cls_embedding", "fc_attr", "attr_score")},
}  # fmt: skip
_BRANCHES = {"branch1": "shortcut", "branch2a": "conv1", "branch2b": "conv2", "branch2c": "conv3"}


def _caffe_name(layer: str) -> str | None:
    """Our module for a layer such as res4b22_branch2c, bn4b22_branch2c or scale_conv1; None for one we lack."""
    if layer in _HEADS:
        return _HEADS[layer]
    if layer in ("conv1", "bn_conv1", "scale_conv1"):
        return "backbone.stem.conv1" + ("" if layer == "conv1" else ".norm")
    found = re.fullmatch(r"(res|bn|scale)([2-5])([a-z])(\d*)_(branch1|branch2[abc])", layer)
    if not found:
        return None
    kind, stage, letter, number, branch = found.groups()
    block = int(number) if number else ord(letter) - ord("a")
    whole = "roi_heads" if stage == "5" else "backbone"
    return f"{whole}.res{stage}.{block}.{_BRANCHES[branch]}" + ("" if kind == "res" else ".norm")


def _background_last(tensors: Tensors) -> Tensors:
    """Caffe's order to detectron2's. What is missing is told when the network is filled."""
    for name in ("cls_score.weight", "cls_score.bias", "cls_embedding.weight", "attr_score.weight", "attr_score.bias"):
        if HEAD + name in tensors:
            tensors[HEAD + name] = tensors[HEAD + name].roll(-1, 0)
    for part in ("weight", "bias"):
        if f"{HEAD}bbox_pred.{part}" in tensors:
            tensors[f"{HEAD}bbox_pred.{part}"] = tensors[f"{HEAD}bbox_pred.{part}"][4:]
        if f"{RPN}objectness_logits.{part}" in tensors:
            background, foreground = tensors[f"{RPN}objectness_logits.{part}"].chunk(2)
            tensors[f"{RPN}objectness_logits.{part}"] = foreground - background
    return tensors


LAYOUTS: Mapping[str, Callable[[Mapping[str, Any], str], tuple[Tensors, Convention]]] = {
    "caffe": from_caffe,
    "milvlg": from_milvlg,
    "detectron2": from_detectron2,
}
"""By the name that `recognise` gives."""
