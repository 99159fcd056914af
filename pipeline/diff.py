"""`diff`: how far a feature's rows moved between two of its versions, shard by shard, so that memory stays bounded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.earlier import shard_rows
from schemas.dataset import Dataset
from schemas.errors import UsageError
from schemas.features import Row


@dataclass(frozen=True)
class Diff:
    """Two versions of one feature. only_old, only_new: pictures with a row in one of them alone.

    columns: for each array of a tensor feature `max_abs` and `mean_abs` over all values, and `relative_l2`, the norm of
    the difference divided by the old row's (the new one's where that is 0), as mean, p50, p95 and max over pictures;
    `changed` where shapes differ. For each column of a table `equal`, the share of pictures where it is the same, and
    for lists of words `jaccard`, the mean over pictures of shared words divided by all words (1 where there are none).
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
        """For people: a column a line."""
        lines = [
            f"{self.feature} {self.old} -> {self.new}: {self.both} pictures in both, "
            f"{self.only_old} only in the old, {self.only_new} only in the new"
        ]
        for name, found in self.columns.items():
            lines.append(f"  {name}: " + ", ".join(_told(key, value) for key, value in found.items()))
        return "\n".join(lines)


def _told(key: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{key} " + " ".join(f"{name} {number:.4g}" for name, number in value.items())
    return f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"


def diff(data: Dataset, feature: str, old: str, new: str) -> Diff:
    """Compare two versions by their whole fingerprints. IntegrityError where one of their files was changed."""
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
    """The version that was current before, and the current one. UsageError where there is but one."""
    data.fingerprint(feature)  # refuses a feature it has not
    history = data.manifest.features[feature]["history"]
    if len(history) < 2:
        raise UsageError(f"{feature}: expected two versions to compare, the dataset has {history[0]} alone.")
    return history[1], history[0]


def _rows(data: Dataset, feature: str, version: str) -> Iterator[tuple[str, Row]]:
    """(image, row), sorted by image: shards divide the sorted images."""
    for name in data.manifest.features[feature]["versions"][version]["shards"]:
        yield from sorted(shard_rows(data.checked(name)).items())


def _paired(old: Iterator[tuple[str, Row]], new: Iterator[tuple[str, Row]]) -> Iterator[tuple[Row | None, Row | None]]:
    """The rows of each image in both; None where it has none."""
    a, b = next(old, None), next(new, None)
    while a or b:
        first = min(pair[0] for pair in (a, b) if pair)
        mine = a[1] if a and a[0] == first else None
        theirs = b[1] if b and b[0] == first else None
        yield mine, theirs
        a = a if mine is None else next(old, None)
        b = b if theirs is None else next(new, None)


@dataclass
class Arrays:
    """What became of one array."""

    max_abs: float = 0.0
    total_abs: float = 0.0
    values: int = 0
    relative: list[float] = field(default_factory=list)
    shapes: set[tuple[Any, Any]] = field(default_factory=set)

    def add(self, old: Any, new: Any) -> None:
        """One picture's."""
        if np.shape(old) != np.shape(new) or old is None or new is None:
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
        """Over all pictures."""
        found: dict[str, Any] = {}
        if self.shapes:
            found["changed"] = "; ".join(f"{old} -> {new}" for old, new in sorted(self.shapes))
        if self.relative:
            of = np.array(self.relative)
            found |= {"max_abs": self.max_abs, "mean_abs": self.total_abs / max(1, self.values)}
            found["relative_l2"] = {
                "mean": float(of.mean()), "p50": float(np.percentile(of, 50)),
                "p95": float(np.percentile(of, 95)), "max": float(of.max()),
            }  # fmt: skip
        return found


def _shape(array: Any) -> str:
    return "none" if array is None else str(np.shape(array))


@dataclass
class Values:
    """What became of one column of a table."""

    rows: int = 0
    equal: int = 0
    words: bool = True
    overlap: float = 0.0

    def add(self, old: Any, new: Any) -> None:
        """One picture's."""
        self.rows += 1
        self.equal += old == new
        self.words = self.words and _is_words(old) and _is_words(new)
        if self.words:
            either = {*old, *new}
            self.overlap += len({*old} & {*new}) / len(either) if either else 1.0

    def summary(self) -> dict[str, Any]:
        """Over all pictures."""
        found = {"equal": self.equal / self.rows}
        return {**found, "jaccard": self.overlap / self.rows} if self.words else found


def _is_words(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(one, str) for one in value)
