"""Every published layout gives the same detector; what is no such file is refused by name."""

import contextlib
import pickle
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from m3h.pipeline.extractors.butd.boxes import CAFFE, DETECTRON2, caffe_anchors, detectron2_anchors
from m3h.pipeline.extractors.butd.caffemodel import read_caffemodel
from m3h.pipeline.extractors.butd.layouts import CELLS, read_weights, recognise
from m3h.pipeline.extractors.butd.network import BottomUpAttention
from m3h.pipeline.extractors.weights import load_strictly
from m3h.schemas.errors import UsageError
from tests.pipeline.extractors.butd.published import (
    WRITERS,
    as_airsplay,
    as_caffe_pickle,
    as_milvlg,
    as_safetensors,
    caffe_layers,
)
from tests.pipeline.extractors.butd.tiny import FEW, TINY, image, tiny

DEEPER = {"blocks": (1, 2, 2, 2)}
LAYOUT_OF = {
    "own.safetensors": ("detectron2", DETECTRON2),
    "faster_rcnn_from_caffe_attr.pkl": ("detectron2", DETECTRON2),
    "pytorch_model.bin": ("detectron2", DETECTRON2),
    "bua-caffe-frcn-r101-k36.pth": ("milvlg", CAFFE),
    "layers.pkl": ("caffe", CAFFE),
    "resnet101_faster_rcnn_final.caffemodel": ("caffe", CAFFE),
}


@cache
def trained(convention):
    """A tiny network whose normalisations have something to do, and whose blocks have numbers; and its answers."""
    network = tiny(3, convention, **DEEPER)
    random = torch.Generator().manual_seed(4)
    for name, tensor in network.state_dict().items():
        if "norm.running_mean" in name or name.endswith("bias"):
            tensor.normal_(0, 0.05, generator=random)
        if "norm.running_var" in name:
            tensor.uniform_(0.5, 1.5, generator=random)
    return network, answers(network)


def answers(network):
    """Proposals, and all that the heads say of them."""
    with torch.inference_mode():
        res4 = network.features(image())
        boxes, objectness = network.proposals(res4, (64, 96))
        return [boxes, objectness, *network.heads(res4, boxes[:3])]


@pytest.mark.parametrize("file", WRITERS)
def test_every_layout_gives_the_same_detector(tmp_path, file):
    layout, convention = LAYOUT_OF[file]
    before, said = trained(convention)
    WRITERS[file](dict(before.state_dict()), tmp_path / file)
    assert recognise(tmp_path / file)[0] == layout
    tensors, found = read_weights(tmp_path / file)
    after = BottomUpAttention(**{**TINY, **DEEPER}, convention=found, rules=FEW).eval()
    load_strictly(after, tensors, file)
    assert found is convention
    for mine, theirs in zip(answers(after), said, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)
    for name, tensor in before.state_dict().items():
        torch.testing.assert_close(after.state_dict()[name], tensor, rtol=1e-5, atol=1e-6)


def test_a_class_has_its_embedding_and_its_score_at_the_same_index(tmp_path):
    tensors = dict(tiny().state_dict())
    tensors["roi_heads.box_predictor.cls_embedding.weight"][:, 0] = torch.arange(13.0)
    tensors["roi_heads.box_predictor.cls_score.bias"][:] = torch.arange(13.0)
    for file in ("bua-caffe-frcn-r101-k36.pth", "layers.pkl"):
        WRITERS[file](tensors, tmp_path / file)
        found, _ = read_weights(tmp_path / file)
        assert found["roi_heads.box_predictor.cls_embedding.weight"][:, 0].tolist() == list(range(13))
        assert found["roi_heads.box_predictor.cls_score.bias"].tolist() == list(range(13))


def test_anchors_in_a_file_are_used(tmp_path):
    tensors = dict(tiny(convention=DETECTRON2).state_dict())
    tensors[CELLS] = caffe_anchors()
    as_airsplay(tensors, tmp_path / "a.pkl")
    assert read_weights(tmp_path / "a.pkl")[0][CELLS].tolist() == caffe_anchors().tolist()
    del tensors[CELLS]
    as_airsplay(tensors, tmp_path / "b.pkl")
    assert read_weights(tmp_path / "b.pkl")[0][CELLS].tolist() == detectron2_anchors().tolist()
    as_milvlg(tensors, tmp_path / "c.pth")
    assert read_weights(tmp_path / "c.pth")[0][CELLS].tolist() == caffe_anchors().tolist()


def test_a_normalisation_without_statistics_has_only_weight_and_bias(tmp_path):
    tensors = {name: t for name, t in tiny(convention=DETECTRON2).state_dict().items() if "running" not in name}
    as_airsplay(tensors, tmp_path / "a.pkl")
    network = BottomUpAttention(**TINY)
    load_strictly(network, read_weights(tmp_path / "a.pkl")[0], "a.pkl")
    conv = network.backbone.stem.conv1
    x = torch.rand(1, 3, 8, 8)
    plain = torch.nn.functional.conv2d(x, conv.weight, stride=2, padding=3)
    expected = plain * conv.norm.weight[:, None, None] + conv.norm.bias[:, None, None]
    torch.testing.assert_close(conv(x), expected)


def test_a_network_trained_on_several_gpus_has_the_same_names(tmp_path):
    tensors = {f"module.{name}": tensor for name, tensor in tiny().state_dict().items()}
    torch.save({"state_dict": tensors}, tmp_path / "a.pth")
    assert recognise(tmp_path / "a.pth")[0] == "detectron2"


def test_the_error_for_another_networks_file_says_what_was_found(tmp_path):
    as_safetensors({"features.0.weight": torch.zeros(2), "features.0.bias": torch.zeros(2)}, tmp_path / "a.safetensors")
    with pytest.raises(UsageError) as caught:
        read_weights(tmp_path / "a.safetensors")
    assert str(caught.value).endswith(
        "expected weights of bottom-up attention: Caffe's (a layer rpn_cls_score), MILVLG's "
        "(roi_heads.box_predictor.cls_embed.weight) or detectron2's (roi_heads.box_predictor.cls_score.weight); "
        "found 2 names such as features.0.bias, features.0.weight."
    )


@pytest.mark.parametrize(("content", "found"), [([1, 2], "nothing in it"), ({"model": {}}, "nothing in it")])
def test_a_file_without_names_is_refused(tmp_path, content, found):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(UsageError, match=found):
        read_weights(tmp_path / "a.pkl")


def test_a_missing_or_misshapen_tensor_is_named(tmp_path):
    tensors = dict(tiny().state_dict())
    del tensors["roi_heads.box_predictor.attr_score.bias"]
    tensors["roi_heads.box_predictor.cls_score.weight"] = torch.zeros(81, 128)
    as_airsplay(tensors, tmp_path / "a.pkl")
    with pytest.raises(UsageError) as caught:
        load_strictly(BottomUpAttention(**TINY), read_weights(tmp_path / "a.pkl")[0], "a.pkl")
    assert str(caught.value) == (
        "weights a.pkl: expected roi_heads.box_predictor.attr_score.bias of shape (6,), got nothing "
        "(1 missing, 1 of another shape). Is it a file for this network?"
    )


def test_a_name_without_an_array_is_refused(tmp_path):
    layers = caffe_layers(dict(tiny().state_dict()))
    layers["res2a_branch1"] = ["text"]  # type: ignore[list-item]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(layers))
    with pytest.raises(UsageError, match="layer res2a_branch1: expected an array 0, got str"):
        read_weights(tmp_path / "a.pkl")


def test_old_caffemodels_have_four_dimensions_instead_of_a_shape(tmp_path):
    data = np.arange(6, dtype="<f4").tobytes()
    blob = bytes([8, 1, 16, 1, 24, 2, 32, 3, 42, len(data)]) + data  # num 1, channels 1, height 2, width 3, data
    layer = b"\x0a\x01a" + bytes([0x3A, len(blob)]) + blob
    (tmp_path / "a.caffemodel").write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)
    assert read_caffemodel(tmp_path / "a.caffemodel")["a"][0].tolist() == [[[[0, 1, 2], [3, 4, 5]]]]


@pytest.mark.parametrize("cut", [7, 1000])
def test_an_incomplete_file_is_refused(tmp_path, cut):
    tensors = dict(tiny().state_dict())
    for file, write in WRITERS.items():
        path = tmp_path / file
        write(tensors, path)
        path.write_bytes(path.read_bytes()[:-cut])
        with pytest.raises(UsageError, match=r"not readable|expected"):
            load_strictly(BottomUpAttention(**TINY), read_weights(path)[0], file)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a small file of every layout, and of torch's old format."""
    folder = tmp_path_factory.mktemp("whole")
    tensors = dict(tiny(width=2).state_dict())
    for file, write in WRITERS.items():
        write(tensors, folder / file)
    torch.save(tensors, folder / "old.pth", _use_new_zipfile_serialization=False)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_refused_or_read_but_never_raises_another_error(tmp_path, whole, data):
    file = data.draw(st.sampled_from(sorted(whole)))
    damaged = bytearray(whole[file])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1) | st.integers(0, 300) | st.integers(-300, -1))
        damaged[at] = data.draw(st.integers(0, 255))
    (tmp_path / file).write_bytes(damaged)
    with contextlib.suppress(UsageError):
        read_weights(tmp_path / file)


@pytest.mark.parametrize("suffix", [".pth", ".bin", ".pkl", ".safetensors", ".caffemodel"])
@pytest.mark.parametrize("content", [b"", b"root:x:0:0:root:/root:/bin/bash", b"<!DOCTYPE html><html>", b"PK\x03\x04"])
def test_a_file_that_is_not_a_caffemodel_is_refused(tmp_path, suffix, content):
    (tmp_path / f"a{suffix}").write_bytes(content)
    with pytest.raises(UsageError, match=r"weights .*a\."):
        read_weights(tmp_path / f"a{suffix}")


def test_an_unknown_layer_of_caffe_is_ignored(tmp_path):
    tensors = dict(tiny().state_dict())
    as_caffe_pickle(tensors, tmp_path / "a.pkl")
    layers = pickle.loads((tmp_path / "a.pkl").read_bytes())  # noqa: S301 (our own)
    layers["rel_score"] = [np.zeros((21, 512), np.float32)]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(layers))
    load_strictly(BottomUpAttention(**TINY), read_weights(tmp_path / "a.pkl")[0], "a.pkl")
