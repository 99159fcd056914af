"""Computes the vectors of pictures with the frozen backbone, and keeps them on disk.

CACHE/<fingerprint of the backbone>/<digest of the pictures' sha256>.h5     at most CHUNK pictures each

A vector that is stored is not computed again for other captions, another vocabulary or after a run that was killed.
"""

import logging
import multiprocessing
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m3h.pipeline.engine.shard_engine import padded, slice_digest
from m3h.pipeline.extractors.backbones.trunk import Backbone, BackboneExtractor, BackboneSettings
from m3h.pipeline.images.picture import Picture
from m3h.pipeline.progress.monitor import watched
from m3h.pipeline.runtime.lifetime import die_with_parent
from m3h.schemas.errors import ImageFault, IntegrityError
from m3h.schemas.features import ArraySpec, FeatureSpec, Row, fingerprint
from m3h.schemas.shards import read_tensor_shard, shard_keys, write_shard

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)
CHUNK = 32


class Vectors(BackboneExtractor):
    """`features` (width,) float32 per picture: the input of the backbone's last linear layer."""

    def __init__(self, settings: BackboneSettings) -> None:
        width = Backbone.of(settings).width
        self.spec = FeatureSpec("vectors", arrays=(ArraySpec("features", (width,), "float32"),))
        super().__init__(settings)

    def network(self) -> "torch.nn.Module":
        """The backbone without its last layer."""
        return self.backbone.network()

    def rows(self, outputs: Sequence["torch.Tensor"]) -> list[Row]:
        """outputs: (B, width)."""
        return [{"features": vector} for vector in outputs[0].numpy()]


@dataclass
class _Computed:
    """The result of one chunk. pictures: their number. faults: why a picture has no vector, by sha256."""

    pictures: int
    faults: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class VectorCache:
    """The stored vectors of one backbone. root: the folder of all backbones' vectors."""

    extractor: Vectors
    root: Path

    @property
    def folder(self) -> Path:
        """The folder of this backbone's vectors."""
        return self.root / fingerprint(self.extractor.spec, self.extractor.fingerprint_parts())

    def complete(self, pictures: Mapping[str, Path], workers: int) -> dict[str, str]:
        """Compute the missing vectors of `pictures` (sha256 -> file), on CPU in `workers` processes.

        Returns why pictures have no vector, by sha256. The next run tries them again.
        """
        known = self._known()
        missing = sorted(key for key in pictures if key not in known)
        log.info(
            "vectors: %d pictures, %d to compute with %s", len(pictures), len(missing), self.extractor.settings.backbone
        )
        chunks = [[(key, pictures[key]) for key in missing[i : i + CHUNK]] for i in range(0, len(missing), CHUNK)]
        if not chunks:
            return {}
        self.extractor.require()
        self.extractor.fetch()
        done, faults = 0, {}
        with watched("vectors", len(missing), lambda: done):
            for computed in self._run(chunks, 1 if self.extractor.accelerated else min(workers, len(chunks))):
                done += computed.pictures
                faults.update(computed.faults)
        return faults

    def read(self, keys: Sequence[str]) -> np.ndarray:
        """The vectors of the pictures `keys`, (len(keys), width) float32."""
        index = {key: i for i, key in enumerate(keys)}
        vectors = np.full((len(keys), *self.extractor.spec.arrays[0].shape), np.nan, np.float32)
        for file in self._files():
            stored, arrays = read_tensor_shard(file)
            requested = [i for i, key in enumerate(stored) if key in index]
            vectors[[index[stored[i]] for i in requested]] = arrays["features"][requested]
        return vectors

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[!.]*.h5"))

    def _known(self) -> set[str]:
        known: set[str] = set()
        for file in self._files():
            try:
                known.update(shard_keys(file))
            except IntegrityError:
                log.warning("%s: not readable; its pictures are computed again", file)
                file.unlink()
        return known

    def _run(self, chunks: Sequence[list[tuple[str, Path]]], processes: int) -> Iterator[_Computed]:
        if processes == 1:
            self.extractor.load()
            yield from (compute(self.extractor, chunk, self.folder) for chunk in chunks)
            return
        spawn = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(processes, spawn, _start_worker, (self.extractor.settings, self.folder))
        try:
            yield from pool.map(_compute_in_worker, chunks)
        finally:
            pool.shutdown(cancel_futures=True)


def compute(extractor: Vectors, chunk: Sequence[tuple[str, Path]], folder: Path) -> _Computed:
    """Compute the vectors of a few pictures and write them into one file, unless no picture can be decoded.

    Args:
        extractor: the loaded backbone.
        chunk: sha256 and file of each picture.
        folder: where the file is written.
    """
    result = _Computed(len(chunk))
    prepared = []
    for key, path in chunk:
        try:
            prepared.append((key, extractor.prepare(Picture(path))))
        except ImageFault as fault:
            result.faults[key] = str(fault)
    rows: dict[str, Row] = {}
    for i in range(0, len(prepared), extractor.batch_size):
        batch = prepared[i : i + extractor.batch_size]
        rows.update(zip((key for key, _ in batch), padded(extractor, [value for _, value in batch]), strict=True))
    for key, row in rows.items():
        extractor.spec.check(row, key)
    if rows:
        write_shard(folder / f"{slice_digest(sorted(rows))}.h5", extractor.spec, rows)
    return result


_worker: list[tuple[Vectors, Path]] = []
"""In a process of the pool: its loaded backbone, and the folder of the files."""


def _start_worker(settings: BackboneSettings, folder: Path) -> None:
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles it and ends this process
    extractor = Vectors(settings)
    extractor.load()
    _worker.append((extractor, folder))


def _compute_in_worker(chunk: Sequence[tuple[str, Path]]) -> _Computed:
    extractor, folder = _worker[0]
    return compute(extractor, chunk, folder)
