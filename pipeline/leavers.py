"""`dropped`: the records that left, listed; and their bytes, taken from the dumps again to be mended or replayed."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.readers.dumps import DumpFile, raw_records
from pipeline.readers.find import find_dumps
from pipeline.reasons import explained
from pipeline.rules import ReadRules
from schemas.dataset import Dataset
from schemas.errors import UsageError, unknown_name
from schemas.files import publish, publish_text
from schemas.manifest import Manifest

Row = dict[str, Any]


def leavers(data: Dataset, reasons: Collection[str] = (), stage: str = "") -> list[Row]:
    """Rows of `dropped`, by file and position. UsageError for a reason or a stage that no record left by."""
    rows = data.dropped.sort_by([("source", "ascending"), ("position", "ascending")]).to_pylist()
    for reason in reasons:
        if reason not in (known := {row["reason"] for row in rows}):
            raise unknown_name("reason", reason, known)
    if stage and stage not in (stages := {row["stage"] for row in rows}):
        raise unknown_name("stage", stage, stages)
    return [row for row in rows if (not reasons or row["reason"] in reasons) and (not stage or row["stage"] == stage)]


def in_words(rows: Sequence[Row]) -> list[tuple[int, str, str, str]]:
    """(records, stage, reason, what it means), most frequent first."""
    doors: dict[tuple[str, str], int] = {}
    for row in rows:
        doors[row["stage"], row["reason"]] = doors.get((row["stage"], row["reason"]), 0) + 1
    ordered = sorted(doors.items(), key=lambda item: (-item[1], item[0]))
    return [(number, stage, reason, explained(reason).means) for (stage, reason), number in ordered]


def write_rows(rows: Sequence[Row], out: Path) -> None:
    """The rows themselves, one JSON object a line."""
    publish_text(out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


@dataclass(frozen=True)
class Written:
    """records: found again; lines: written, for several records may stand in one; lost: without bytes of their own."""

    records: int
    lines: int
    lost: int


def write_raw(data: Dataset, rows: Sequence[Row], patterns: Sequence[str], out: Path) -> Written:
    """The rows' records as they stand in the dumps, one a line, so that `build --dumps` reads them.

    UsageError where a dump is missing, or is not the one that the dataset was built from.
    """
    dumps = _dumps(data.manifest, rows, patterns)
    rules = ReadRules.model_validate(data.manifest.config.get("read", {}))
    found: list[int] = []

    def write(temp: Path) -> None:
        with open(temp, "wb") as file:
            for dump, positions in dumps:
                for records, raw in raw_records(dump, positions, rules):
                    if raw:
                        file.write(b" ".join(raw.splitlines()) + b"\n")  # JSON's own line ends are spaces to it
                        found.append(len(records))

    publish(out, write)
    return Written(sum(found), len(found), len(rows) - sum(found))


def _dumps(known: Manifest, rows: Sequence[Row], patterns: Sequence[str]) -> list[tuple[DumpFile, set[int]]]:
    """Every dump that rows came from, as it was read then, with their positions."""
    given = {dump.name: dump for dump in find_dumps(patterns)}
    wanted: dict[str, set[int]] = {}
    for row in rows:
        if row["source"]:  # not of a forgotten one
            wanted.setdefault(row["source"], set()).add(row["position"])
    found = []
    for source, positions in sorted(wanted.items()):
        kind, _, name = source.partition(":")
        if name not in given:
            raise UsageError(f"--dumps: {len(positions)} of these records came from {name}, which is not among them.")
        dump = replace(given[name], format="" if kind == "detected" else kind)
        if dump.identity() not in known.inputs:
            raise UsageError(f"--dumps {name}: not the file the dataset was built from; positions would mislead.")
        found.append((dump, positions))
    return found
