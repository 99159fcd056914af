#!/usr/bin/env bash
# openvino 2026.4.1, onnx 1.23.2 (wheels of PyPI), NumPy 2.2.6, Python 3.11, Linux, 2026-12-01
#
# Seen: a model with a dynamic batch axis, compiled for the CPU. Where memory does not suffice for a batch, the call
# raises nothing and prints nothing: it returns what the batch before gave, in its shape (2 rows for 64 inputs).
# When the limit is lifted, the same batch gives its 64 rows.
#
# Expected: an exception, as torch and ONNX Runtime raise one.
#
# Why it hurts here: features of pictures. Whoever does not count rows gives pictures the vectors of others.
#
# Output seen:
#   2 inputs: (2, 64, 224, 224)
#   64 inputs, little memory: (2, 64, 224, 224), the old output: True
#   64 inputs: (64, 64, 224, 224)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check openvino==2026.4.1 onnx==1.23.2 numpy==2.2.6
cat > run.py <<'END'
import resource
from pathlib import Path

import numpy as np
import onnx
import openvino
from onnx import TensorProto, helper, numpy_helper

weights = np.random.default_rng(0).standard_normal((64, 3, 3, 3), dtype=np.float32)
node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 224, 224])]
outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 64, 224, 224])]
graph = helper.make_graph([node], "one", inputs, outputs, [numpy_helper.from_array(weights, "w")])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), "one.onnx")

compiled = openvino.Core().compile_model("one.onnx", "CPU", {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1})
many = np.ones((64, 3, 224, 224), dtype=np.float32)
few = compiled(many[:2] * 2)[0].copy()
print("2 inputs:", few.shape)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000, resource.RLIM_INFINITY))
found = compiled(many)[0].copy()
print(f"64 inputs, little memory: {found.shape}, the old output:", found.shape == few.shape and bool((found == few).all()))
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print("64 inputs:", compiled(many)[0].shape)
END
env/bin/python run.py | tee seen.txt
cat > wanted.txt <<'END'
2 inputs: (2, 64, 224, 224)
64 inputs, little memory: (2, 64, 224, 224), the old output: True
64 inputs: (64, 64, 224, 224)
END
if ! cmp --silent seen.txt wanted.txt; then
    echo "changed: what OpenVINO does where memory does not suffice" >&2
    exit 1
fi
