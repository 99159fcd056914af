"""OpenVINO, on a CPU."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from m3h.pipeline.extractors.computing.engine import GraphEngine

if TYPE_CHECKING:
    import numpy as np

OPTIONS = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
"""By itself it takes all cores, and bf16 on CPUs that have it."""


class WithOpenVino(GraphEngine):
    """`engine=openvino`."""

    name = "openvino"

    def read(self, file: Path) -> "Callable[[np.ndarray], Sequence[np.ndarray]]":
        """A compiled graph. It computes one batch at a time, as it has one stream."""
        # Its import alone tells Google Analytics of it by that package, unless the package cannot be imported.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        import openvino

        compiled, lock = openvino.Core().compile_model(str(file), "CPU", OPTIONS), Lock()

        def compute(batch_bchw: "np.ndarray") -> "Sequence[np.ndarray]":
            with lock:
                outputs: Sequence[np.ndarray] = compiled(batch_bchw).to_tuple()
            if any(len(output) != len(batch_bchw) for output in outputs):
                raise MemoryError(f"OpenVINO has no memory for {len(batch_bchw)} inputs")  # it gives the outputs before
            return outputs

        return compute
