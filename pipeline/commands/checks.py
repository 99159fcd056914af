"""Commands that check a dataset or this machine: stats, summary, verify, doctor. Only `verify --repair` writes."""

from pathlib import Path
from typing import Annotated

import typer

from m3h.pipeline.commands.options import CORES, FinishedDataset, JsonOption, WorkersOption, beam_flags
from m3h.schemas.console import DONE, FAILED, say
from m3h.schemas.tables import format_table


def stats_command(dataset: FinishedDataset, as_json: JsonOption = False) -> int:
    """The paper's Table 1, and its figures on words and attributes of pictures, for this dataset.

    \b
    m3h stats --dataset data/tw
    """
    from m3h.pipeline.checks.table1 import statistics, table
    from m3h.schemas.dataset import Dataset

    found = statistics(Dataset(dataset))
    say(found, as_json, table(found))
    return DONE


def summary_command(
    dataset: FinishedDataset,
    all_: Annotated[bool, typer.Option("--all", help="Every run that is remembered, the latest one last.")] = False,
    as_json: JsonOption = False,
) -> int:
    """What the last run did: rows, speed and dropped rows of each stage, slowest shards, memory, what it took over.

    \b
    m3h summary --dataset data/tw
    m3h summary --dataset data/tw --all --json
    """
    from m3h.pipeline.dataset.run_history import format_runs, read_runs

    runs = read_runs(dataset)
    shown = runs if all_ else runs[-1:]
    say(runs if all_ else runs[-1], as_json, format_runs(dataset, shown))
    return DONE


def verify_command(
    dataset: FinishedDataset,
    repair: Annotated[bool, typer.Option("--repair", help="Restore what is broken, remove foreign files.")] = False,
    workers: WorkersOption = CORES,
    as_json: JsonOption = False,
) -> int:
    """Hash every file again and check the laws: conservation, integrity, freshness, no leaks. Exit 1 on a breach.

    \b
    m3h verify --dataset data/tw
    m3h verify --dataset data/tw --repair
    """
    from m3h.pipeline.checks.verify import verify

    report = verify(dataset)
    summary: dict[str, list[str]] = {}
    lines = report.breaches
    if repair:
        from m3h.pipeline.checks.repair import repair as repair_dataset
        from m3h.pipeline.checks.repair import wants_repair

        if wants_repair(dataset, report):
            repaired = repair_dataset(dataset, workers, tuple(beam_flags))
            report = verify(dataset)
            summary = {"repaired": repaired.done, "left": repaired.left}
            lines = [*repaired.done, *repaired.left, *report.breaches]
    text = "\n".join([*lines, f"checked {report.files} files: " + ("ok" if report.ok else "NOT ok")])
    say({"ok": report.ok, "files": report.files, "breaches": report.breaches, **summary}, as_json, text)
    return DONE if report.ok else FAILED


def doctor_command(
    dataset: Annotated[Path | None, typer.Option("--dataset", help="Where you want to build.")] = None,
    as_json: JsonOption = False,
) -> int:
    """What works here: Tesseract, word statistics, weights, GPU, disk, runner. Exit 1 if one that is needed is missing.

    \b
    m3h doctor
    """
    from m3h.pipeline.checks.doctor import checks

    found = checks(dataset or Path.cwd())
    lines = format_table([(check.state, f"{check.name}: {check.found}") for check in found])
    say({check.name: {"ok": check.ok, "found": check.found} for check in found}, as_json, "\n".join(lines))
    return DONE if all(check.ok for check in found) else FAILED
