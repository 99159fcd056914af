"""`dropped`: list the dropped records, or write their bytes from the dumps again, so that they can be repaired."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from m3h.pipeline.readers.dumps import DumpFile, raw_records
from m3h.pipeline.readers.files.names import known_name
from m3h.pipeline.readers.find import find_dumps
from m3h.pipeline.records.reasons import explained
from m3h.pipeline.rules import ReadRules
from m3h.schemas.config import resolve
from m3h.schemas.console import json_line
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError, unknown_name
from m3h.schemas.files import publish, publish_text
from m3h.schemas.manifest import Manifest

Row = dict[str, Any]


def dropped_rows(data: Dataset, reasons: Collection[str] = (), stage: str = "") -> list[Row]:
    """Rows of the dropped records, sorted by file and position.

    Args:
        data: the dataset.
        reasons: only records with one of these reasons; if empty, all.
        stage: only records of this stage, such as `image`; if empty, all.

    Returns:
        The rows.

    Raises:
        UsageError: no record was dropped with such a reason or in such a stage.
    """
    rows = data.dropped.sort_by([("source", "ascending"), ("position", "ascending")]).to_pylist()
    for reason in reasons:
        if reason not in (known := {row["reason"] for row in rows}):
            raise unknown_name("reason", reason, known)
    if stage and stage not in (stages := {row["stage"] for row in rows}):
        raise unknown_name("stage", stage, stages)
    return [row for row in rows if (not reasons or row["reason"] in reasons) and (not stage or row["stage"] == stage)]


def in_words(rows: Sequence[Row]) -> list[tuple[int, str, str, str]]:
    """(number of records, stage, reason, what the reason means), most frequent first."""
    counts = Counter((row["stage"], row["reason"]) for row in rows)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(number, stage, reason, explained(reason).means) for (stage, reason), number in ordered]


def write_rows(rows: Sequence[Row], out: Path) -> None:
    """Write the rows, one JSON object in each line."""
    publish_text(out, "".join(json_line(row) + "\n" for row in rows))


@dataclass(frozen=True)
class Written:
    """What `write_raw` wrote.

    records: how many were found again. lines: how many were written; one line can hold several records. lost: how many
    records have no bytes of their own.
    """

    records: int
    lines: int
    lost: int


def write_raw(data: Dataset, rows: Sequence[Row], dumps: Sequence[str], *, out: Path) -> Written:
    """Write records as they are in the dumps, one in each line, so that `build --dumps` can read them.

    Args:
        data: the dataset.
        rows: rows of dropped records.
        dumps: the dumps that the dataset was built from, as for `build --dumps`.
        out: the file to write.

    Returns:
        How many records and lines were written.

    Raises:
        UsageError: a dump is missing, or is not the one that the dataset was built from.
    """
    wanted = _wanted(data.manifest, rows, dumps)
    rules = resolve(ReadRules, data.manifest.config.get("read", {}))
    found: list[int] = []

    def write(temp: Path) -> None:
        with open(temp, "wb") as file:
            for dump, positions in wanted:
                for records, raw in raw_records(dump, positions, rules):
                    if raw:
                        file.write(b" ".join(raw.splitlines()) + b"\n")  # JSON reads its line ends as spaces
                        found.append(len(records))

    publish(out, write)
    return Written(sum(found), len(found), len(rows) - sum(found))


def _wanted(known: Manifest, rows: Sequence[Row], patterns: Sequence[str]) -> list[tuple[DumpFile, set[int]]]:
    """Every dump that rows came from, in the format that it was read in, with the positions of these rows."""
    names = [entry["name"] for entry in known.inputs]
    found = ((known_name(dump, names) or dump.name, dump) for dump in find_dumps(patterns))
    given = {name: replace(dump, name=name) for name, dump in found}
    wanted: dict[str, set[int]] = {}
    for row in rows:
        if row["source"]:  # empty in the row of a forgotten record
            wanted.setdefault(row["source"], set()).add(row["position"])
    located = []
    for source, positions in sorted(wanted.items()):
        kind, _, name = source.partition(":")
        if name not in given:
            raise UsageError(f"--dumps: {len(positions)} of these records came from {name}, which is not among them.")
        dump = replace(given[name], format="" if kind == "detected" else kind)
        if dump.identity() not in known.inputs:
            raise UsageError(
                f"--dumps {name}: not the file that the dataset was built from, so positions would be wrong."
            )
        located.append((dump, positions))
    return located
