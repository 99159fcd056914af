"""A network's tensors written as each of the published files has them: from those projects, not from our loader."""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from safetensors.torch import save_file

HEAD = "roi_heads.box_predictor."
Tensors = dict[str, torch.Tensor]


def as_safetensors(tensors: Tensors, path: Path) -> None:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def as_airsplay(tensors: Tensors, path: Path) -> None:
    """A pickle of numpy arrays, as detectron2's model zoo has them."""
    model = {name: tensor.numpy() for name, tensor in tensors.items()}
    path.write_bytes(pickle.dumps({"model": model, "__author__": "x", "matching_heuristics": True}, protocol=2))


def as_transformers(tensors: Tensors, path: Path) -> None:
    """torch's format, normalisation as BatchNorm2d."""
    extra = {
        name.replace("weight", "num_batches_tracked"): torch.tensor(0) for name in tensors if "norm.weight" in name
    }
    torch.save(OrderedDict(**tensors, **extra), path)


def background_first(tensors: Tensors) -> Tensors:
    """Classes, attributes, regressions and pairs of objectness as Caffe has them."""
    found = dict(tensors)
    for name in ("cls_score.weight", "cls_score.bias", "cls_embedding.weight", "attr_score.weight", "attr_score.bias"):
        *rest, last = tensors[HEAD + name]
        found[HEAD + name] = torch.stack([last, *rest])
    for part in ("weight", "bias"):
        regression = tensors[f"{HEAD}bbox_pred.{part}"]
        found[f"{HEAD}bbox_pred.{part}"] = torch.cat([torch.ones_like(regression[:4]), regression])
        name = f"proposal_generator.rpn_head.objectness_logits.{part}"
        background = torch.full_like(tensors[name], 0.25)
        found[name] = torch.cat([background, background + tensors[name]])
    return found


def as_milvlg(tensors: Tensors, path: Path) -> None:
    """torch's format, with what training left behind."""
    names = {"cls_embedding": "cls_embed", "fc_attr": "attr_linear1", "attr_score": "attr_linear2"}
    model = OrderedDict()
    for name, tensor in background_first(tensors).items():
        for ours, theirs in names.items():
            name = name.replace(f"{HEAD}{ours}.", f"{HEAD}{theirs}.")
        model[name] = tensor
    torch.save({"model": model, "iteration": 320000}, path)


def caffe_layers(tensors: Tensors) -> dict[str, list[np.ndarray]]:
    """Caffe's layers and their blobs: a BatchNorm's mean and variance times a number, and that number."""
    found = background_first(tensors)
    layers: dict[str, list[np.ndarray]] = {}
    convolutions = {"shortcut": "branch1", "conv1": "branch2a", "conv2": "branch2b", "conv3": "branch2c"}
    for name in tensors:
        if ".norm." in name or (".res" not in name and ".stem" not in name):
            continue
        if "stem" in name:
            layer, bn, scale = "conv1", "bn_conv1", "scale_conv1"
        else:
            *_, stage, block, module, _ = name.split(".")
            letter = "abc"[int(block)] if stage in ("res2", "res5") or block == "0" else f"b{block}"
            place = f"{stage[3:]}{letter}_{convolutions[module]}"
            layer, bn, scale = f"res{place}", f"bn{place}", f"scale{place}"
        norm = {part: found[name.replace("weight", f"norm.{part}")].numpy() for part in ("weight", "bias")}
        mean, variance = (found[name.replace("weight", f"norm.running_{part}")].numpy() for part in ("mean", "var"))
        layers[layer] = [found[name].numpy()]
        layers[bn] = [mean * 999, variance * 999, np.array([999], np.float32)]
        layers[scale] = [norm["weight"], norm["bias"]]
    rpn = {"conv": "rpn_conv/3x3", "objectness_logits": "rpn_cls_score", "anchor_deltas": "rpn_bbox_pred"}
    for ours, theirs in rpn.items():
        layers[theirs] = [found[f"proposal_generator.rpn_head.{ours}.{part}"].numpy() for part in ("weight", "bias")]
    for head in ("cls_score", "bbox_pred", "fc_attr", "attr_score"):
        layers[head] = [found[f"{HEAD}{head}.{part}"].numpy() for part in ("weight", "bias")]
    layers["cls_embedding"] = [found[f"{HEAD}cls_embedding.weight"].numpy()]
    return layers


def as_caffe_pickle(tensors: Tensors, path: Path) -> None:
    path.write_bytes(pickle.dumps(caffe_layers(tensors), protocol=2))


def net_parameter() -> Any:
    """caffe.proto's NetParameter, as far as it concerns weights, for protobuf's own encoder."""
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto
    fields: dict[str, list[tuple[str, int, int, int, str]]] = {
        "BlobShape": [("dim", 1, kinds.TYPE_INT64, 3, "")],
        "BlobProto": [("shape", 7, kinds.TYPE_MESSAGE, 1, "BlobShape"), ("data", 5, kinds.TYPE_FLOAT, 3, "")],
        "LayerParameter": [
            ("name", 1, kinds.TYPE_STRING, 1, ""), ("type", 2, kinds.TYPE_STRING, 1, ""),
            ("blobs", 7, kinds.TYPE_MESSAGE, 3, "BlobProto"), ("phase", 10, kinds.TYPE_INT32, 1, ""),
        ],
        "NetParameter": [
            ("name", 1, kinds.TYPE_STRING, 1, ""), ("layer", 100, kinds.TYPE_MESSAGE, 3, "LayerParameter"),
        ],
    }  # fmt: skip
    for message, parts in fields.items():
        described = file.message_type.add(name=message)
        for name, number, kind, label, other in parts:
            field = described.field.add(name=name, number=number, type=kind, label=label)
            if other:
                field.type_name = f".caffe.{other}"
            if label == 3 and kind in (kinds.TYPE_INT64, kinds.TYPE_FLOAT):
                field.options.packed = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))()


def as_caffemodel(tensors: Tensors, path: Path) -> None:
    net = net_parameter()
    net.name = "ResNet-101"
    net.layer.add(name="data", type="Input", phase=1)
    for name, blobs in caffe_layers(tensors).items():
        layer = net.layer.add(name=name, type="x", phase=300)
        for blob in blobs:
            written = layer.blobs.add(data=blob.flatten().tolist())
            written.shape.dim.extend(blob.shape)
    path.write_bytes(net.SerializeToString())


WRITERS: dict[str, Callable[[Tensors, Path], None]] = {
    "own.safetensors": as_safetensors,
    "faster_rcnn_from_caffe_attr.pkl": as_airsplay,
    "pytorch_model.bin": as_transformers,
    "bua-caffe-frcn-r101-k36.pth": as_milvlg,
    "layers.pkl": as_caffe_pickle,
    "resnet101_faster_rcnn_final.caffemodel": as_caffemodel,
}
"""By a file's name."""
