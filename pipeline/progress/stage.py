"""One stage as it is shown: rows, speed, time left, losses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SPLIT = "split"
"""The stage that needs all posts at once: when it begins, every stage before it is over."""

WRITE = "write"
"""The stage through which every record goes in the end."""

NAMESPACE = "m3h"
"""Of all our counters: STAGE.rows, STAGE.copied, and STAGE.dropped.REASON."""


@dataclass(frozen=True)
class Stage:
    """One stage as it is shown.

    rows: done now; copied: known before. total: of both in the end. rate: rows a second; left: seconds; None where
    nobody knows. dropped: rows that left here, by reason.
    """

    name: str
    rows: int
    copied: int = 0
    total: int | None = None
    rate: float | None = None
    left: float | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Rows that need no more work."""
        return self.rows + self.copied

    def as_json(self) -> dict[str, Any]:
        """Fields of a JSON line."""
        return {
            "stage": self.name, "rows": self.rows, "copied": self.copied, "total": self.total,
            "rate": _rounded(self.rate), "left": _rounded(self.left), "dropped": dict(self.dropped),
        }  # fmt: skip

    def text(self) -> str:
        """A log line."""
        parts = [f"{self.name}: {self.done} of {'?' if self.total is None else self.total}"]
        parts += [f"{self.rate:.1f}/s"] if self.rate else []
        parts += [f"{self.left:.0f} s left"] if self.left else []
        return ", ".join([*parts, *([f"dropped {self.lost}: {self.reasons()}"] if self.dropped else [])])

    @property
    def lost(self) -> int:
        """Rows that left here."""
        return sum(self.dropped.values())

    def reasons(self) -> str:
        """Why rows left, the most frequent reason first."""
        ordered = sorted(self.dropped.items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(f"{reason} {n}" for reason, n in ordered)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
