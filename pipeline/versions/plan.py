"""`plan`: which features a refresh would compute, why, for how many pictures, and roughly how long it would take.

It writes nothing and loads no model. Each feature's current version states what it was computed by. The feature's
extractor states what it would be computed by now.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from m3h.pipeline.config import BuildConfig, config_of, configured_extractor, with_engines
from m3h.pipeline.dataset.remembered import fields_of, refuse_unnamed_files
from m3h.pipeline.dataset.stored_pictures import stored_images
from m3h.pipeline.dataset.timings import read_timings, seconds_for
from m3h.pipeline.engine.known_rows import KnownRows, read_known_rows
from m3h.pipeline.extractors import extractor_class, known_extractors
from m3h.pipeline.extractors.base import Extractor
from m3h.pipeline.progress.monitor import tracked
from m3h.pipeline.text.tokenizer import text_identity
from m3h.schemas.config import as_plain, merged, read_yaml, resolve
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.feature_versions import FeatureVersions
from m3h.schemas.features import canonical_json, fingerprint
from m3h.schemas.files import read_json, validating
from m3h.schemas.manifest import Manifest, rules_of

STANDS, REDO, NEW, BLOCKED, IMPORTED = "stands", "redo", "new", "blocked", "imported"


@dataclass(frozen=True)
class Change:
    """A part of a fingerprint that differs. part: its dotted path. old, new: its values, None if it has none."""

    part: str
    old: object
    new: object


@dataclass(frozen=True)
class Step:
    """What a refresh would do with one feature.

    state: stands, redo, new, blocked or imported. old, new: its fingerprints before and after, "" if there is none.
    changes: the parts of the fingerprint that differ. images: how many pictures the posts show. rows: how many of them
    have no row yet. seconds: what one process takes for these, None if not known. why: what blocks the feature, or what
    else a reader should know. extractor: what computes it.
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
        """Whether a refresh would do anything for this feature."""
        return self.state in (REDO, NEW)

    def summary(self) -> dict[str, Any]:
        """This feature's part of the line of `--json`."""
        changes = [{"part": change.part, "from": change.old, "to": change.new} for change in self.changes]
        return {
            "state": self.state, "from": self.old, "to": self.new, "changes": changes, "why": self.why,
            "rows": self.rows, "images": self.images,
            "seconds": None if self.seconds is None else round(self.seconds, 1),
        }  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What a refresh would do.

    known: the dataset's manifest. config: its configuration with the changes that were asked for. steps: one for each
    feature. notes: what a refresh does not change, and why.
    """

    known: Manifest
    config: BuildConfig
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()

    @property
    def works(self) -> tuple[Step, ...]:
        """The steps that compute rows or make another version current."""
        return tuple(step for step in self.steps if step.works)

    def seconds(self, workers: int) -> float | None:
        """How long all steps take with so many processes; None if the time of one of them is not known.

        Features that share a network's passes take as long as the longest of them.
        """
        longest: dict[str, float] = {}
        for step in self.works:
            if step.seconds is None:
                return None
            passes = (step.extractor and step.extractor.shared_network) or step.feature
            longest[passes] = max(step.seconds, longest.get(passes, 0.0))
        return sum(longest.values()) / workers

    def summary(self, workers: int) -> dict[str, Any]:
        """The line of `--json`. The whole estimate is for `workers` processes, a step's for one."""
        seconds = self.seconds(workers)
        return {
            "features": {step.feature: step.summary() for step in self.steps},
            "redo": [step.feature for step in self.works],
            "seconds": None if seconds is None else round(seconds, 1),
            "notes": list(self.notes),
        }


def plan(dataset: Path, names: Sequence[str] = (), config: Path | None = None, *, sets: Sequence[str] = ()) -> Plan:
    """Compare what a dataset's features were computed by with what they would be computed by now.

    Args:
        dataset: the dataset's folder.
        names: the features to compare; they may be new to the dataset. If empty, all features of the dataset.
        config: a YAML file whose fields replace those of the dataset's configuration.
        sets: `FIELD=VALUE`, over both.

    Returns:
        One step for each feature.

    Raises:
        UsageError: the configuration changes anything but features, or a feature is not known.
    """
    data = Dataset(dataset)
    known = data.manifest
    chosen = list(dict.fromkeys(names)) or sorted(known.features)
    settings = with_engines(_settings(dataset, known, config, sets=sets), chosen, known)
    given = fields_of(sets, read_yaml(config) if config else {})
    refuse_unnamed_files(dataset, known.config, as_plain(settings), features=chosen, named=given)
    images = list(stored_images(dataset))
    shown = tracked("features", chosen, alike=False)  # to name a version, libraries and weights are looked at
    steps = tuple(_step(data, name, settings, images=images) for name in shown)
    return Plan(known, settings, steps, tuple(_notes(known)))


def _settings(dataset: Path, known: Manifest, config: Path | None, *, sets: Sequence[str]) -> BuildConfig:
    """The dataset's configuration with the changes that are asked for."""
    base: Mapping[str, Any] = known.config
    if config is not None:
        resolve(BuildConfig, config)  # so that the error for an unknown field names the file
        base = merged(base, read_yaml(config))
    asked = config_of(base, sets)
    before, after = (dict(_leaves(rules_of(plain))) for plain in (known.config, as_plain(asked)))
    if refused := [path for path in after if after[path] != before.get(path, after[path])]:
        path = refused[0]
        raise UsageError(
            f"{path}: {dataset} was built with {before[path]!r}, and only features can be computed again, got "
            f"{after[path]!r}. Build another dataset."
        )
    return asked


def _step(data: Dataset, name: str, config: BuildConfig, *, images: Sequence[str]) -> Step:
    known = data.manifest.features.get(name)
    old = known.current if known else ""
    if known and known.is_imported:
        return Step(
            name, IMPORTED, old, old, why="it came with the dataset's source; there is nothing to compute it from"
        )
    if known and name not in known_extractors():
        return Step(name, BLOCKED, old, why=f"no extractor of that name is installed here{_computed_by(known)}")
    if name not in known_extractors():
        extractor_class(name)  # raises, and suggests the nearest name
    if not images and not known:
        return Step(name, BLOCKED, why="the dataset holds no pictures to compute it from")
    try:
        extractor = configured_extractor(name, config)
        parts = extractor.identity()
    except UsageError as error:
        return Step(name, BLOCKED, old, why=str(error).removeprefix(f"feature {name}: ").rstrip("."))
    new = fingerprint(extractor.spec, parts)
    earlier = read_known_rows(data.manifest, name, new)
    rows = earlier.unknown(data.folder, images)
    if old == new and all(earlier.needs_retry(data.folder, [image]) for image in rows):
        return Step(name, STANDS, old, new, images=len(images))
    seconds = seconds_for(read_timings(data.folder), name, new, images=len(rows))
    changes = (
        tuple(changed_parts(_described(data, name, old), {"spec": extractor.spec.as_json(), **parts})) if old else ()
    )
    return Step(
        name, REDO if old else NEW, old, new, changes, len(rows), len(images), seconds,
        _why(earlier, old == new, len(rows)) if old else "the dataset does not have this feature yet", extractor,
    )  # fmt: skip


def _computed_by(known: FeatureVersions) -> str:
    package = known.current_version.parts.get("package")
    return f"; {package} computed it" if package else ""


def _why(earlier: KnownRows, is_same_version: bool, rows: int) -> str:
    if is_same_version:
        return f"{rows} pictures came to the dataset while another version was current"
    return "it was computed before" if earlier.shards else ""


def _described(data: Dataset, name: str, version: str) -> dict[str, Any]:
    """The parts that a version's fingerprint is made of."""
    with validating(data.checked(f"features/{name}/{version}/feature.json")) as path:
        described = read_json(path)
        return {"spec": described["spec"], **described["parts"]}


def changed_parts(old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[Change]:
    """Every value that is not the same in two trees of JSON, such as the parts of two fingerprints."""
    before, after = (dict(_leaves(json.loads(canonical_json(parts)))) for parts in (old, new))
    for part in sorted({*before, *after}):
        if before.get(part) != after.get(part):
            yield Change(part, before.get(part), after.get(part))


def _leaves(tree: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """(dotted path, value) of every value that is not itself a mapping."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _notes(known: Manifest) -> Iterator[str]:
    """What has changed about the reading of posts, which no refresh does again."""
    try:
        now = text_identity(config_of(known.config).text)
    except UsageError as error:
        yield f"posts: it is not known whether they would be read in the same way now ({error})"
        return
    for change in changed_parts(known.text, now):
        yield (
            f"posts: text.{change.part} was {change.old} and is {change.new} now; they stay as they are, and only "
            "a build into another folder reads them again"
        )


def format_plan(plan: Plan, workers: int) -> str:
    """For people: some lines for each feature, and how long all of it takes with `workers` processes."""
    lines: list[str] = []
    for step in plan.steps:
        lines += _format_step(step, workers)
    lines += plan.notes
    if plan.works:
        lines.append(f"to do: {len(plan.works)} of {len(plan.steps)} features, {duration(plan.seconds(workers))}")
    else:
        lines.append("nothing to do")
    return "\n".join(lines)


def _format_step(step: Step, workers: int) -> Iterator[str]:
    if not step.works:
        yield f"{step.feature}: {step.state}" + (f" ({step.why})" if step.why else f" ({step.old})")
        return
    time = duration(None if step.seconds is None else step.seconds / workers)
    yield f"{step.feature}: {step.state}, {step.rows} of {step.images} pictures, {time}"
    yield f"  {step.old or '(none)'} -> {step.new}" + (f" ({step.why})" if step.why else "")
    for change in step.changes:
        yield f"  {change.part}: {shortly(change.old)} -> {shortly(change.new)}"


_LONGEST = 48
_HEX = re.compile(r"[0-9a-f]{40,}")


def shortly(value: object) -> str:
    """A value on one line: of a digest only the beginning, and at most `_LONGEST` characters."""
    if value is None:
        return "(none)"
    text = _HEX.sub(lambda found: found[0][:12], value if isinstance(value, str) else canonical_json(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def duration(seconds: float | None) -> str:
    """A time in words, rounded: in seconds, minutes or hours. None: not known."""
    if seconds is None:
        return "time not known yet"
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"about {seconds / size:.0f} {unit}"
    return f"about {seconds:.0f} s"
