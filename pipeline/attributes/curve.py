"""A picture of how a fit went: losses, and validation figures beside those of the most frequent attributes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from schemas.files import publish


def draw(path: Path, epochs: Sequence[Mapping[str, Any]], baseline: Mapping[str, float], best_epoch: int) -> bool:
    """Write a PNG. False, and nothing is written, where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    losses, figures = figure.subplots(1, 2)
    number = [epoch["epoch"] for epoch in epochs]
    for name, label in (("train_loss", "training"), ("valid_loss", "validation")):
        losses.plot(number, [epoch[name] for epoch in epochs], marker=".", label=label)
    losses.set_ylabel("binary cross-entropy a picture")
    for name, label, colour in (("map", "mAP", "C0"), ("recall_at_5", "recall@5", "C1")):
        figures.plot(number, [epoch[name] for epoch in epochs], marker=".", color=colour, label=label)
        figures.axhline(baseline[name], color=colour, linestyle=":", label=f"{label}, most frequent")
    figures.axvline(best_epoch, color="grey", linewidth=0.8, label="kept")
    figures.set_ylabel("validation")
    figures.set_ylim(0, 1)
    for axis in (losses, figures):
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend()
    publish(path, lambda temp: figure.savefig(temp, format="png", dpi=120, metadata={"Software": None}))
    return True
