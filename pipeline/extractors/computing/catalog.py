"""The registry of engines, one line each. Listing them imports none."""

import importlib

from m3h.pipeline.extractors.computing.engine import Engine

_MODULES = "m3h.pipeline.extractors.computing"
ENGINES = {  # name, as ComputeSettings has it: "module:Class"
    "torch": f"{_MODULES}.with_torch:WithTorch",
    "onnxruntime": f"{_MODULES}.with_onnxruntime:WithOnnxRuntime",
    "openvino": f"{_MODULES}.with_openvino:WithOpenVino",
}


def engine(name: str) -> Engine:
    """The engine of this name."""
    module, _, attribute = ENGINES[name].partition(":")
    made: Engine = getattr(importlib.import_module(module), attribute)()
    return made
