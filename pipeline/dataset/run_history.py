"""Summaries of the runs that made a dataset: times, speeds, slowest shards, memory, and what was reused.

`.build-summary.json` is beside the manifest and not part of the dataset. Times are never written to hashed files.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from m3h.schemas.errors import IntegrityError, UsageError
from m3h.schemas.files import publish_json, read_json, validating
from m3h.schemas.inside import file_in, has_file, refuse_strange
from m3h.schemas.manifest import Manifest
from m3h.schemas.tables import format_table

SUMMARY = ".build-summary.json"
MAX_RUNS = 20
"""Number of runs that are remembered."""


def remember_run(dataset: Path, run: Mapping[str, Any]) -> None:
    """Add the summary of the latest run."""
    publish_json(file_in(dataset, SUMMARY), {"runs": [*_known(dataset), run][-MAX_RUNS:]})


def _known(dataset: Path) -> list[dict[str, Any]]:
    try:
        return list(read_json(file_in(dataset, SUMMARY))["runs"]) if has_file(dataset, SUMMARY) else []
    except (IntegrityError, KeyError, TypeError):  # a damaged file costs only times
        return []


def read_runs(dataset: Path) -> list[dict[str, Any]]:
    """Summaries of the last runs, the latest one last.

    Raises:
        UsageError: There is no summary beside this dataset.
    """
    refuse_strange(dataset)
    Manifest.read(dataset)
    runs = _known(dataset)
    if not runs:
        raise UsageError(
            f"{file_in(dataset, SUMMARY)}: no summary of a run here; it stays where the dataset was built."
        )
    return runs


def format_runs(dataset: Path, runs: Sequence[Mapping[str, Any]]) -> str:
    """Summaries as text for people.

    Raises:
        IntegrityError: The file of summaries is not what a run writes.
    """
    with validating(file_in(dataset, SUMMARY)):
        return "\n\n".join(map(format_run, runs))


def format_run(run: Mapping[str, Any]) -> str:
    """A summary as text for people."""
    memory, counts = run["peak_memory"], run["counts"]
    lines = [
        f"{run['command']}, {run['started']}: {run['seconds']:.1f} s, {run['workers']} workers, "
        f"peak memory {memory['bytes'] / 2**20:,.0f} MB ({memory['measure']} of {memory['processes']} processes)",
        f"records {run['records']}: read {counts['read']}, kept {counts['kept']}",
    ]
    lines += [f"  {stage}: {_numbers(reasons)}" for stage, reasons in counts["dropped"].items()]
    lines += _table(run["stages"])
    for name, feature in run["features"].items():
        lines.append(f"{name} {feature['fingerprint']}: {feature['rows']} rows" + _work_of(feature))
        lines += [f"  no row: {_numbers(feature['dropped'])}"] if feature["dropped"] else []
    if run["slowest_shards"]:
        lines.append("slowest shards")
        shards = [(f"{s['seconds']:.2f} s", f"{s['images']} images", s["file"]) for s in run["slowest_shards"]]
        lines += [f"  {line}" for line in format_table(shards, right={0, 1})]
    lines.append("versions: " + ", ".join(f"{name} {version}" for name, version in run["versions"].items()))
    return "\n".join(lines)


def _table(stages: Sequence[Mapping[str, Any]]) -> list[str]:
    if not stages:
        return []
    rows = [
        (
            stage["stage"],
            f"{stage['rows']:,}",
            f"{stage['seconds']:.1f}",
            "" if stage["rate"] is None else f"{stage['rate']:,.1f}",
            _numbers(stage["dropped"]),
        )
        for stage in stages
    ]
    return format_table(rows, headings=("stage", "rows", "seconds", "rows/s", "dropped"), right={1, 2, 3})


def _work_of(feature: Mapping[str, Any]) -> str:
    if "shards" not in feature:
        return ", not touched"
    shards = feature["shards"]
    return (
        f"; computed {feature['computed']}, copied {feature['copied']}, taken over {feature['taken_over']} "
        f"(shards written {shards['written']}, taken over {shards['taken_over']})"
    )


def _numbers(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {n}" for reason, n in sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
