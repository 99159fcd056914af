#!/usr/bin/env bash
# safetensors 0.8.0 (numpy 2.2.6, Python 3.11), 2026-11-29
#
# Seen: the same tensors with the same metadata become another file in nearly every process. The keys of `__metadata__`
# stand in the header in an order that is drawn anew each time; the tensors themselves are sorted. Within one process
# the bytes change too, and sorting the dictionary beforehand changes nothing.
#
# Expected: a format that is taken for checkpoints because it is plain data gives one hash for one content, as soon as
# keys and values are equal.
#
# Why it hurts here: feature shards and checkpoints are told apart by the hash of the file. Detector weights that were
# converted twice, with their source and their epoch in the metadata, have two hashes, so a fingerprint over the file
# says "other weights" and every picture is computed again. With a single metadata key it never shows.
#
# Output seen:
#   one key:   1 different files in 12 processes
#   four keys: 11 different files in 12 processes
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.2.6

cat > save.py <<'END'
import hashlib
import sys

import numpy
from safetensors.numpy import save

metadata = dict(pair.split("=") for pair in sys.argv[1:])
weights = {"bias": numpy.zeros(2, "float32"), "weight": numpy.ones((2, 3), "float32")}
print(hashlib.sha256(save(weights, metadata=metadata)).hexdigest())
END

different() { for _ in {1..12}; do env/bin/python save.py "$@"; done | sort -u | wc -l; }
one=$(different epoch=9)
four=$(different epoch=9 model=m3h seed=1 source=coco)
echo "one key:   $one different files in 12 processes"
echo "four keys: $four different files in 12 processes"
if [ "$one" != 1 ] || [ "$four" = 1 ]; then
    echo "changed: the order of metadata keys no longer changes a safetensors file" >&2
    exit 1
fi
