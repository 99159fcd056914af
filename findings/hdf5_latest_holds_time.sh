#!/usr/bin/env bash
# h5py 3.14.0 and 3.16.0 (wheels of PyPI), NumPy 2.2.6, Python 3.11, 2026-11-29
#
# Seen: with `libver="latest"` h5py 3.14 writes the time into the file, although the dataset was made with
# `track_times=False`: the same array written again two seconds later has other bytes. h5py 3.16 does not, with the same
# call. With the default `libver` both versions write the same bytes at any time, and the bytes of each other.
#
# Expected: `track_times=False` is all it takes, as h5py's documentation says, and has been the default since 3.0.
#
# Why it hurts here: shards of features that are told apart, copied and verified by their sha256. Two machines, or one
# before and after an update, do not agree on equal features.
#
# Output seen:
#   3.14.0 latest: other bytes; default: same bytes
#   3.16.0 latest: same bytes; default: same bytes
#   default of both versions: same bytes
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > write.py <<'END'
import hashlib
import sys
import time

import h5py
import numpy as np


def digest(**options):
    with h5py.File("f.h5", "w", **options) as file:
        file.attrs["name"] = "features"
        file.create_dataset("features", data=np.arange(1000, dtype="f4"), track_times=False)
    with open("f.h5", "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


first = [digest(libver="latest"), digest()]
time.sleep(2.1)
second = [digest(libver="latest"), digest()]
latest, default = ("same" if a == b else "other" for a, b in zip(first, second))
print(f"{h5py.__version__} latest: {latest} bytes; default: {default} bytes", file=sys.stderr)
print(latest, default, first[1])
END
for version in 3.14.0 3.16.0; do
    python3 -m venv "$version"
    "$version/bin/pip" install --quiet --disable-pip-version-check "h5py==$version" numpy==2.2.6
    "$version/bin/python" write.py > "$version.txt"
done
read -r old_latest old_default old_bytes < 3.14.0.txt
read -r new_latest new_default new_bytes < 3.16.0.txt
if [ "$old_latest $old_default $new_latest $new_default" != "other same same same" ] || [ "$old_bytes" != "$new_bytes" ]
then
    echo "changed: which versions of h5py write the time into files" >&2
    exit 1
fi
echo "default of both versions: same bytes"
