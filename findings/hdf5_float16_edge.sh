#!/usr/bin/env bash
# h5py 3.16.0 with its HDF5 (numpy 2.2.6, Python 3.11), 2026-11-29
#
# Seen: storing float32 values as float16 gives infinity or a number, depending on which of h5py's two ways is taken.
# Filled row by row (`dataset[:] = values`), where HDF5 converts, all above 65504 is infinite. Given at once
# (`create_dataset(data=values, dtype="float16")`), where numpy converts, the values up to 65520 round down to 65504, as
# IEEE 754 has it. All other values, ties and subnormal numbers among them, come out the same.
#
# Expected: one rounding in one library, and round-to-nearest at the edge of the range as everywhere else in it.
#
# Why it hurts here: features are stored as float16 to halve them, and unscaled activations of VGG-16 or of a detector
# reach that range. A shard that is filled batch by batch has infinite cells where a shard written in one piece, or the
# same features in Parquet, have 65504: attention over such a row is NaN, and two exports of one dataset differ.
#
# Output seen:
#   float32                                  65504.0   65505.0   65519.0   65520.0  -65510.0
#   numpy's astype                           65504.0   65504.0   65504.0       inf  -65504.0
#   create_dataset(data=, dtype="float16")   65504.0   65504.0   65504.0       inf  -65504.0
#   dataset[:] =                             65504.0       inf       inf       inf      -inf
#   of 1,000,000 values of a normal distribution, 0 differ
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check h5py==3.16.0 numpy==2.2.6

env/bin/python -W ignore::RuntimeWarning - <<'END'
import sys

import h5py
import numpy as np

values = np.array([65504, 65505, 65519, 65520, -65510], "float32")
with h5py.File("features.h5", "w") as file:

    def filled(name: str, array: np.ndarray) -> np.ndarray:
        dataset = file.create_dataset(name, array.shape, "float16")
        dataset[:] = array
        return dataset[:]

    rows = {
        "float32": values,
        "numpy's astype": values.astype("float16"),
        'create_dataset(data=, dtype="float16")': file.create_dataset("at once", data=values, dtype="float16")[:],
        "dataset[:] =": filled("filled", values),
    }
    many = np.random.default_rng(0).standard_normal(1_000_000).astype("float32")
    differ = int((filled("many", many) != many.astype("float16")).sum())
for name, row in rows.items():
    print(f"{name:38}" + "".join(f"{value:10}" for value in row.tolist()))
print(f"of {len(many):,} values of a normal distribution, {differ} differ")

by_numpy, at_once, by_hdf5 = list(rows.values())[1:]
if by_numpy.tolist() != at_once.tolist() or not np.isinf(by_hdf5[1:]).all() or np.isinf(by_numpy[1:3]).any() or differ:
    sys.exit("changed: h5py's two ways to store float16 no longer differ in this way")
END
