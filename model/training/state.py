"""What a trainer counts: sums over a pass, the line of an epoch, and the state of a run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from m3h.model.training.loss import Loss


@dataclass(frozen=True)
class Means:
    """Mean losses of a pass. joint: per pair. generate: per word. classify: per pair with a known label."""

    joint: float
    generate: float
    classify: float


@dataclass(frozen=True)
class Sums:
    """Losses summed over batches. joint: Eq. (12) summed over pairs. The others are as in `Loss`."""

    joint: float = 0.0
    generate: float = 0.0
    words: float = 0
    classify: float = 0.0
    labels: float = 0
    pairs: float = 0

    @classmethod
    def of(cls, loss: Loss) -> "Sums":
        """The sums of one batch."""
        joint = float(loss.joint.detach()) * loss.pairs
        return cls(joint, loss.generate, loss.words, loss.classify, loss.labels, loss.pairs)

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(a + b for a, b in zip(self.values(), other.values(), strict=True)))

    def values(self) -> list[float]:
        """The values in the order of the fields."""
        return list(asdict(self).values())

    def means(self) -> Means:
        """The means; zero where nothing was counted."""
        joint, generate = self.joint / max(1, self.pairs), self.generate / max(1, self.words)
        return Means(joint, generate, self.classify / max(1, self.labels))


@dataclass(frozen=True)
class Epoch:
    """The line of an epoch in log.jsonl.

    step: steps of the run so far. f1: F1@1 (definition cmkp) of the selection posts, None with
    `select_on=loss`. seconds: of training alone.
    """

    epoch: int
    step: int
    aggregate: bool
    learning_rate: float
    train: Means
    valid: Means
    f1: float | None
    pairs_per_second: float
    seconds: float
    best: bool

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> "Epoch":
        """Inverse of `as_json`."""
        return cls(**{**line, "train": Means(**line["train"]), "valid": Means(**line["valid"])})

    def as_text(self) -> str:
        """A line for people, which fits into 80 columns."""
        phase = ", aggregating" if self.aggregate else ""
        f1 = "" if self.f1 is None else f"F1@1 (cmkp) {self.f1:.4f}, "
        return (
            f"epoch {self.epoch}{phase}: loss {self.train.joint:.3f}, valid {self.valid.joint:.3f}, "
            f"{f1}{self.pairs_per_second:.0f}/s{' *' if self.best else ''}"
        )


@dataclass
class State:
    """The state of a run, as a checkpoint stores it.

    epoch: the current one, or the next one between two. step: steps done in it. steps: steps of the run. sums: of this
    epoch so far. recent: since the last line of the log. best_epoch: 0 before there is one. selection_score: of the
    best epoch; higher is better. lowest_loss: the lowest validation loss so far. log_bytes: size of the log. epochs:
    the finished epochs.
    """

    epoch: int = 1
    step: int = 0
    steps: int = 0
    sums: Sums = Sums()
    recent: Sums = Sums()
    seconds: float = 0.0
    learning_rate: float = 0.0
    best_epoch: int = 0
    selection_score: float | None = None
    lowest_loss: float | None = None
    log_bytes: int = 0
    epochs: list[Epoch] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "State":
        """Inverse of `as_json`."""
        sums = {name: Sums(**values[name]) for name in ("sums", "recent")}
        return cls(**{**values, **sums, "epochs": [Epoch.from_json(line) for line in values["epochs"]]})

    def begin(self, epoch: int) -> None:
        """Start an epoch."""
        self.epoch, self.step, self.sums, self.recent, self.seconds = epoch, 0, Sums(), Sums(), 0.0

    def reset_best(self) -> None:
        """Let the next epoch be the best one, whatever its score."""
        self.best_epoch, self.selection_score, self.lowest_loss = 0, None, None
