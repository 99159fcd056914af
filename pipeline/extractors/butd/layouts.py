"""Converts the published weights of bottom-up attention from their layouts into the tensors of `network`.

    caffe         .caffemodel of the paper, or a pickle of its layers, each a list of arrays
    milvlg        .pth of MILVLG's bottom-up-attention.pytorch: Caffe's numbers under detectron2's names
    detectron2    .pkl of airsplay's py-bottom-up-attention, pytorch_model.bin of transformers' LXMERT example,
                  or the network's own names in .safetensors

The layouts differ not only in names. In the first two, the background is the first class and the first attribute, and
it has its own box regression; objectness is a pair of channels with the background first; boxes are coded as in Caffe
(`boxes.CAFFE`). Anchors in a file are used. A file without anchors gets those of its convention.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from m3h.pipeline.extractors.butd.boxes import CAFFE, DETECTRON2, Convention
from m3h.pipeline.extractors.butd.caffemodel import read_caffemodel
from m3h.pipeline.extractors.pickled import read_pickle
from m3h.schemas.errors import UsageError

Tensors = dict[str, Tensor]
Content = Mapping[str, object]
"""The content of a file by name, before it is known that the values are arrays."""

HEAD = "roi_heads.box_predictor."
RPN = "proposal_generator.rpn_head."
CELLS = "proposal_generator.anchor_generator.cell_anchors.0"
UNIT_VARIANCE = 1.0 - 1e-5
"""A variance that, together with the normalisation's epsilon, divides by one.

It is for files without statistics, where these are already part of the normalisation's weight."""


def read_weights(path: Path) -> tuple[Tensors, Convention]:
    """The network's tensors, and how its boxes are coded. UsageError when the file has none of the layouts."""
    return convert(*recognise(path), str(path))


def convert(layout: str, content: Content, origin: str) -> tuple[Tensors, Convention]:
    """Convert the content of a file into the network's tensors, and find out how its boxes are coded.

    Args:
        layout: a key of LAYOUTS.
        content: the content of the file by name.
        origin: the name of the file, for error messages.

    Raises:
        UsageError: the arrays do not have the shapes of the layout, or one is missing.
    """
    try:
        return LAYOUTS[layout](content, origin)
    except (ValueError, TypeError, IndexError, RuntimeError) as error:
        raise UsageError(
            f"weights {origin}: the arrays do not fit the layout {layout} ({error}). Is the file complete?"
        ) from error


def recognise(path: Path) -> tuple[str, Content]:
    """The name of a file's layout, and its content by name. UsageError when it has none of the layouts."""
    content = unwrapped(_read(path))
    if "rpn_cls_score" in content:
        return "caffe", content
    if f"{HEAD}cls_embed.weight" in content:
        return "milvlg", content
    if f"{HEAD}cls_score.weight" in content:
        return "detectron2", content
    raise UsageError(
        f"weights {path}: expected weights of bottom-up attention: Caffe's (a layer rpn_cls_score), MILVLG's "
        f"({HEAD}cls_embed.weight) or detectron2's ({HEAD}cls_score.weight); found {_summary(content)}."
    )


def _summary(content: Content) -> str:
    names = [str(name)[:60] for name in list(content)[:3]]
    return f"{len(content)} names such as {', '.join(names)}" if names else "nothing in it"


def _read(path: Path) -> object:
    from m3h.pipeline.extractors.weights import read_tensors

    if path.suffix == ".caffemodel":
        return read_caffemodel(path)
    return read_pickle(path) if path.suffix in (".pkl", ".pickle") else read_tensors(path)


def unwrapped(checkpoint: object) -> Content:
    """A checkpoint's `model` or `state_dict`, without the prefix that training on several GPUs adds to the names."""
    for wrapper in ("model", "state_dict"):
        if isinstance(checkpoint, Mapping) and isinstance(checkpoint.get(wrapper), Mapping):
            checkpoint = checkpoint[wrapper]
    if not isinstance(checkpoint, Mapping):
        return {}
    return {str(name).removeprefix("module."): value for name, value in checkpoint.items()}


def _tensor(content: Content, name: str, origin: str) -> Tensor:
    value = content.get(name)
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        value = torch.from_numpy(np.array(value, order="C"))
    if not isinstance(value, Tensor):
        found = "nothing" if value is None else type(value).__name__
        raise UsageError(f"weights {origin}: expected an array {name}, got {found}. Is the file complete?")
    return value.float()


def from_detectron2(content: Content, origin: str) -> tuple[Tensors, Convention]:
    """The tensors of a file in detectron2's layout, which has our names, without those that only training uses."""
    tensors = {
        name: _tensor(content, name, origin)
        for name in content
        if name.split(".")[0] in ("backbone", "proposal_generator", "roi_heads") and "num_batches" not in name
    }
    for name in [name for name in tensors if name.endswith(".norm.weight")]:
        norm = name.removesuffix("weight")
        tensors.setdefault(f"{norm}running_mean", torch.zeros_like(tensors[name]))
        tensors.setdefault(f"{norm}running_var", torch.full_like(tensors[name], UNIT_VARIANCE))
    tensors.setdefault(CELLS, DETECTRON2.cell_anchors())
    return tensors, DETECTRON2


def from_milvlg(content: Content, origin: str) -> tuple[Tensors, Convention]:
    """The tensors of a file in MILVLG's layout: other names in the heads, Caffe's order of classes and channels."""
    renamed = {
        re.sub(r"attr_linear1\b", "fc_attr", name.replace("cls_embed.", "cls_embedding.")).replace(
            "attr_linear2", "attr_score"
        ): value
        for name, value in content.items()
    }
    renamed.setdefault(CELLS, CAFFE.cell_anchors())
    tensors, _ = from_detectron2(renamed, origin)
    return _background_last(tensors), CAFFE


def from_caffe(content: Content, origin: str) -> tuple[Tensors, Convention]:
    """The tensors of a file in Caffe's layout, with a list of blobs per layer.

    Caffe's BatchNorm stores sums and the number of summands. A Scale layer stores weight and bias.
    """
    tensors: Tensors = {CELLS: CAFFE.cell_anchors()}
    for layer, value in content.items():
        name = _caffe_name(layer)
        arrays = enumerate(cast("Sequence[object]", value))  # TypeError otherwise, which `convert` reports
        blobs = [_tensor({str(i): blob}, str(i), f"{origin}, layer {layer}") for i, blob in arrays]
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
    """Our module for a layer such as res4b22_branch2c, bn4b22_branch2c or scale_conv1; None when we do not have it."""
    if layer in _HEADS:
        return _HEADS[layer]
    if layer in ("conv1", "bn_conv1", "scale_conv1"):
        return "backbone.stem.conv1" + ("" if layer == "conv1" else ".norm")
    match = re.fullmatch(r"(res|bn|scale)([2-5])([a-z])(\d*)_(branch1|branch2[abc])", layer)
    if not match:
        return None
    kind, stage, letter, number, branch = match.groups()
    block = int(number) if number else ord(letter) - ord("a")
    parent = "roi_heads" if stage == "5" else "backbone"
    return f"{parent}.res{stage}.{block}.{_BRANCHES[branch]}" + ("" if kind == "res" else ".norm")


def _background_last(tensors: Tensors) -> Tensors:
    """Change Caffe's order of classes and channels to detectron2's. Missing tensors are reported by load_strictly."""
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


LAYOUTS: Mapping[str, Callable[[Content, str], tuple[Tensors, Convention]]] = {
    "caffe": from_caffe,
    "milvlg": from_milvlg,
    "detectron2": from_detectron2,
}
"""The converter of each layout that `recognise` returns."""
