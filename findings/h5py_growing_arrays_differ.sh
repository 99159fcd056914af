#!/usr/bin/env bash
# h5py 3.11.0 and 3.12.1 (Python 3.11), 2026-11-29
#
# Seen: the same lines write files of the same length with another byte for each array that may grow, even in the
# earliest format and without times. The byte says when HDF5 fills an array: 3.11 has it filled as room is taken, 3.12
# only if a fill value was set. Arrays of a fixed length have the same bytes in both.
#
# Expected: the same bytes from the same lines.
#
# Why it hurts here: a dataset that is known by the hash of its files is another one after an update, though every
# number in it is the same.
#
# Output seen:
#   fixed: the same bytes; growing: 1 byte differs
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check numpy==2.2.6
for version in 3.11.0 3.12.1; do
  env/bin/pip install --quiet --disable-pip-version-check --no-deps --target "h5py-$version" "h5py==$version"
done

cat > write.py <<'END'
import sys

import h5py
import numpy as np

for name, room in (("fixed", None), ("growing", (None, 3))):
    with h5py.File(f"{name}-{sys.argv[1]}.h5", "w", libver="earliest") as file:
        file.create_dataset("numbers", data=np.ones((4, 3), "<f4"), maxshape=room, track_times=False)
END
for version in 3.11.0 3.12.1; do PYTHONPATH="h5py-$version" env/bin/python write.py "$version"; done
fixed=$( (cmp -l fixed-3.11.0.h5 fixed-3.12.1.h5 || true) | wc -l)
growing=$( (cmp -l growing-3.11.0.h5 growing-3.12.1.h5 || true) | wc -l)
if [ "$fixed $growing" != "0 1" ]; then
  echo "changed: $fixed bytes of a fixed array differ, $growing of one that grows" >&2
  exit 1
fi
echo "fixed: the same bytes; growing: 1 byte differs"
