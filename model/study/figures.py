"""Figures as PNG. matplotlib is loaded by the first figure."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from m3h.schemas.errors import UsageError
from m3h.schemas.files import publish


def pyplot() -> Any:
    """pyplot without a screen.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise UsageError("a figure needs matplotlib: pip install 'm3h[figures]'.") from error
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    return plt


def write_png(path: Path, figure: Any) -> None:
    """Write a figure as PNG, without the version of matplotlib in it."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=150, bbox_inches="tight", metadata={"Software": None})
    publish(path, lambda temp: _write(temp, data.getvalue()))
    pyplot().close(figure)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def bars(path: Path, panels: Mapping[str, Mapping[str, Mapping[str, float]]], ylabel: str, *, width: float = 6) -> None:
    """Draw one panel a group, one cluster of bars a subset, and one bar a system.

    Raises UsageError: matplotlib is not installed.

    Args:
        path: of the PNG.
        panels: group -> system -> subset -> percent.
        ylabel: label of the vertical axes.
        width: of a panel, in inches.
    """
    plt = pyplot()
    figure, axes = plt.subplots(1, len(panels), figsize=(width * len(panels), 3.5), squeeze=False)
    for axis, (group, systems) in zip(axes[0], panels.items(), strict=True):
        subsets = list(next(iter(systems.values())))
        share = 0.8 / len(systems)
        for i, (system, values) in enumerate(systems.items()):
            positions = [j + (i - (len(systems) - 1) / 2) * share for j in range(len(subsets))]
            axis.bar(positions, [values[subset] for subset in subsets], share, label=system)
        axis.set_xticks(range(len(subsets)), subsets)
        axis.set_xlabel(group)
        axis.set_ylabel(ylabel)
    axes[0][0].legend()
    write_png(path, figure)


def heatmap(path: Path, title: str, values: np.ndarray, *, rows: Sequence[str], columns: Sequence[str]) -> None:
    """Draw a labelled matrix.

    Raises UsageError: matplotlib is not installed.

    Args:
        path: of the PNG.
        title: above the matrix.
        values: (rows, columns), 0 to 1.
        rows: their labels.
        columns: their labels.
    """
    plt = pyplot()
    figure, axis = plt.subplots(figsize=(max(4, 0.35 * len(columns)), max(1.5, 0.35 * len(rows))))
    image = axis.imshow(values, cmap="viridis", aspect="auto", vmin=0)
    axis.set_xticks(range(len(columns)), columns, rotation=90)
    axis.set_yticks(range(len(rows)), rows)
    axis.set_title(title)
    figure.colorbar(image, ax=axis)
    write_png(path, figure)
