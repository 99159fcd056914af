"""Open a tensor feature and read random rows of it: ours, with every byte checked, against readers that check nothing.

    python -m benchmarks.opening --pictures 20000 --rounds 5

Made pictures of 7 x 7 x 512 float16 numbers, in shards as `build` writes them, and the same numbers as one `.npy`, one
HDF5 and one safetensors file. Each side is a fresh process with the libraries imported: it opens the feature, copies
100 batches of 64 random rows, and says a sum of them, which must be the same everywhere. The sides take turns. Medians
of processor seconds, and the memory that the process took and that does not lie in files (RssAnon).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import torch
from safetensors.numpy import save_file

from m3h.schemas.feature_versions import FeatureVersion, FeatureVersions, Slice
from m3h.schemas.features import ArraySpec, FeatureSpec
from m3h.schemas.manifest import FileEntry, Manifest
from m3h.schemas.shards import shard_name, write_shard
from tests.model.fakes import fake_post, write_dataset

GRID = FeatureSpec("vgg_grid", (ArraySpec("features", (49, 512)),))
SHARDS = 4
SIDE = """
import re, resource, sys, time
from pathlib import Path
import h5py, numpy as np, torch
from safetensors import safe_open
from m3h.schemas.dataset import Dataset
folder, side = Path(sys.argv[1]), sys.argv[2]

def cpu():
    found = resource.getrusage(resource.RUSAGE_SELF)
    return found.ru_utime + found.ru_stime

def anonymous():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

memory, start = anonymous(), cpu()
if side.startswith("ours"):
    array = Dataset(folder / "dataset").tensors("vgg_grid").arrays["features"]
    take = array.take
elif side == "memmap":
    array = np.load(folder / "rows.npy", mmap_mode="r")
    take = array.__getitem__
elif side == "h5py":
    array = h5py.File(folder / "rows.h5")["features"][:]
    take = array.__getitem__
else:
    array = safe_open(folder / "rows.safetensors", "pt").get_tensor("features")
    take = lambda rows: array[torch.from_numpy(rows)].numpy()
opened, rng, total = cpu(), np.random.default_rng(0), 0.0
for _ in range(100):
    total += float(take(rng.integers(0, len(array), 64))[:, 0, 0].astype(np.float64).sum())
print(opened - start, cpu() - opened, anonymous() - memory, total)
"""
SIDES = ("ours, first time", "ours", "memmap", "h5py", "safetensors")


def make(folder: Path, pictures: int) -> None:
    """The same numbers in every form."""
    rng = np.random.default_rng(0)
    array = rng.standard_normal((pictures, 49, 512), dtype=np.float32).astype(np.float16)
    keys = [f"{i:064x}" for i in range(pictures)]
    dataset = write_dataset(
        folder / "dataset", [fake_post(0, "a text", ["topic"], "train")], {GRID: {keys[0]: {"features": array[0]}}}
    )
    manifest = Manifest.read(dataset)
    versions = manifest.features["vgg_grid"]
    (old,) = versions.current_version.shards
    del manifest.files[old]
    bounds = np.linspace(0, pictures, SHARDS + 1).astype(int)
    names = [f"{Path(old).parent}/{shard_name(i, SHARDS, '.h5')}" for i in range(SHARDS)]
    for name, start, end in zip(names, bounds, bounds[1:], strict=False):
        write_shard(dataset / name, GRID, {keys[row]: {"features": array[row]} for row in range(start, end)})
        manifest.files[name] = FileEntry.of(dataset / name, int(end - start))
    slices = [Slice(keys[start], "") for start in bounds[:-1]]
    version = FeatureVersion(pictures, {}, tuple(names), tuple(slices), {}, {}, ())
    manifest.features["vgg_grid"] = FeatureVersions.first(versions.current, version)
    manifest.write(dataset)
    np.save(folder / "rows.npy", array)
    with h5py.File(folder / "rows.h5", "w") as file:
        file.create_dataset("features", data=array)
    save_file({"features": array}, folder / "rows.safetensors")


def measured(folder: Path, side: str) -> tuple[float, ...]:
    """Seconds of opening, seconds of reading, megabytes, and the sum of what was read."""
    cache = folder / ("new" if side == SIDES[0] else "cache")
    if side == SIDES[0]:
        for mark in cache.rglob("*/checked/*"):
            mark.unlink()
    done = subprocess.run(
        [sys.executable, "-c", SIDE, folder, side],
        env={**os.environ, "XDG_CACHE_HOME": str(cache)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr)
    return tuple(map(float, done.stdout.split()))


def main() -> None:
    """Print a table in Markdown, and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        make(folder, options.pictures)
        subprocess.run(["sleep", "3"], check=True)  # what changed a moment ago is not remembered
        for side in SIDES:
            measured(folder, side)
        rounds = [{side: measured(folder, side) for side in SIDES} for _ in range(options.rounds)]
    sums = {round(found[-1], 3) for one in rounds for found in one.values()}
    if len(sums) != 1:
        sys.exit(f"the sides read different numbers: {sums}")
    middle = {side: [statistics.median(one[side][i] for one in rounds) for i in range(3)] for side in SIDES}
    print("| reader | open, CPU s | 6,400 random rows, CPU s | memory, MB |\n|---|---|---|---|")
    for side, (opened, read, memory) in middle.items():
        print(f"| {side} | {opened:.3f} | {read:.3f} | {memory:.0f} |")
    print(json.dumps({"pictures": options.pictures, "rounds": options.rounds, "torch": torch.__version__, **middle}))


if __name__ == "__main__":
    main()
