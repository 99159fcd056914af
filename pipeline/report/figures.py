"""The numbers of a report, counted in the dataset's own files. Nothing here knows how they are shown."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from itertools import combinations
from math import isfinite
from typing import Any

from m3h.pipeline.checks.table1 import statistics
from m3h.pipeline.dataset.run_history import read_runs
from m3h.pipeline.dataset.timings import read_timings
from m3h.pipeline.records.reasons import explained
from m3h.pipeline.text.dates import moment
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.shards import KEY

TOP, TOP_TOGETHER = 25, 15
"""How many of the most frequent values are listed, and how many keyphrases are compared with one another."""

SIZE_STEP = 200
"""Pixels that pictures of one bar differ by."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Figures:
    """Of one dataset. Each method gives JSON values for one part of the report."""

    data: Dataset

    @cached_property
    def posts(self) -> list[Row]:
        """The rows of the posts that the figures need."""
        names = ["split", "tokens", "keyphrases", "lang", "created_at", KEY]
        return list(self.data.posts.select(names).to_pylist())

    @cached_property
    def table1(self) -> Row:
        """What `stats` prints."""
        return statistics(self.data)

    def funnel(self) -> list[Row]:
        """How many records were left after each stage: stage, left, dropped, and the reasons with their numbers."""
        counts = self.data.manifest.counts
        left = counts["read"]
        steps = [{"stage": "read from the dumps", "left": left, "dropped": 0, "reasons": {}}]
        for stage, reasons in in_order(counts["dropped"]).items():
            left -= sum(reasons.values())
            steps.append({"stage": stage, "left": left, "dropped": sum(reasons.values()), "reasons": dict(reasons)})
        return [*steps, {"stage": "kept", "left": counts["kept"], "dropped": 0, "reasons": {}}]

    def errors(self) -> list[Row]:
        """Why records were dropped and pictures have no row of a feature, the most frequent reason first."""
        dropped = self.data.manifest.counts["dropped"]
        found = [(stage, reason, n) for stage, reasons in dropped.items() for reason, n in reasons.items()]
        for name, feature in self.data.manifest.features.items():
            found += [(f"feature:{name}", reason, n) for reason, n in feature.current_version.dropped.items()]
        ordered = sorted(found, key=lambda item: (-item[2], item[:2]))
        return [
            {"stage": stage, "reason": reason, "number": n, "means": explained(reason).means}
            for stage, reason, n in ordered
        ]

    def lengths(self) -> list[Row]:
        """How many posts of each split have how many tokens."""
        counts = Counter((post["split"], len(post["tokens"])) for post in self.posts)
        return [{"split": split, "tokens": n, "posts": posts} for (split, n), posts in sorted(counts.items())]

    @cached_property
    def _phrases(self) -> Counter[str]:
        return Counter(phrase for post in self.posts for phrase in post["keyphrases"])

    def keyphrases(self) -> list[Row]:
        """The most frequent keyphrases."""
        return _named(self._phrases, "keyphrase")

    def ranks(self) -> list[Row]:
        """The frequency of a keyphrase by its rank, thinned where ranks lie close on a logarithmic scale."""
        ordered = sorted(self._phrases.values(), reverse=True)
        shown = [rank for rank in range(1, len(ordered) + 1) if rank < 50 or rank % max(1, rank // 25) == 0]
        return [{"rank": rank, "posts": ordered[rank - 1]} for rank in shown]

    def together(self) -> list[Row]:
        """In how many posts two of the most frequent keyphrases stand together. Each pair is there both ways."""
        top = {name for name, _ in most_common(self._phrases, TOP_TOGETHER)}
        pairs = Counter(
            pair for post in self.posts for pair in combinations(sorted(top.intersection(post["keyphrases"])), 2)
        )
        found = [(a, b, n) for (a, b), n in sorted(pairs.items())]
        return [{"one": a, "other": b, "posts": n} for x, y, n in found for a, b in ((x, y), (y, x))]

    def languages(self) -> list[Row]:
        """How many posts are in which language."""
        return _named(Counter(post["lang"] or "not stated" for post in self.posts), "language")

    def months(self) -> list[Row]:
        """How many posts were written in which month (UTC); those without a date that a calendar has are left out."""
        moments = (moment(post["created_at"] or "") for post in self.posts)
        counts = Counter(datetime.fromtimestamp(m, timezone.utc).strftime("%Y-%m-01") for m in moments if isfinite(m))
        return [{"month": month, "posts": posts} for month, posts in sorted(counts.items())]

    def sizes(self) -> list[Row]:
        """How many pictures have about which width and height."""
        table = self.data.images.select(["width", "height"]).to_pylist()
        known = [(row["width"], row["height"]) for row in table if row["width"] and row["height"]]
        counts = Counter((w // SIZE_STEP * SIZE_STEP, h // SIZE_STEP * SIZE_STEP) for w, h in known)
        return [{"width": w, "height": h, "pictures": n} for (w, h), n in sorted(counts.items())]

    def words(self, readings: Mapping[str, Row]) -> Row:
        """The words in pictures: `top`, and how many pictures have how many.

        Args:
            readings: Row of the ocr feature by picture.
        """
        top = Counter(token for row in readings.values() for token in set(row["tokens"]))
        numbers = Counter(min(len(row["words"]), 100) for row in readings.values())
        return {
            "top": _named(top, "word", "pictures"),
            "numbers": [{"words": n, "pictures": pictures} for n, pictures in sorted(numbers.items())],
        }

    def features(self) -> list[Row]:
        """Every version of every feature: what it was computed with, and whether that was random."""
        return [
            {
                **{"feature": name, "fingerprint": version, "current": version == feature.current},
                **{"rows": known.rows, "weights": known.weights, "notes": list(known.notes)},
                "random": known.is_random,
            }
            for name, feature in sorted(self.data.manifest.features.items())
            for version, known in sorted(feature.versions.items())
        ]

    def speeds(self) -> list[Row]:
        """Rows a second of each stage of the last run, and pictures a second of each feature; [] where not known."""
        try:
            stages = read_runs(self.data.folder)[-1]["stages"]
            found = [{"what": stage["stage"], "rows": stage["rows"], "rate": stage["rate"]} for stage in stages]
        except (UsageError, KeyError, TypeError):  # it stays where the dataset was built
            found = []
        for name, versions in sorted(read_timings(self.data.folder).items()):
            for version, timing in sorted(versions.items()):
                rate = timing["images"] / timing["seconds"] if timing["seconds"] else None
                found.append({"what": f"{name} {version}, one process", "rows": timing["images"], "rate": rate})
        return found


STAGES = ("read", "text", "language", "image", "duplicates", "rare_hashtags", "forgotten")


def in_order(dropped: Mapping[str, Mapping[str, int]]) -> dict[str, Mapping[str, int]]:
    """The stages in the order in which records pass them."""
    known = [stage for stage in STAGES if stage in dropped]
    return {stage: dropped[stage] for stage in (*known, *sorted(set(dropped) - set(known)))}


def labels(rows: Iterable[Sequence[str]], what: str) -> list[Row]:
    """The most frequent labels of pictures, such as attributes."""
    return _named(Counter(label for row in rows for label in set(row)), what, "pictures")


def most_common(counts: Counter[str], number: int) -> list[tuple[str, int]]:
    """The most frequent values; of equally frequent ones, those that come first in the alphabet."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:number]


def _named(counts: Counter[str], what: str, of: str = "posts") -> list[Row]:
    return [{what: name, of: number} for name, number in most_common(counts, TOP)]
