"""A tensor feature written, opened and read by random rows: ours against memmap, h5py, safetensors, webdataset and
mosaicml-streaming.

Made pictures of 7 x 7 x 512 float16 numbers. Each side writes them in its own form as preparation; its work is to open
what was written, and to copy batches of 64 random rows. Ours compares every byte of the files with the manifest first,
once, and remembers that; the others check nothing. webdataset reads in order only, so it reads all and picks the rows.
What must be equal: a sum of each batch.
"""

import io
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from benchmarks.harness.case import Case, Side, WrongAnswer
from benchmarks.harness.work import Answer, Work

SHAPE = (49, 512)
SHARDS, BATCHES, BATCH = 4, 100, 64


def rows(number: int) -> np.ndarray:
    """(number, 49, 512): the numbers of all forms."""
    return np.random.default_rng(0).standard_normal((number, *SHAPE), dtype=np.float32).astype(np.float16)


def make_ours(work: Work) -> None:
    """A dataset in shards as `build` writes them."""
    from m3h.schemas.feature_versions import FeatureVersion, FeatureVersions, Slice
    from m3h.schemas.features import ArraySpec, FeatureSpec
    from m3h.schemas.manifest import FileEntry, Manifest
    from m3h.schemas.shards import shard_name, write_shard
    from tests.model.fakes import fake_post, write_dataset

    array, grid = rows(work.number), FeatureSpec("vgg_grid", (ArraySpec("features", SHAPE),))
    keys = [f"{i:064x}" for i in range(work.number)]
    dataset = write_dataset(
        work.folder / "dataset", [fake_post(0, "a text", ["topic"], "train")], {grid: {keys[0]: {"features": array[0]}}}
    )
    manifest = Manifest.read(dataset)
    versions = manifest.features["vgg_grid"]
    (old,) = versions.current_version.shards
    del manifest.files[old]
    bounds = np.linspace(0, work.number, SHARDS + 1).astype(int)
    names = [f"{Path(old).parent}/{shard_name(i, SHARDS, '.h5')}" for i in range(SHARDS)]
    for name, start, end in zip(names, bounds, bounds[1:], strict=False):
        write_shard(dataset / name, grid, {keys[row]: {"features": array[row]} for row in range(start, end)})
        manifest.files[name] = FileEntry.of(dataset / name, int(end - start))
    slices = [Slice(keys[start], "") for start in bounds[:-1]]
    version = FeatureVersion(work.number, {}, tuple(names), tuple(slices), {}, {}, ())
    manifest.features["vgg_grid"] = FeatureVersions.first(versions.current, version)
    manifest.write(dataset)
    time.sleep(3)  # what changed a moment ago is not remembered
    ours(work)


def make_peers(work: Work) -> None:
    """The same rows in every other form."""
    import h5py
    import webdataset
    from safetensors.numpy import save_file
    from streaming import MDSWriter

    array = rows(work.number)
    np.save(work.folder / "rows.npy", array)
    with h5py.File(work.folder / "rows.h5", "w") as file:
        file.create_dataset("features", data=array)
    save_file({"features": array}, work.folder / "rows.safetensors")
    per_shard = -(-work.number // SHARDS)
    with webdataset.ShardWriter(str(work.folder / "rows-%d.tar"), maxcount=per_shard, verbose=0) as tar:
        for i, row in enumerate(array):
            tar.write({"__key__": f"{i:08}", "npy": row})
    columns = {"features": f"ndarray:float16:{','.join(map(str, SHAPE))}"}
    with MDSWriter(out=str(work.folder / "mds"), columns=columns, size_limit=per_shard * array[0].nbytes) as mds:
        for row in array:
            mds.write({"features": row})


def _sums(take: Callable[[np.ndarray], np.ndarray], number: int) -> Answer:
    rng = np.random.default_rng(0)
    found = [float(take(rng.integers(0, number, BATCH))[:, 0].astype(np.float64).sum()) for _ in range(BATCHES)]
    return {"sums": found}


def ours(work: Work) -> Answer:
    """As the trainer reads; the files were compared before, and that is remembered."""
    return _ours(work, work.folder / "cache")


def ours_first(work: Work) -> Answer:
    """The same where nothing is remembered: every byte is compared."""
    return _ours(work, work.folder / f"cache-{time.monotonic_ns()}")


def _ours(work: Work, cache: Path) -> Answer:
    os.environ["XDG_CACHE_HOME"] = str(cache)
    from m3h.schemas.dataset import Dataset

    work.begin()
    array = Dataset(work.folder / "dataset").tensors("vgg_grid").arrays["features"]
    return _sums(array.take, work.number)


def memmap(work: Work) -> Answer:
    """numpy's own mapped file."""
    work.begin()
    array = np.load(work.folder / "rows.npy", mmap_mode="r")
    return _sums(array.__getitem__, work.number)


def hdf5(work: Work) -> Answer:
    """h5py, all of it read into memory, as most code does; its own random rows are a hundred times slower."""
    import h5py

    work.begin()
    with h5py.File(work.folder / "rows.h5") as file:
        return _sums(file["features"][:].__getitem__, work.number)


def safetensors(work: Work) -> Answer:
    """One tensor, with numpy."""
    from safetensors import safe_open

    work.begin()
    with safe_open(work.folder / "rows.safetensors", "np") as file:
        return _sums(file.get_tensor("features").__getitem__, work.number)


def web(work: Work) -> Answer:
    """webdataset: every sample in order, kept in memory."""
    import webdataset

    work.begin()
    urls = sorted(map(str, work.folder.glob("rows-*.tar")))
    samples = webdataset.WebDataset(urls, shardshuffle=False)
    array = np.stack([np.load(io.BytesIO(sample["npy"])) for sample in samples])
    return _sums(array.__getitem__, work.number)


def mosaic(work: Work) -> Answer:
    """mosaicml-streaming from a local folder, sample by sample."""
    from streaming import StreamingDataset
    from streaming.base.util import clean_stale_shared_memory

    clean_stale_shared_memory()
    work.begin()
    dataset = StreamingDataset(local=str(work.folder / "mds"), batch_size=BATCH)
    return _sums(lambda picked: np.stack([dataset[int(i)]["features"] for i in picked]), work.number)


def compare(answers: Mapping[str, Answer]) -> str:
    """The sums of all batches."""
    (first, mine), *others = answers.items()
    for name, theirs in others:
        if not np.allclose(theirs["sums"], mine["sums"], rtol=1e-9):
            raise WrongAnswer(f"{name} read other numbers than {first}")
    return f"the sums of all {BATCHES} batches are equal."


CASE = Case(
    name="shards",
    title="Open a feature, read 6,400 random rows: memmap, h5py, safetensors, webdataset, mosaicml-streaming",
    things="pictures",
    number=4000,
    prepare=(
        Side("ours", "benchmarks.cases.shards:make_ours", peer=False),
        Side("peers", "benchmarks.cases.shards:make_peers"),
    ),
    sides=(
        Side("m3h", "benchmarks.cases.shards:ours", peer=False),
        Side("m3h, nothing remembered", "benchmarks.cases.shards:ours_first", peer=False),
        Side("memmap", "benchmarks.cases.shards:memmap"),
        Side("h5py", "benchmarks.cases.shards:hdf5"),
        Side("safetensors", "benchmarks.cases.shards:safetensors"),
        Side("webdataset", "benchmarks.cases.shards:web"),
        Side("mosaicml-streaming", "benchmarks.cases.shards:mosaic"),
    ),
    compare=compare,
    bound="pages of the files that are copied row by row; the first time, their sha256.",
)
