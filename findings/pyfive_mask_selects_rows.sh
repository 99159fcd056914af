#!/usr/bin/env bash
# pyfive 1.3.0, h5py 3.16.0 (numpy 2.2.6, Python 3.11), 2026-11-29
#
# Seen: a boolean mask that h5py wrote is read by pyfive, the HDF5 reader in plain Python, as int8 zeros and ones. numpy
# then takes it for row numbers: `features[mask]` is no error and no selection, it is rows 1 and 0 over and over.
#
# Expected: booleans, as h5py gives them back (it stores them as an enumeration of FALSE and TRUE), or an error.
#
# Why it hurts here: a feature file has a mask beside its features, true for real objects and false for padding. pyfive
# is what one takes where no HDF5 library can be installed, and by threads. Training goes on, with the first two rows of
# every picture in place of its objects; even the shape is plausible.
#
# Output seen:
#   h5py:   mask bool [True, False, True, True],  features[mask] = [10.0, 30.0, 40.0]
#   pyfive: mask int8 [1, 0, 1, 1],  features[mask] = [20.0, 10.0, 20.0, 20.0]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check pyfive==1.3.0 h5py==3.16.0 numpy==2.2.6

env/bin/python - <<'END'
import sys

import h5py
import numpy as np
import pyfive

with h5py.File("features.h5", "w") as file:
    file["features"] = np.array([10, 20, 30, 40], "float32")
    file["mask"] = np.array([True, False, True, True])

picked = {}
for library in (h5py, pyfive):
    with library.File("features.h5", "r") as file:
        features, mask = file["features"][:], file["mask"][:]
    picked[library.__name__] = features[mask].tolist()
    print(f"{library.__name__ + ':':7} mask {mask.dtype} {mask.tolist()},  features[mask] = {features[mask].tolist()}")
if picked != {"h5py": [10.0, 30.0, 40.0], "pyfive": [20.0, 10.0, 20.0, 20.0]}:
    sys.exit("changed: a mask read by pyfive no longer selects rows 1 and 0")
END
