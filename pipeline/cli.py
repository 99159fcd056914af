"""`python -m pipeline`: build, stats, verify, doctor. Beam's own flags follow `--`."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from schemas.console import DONE, FAILED, run, say
from schemas.errors import UsageError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
_beam_flags: list[str] = []

DatasetOption = Annotated[Path, typer.Option("--dataset", help="The dataset folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the summary as one line of JSON.")]


def main(argv: Sequence[str]) -> int:
    """Run a command; what follows `--` is Beam's."""
    words = list(argv)
    cut = words.index("--") if "--" in words else len(words)
    _beam_flags[:] = words[cut + 1 :]
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    logging.getLogger().addFilter(lambda record: "apitools" not in record.getMessage())  # Beam's, of no use here
    return run(app, words[:cut], many={"--dumps", "--set"})


@app.callback()
def _about() -> None:
    """Tweet dumps in, a dataset of posts and image features out.

    \b
    python -m pipeline build --dumps 'raw/*.jsonl.gz' --images raw/images --dataset data/tw
    python -m pipeline stats --dataset data/tw
    python -m pipeline verify --dataset data/tw
    """


@app.command("build")
def build_command(
    dumps: Annotated[list[str], typer.Option("--dumps", help="Files, globs, folders, or - for standard input.")],
    dataset: DatasetOption,
    images: Annotated[Path | None, typer.Option("--images", help="Folder with the pictures.")] = None,
    features: Annotated[str | None, typer.Option("--features", help="Such as ocr,vgg_grid; or none.")] = None,
    format: Annotated[str, typer.Option("--format", help="v1, jsonl or cmkp; told from the content if left out.")] = "",
    config: Annotated[Path | None, typer.Option("--config", help="YAML file with any of the fields.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="FIELD=VALUE, over the file.")] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes of the embedded runner.")] = (
        os.cpu_count() or 1
    ),
    as_json: JsonOption = False,
) -> int:
    """Raw tweet dumps -> a complete dataset. The same command finishes a build that was interrupted.

    \b
    python -m pipeline build --dumps 'raw/*.jsonl.gz' --images raw/images --dataset data/tw
    python -m pipeline build --dumps posts.jsonl --images pics --dataset d --features ocr --set clean.min_tokens=3
    python -m pipeline build --dumps tw_mm_s1 --format cmkp --dataset data/cmkp
    python -m pipeline build --dumps raw --images pics --dataset d -- --runner=FlinkRunner --flink_master=host:8081
    """
    from pipeline.build import BuildOptions, build
    from pipeline.config import BuildConfig
    from schemas.config import resolve

    result = build(
        BuildOptions(
            dumps=dumps,
            dataset=dataset,
            images=images,
            format=format,
            features=_names(features),
            config=resolve(BuildConfig, config, set_ or ()),
            workers=workers,
            beam_flags=tuple(_beam_flags),
        )
    )
    summary = result.summary()
    say(summary, as_json, _build_text(summary, dataset))
    for name, lost in result.broken.items():
        logging.error("error: %s: %d images met a fault nobody foresaw; their tracebacks are in dropped/.", name, lost)
    return FAILED if result.broken else DONE


def _names(features: str | None) -> tuple[str, ...] | None:
    if features is None:
        return None
    return () if features.strip() == "none" else tuple(name.strip() for name in features.split(",") if name.strip())


def _build_text(summary: dict[str, Any], dataset: Path) -> str:
    reasons = sorted(summary["dropped"].items(), key=lambda item: (-item[1], item[0]))
    listed = ", ".join(f"{reason} {number}" for reason, number in reasons)
    lines = [f"read {summary['read']}, kept {summary['kept']}, dropped {sum(summary['dropped'].values())}"]
    lines[0] += f" ({listed})" if listed else ""
    lines += [
        f"{name} {known['fingerprint']}: {known['rows']} rows"
        + "".join(f", {n} {reason}" for reason, n in known["dropped"].items())
        for name, known in summary["features"].items()
    ]
    return "\n".join([*lines, f"dataset: {dataset} ({summary['seconds']:.0f} s)"])


@app.command("stats")
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


@app.command("verify")
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


@app.command("doctor")
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
