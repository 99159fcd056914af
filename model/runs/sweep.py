"""Trains every point of a grid over configuration fields and ranks them by validation. The test split is not read."""

import csv
import io
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from m3h.model.config import Config, resolve_config
from m3h.model.decoding.predict import Progress
from m3h.model.runs.experiment import train_all
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.files import publish_json, publish_text

COLUMNS = ("f1@1", "f1@3", "map@5")
GridPoint = dict[str, str]
"""Field -> value as written, such as {"heads": "4", "text_layers": "2"}."""


def grid_points(grid: str) -> list[GridPoint]:
    """Every combination of `heads=2,4 text_layers=1,2`; the last field changes fastest.

    A comma inside [] belongs to the value.

    Raises:
        UsageError: the grid is not written like that.
    """
    axes: dict[str, list[str]] = {}
    for axis in grid.split():
        field, equals, values = axis.partition("=")
        if not field or not equals or not values:
            raise UsageError(f"--grid {axis}: expected FIELD=VALUE,VALUE,... such as heads=2,4.")
        if field in axes:
            raise UsageError(f"--grid {axis}: '{field}' is given twice.")
        axes[field] = re.split(r",(?![^\[]*\])", values)
    if not axes:
        raise UsageError("--grid: expected FIELD=VALUE,VALUE,... such as heads=2,4.")
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def grid_configs(grid: str, out: Path, file: Path | None, *, sets: Sequence[str], **fields: Any) -> dict[Path, Config]:
    """Run folder -> configuration of every point.

    Raises UsageError: the grid, a field or a value is wrong.

    Args:
        grid: as in `grid_points`.
        out: the folder of all runs.
        file: YAML, or None.
        sets: FIELD=VALUE of all points.
        **fields: further fields of all points; None leaves a field as it is.
    """
    return {
        out / ",".join(f"{field}={value}" for field, value in point.items()): resolve_config(
            file, [*sets, *(f"{field}={value}" for field, value in point.items())], **fields
        )
        for point in grid_points(grid)
    }


def sweep(configs: dict[Path, Config], dataset: Dataset, out: Path, *, progress: Progress) -> list[dict[str, Any]]:
    """Train the unfinished points, and return all points, best first by validation F1@1.

    The table is also written to sweep.json and sweep.csv.

    Args:
        configs: from `grid_configs`.
        dataset: a finished dataset.
        out: where the tables go.
        progress: shows the progress of an epoch.
    """
    runs = train_all(configs, dataset, progress, reads_test=False)
    rows: list[dict[str, Any]] = [
        {"point": folder.name, **{c: run["select"]["all"][c] for c in COLUMNS}, "best_epoch": run["best_epoch"]}
        for folder, run in zip(configs, runs, strict=True)
    ]
    rows.sort(key=lambda row: -row["f1@1"])
    publish_json(out / "sweep.json", rows)
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    publish_text(out / "sweep.csv", table.getvalue())
    return rows
