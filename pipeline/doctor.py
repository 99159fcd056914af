"""`doctor`: what works on this machine, each thing with what was found."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import UsageError

LEAST_DISK_GB = 5.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. ok: False where something needed is missing."""

    name: str
    ok: bool
    found: str


def checks(folder: Path) -> list[Check]:
    """All of them. folder: where a dataset would be built."""
    return [
        _attempt("tesseract", _tesseract),
        Check("tesserocr", True, _tesserocr()),
        _attempt("word statistics", _statistics),
        Check("weights", True, _weights()),
        Check("detectron2", True, _detectron2()),
        Check("gpu", True, _gpu()),
        _disk(folder),
        _attempt("runner", _runner),
    ]


def _attempt(name: str, probe: Callable[[], str]) -> Check:
    try:
        return Check(name, True, probe())
    except UsageError as error:
        return Check(name, False, str(error))


def _tesseract() -> str:
    from pipeline.ocr.engines import data_file, engine_version

    return f"{engine_version()}, data {data_file('eng')}"


def _tesserocr() -> str:
    from pipeline.ocr.engines import engine_version

    try:
        return engine_version("tesserocr")
    except UsageError as error:
        return f"none; {error}"


def _statistics() -> str:
    from pipeline.statistics import statistics_identity

    return statistics_identity(None)


def _weights() -> str:
    import torch

    from pipeline.extractors.weight_store import all_added

    cached = sorted(path.name for path in _checkpoints(Path(torch.hub.get_dir()) / "checkpoints"))
    theirs = f"in torchvision's cache: {', '.join(cached) or 'none, so `default` will ask the network'}"
    added = ", ".join(f"{added.name} for {added.feature}" for added in all_added().values())
    return f"{theirs}; added: {added or 'none (docs/weights.md)'}"


def _checkpoints(folder: Path) -> Iterator[Path]:
    return folder.glob("*.pth")


def _detectron2() -> str:
    """Its absence is no fault: one feature alone needs it."""
    from pipeline.extractors.detectron.installed import engine_version

    try:
        return engine_version()
    except UsageError as error:
        return str(error)


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        return f"none (torch {torch.__version__}); models run on {os.cpu_count()} cores"
    return f"{torch.cuda.get_device_name(0)} (torch {torch.__version__})"


def _disk(folder: Path) -> Check:
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.is_dir())
    free = shutil.disk_usage(existing).free / 1e9
    return Check("disk", free >= LEAST_DISK_GB, f"{free:.1f} GB free at {existing}, {LEAST_DISK_GB:g} wanted")


def _runner() -> str:
    """Run a pipeline of two elements through the embedded runner."""
    from importlib.metadata import version

    import apache_beam as beam

    from pipeline.beam_flags import EMBEDDED
    from pipeline.runner import run_pipeline

    run_pipeline(lambda root: root | beam.Create([1, 2]) | beam.Map(str), (), 1)
    return f"apache-beam {version('apache-beam')}, {EMBEDDED} works"
