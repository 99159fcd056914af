"""The two networks that `butd_objects` spends its time in, against eager torch, ONNX Runtime and OpenVINO.

The convolutions up to res4 for a picture of 600 x 800, and res5 for 16 regions at a time. Random weights, every
normalisation folded into its convolution on all sides, one thread, fp32. Loading, compiling and a first batch are no
work. What must be equal: all numbers within a thousandth of the largest.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.cases.networks import by_onnx_runtime, by_openvino, compare
from benchmarks.harness.case import Case, Side
from benchmarks.harness.work import Answer, Work

SHAPES = {"backbone": (1, 3, 600, 800), "regions": (16, 1024, 14, 14)}
"""A batch of each part."""


def _part(name: str, *, as_ours: bool) -> Any:
    """A part of the detector. as_ours: as the extractor computes it on a CPU."""
    from m3h.pipeline.extractors.butd.network import BottomUpAttention, randomise

    network = randomise(BottomUpAttention(), 0).fold().eval()
    if as_ours:
        network.use_winograd()
    return network.backbone if name == "backbone" else network.roi_heads.res5


def _inputs(name: str) -> np.ndarray:
    scale = 100 if name == "backbone" else 1  # pixels less their means
    return np.random.default_rng(0).standard_normal(SHAPES[name], dtype=np.float32) * scale


def make(work: Work, name: str) -> None:
    """The part as a graph."""
    import torch

    example = torch.zeros(SHAPES[name])
    file = str(work.folder / "network.onnx")
    torch.onnx.export(_part(name, as_ours=False), (example,), file, dynamo=True, verbose=False)


def _answer(work: Work, name: str, compute: Callable[[np.ndarray], Any]) -> Answer:
    """`compute` of one batch, so many times; the first does not count."""
    batch = _inputs(name)
    compute(batch)
    work.begin()
    for _ in range(-(-work.number // len(batch))):
        found = np.array(compute(batch))
    return {"rows": found.reshape(len(found), -1)}


def _torch(work: Work, name: str, *, as_ours: bool) -> Answer:
    import torch

    from m3h.pipeline.extractors.compute import compute_exactly

    compute_exactly(torch.device("cpu"))
    part = _part(name, as_ours=as_ours)
    form = torch.channels_last if as_ours else torch.contiguous_format
    with torch.inference_mode():
        return _answer(work, name, lambda batch: part(torch.from_numpy(batch).to(memory_format=form)).numpy())


def _graph(work: Work, name: str, read: Callable[[Any], Callable[[np.ndarray], np.ndarray]]) -> Answer:
    return _answer(work, name, read(work.folder / "network.onnx"))


make_backbone, make_regions = partial(make, name="backbone"), partial(make, name="regions")
ours_backbone, ours_regions = (
    partial(_torch, name="backbone", as_ours=True),
    partial(_torch, name="regions", as_ours=True),
)
eager_backbone, eager_regions = (
    partial(_torch, name="backbone", as_ours=False), partial(_torch, name="regions", as_ours=False),
)  # fmt: skip
onnx_backbone, onnx_regions = (partial(_graph, name=name, read=by_onnx_runtime) for name in SHAPES)
openvino_backbone, openvino_regions = (partial(_graph, name=name, read=by_openvino) for name in SHAPES)


def _case(name: str, title: str, things: str, *, number: int, bound: str) -> Case:
    here = "benchmarks.cases.detector"
    return Case(
        name=f"butd_{name}",
        title=f"Bottom-up attention, {title}: eager torch, ONNX Runtime, OpenVINO",
        things=things,
        number=number,
        prepare=(Side("made", f"{here}:make_{name}", peer=False),),
        sides=(
            Side("m3h", f"{here}:ours_{name}", peer=False),
            Side("eager torch", f"{here}:eager_{name}", peer=False),
            Side("ONNX Runtime", f"{here}:onnx_{name}"),
            Side("OpenVINO", f"{here}:openvino_{name}"),
        ),
        compare=compare,
        bound=bound,
        env={"OMP_NUM_THREADS": "1"},
    )


BACKBONE = _case("backbone", "up to res4", "pictures", number=2, bound="convolutions by oneDNN.")
REGIONS = _case(
    "regions", "res5", "regions", number=64, bound="matrix products of 1x1 convolutions and of Winograd's filtering."
)
