"""What was done in the runs that made a dataset: times, speeds, slowest shards, memory, what was taken over.

`.build-summary.json` lies beside the manifest and is not part of the dataset: times never stand in a hashed file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from schemas.errors import IntegrityError, UsageError
from schemas.files import publish_json, read_json
from schemas.manifest import Manifest

SUMMARY = ".build-summary.json"
KEPT = 20
"""Runs that are remembered."""


def remember_run(dataset: Path, run: Mapping[str, Any]) -> None:
    """Add the latest run."""
    publish_json(dataset / SUMMARY, {"runs": [*_known(dataset), run][-KEPT:]})


def _known(dataset: Path) -> list[dict[str, Any]]:
    try:
        return list(read_json(dataset / SUMMARY)["runs"]) if (dataset / SUMMARY).is_file() else []
    except (IntegrityError, KeyError, TypeError):  # whoever damaged it took away times, nothing else
        return []


def read_runs(dataset: Path) -> list[dict[str, Any]]:
    """Summaries of the last runs, the latest last. UsageError where nobody noted any."""
    Manifest.read(dataset)
    runs = _known(dataset)
    if not runs:
        raise UsageError(f"{dataset / SUMMARY}: no summary of a run here; it stays where the dataset was built.")
    return runs


def told(run: Mapping[str, Any]) -> str:
    """For people."""
    memory, counts = run["peak_memory"], run["counts"]
    lines = [
        f"{run['command']}, {run['started']}: {run['seconds']:.1f} s, {run['workers']} workers, "
        f"peak memory {memory['bytes'] / 2**20:,.0f} MB ({memory['measure']} of {memory['processes']} processes)",
        f"records {run['records']}: read {counts['read']}, kept {counts['kept']}",
    ]
    lines += [f"  {door}: {_numbers(reasons)}" for door, reasons in counts["dropped"].items()]
    lines += _table(run["stages"])
    for name, feature in run["features"].items():
        lines.append(f"{name} {feature['fingerprint']}: {feature['rows']} rows" + _did(feature))
        lines += [f"  no row: {_numbers(feature['dropped'])}"] if feature["dropped"] else []
    if run["slowest_shards"]:
        lines.append("slowest shards")
        lines += [f"  {s['seconds']:8.2f} s {s['images']:6} images  {s['file']}" for s in run["slowest_shards"]]
    lines.append("versions: " + ", ".join(f"{name} {version}" for name, version in run["versions"].items()))
    return "\n".join(lines)


def _table(stages: Sequence[Mapping[str, Any]]) -> list[str]:
    if not stages:
        return []
    lines = [f"{'stage':<18}{'rows':>12}{'seconds':>10}{'rows/s':>10}  dropped"]
    for stage in stages:
        rate = "" if stage["rate"] is None else f"{stage['rate']:,.1f}"
        row = (
            f"{stage['stage']:<18}{stage['rows']:>12,}{stage['seconds']:>10.1f}{rate:>10}  {_numbers(stage['dropped'])}"
        )
        lines.append(row.rstrip())
    return lines


def _did(feature: Mapping[str, Any]) -> str:
    if "shards" not in feature:
        return ", not touched"
    shards = feature["shards"]
    return (
        f"; computed {feature['computed']}, copied {feature['copied']}, taken over {feature['taken_over']} "
        f"(shards written {shards['written']}, taken over {shards['taken_over']})"
    )


def _numbers(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {n}" for reason, n in sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
