#!/usr/bin/env bash
# safetensors 0.8.0 with torch 2.12.1 (CPU, MKL), Python 3.11, 2026-11-29
#
# Seen: a tensor that safetensors reads begins where its bytes begin in the file, after a header of any length. Of 16
# files that differ only in the length of a note in their metadata, most give weights at an address that is no multiple
# of 16. torch.equal says that the weights are those that were saved; their product with the same vectors has other
# last bits. A clone of them gives the product of the weights before they were saved.
#
# Expected: equal weights and equal inputs in the same process, on one thread, give equal outputs.
#
# Why it hurts here: training that continues from a safetensors checkpoint, or features of a network whose weights were
# read and not copied, are to equal to the bit what they are without the stop. Whether they do depends on the length of
# the metadata. It rarely shows: load_state_dict copies, but `assign=True`, `safe_open(...).get_tensor` and
# `load_file` by themselves do not.
#
# Output seen (the numbers depend on the processor):
#   16 files: 16 times equal weights, 11 times at an odd address, 11 times another product; after clone() 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check safetensors==0.8.0 torch==2.12.1 numpy==2.2.6 packaging

cat > products.py <<'END'
import sys

import torch
from safetensors.torch import load_file, save_file

torch.set_num_threads(1)
torch.manual_seed(0)
weights, vectors = torch.randn(5, 1000), torch.randn(1, 1000)
product = vectors @ weights.T
equal = odd = other = cloned = 0
for length in range(16):
    save_file({"weight": weights, "pad": torch.zeros(length)}, "w.safetensors", metadata={"note": "x" * (8 * length)})
    read = load_file("w.safetensors")["weight"]
    equal += torch.equal(read, weights)
    odd += read.data_ptr() % 16 != 0
    other += not torch.equal(vectors @ read.T, product)
    cloned += not torch.equal(vectors @ read.clone().T, product)
print(f"16 files: {equal} times equal weights, {odd} times at an odd address, {other} times another product; ", end="")
print(f"after clone() {cloned}")
sys.exit(not (equal == 16 and other and not cloned))
END
if ! env/bin/python products.py; then
    echo "changed: weights that safetensors read give the products of those that were saved" >&2
    exit 1
fi
