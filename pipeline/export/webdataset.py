"""Tar shards for the library webdataset: a sample a post, its files side by side.

`000042.jpg` the picture as fetched, `000042.json` the post (POST_SCHEMA, and under `features` the rows of words and
labels), `000042.vgg_grid.npy` a feature of one array, `000042.butd_objects.npz` one of several. Nothing needs to be
unpickled. The bytes of a tar depend on the dataset alone.
"""

import io
import json
import tarfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.export.walk import Sample, Tally, Walk, refuse_existing
from pipeline.images import image_path
from schemas.features import Row
from schemas.files import publish

PER_TAR = 1_000


def write_webdataset(walk: Walk, split: str, out: Path, tally: Tally) -> None:
    """SPLIT-000000.tar and so on."""
    posts = (
        Sample(post["post_id"], sample.image, [post], sample.rows)
        for sample in walk.samples(split)
        for post in sample.posts
    )
    number = 0
    while mine := list(islice(posts, PER_TAR)):
        path = refuse_existing(out / f"{split}-{number:06d}.tar")
        tally.missing += sum(name not in sample.rows for sample in mine for name in walk.features)
        _write_tar(path, walk.data.folder, mine, first=number * PER_TAR)
        tally.note(path, len(mine))
        number += 1


def _write_tar(path: Path, dataset: Path, samples: list[Sample], first: int) -> None:
    def write(temp: Path) -> None:
        with tarfile.open(temp, "w", format=tarfile.USTAR_FORMAT) as tar:
            for i, sample in enumerate(samples):
                for suffix, data in _files(sample, dataset):
                    info = tarfile.TarInfo(f"{first + i:06d}.{suffix}")  # no time, no owner: equal bytes every time
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))

    publish(path, write)


def _files(sample: Sample, dataset: Path) -> Iterator[tuple[str, bytes]]:
    """The files of one sample: suffix and bytes."""
    picture = image_path(dataset, sample.image)
    if picture.is_file():  # the released dataset has none
        yield "jpg", picture.read_bytes()
    words: dict[str, Any] = {}
    tensors: list[tuple[str, bytes]] = []
    for name, row in sorted(sample.rows.items()):
        if any(isinstance(value, (np.ndarray, np.generic)) for value in row.values()):
            tensors.append(_tensor_file(name, row))
        else:
            words[name] = dict(row)
    record = {**sample.posts[0], "features": words}
    yield "json", json.dumps(record, sort_keys=True, ensure_ascii=False, default=str).encode("utf-8")
    yield from tensors


def _tensor_file(name: str, row: Row) -> tuple[str, bytes]:
    buffer = io.BytesIO()
    arrays = {array: np.asarray(values) for array, values in row.items()}
    if len(arrays) == 1:
        np.save(buffer, next(iter(arrays.values())), allow_pickle=False)
        return f"{name}.npy", buffer.getvalue()
    np.savez(buffer, allow_pickle=False, **arrays)
    return f"{name}.npz", buffer.getvalue()
