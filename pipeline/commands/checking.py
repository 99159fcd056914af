"""Commands that look at datasets or this machine: stats, verify, doctor. `verify --repair` alone changes any."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.commands.options import CORES, DatasetOption, JsonOption, WorkersOption, beam_flags
from schemas.console import DONE, FAILED, say
from schemas.errors import UsageError


def stats_command(dataset: DatasetOption, as_json: JsonOption = False) -> int:
    """The paper's Table 1, and its figures on words and attributes of pictures, for this dataset.

    \b
    python -m pipeline stats --dataset data/tw
    """
    from pipeline.stats import statistics, table
    from schemas.dataset import Dataset

    found = statistics(Dataset(dataset))
    say(found, as_json, table(found))
    return DONE


def summary_command(
    dataset: DatasetOption,
    all_: Annotated[bool, typer.Option("--all", help="Every run that is remembered, the latest last.")] = False,
    as_json: JsonOption = False,
) -> int:
    """What the last run did: rows, speed and losses a stage, slowest shards, memory, and what it took over.

    \b
    python -m pipeline summary --dataset data/tw
    python -m pipeline summary --dataset data/tw --all --json
    """
    from pipeline.summary import read_runs, told

    runs = read_runs(dataset)
    shown = runs if all_ else runs[-1:]
    say(runs if all_ else runs[-1], as_json, "\n\n".join(map(told, shown)))
    return DONE


def verify_command(
    dataset: DatasetOption,
    repair: Annotated[bool, typer.Option("--repair", help="Do again what is broken, remove what is foreign.")] = False,
    workers: WorkersOption = CORES,
    as_json: JsonOption = False,
) -> int:
    """Hash every file again and check the laws: conservation, integrity, freshness, no leaks. Exit 1 on a breach.

    \b
    python -m pipeline verify --dataset data/tw
    python -m pipeline verify --dataset data/tw --repair
    """
    from pipeline.verify import verify

    if not dataset.is_dir():
        raise UsageError(f"{dataset}: no such dataset folder.")
    report = verify(dataset)
    summary: dict[str, Any] = {}
    lines = report.breaches
    if repair and not report.ok:
        from pipeline.repair import repair as mend

        mended = mend(dataset, workers, tuple(beam_flags))
        report = verify(dataset)
        summary = {"repaired": mended.done, "left": mended.left}
        lines = [*mended.done, *mended.left, *report.breaches]
    text = "\n".join([*lines, f"checked {report.files} files: " + ("ok" if report.ok else "NOT ok")])
    say({"ok": report.ok, "files": report.files, "breaches": report.breaches, **summary}, as_json, text)
    return DONE if report.ok else FAILED


def doctor_command(
    dataset: Annotated[Path | None, typer.Option("--dataset", help="Where you mean to build.")] = None,
    as_json: JsonOption = False,
) -> int:
    """What works here: Tesseract, word statistics, weights, GPU, disk, runner. Exit 1 where one is missing.

    \b
    python -m pipeline doctor
    """
    from pipeline.doctor import checks

    found = checks(dataset or Path.cwd())
    text = "\n".join(f"{'ok     ' if check.ok else 'MISSING'} {check.name}: {check.found}" for check in found)
    say({check.name: {"ok": check.ok, "found": check.found} for check in found}, as_json, text)
    return DONE if all(check.ok for check in found) else FAILED
