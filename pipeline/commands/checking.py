"""Commands that look at a dataset or at this machine and change nothing: stats, verify, doctor."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.options import DatasetOption, JsonOption
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


def verify_command(dataset: DatasetOption, as_json: JsonOption = False) -> int:
    """Hash every file again and check the laws: conservation, integrity, freshness, no leaks. Exit 1 on a breach.

    \b
    python -m pipeline verify --dataset data/tw
    """
    from pipeline.verify import verify

    if not dataset.is_dir():
        raise UsageError(f"{dataset}: no such dataset folder.")
    report = verify(dataset)
    text = "\n".join([*report.breaches, f"checked {report.files} files: " + ("ok" if report.ok else "NOT ok")])
    say({"ok": report.ok, "files": report.files, "breaches": report.breaches}, as_json, text)
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
