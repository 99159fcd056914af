"""Convolutional networks on made inputs: our extractors, with each engine, against eager torch, ONNX Runtime, OpenVINO.

VGG-16's grid and ResNet-152's vector with random weights, whose normalisations have seen made inputs, so that numbers
stay as large as those of a trained network. Batches of 8 pictures of 224 x 224, one thread, fp32. Loading, compiling
and a first batch are no work. What must be equal: all numbers within a hundredth of the largest: 152 layers of random
weights amplify what rounding leaves.
"""

import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.case import Case, Side, WrongAnswer
from benchmarks.harness.work import Answer, Work

BATCH, SIDE = 8, 224
TOLERANCE = 1e-2


def _pictures(number: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((number, 3, SIDE, SIDE), dtype=np.float32)


def _model(name: str) -> Any:
    """torchvision's network up to what we read."""
    import torch
    from torchvision import models

    torch.manual_seed(0)
    network = models.get_model(name, weights=None)
    last = "classifier" if name == "vgg16" else "fc"
    setattr(network, last, torch.nn.Identity())
    return network


def _make(work: Work, name: str) -> None:
    """Weights, the same network for ONNX Runtime and OpenVINO, and its name."""
    import torch
    from safetensors.torch import save_file

    network = _model(name).train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.inference_mode():
        for batch in np.split(_pictures(2 * BATCH), 2):
            network(torch.from_numpy(batch))
    network.eval()
    save_file(network.state_dict(), work.folder / "weights.safetensors")
    example = torch.zeros(BATCH, 3, SIDE, SIDE)
    torch.onnx.export(network, (example,), str(work.folder / "network.onnx"), dynamo=True, verbose=False)
    (work.folder / "network.txt").write_text(name)


def make_vgg(work: Work) -> None:
    """VGG-16."""
    _make(work, "vgg16")


def make_resnet(work: Work) -> None:
    """ResNet-152."""
    _make(work, "resnet152")


def _answer(work: Work, compute: Callable[[np.ndarray], Any]) -> Answer:
    """`compute` of every batch; the first one once before, which does not count."""
    pictures = _pictures(-(-work.number // BATCH) * BATCH)
    batches = np.split(pictures, len(pictures) // BATCH)
    compute(batches[0])
    work.begin()
    found = [np.array(compute(batch)).reshape(BATCH, -1) for batch in batches]
    return {"rows": np.concatenate(found)}


def _settings(work: Work, engine: str) -> dict[str, Any]:
    weights = str(work.folder / "weights.safetensors")
    return {"weights": weights, "device": "cpu", "batch_size": BATCH, "engine": engine}


def ours_vgg(work: Work, engine: str = "torch") -> Answer:
    """The extractor `vgg_grid`."""
    from m3h.pipeline.extractors.vgg_grid import VggGrid

    extractor = VggGrid(VggGrid.Settings(**_settings(work, engine)))
    extractor.load()
    return _answer(work, lambda batch: [row["features"].T for row in extractor.extract(list(batch))])


def ours_resnet(work: Work, engine: str = "torch") -> Answer:
    """What `attributes` computes before its layer of labels."""
    from m3h.pipeline.extractors.backbones.trunk import BackboneExtractor, BackboneSettings
    from m3h.schemas.features import ArraySpec, FeatureSpec

    class Vectors(BackboneExtractor):
        spec = FeatureSpec("vectors", arrays=(ArraySpec("features", (2048,)),))

        def network(self) -> Any:
            return self.backbone.network()

        def rows(self, outputs: Any) -> Any:
            return list(outputs[0].numpy())

    extractor = Vectors(BackboneSettings(**_settings(work, engine)))
    extractor.load()
    return _answer(work, lambda batch: extractor.extract(list(batch)))


ours_vgg_onnxruntime = partial(ours_vgg, engine="onnxruntime")
ours_vgg_openvino = partial(ours_vgg, engine="openvino")
ours_resnet_onnxruntime = partial(ours_resnet, engine="onnxruntime")
ours_resnet_openvino = partial(ours_resnet, engine="openvino")


def eager(work: Work) -> Answer:
    """torchvision's network as it is."""
    import torch
    from safetensors.torch import load_file

    torch.set_num_threads(1)
    network = _model((work.folder / "network.txt").read_text())
    network.load_state_dict(load_file(work.folder / "weights.safetensors"))
    network.eval()
    with torch.inference_mode():
        return _answer(work, lambda batch: network(torch.from_numpy(batch)).numpy())


def by_onnx_runtime(file: Path) -> Callable[[np.ndarray], np.ndarray]:
    """What computes a graph with one input and one output, with all of its optimisations, by one thread."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # as our engine does
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return lambda batch: session.run(None, {given.name: batch})[0]


def by_openvino(file: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The same, compiled for the throughput of one stream."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    options = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(file), "CPU", options)
    return lambda batch: compiled(batch)[0]


def onnx_runtime(work: Work) -> Answer:
    """The network by ONNX Runtime."""
    return _answer(work, by_onnx_runtime(work.folder / "network.onnx"))


def openvino(work: Work) -> Answer:
    """The network by OpenVINO."""
    return _answer(work, by_openvino(work.folder / "network.onnx"))


def compare(answers: Mapping[str, Answer]) -> str:
    """The largest difference, beside the largest number."""
    (_, mine), *others = answers.items()
    largest, parts = np.abs(mine["rows"]).max(), []
    for name, theirs in others:
        difference = np.abs(theirs["rows"] - mine["rows"]).max() / largest
        if not difference <= TOLERANCE:
            raise WrongAnswer(f"{name}: numbers differ by {difference:.1e} of the largest")
        parts.append(f"{name} {difference:.0e}")
    return f"largest difference, in shares of the largest number: {', '.join(parts)}."


def _case(name: str, title: str, make: str, ours: str, *, bound: str) -> Case:
    return Case(
        name=name,
        title=f"{title}: eager torch, ONNX Runtime, OpenVINO",
        things="pictures",
        number=16,
        prepare=(Side("made", f"benchmarks.cases.networks:{make}"),),
        sides=(
            Side("m3h", f"benchmarks.cases.networks:{ours}", peer=False),
            Side("m3h, onnxruntime", f"benchmarks.cases.networks:{ours}_onnxruntime", peer=False),
            Side("m3h, openvino", f"benchmarks.cases.networks:{ours}_openvino", peer=False),
            Side("eager torch", "benchmarks.cases.networks:eager"),
            Side("ONNX Runtime", "benchmarks.cases.networks:onnx_runtime"),
            Side("OpenVINO", "benchmarks.cases.networks:openvino"),
        ),
        compare=compare,
        bound=bound,
        env={"OMP_NUM_THREADS": "1"},
    )


VGG = _case(
    "vgg", "VGG-16 grid", "make_vgg", "ours_vgg", bound="matrix products of Winograd's filtering, and its transforms."
)
RESNET = _case(
    "resnet", "ResNet-152 vector", "make_resnet", "ours_resnet",
    bound="convolutions; each normalisation is one more pass over what a convolution wrote.",
)  # fmt: skip
