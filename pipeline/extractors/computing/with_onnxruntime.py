"""ONNX Runtime, on a CPU, with all of its optimisations of a graph."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from m3h.pipeline.extractors.computing.engine import GraphEngine

if TYPE_CHECKING:
    import numpy as np


class WithOnnxRuntime(GraphEngine):
    """`engine=onnxruntime`."""

    name = "onnxruntime"

    def read(self, file: Path) -> "Callable[[np.ndarray], Sequence[np.ndarray]]":
        """A session of one thread."""
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # newer ones tell Microsoft of each session and its graph
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        (given,) = session.get_inputs()

        def compute(batch_bchw: "np.ndarray") -> "Sequence[np.ndarray]":
            try:
                found: Sequence[np.ndarray] = session.run(None, {given.name: batch_bchw})
            except Exception as error:  # of several classes of its own, which have only their text
                if "Failed to allocate memory" in str(error):
                    raise MemoryError(str(error)) from error
                raise
            return found

        return compute
