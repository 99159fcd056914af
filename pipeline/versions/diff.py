"""`diff`: how far a feature's rows changed from one of its versions to another. It reads one shard at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from m3h.pipeline.engine.known_rows import shard_rows
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.features import Row


@dataclass(frozen=True)
class Diff:
    """Two versions of one feature, compared.

    old, new: their fingerprints. both: pictures with a row in both versions. only_old, only_new: pictures with a row in
    only one of them.

    columns: the figures of each column. Each array of a tensor feature has `max_abs` and `mean_abs` over all values. It
    has `relative_l2`: the norm of the difference divided by the norm of the old row (of the new row if that is 0), as
    mean, p50, p95 and max over pictures. It has `changed` where shapes differ. Each column of a table has `equal`,
    the share of pictures where it is the same. A column of word lists also has `jaccard`: the number of shared words
    divided by the number of all words (1 if there are none), as mean over pictures.
    """

    feature: str
    old: str
    new: str
    both: int
    only_old: int
    only_new: int
    columns: Mapping[str, Mapping[str, Any]]

    def summary(self) -> dict[str, Any]:
        """The line of `--json`."""
        return vars(self)

    def text(self) -> str:
        """For people: one line for each column."""
        lines = [
            f"{self.feature} {self.old} -> {self.new}: {self.both} pictures in both, "
            f"{self.only_old} only in the old, {self.only_new} only in the new"
        ]
        for name, found in self.columns.items():
            lines.append(f"  {name}: " + ", ".join(_format_difference(key, value) for key, value in found.items()))
        return "\n".join(lines)


def _format_difference(key: str, value: object) -> str:
    if isinstance(value, Mapping):
        return f"{key} " + " ".join(f"{name} {number:.4g}" for name, number in value.items())
    return f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"


def diff(data: Dataset, feature: str, old: str, *, new: str) -> Diff:
    """Compare two versions of a feature.

    Args:
        data: the dataset.
        feature: the feature's name.
        old: the whole fingerprint of one version.
        new: the whole fingerprint of the other version.

    Returns:
        The figures of every column.

    Raises:
        IntegrityError: one of their files was changed.
    """
    columns: dict[str, Arrays | Values] = {}
    counts = {"both": 0, "only_old": 0, "only_new": 0}
    for before, after in _paired(_rows(data, feature, old), _rows(data, feature, new)):
        if before is None or after is None:
            counts["only_new" if before is None else "only_old"] += 1
            continue
        counts["both"] += 1
        for name in {**before, **after}:
            tensor = isinstance(before.get(name, after.get(name)), (np.ndarray, np.generic))
            column = columns.setdefault(name, Arrays() if tensor else Values())
            column.add(before.get(name), after.get(name))
    return Diff(feature, old, new, **counts, columns={name: column.summary() for name, column in columns.items()})


def two_versions(data: Dataset, feature: str) -> tuple[str, str]:
    """The version that was current before, and the current one. UsageError if there is only one."""
    data.fingerprint(feature)  # refuses a feature that the dataset lacks
    history = data.manifest.features[feature].history
    if len(history) < 2:
        raise UsageError(f"{feature}: expected two versions to compare, the dataset has only {history[0]}.")
    return history[1], history[0]


def _rows(data: Dataset, feature: str, version: str) -> Iterator[tuple[str, Row]]:
    """(image, row), sorted by image: shards divide the sorted images."""
    for name in data.manifest.features[feature].versions[version].shards:
        yield from sorted(data.read(name, shard_rows).items())


def _paired(old: Iterator[tuple[str, Row]], new: Iterator[tuple[str, Row]]) -> Iterator[tuple[Row | None, Row | None]]:
    """The old and the new row of each image; None in the place of a row that is missing."""
    old_item, new_item = next(old, None), next(new, None)
    while old_item or new_item:
        image = min(item[0] for item in (old_item, new_item) if item)
        old_row = old_item[1] if old_item and old_item[0] == image else None
        new_row = new_item[1] if new_item and new_item[0] == image else None
        yield old_row, new_row
        old_item = old_item if old_row is None else next(old, None)
        new_item = new_item if new_row is None else next(new, None)


@dataclass
class Arrays:
    """The differences of one array, added up over pictures."""

    max_abs: float = 0.0
    total_abs: float = 0.0
    values: int = 0
    relative: list[float] = field(default_factory=list)
    shapes: set[tuple[str, str]] = field(default_factory=set)

    def add(self, old: npt.ArrayLike | None, new: npt.ArrayLike | None) -> None:
        """Add the old and the new array of one picture; None if a version lacks it."""
        if old is None or new is None or np.shape(old) != np.shape(new):
            self.shapes.add((_shape(old), _shape(new)))
            return
        before, after = np.asarray(old, np.float64), np.asarray(new, np.float64)
        moved = np.abs(after - before)
        self.max_abs = max(self.max_abs, float(moved.max(initial=0.0)))
        self.total_abs += float(moved.sum())
        self.values += moved.size
        length = float(np.linalg.norm(before) or np.linalg.norm(after) or 1.0)
        self.relative.append(float(np.linalg.norm(moved)) / length)

    def summary(self) -> dict[str, Any]:
        """The figures over all pictures."""
        found: dict[str, Any] = {}
        if self.shapes:
            found["changed"] = "; ".join(f"{old} -> {new}" for old, new in sorted(self.shapes))
        if self.relative:
            relative = np.array(self.relative)
            found |= {"max_abs": self.max_abs, "mean_abs": self.total_abs / max(1, self.values)}
            found["relative_l2"] = {
                "mean": float(relative.mean()), "p50": float(np.percentile(relative, 50)),
                "p95": float(np.percentile(relative, 95)), "max": float(relative.max()),
            }  # fmt: skip
        return found


def _shape(array: npt.ArrayLike | None) -> str:
    return "none" if array is None else str(np.shape(array))


@dataclass
class Values:
    """The differences of one column of a table, added up over pictures."""

    rows: int = 0
    equal: int = 0
    words: bool = True
    overlap: float = 0.0

    def add(self, old: object, new: object) -> None:
        """Add the old and the new value of one picture."""
        self.rows += 1
        self.equal += old == new
        if self.words and _is_words(old) and _is_words(new):
            all_words = {*old, *new}
            self.overlap += len({*old} & {*new}) / len(all_words) if all_words else 1.0
        else:
            self.words = False

    def summary(self) -> dict[str, Any]:
        """The figures over all pictures."""
        found = {"equal": self.equal / self.rows}
        return {**found, "jaccard": self.overlap / self.rows} if self.words else found


def _is_words(value: object) -> TypeGuard[Sequence[str]]:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(word, str) for word in value)
