"""`engine=auto`: which engine computes a feature's network fastest on this machine, measured once and remembered.

Each engine that can compute the network passes the same batch of noise in turns, in a process of its own that is gone
afterwards. What counts is processor time, so that a busy machine chooses as an idle one does.
"""

import json
import logging
import platform
import subprocess
from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from m3h.pipeline.extractors import make_extractor
from m3h.pipeline.extractors.compute import ComputeSettings
from m3h.pipeline.extractors.computing.catalog import ENGINES, engine
from m3h.pipeline.runtime.processor import processor_name
from m3h.schemas.errors import MachineError, UsageError
from m3h.schemas.features import canonical_json
from m3h.schemas.files import publish_json, read_json_if_whole, user_cache
from m3h.schemas.own_module import module_command

log = logging.getLogger(__name__)

TORCH = "torch"

LEAST_GAIN = 1.1
"""Times as fast as torch another engine must be: it exports the network in each process, and joins the fingerprint."""


def fastest_engine(feature: str, settings: ComputeSettings) -> str:
    """The name of the engine that computes a feature fastest on this machine; torch where no other can compute it.

    Args:
        feature: its registered name.
        settings: its settings; `engine` is not looked at.

    Raises:
        UsageError: torch cannot compute it either, for the same reason as with `engine=torch`.
    """
    found_here = ((name, _identity(feature, settings, name)) for name in ENGINES)
    able = {name: parts for name, parts in found_here if parts is not None}
    if able.keys() <= {TORCH}:
        log.info("features.%s.engine=auto: torch, as no other engine here can compute it", feature)
        return TORCH
    file = user_cache("engines") / f"{_digest(able)}.json"
    seconds, when = _remembered(file, able), "as measured here before"
    if not seconds:
        log.info("features.%s.engine=auto: measuring %s", feature, ", ".join(able))
        seconds, when = _measured(feature, settings, list(able)), "measured now"
        _remember(file, seconds)
    found = choice(seconds)
    listed = ", ".join(f"{name} {1000 * spent / settings.batch_size:.3g}" for name, spent in seconds.items())
    log.info("features.%s.engine=auto: %s (processor ms a picture: %s; %s)", feature, found, listed, when)
    return found


def choice(seconds: Mapping[str, float]) -> str:
    """The fastest engine, but torch where that gains less than `LEAST_GAIN` over it.

    seconds: processor seconds of a batch, by engine.
    """
    best = min(seconds, key=lambda name: seconds[name])
    return TORCH if TORCH in seconds and seconds[TORCH] < LEAST_GAIN * seconds[best] else best


def _identity(feature: str, settings: ComputeSettings, name: str) -> Mapping[str, object] | None:
    """What decides how fast an engine is; None where it cannot compute the feature. Of torch, UsageError instead."""
    extractor = make_extractor(feature, settings.model_copy(update={"engine": name}))
    if name != TORCH and engine(name).missing():
        return None
    try:
        return {**extractor.identity(), "engine": f"{name} {version(name)}"}
    except UsageError:
        if name == TORCH:
            raise
        return None


def _digest(able: Mapping[str, Mapping[str, object]]) -> str:
    """Of the engines and what they compute, on this processor."""
    about = {"engines": dict(able), "processor": processor_name(), "system": platform.platform()}
    return sha256(canonical_json(about).encode()).hexdigest()[:32]


def _remembered(file: Path, able: Mapping[str, object]) -> dict[str, float]:
    """Empty where nothing, or something else, was kept, or where it cannot be read."""
    try:
        kept = read_json_if_whole(file)
    except OSError as error:
        log.debug("%s", error)  # `_remember` says it, once the engines are measured
        return {}
    whole = isinstance(kept, dict) and kept.keys() <= able.keys()
    return kept if whole and all(isinstance(value, float) and value > 0 for value in kept.values()) else {}


def _remember(file: Path, seconds: Mapping[str, float]) -> None:
    try:
        publish_json(file, dict(seconds))
    except (OSError, MachineError) as error:  # the cache only saves time
        log.warning("note: %s Engines are measured again next time (XDG_CACHE_HOME).", error)


def _measured(feature: str, settings: ComputeSettings, names: list[str]) -> dict[str, float]:
    """Processor seconds of a batch, by engine. One that fails where it is tried is left out."""
    asked = {"feature": feature, "settings": settings.model_dump(mode="json"), "engines": names}
    command = module_command("m3h.pipeline.extractors.computing.trial", json.dumps(asked))
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"
        raise UsageError(f"features.{feature}.engine=auto: measuring failed ({said}). Set engine={TORCH}.")
    seconds: dict[str, float] = json.loads(done.stdout.strip().rpartition("\n")[2])
    return seconds
