"""Every point of a grid over configuration fields, trained and ranked by validation. Test is not read."""

import csv
import io
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.config import Config, resolve_config
from model.experiment import train_all
from model.train import Progress
from schemas.dataset import Dataset
from schemas.errors import UsageError
from schemas.files import publish_json, publish_text

COLUMNS = ("f1@1", "f1@3", "map@5")
Point = dict[str, str]
"""Field -> value as written, such as {"heads": "4", "text_layers": "2"}."""


def points(grid: str) -> list[Point]:
    """Of `heads=2,4 text_layers=1,2`: every combination, the last field changing fastest. Commas in [] do not part."""
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


def configs_of(grid: str, out: Path, file: Path | None, sets: Sequence[str], **fields: Any) -> dict[Path, Config]:
    """Run folder -> configuration of every point."""
    return {
        out / ",".join(f"{field}={value}" for field, value in point.items()): resolve_config(
            file, [*sets, *(f"{field}={value}" for field, value in point.items())], **fields
        )
        for point in points(grid)
    }


def sweep(configs: dict[Path, Config], out: Path, dataset: Dataset, progress: Progress) -> list[dict[str, Any]]:
    """Train what is not trained yet; the points, best first by validation F1@1, also in sweep.json and sweep.csv."""
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
