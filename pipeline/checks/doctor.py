"""`doctor`: what works on this machine, and what was found for each thing."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from m3h.pipeline.progress.monitor import tracked
from m3h.schemas.errors import UsageError
from m3h.schemas.machine import why_unwritable

LEAST_DISK_GB = 5.0


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    name: what it is. ok: False if something that m3h needs is missing. found: what was found. is_there: False if it is
    missing, needed or not.
    """

    name: str
    ok: bool
    found: str
    is_there: bool = True

    @property
    def state(self) -> str:
        """For people."""
        return "MISSING" if not self.ok else "ok" if self.is_there else "absent"


def checks(folder: Path) -> list[Check]:
    """Make all checks. folder: where a dataset would be built."""
    probes: list[Callable[[], Check]] = [
        lambda: _attempt("tesseract", _tesseract),
        lambda: _attempt("tesserocr", _tesserocr, is_needed=False),
        lambda: _attempt("word statistics", _statistics),
        lambda: Check("weights", True, _weights()),
        lambda: _attempt("detectron2", _detectron2, is_needed=False),
        lambda: Check("backbones", True, _backbones()),
        lambda: Check("engines", True, _engines()),
        _outside_extractors,
        lambda: Check("gpu", True, _gpu()),
        lambda: _disk(folder),
        lambda: _attempt("runner", _runner),
    ]
    return [probe() for probe in tracked("checks", probes, alike=False)]


def _attempt(name: str, probe: Callable[[], str], *, is_needed: bool = True) -> Check:
    try:
        return Check(name, True, probe())
    except UsageError as error:
        return Check(name, not is_needed, str(error), is_there=False)


def _tesseract() -> str:
    from m3h.pipeline.extractors.ocr.engines import data_file, engine_version

    return f"{engine_version()}, data {data_file('eng')}"


def _tesserocr() -> str:
    from m3h.pipeline.extractors.ocr.engines import engine_version

    return engine_version("tesserocr")


def _statistics() -> str:
    from m3h.pipeline.text.word_statistics import statistics_identity

    return statistics_identity(None)


def _weights() -> str:
    import torch

    from m3h.pipeline.extractors.weight_store import all_added

    cached = sorted(path.name for path in _checkpoints(Path(torch.hub.get_dir()) / "checkpoints"))
    cache = f"in torchvision's cache: {', '.join(cached) or 'none, so `default` will ask the network'}"
    added = ", ".join(f"{added.name} for {added.feature}" for added in all_added().values())
    return f"{cache}; added: {added or 'none (docs/weights.md)'}"


def _checkpoints(folder: Path) -> Iterator[Path]:
    return folder.glob("*.pth")


def _detectron2() -> str:
    """It is no fault if it is missing: only one feature needs it."""
    from m3h.pipeline.extractors.detectron.installed import engine_version

    return engine_version()


def _backbones() -> str:
    """It is no fault if one is missing: each is an extra."""
    from importlib.metadata import version

    from m3h.pipeline.extractors.backbones.of_open_clip import OfOpenClip
    from m3h.pipeline.extractors.backbones.of_timm import OfTimm
    from m3h.pipeline.extractors.backbones.small import carried

    found = []
    for library in (OfTimm, OfOpenClip):
        try:
            library.require()
            found.append(f"{library.package} {version(library.package)}")
        except UsageError as error:
            found.append(str(error))
    try:
        found.append(f"network=small has its weights, {carried()}")
    except UsageError as error:
        found.append(f"network=small: {error}")
    return "; ".join(found)


def _engines() -> str:
    """It is no fault if one is missing: each is an extra."""
    from importlib.metadata import version

    from m3h.pipeline.extractors.computing.catalog import ENGINES, engine

    found = []
    for name in ENGINES:
        absent = engine(name).missing()
        found.append(f"{name}: {absent}" if absent else f"{name} {version(name)}")
    return "; ".join(found)


def _outside_extractors() -> Check:
    """A broken one costs only its own feature, and is named here."""
    from m3h.pipeline.extractors import outside_faults, outside_names

    faults = outside_faults()
    found = "; ".join([", ".join(outside_names()) or "none", *faults])
    return Check("extractors of other packages", not faults, found)


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        return f"none (torch {torch.__version__}); models run on {os.cpu_count()} cores"
    return f"{torch.cuda.get_device_name(0)} (torch {torch.__version__})"


def _disk(folder: Path) -> Check:
    if why := why_unwritable(folder, is_folder=True):
        return Check("disk", False, f"{folder}: {why}")
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.is_dir())
    free = shutil.disk_usage(existing).free / 1e9
    return Check("disk", free >= LEAST_DISK_GB, f"{free:.1f} GB free at {existing}, {LEAST_DISK_GB:g} wanted")


def _runner() -> str:
    from importlib.metadata import version

    from m3h.pipeline.runtime.beam_flags import EMBEDDED
    from m3h.pipeline.runtime.runner import try_runner

    try_runner()
    return f"apache-beam {version('apache-beam')}, {EMBEDDED} works"
