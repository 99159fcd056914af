"""Draws the training curves: the losses, and the validation metrics beside those of the most frequent attributes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from m3h.pipeline.attributes.metrics import EpochRecord, Metrics
from m3h.schemas.files import publish


def draw(path: Path, epochs: Sequence[EpochRecord], baseline: Metrics, *, best_epoch: int) -> bool:
    """Draw the curves. Without matplotlib nothing is written and the result is False.

    Args:
        path: the PNG file to write.
        epochs: `Fit.epochs`.
        baseline: map and recall_at_5 of the most frequent attributes.
        best_epoch: the epoch whose head is kept, from 1.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    losses, metrics = figure.subplots(1, 2)
    number = [epoch["epoch"] for epoch in epochs]
    loss_labels: dict[Literal["train_loss", "valid_loss"], str] = {"train_loss": "training", "valid_loss": "validation"}
    for loss, label in loss_labels.items():
        losses.plot(number, [epoch[loss] for epoch in epochs], marker=".", label=label)
    losses.set_ylabel("binary cross-entropy per picture")
    metric_labels: dict[Literal["map", "recall_at_5"], str] = {"map": "mAP", "recall_at_5": "recall@5"}
    for i, (metric, label) in enumerate(metric_labels.items()):
        metrics.plot(number, [epoch[metric] for epoch in epochs], marker=".", color=f"C{i}", label=label)
        metrics.axhline(baseline[metric], color=f"C{i}", linestyle=":", label=f"{label}, most frequent")
    metrics.axvline(best_epoch, color="grey", linewidth=0.8, label="kept")
    metrics.set_ylabel("validation")
    metrics.set_ylim(0, 1)
    for axis in (losses, metrics):
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend()
    publish(path, lambda temp: figure.savefig(temp, format="png", dpi=120, metadata={"Software": None}))
    return True
