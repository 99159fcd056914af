"""Pictures as vectors of the frozen backbone, computed once and kept on disk by backbone and by the picture's sha256.

CACHE/<fingerprint of the backbone>/<digest of the pictures' sha256>.h5     at most CHUNK pictures each

Other captions, another vocabulary, a run that was killed: what lies there is never computed again.
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

from pipeline.engine import padded, slice_digest
from pipeline.extractors.backbone import Backbone, BackboneExtractor, BackboneSettings
from pipeline.picture import Picture
from pipeline.progress import watched
from pipeline.worker import die_with_parent
from schemas.errors import ImageFault, IntegrityError
from schemas.features import ArraySpec, FeatureSpec, Row, fingerprint
from schemas.shards import read_tensor_shard, shard_keys, write_shard

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)
CHUNK = 32


class Vectors(BackboneExtractor):
    """`features` (width,) float32 a picture: what the backbone hands to its last linear layer."""

    def __init__(self, settings: BackboneSettings) -> None:
        width = Backbone.of(settings).width
        self.spec = FeatureSpec("vectors", arrays=(ArraySpec("features", (width,), "float32"),))
        super().__init__(settings)

    def network(self) -> "torch.nn.Module":
        """The backbone alone."""
        return self.backbone.network()

    def rows(self, outputs: Sequence["torch.Tensor"]) -> list[Row]:
        """outputs: (B, width)."""
        return [{"features": vector} for vector in outputs[0].numpy()]


@dataclass
class _Computed:
    """Of one chunk. faults: sha256 -> why a picture has no vector."""

    pictures: int
    faults: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class VectorCache:
    """Vectors of one backbone below a folder."""

    extractor: Vectors
    root: Path

    @property
    def folder(self) -> Path:
        """Of this backbone."""
        return self.root / fingerprint(self.extractor.spec, self.extractor.fingerprint_parts())

    def complete(self, pictures: Mapping[str, Path], workers: int) -> dict[str, str]:
        """Compute what is missing of `pictures` (sha256 -> file), in several processes on CPU.

        Returns why pictures have no vector, by sha256; they are tried again by the next run.
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
        """(len(keys), width) float32."""
        place = {key: i for i, key in enumerate(keys)}
        found = np.full((len(keys), *self.extractor.spec.arrays[0].shape), np.nan, np.float32)
        for file in self._files():
            held, arrays = read_tensor_shard(file)
            wanted = [i for i, key in enumerate(held) if key in place]
            found[[place[held[i]] for i in wanted]] = arrays["features"][wanted]
        return found

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[!.]*.h5"))

    def _known(self) -> set[str]:
        known: set[str] = set()
        for file in self._files():
            try:
                known.update(shard_keys(file))
            except IntegrityError:
                log.warning("%s: not readable, so its pictures are computed again", file)
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
    """The vectors of a few pictures, as one file; none where no picture can be decoded."""
    found = _Computed(len(chunk))
    prepared = []
    for key, path in chunk:
        try:
            prepared.append((key, extractor.prepare(Picture(path))))
        except ImageFault as fault:
            found.faults[key] = str(fault)
    rows: dict[str, Row] = {}
    for i in range(0, len(prepared), extractor.batch_size):
        batch = prepared[i : i + extractor.batch_size]
        rows.update(zip((key for key, _ in batch), padded(extractor, [value for _, value in batch]), strict=True))
    for key, row in rows.items():
        extractor.spec.check(row, key)
    if rows:
        write_shard(folder / f"{slice_digest(sorted(rows))}.h5", extractor.spec, rows)
    return found


_worker: list[tuple[Vectors, Path]] = []
"""Of a process of the pool: its loaded backbone, and where the files go."""


def _start_worker(settings: BackboneSettings, folder: Path) -> None:
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and ends us
    extractor = Vectors(settings)
    extractor.load()
    _worker.append((extractor, folder))


def _compute_in_worker(chunk: Sequence[tuple[str, Path]]) -> _Computed:
    extractor, folder = _worker[0]
    return compute(extractor, chunk, folder)
