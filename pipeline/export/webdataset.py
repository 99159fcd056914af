"""Writes tar shards for the library webdataset. Each post is a sample, which has several files.

`000042.jpg` is the picture as it was downloaded. `000042.json` is the post (POST_SCHEMA), and has the rows of words and
labels under `features`. `000042.vgg_grid.npy` is a feature with one array, `000042.butd_objects.npz` one with several
arrays. Nothing is pickled. The bytes of a tar depend only on the dataset.
"""

import io
import json
import tarfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from m3h.pipeline.export.samples import ExportResult, Sample, Samples, refuse_existing
from m3h.pipeline.images.store import image_path
from m3h.schemas.features import Row
from m3h.schemas.files import publish

SAMPLES_PER_TAR = 1_000


def write_webdataset(samples: Samples, split: str, out: Path) -> ExportResult:
    """Write SPLIT-000000.tar, SPLIT-000001.tar and so on.

    Args:
        samples: the dataset, with any features.
        split: train, valid or test.
        out: the folder for the files.
    """
    result = ExportResult()
    posts = (
        Sample(post["post_id"], sample.image, [post], sample.rows)
        for sample in samples.samples(split)
        for post in sample.posts
    )
    number = 0
    while tar_samples := list(islice(posts, SAMPLES_PER_TAR)):
        path = refuse_existing(out / f"{split}-{number:06d}.tar")
        result.missing += sum(name not in sample.rows for sample in tar_samples for name in samples.features)
        _write_tar(path, samples.data.folder, tar_samples, first=number * SAMPLES_PER_TAR)
        result.files[str(path)] = len(tar_samples)
        number += 1
    return result


def _write_tar(path: Path, dataset: Path, samples: list[Sample], *, first: int) -> None:
    def write(temp: Path) -> None:
        with tarfile.open(temp, "w", format=tarfile.USTAR_FORMAT) as tar:
            for i, sample in enumerate(samples):
                for suffix, data in _files(sample, dataset):
                    info = tarfile.TarInfo(
                        f"{first + i:06d}.{suffix}"
                    )  # without time and owner, so that the bytes are always the same
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))

    publish(path, write)


def _files(sample: Sample, dataset: Path) -> Iterator[tuple[str, bytes]]:
    """The suffix and the bytes of each file of a sample."""
    picture = image_path(dataset, sample.image)
    if picture.is_file():  # the released dataset has no pictures
        yield "jpg", picture.read_bytes()
    words: dict[str, Row] = {}
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
