"""`plan`: what a refresh would do again, why, for how many pictures, and roughly how long. It writes and loads nothing.

Each feature's current version says what it was computed by; its extractor says what it would be computed by now.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.config import BuildConfig
from pipeline.earlier import Earlier, earlier_feature
from pipeline.extractors import EXTRACTORS, extractor_class
from pipeline.extractors.base import Extractor
from pipeline.publish import stored_images
from pipeline.speeds import read_speeds, seconds_for
from pipeline.text import text_identity
from pipeline.versions import is_imported
from schemas.config import as_plain, merged, read_yaml, resolve
from schemas.dataset import Dataset
from schemas.errors import UsageError
from schemas.features import canonical_json, fingerprint
from schemas.files import read_json, told_of
from schemas.manifest import Manifest, rules_of

STANDS, REDO, NEW, BLOCKED, IMPORTED = "stands", "redo", "new", "blocked", "imported"


@dataclass(frozen=True)
class Change:
    """A part of a fingerprint that differs. part: dotted path; old, new: None where there is none."""

    part: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Step:
    """What becomes of one feature. state: stands, redo, new, blocked, imported.

    old, new: fingerprints, "" where there is none. rows: pictures to compute, of `images`; all others' rows are there.
    seconds: of one process, None where nobody knows. why: what blocks it, or what else is to be said.
    """

    feature: str
    state: str
    old: str = ""
    new: str = ""
    changes: tuple[Change, ...] = ()
    rows: int = 0
    images: int = 0
    seconds: float | None = 0.0
    why: str = ""
    extractor: Extractor | None = field(default=None, compare=False)

    @property
    def works(self) -> bool:
        """Whether a refresh does anything."""
        return self.state in (REDO, NEW)

    def summary(self) -> dict[str, Any]:
        """For the line of `--json`."""
        changes = [{"part": change.part, "from": change.old, "to": change.new} for change in self.changes]
        return {
            "state": self.state, "from": self.old, "to": self.new, "changes": changes, "why": self.why,
            "rows": self.rows, "images": self.images,
            "seconds": None if self.seconds is None else round(self.seconds, 1),
        }  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """known: the dataset as it is. config: it as it will be. notes: what a refresh leaves as it is, and why."""

    known: Manifest
    config: BuildConfig
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()

    @property
    def works(self) -> tuple[Step, ...]:
        """The steps that compute anything, or make another version current."""
        return tuple(step for step in self.steps if step.works)

    def seconds(self, workers: int) -> float | None:
        """Of all steps with so many processes; None where one of them is unknown."""
        known = [step.seconds for step in self.works if step.seconds is not None]
        return sum(known) / workers if len(known) == len(self.works) else None

    def summary(self, workers: int) -> dict[str, Any]:
        """The line of `--json`. The whole estimate is for `workers` processes, a step's for one."""
        seconds = self.seconds(workers)
        return {
            "features": {step.feature: step.summary() for step in self.steps},
            "redo": [step.feature for step in self.works],
            "seconds": None if seconds is None else round(seconds, 1),
            "notes": list(self.notes),
        }


def plan(dataset: Path, names: Sequence[str] = (), config: Path | None = None, sets: Sequence[str] = ()) -> Plan:
    """Compare what a dataset's features were computed by with what they would be computed by now.

    names: features to look at, also ones it has not yet; none for all it has. config, sets: over its own configuration.
    UsageError where they change anything but features, or name an unknown one.
    """
    data = Dataset(dataset)
    known = data.manifest
    chosen = list(dict.fromkeys(names)) or sorted(known.features)
    settings = _settings(dataset, known, config, sets)
    images = stored_images(dataset)
    steps = tuple(_step(data, name, settings, images) for name in chosen)
    return Plan(known, settings, steps, tuple(_notes(known)))


def _settings(dataset: Path, known: Manifest, config: Path | None, sets: Sequence[str]) -> BuildConfig:
    """The dataset's configuration with what is asked otherwise now."""
    base: Mapping[str, Any] = known.config
    if config is not None:
        resolve(BuildConfig, config)  # an unknown field is said with the file's name
        base = merged(base, read_yaml(config))
    asked = resolve(BuildConfig, base, sets)
    before, after = (dict(_leaves(rules_of(plain))) for plain in (known.config, as_plain(asked)))
    if other := [path for path in after if after[path] != before.get(path, after[path])]:
        raise UsageError(
            f"{other[0]}: {dataset} was built with {before[other[0]]!r}, and only features can be done again, got "
            f"{after[other[0]]!r}. Build another dataset."
        )
    return asked


def _step(data: Dataset, name: str, config: BuildConfig, images: Sequence[str]) -> Step:
    known = data.manifest.features.get(name)
    old = known["current"] if known else ""
    if known and is_imported(known):
        return Step(
            name, IMPORTED, old, old, why="it came with the dataset's source; there is nothing to compute it of"
        )
    if known and name not in EXTRACTORS:
        return Step(name, BLOCKED, old, why="no extractor of that name is installed here")
    kind = extractor_class(name)
    if not images and not known:
        return Step(name, BLOCKED, why="the dataset holds no pictures to compute it of")
    try:
        extractor = kind(getattr(config.features, name))
        parts = extractor.fingerprint_parts()
    except UsageError as error:
        return Step(name, BLOCKED, old, why=str(error).removeprefix(f"feature {name}: ").rstrip("."))
    new = fingerprint(extractor.spec, parts)
    earlier = earlier_feature(data.manifest, name, new, frozenset())
    rows = earlier.unknown(data.folder, images)
    if old == new and all(earlier.wants_again(data.folder, [image]) for image in rows):
        return Step(name, STANDS, old, new, images=len(images))
    seconds = seconds_for(read_speeds(data.folder), name, new, len(rows))
    changes = tuple(_changes(_described(data, name, old), {"spec": extractor.spec.as_json(), **parts})) if old else ()
    return Step(
        name, REDO if old else NEW, old, new, changes, len(rows), len(images), seconds,
        _why(old, new, earlier, len(rows)), extractor,
    )  # fmt: skip


def _why(old: str, new: str, earlier: Earlier, rows: int) -> str:
    if not old:
        return "the dataset has not this feature yet"
    if old == new:
        return f"{rows} pictures came to the dataset while another version was current"
    return "it was computed before" if earlier.shards else ""


def _described(data: Dataset, name: str, version: str) -> dict[str, Any]:
    """What a version's fingerprint stands for."""
    with told_of(data.checked(f"features/{name}/{version}/feature.json")) as path:
        described = read_json(path)
        return {"spec": described["spec"], **described["parts"]}


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before, after = (dict(_leaves(json.loads(canonical_json(parts)))) for parts in (old, new))
    for part in sorted({*before, *after}):
        if before.get(part) != after.get(part):
            yield Change(part, before.get(part), after.get(part))


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted path, value) of all that is no further mapping."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _notes(known: Manifest) -> Iterator[str]:
    """Posts are read by rules of their own, which no refresh changes."""
    try:
        now = text_identity(BuildConfig.model_validate(known.config).text)
    except UsageError as error:
        yield f"posts: whether they would be read as they were is not known ({error})"
        return
    for change in _changes(known.text, now):
        yield (
            f"posts: text.{change.part} was {change.old} and is {change.new} now; they stay as they are, and only "
            "a build into another folder reads them anew"
        )


def told(plan: Plan, workers: int) -> str:
    """For people: a paragraph a feature, and the whole estimate."""
    lines: list[str] = []
    for step in plan.steps:
        lines += _told_step(step, workers)
    lines += plan.notes
    if plan.works:
        lines.append(f"to do: {len(plan.works)} of {len(plan.steps)} features, {duration(plan.seconds(workers))}")
    else:
        lines.append("nothing to do")
    return "\n".join(lines)


def _told_step(step: Step, workers: int) -> Iterator[str]:
    if not step.works:
        yield f"{step.feature}: {step.state}" + (f" ({step.why})" if step.why else f" ({step.old})")
        return
    took = duration(None if step.seconds is None else step.seconds / workers)
    yield f"{step.feature}: {step.state}, {step.rows} of {step.images} pictures, {took}"
    yield f"  {step.old or '(none)'} -> {step.new}" + (f" ({step.why})" if step.why else "")
    for change in step.changes:
        yield f"  {change.part}: {_shortly(change.old)} -> {_shortly(change.new)}"


_LONGEST = 48
_HEX = re.compile(r"[0-9a-f]{40,}")


def _shortly(value: Any) -> str:
    """A value on one line: digests by their beginning, long lists cut."""
    if value is None:
        return "(none)"
    text = _HEX.sub(lambda found: found[0][:12], value if isinstance(value, str) else canonical_json(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def duration(seconds: float | None) -> str:
    """Roughly: in seconds, minutes or hours."""
    if seconds is None:
        return "time not known yet"
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"about {seconds / size:.0f} {unit}"
    return f"about {seconds:.0f} s"
