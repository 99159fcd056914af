"""Commands that make a dataset: build, retry."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3h.pipeline.commands.options import (
    CORES,
    FinishedDataset,
    JsonOption,
    NewDatasetOption,
    ProgressOption,
    SetOption,
    WorkersOption,
    beam_flags,
)
from m3h.schemas.console import DONE, FAILED, one_line, say
from m3h.schemas.errors import M3hError

if TYPE_CHECKING:
    from m3h.pipeline.build.build import BuildResult
    from m3h.pipeline.versions.refresh import Refreshed


def build_command(
    dumps: Annotated[list[str], typer.Option("--dumps", help="Files, globs, folders, URLs, or - for standard input.")],
    dataset: NewDatasetOption,
    images: Annotated[Path | None, typer.Option("--images", help="Folder with the pictures.")] = None,
    crawl: Annotated[bool, typer.Option("--crawl", help="Fetch the pictures by their URLs.")] = False,
    features: Annotated[str | None, typer.Option("--features", help="Such as ocr,vgg_grid; or none.")] = None,
    format: Annotated[
        str,
        typer.Option(
            "--format", help="Of all records, as docs/dumps.md names it; detected in each record if left out."
        ),
    ] = "",
    config: Annotated[Path | None, typer.Option("--config", help="YAML file with any of the fields.")] = None,
    set_: SetOption = None,
    workers: WorkersOption = CORES,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """Raw tweet dumps -> a complete dataset. The same command finishes a build that was interrupted.

    \b
    m3h build --dumps 'raw/*.jsonl.gz' --images raw/images --dataset data/tw
    m3h build --dumps 'raw/*.jsonl.gz' --crawl --dataset data/tw --set crawl.contact=me@example.org
    m3h build --dumps '00*.tar' --dataset data/pairs
    m3h build --dumps posts.jsonl --images pics --dataset d --features ocr --set clean.min_tokens=3
    m3h build --dumps tw_mm_s1 --format cmkp --dataset data/cmkp
    m3h build --dumps raw --images pics --dataset d -- --runner=PortableRunner --job_endpoint=host:8099
    """
    from m3h.pipeline.build.build import BuildOptions, build
    from m3h.pipeline.config import BuildConfig
    from m3h.schemas.config import resolve

    result = build(
        BuildOptions(
            dumps=dumps,
            dataset=dataset,
            images=images,
            crawl=crawl,
            format=format,
            features=_names(features),
            config=resolve(BuildConfig, config, set_ or ()),
            workers=workers,
            beam_flags=tuple(beam_flags),
            progress=progress,
        )
    )
    summary = result.summary()
    say(summary, as_json, build_text(summary, dataset))
    if result.found_no_posts:
        named = f"{', '.join(dumps[:3])}{', …' if len(dumps) > 3 else ''}"
        raise M3hError(
            f"--dumps {named}: nothing was kept: {result.unreadable} of {summary['read']} records are no posts that a "
            f"reader knows. `m3h dropped --dataset {dataset}` lists them, docs/dumps.md the formats."
        )
    return exit_code(result)


def retry_command(
    dataset: FinishedDataset,
    reason: Annotated[list[str] | None, typer.Option("--reason", help="One or several; all if left out.")] = None,
    dumps: Annotated[list[str] | None, typer.Option("--dumps", help="Corrected dumps, under their old names.")] = None,
    images: Annotated[Path | None, typer.Option("--images", help="One more folder with pictures.")] = None,
    set_: SetOption = None,
    recrawl: Annotated[
        bool, typer.Option("--recrawl", help="Ask for every fetched picture whether it has changed.")
    ] = False,
    workers: WorkersOption = CORES,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """Try again only what failed: pictures that could not be read or fetched, images without a row, broken records.

    \b
    m3h retry --dataset data/tw
    m3h retry --dataset data/tw --reason crawl_timeout crawl_throttled
    m3h retry --dataset data/tw --reason ocr_timeout --set features.ocr.timeout_seconds=120
    m3h retry --dataset data/tw --reason not_json --dumps repaired/dump-07.jsonl
    """
    from m3h.pipeline.build.build import BuildOptions
    from m3h.pipeline.build.retry import retry

    options = BuildOptions(
        dumps or (), dataset, images, workers=workers, beam_flags=tuple(beam_flags), progress=progress
    )
    done = retry(options, reason or (), set_ or (), recrawl=recrawl)
    summary = done.summary()
    say(summary, as_json, "\n".join([done.text(), build_text(summary, dataset)]))
    return exit_code(done.result)


def exit_code(result: "BuildResult | Refreshed") -> int:
    """The command's exit code: 1 if an unexpected error was met while a feature was computed."""
    for name, lost in result.broken.items():
        logging.error("error: %s: %d images met an unexpected error; their tracebacks are in dropped/.", name, lost)
    return FAILED if result.broken else DONE


def _names(features: str | None) -> tuple[str, ...] | None:
    if features is None:
        return None
    return () if features.strip() == "none" else tuple(name.strip() for name in features.split(",") if name.strip())


def build_text(summary: dict[str, Any], dataset: Path) -> str:
    """For people: what was read, kept and dropped, and the features."""
    reasons = sorted(summary["dropped"].items(), key=lambda item: (-item[1], item[0]))
    listed = ", ".join(f"{reason} {number}" for reason, number in reasons)
    lines = [f"read {summary['read']}, kept {summary['kept']}, dropped {sum(summary['dropped'].values())}"]
    lines[0] += f" ({listed})" if listed else ""
    if unread := ", ".join(f"{one_line(field)} {number}" for field, number in summary["unread_fields"].items()):
        lines.append(f"fields that could not be read, their posts were: {unread}")
    lines += [
        f"{name} {known['fingerprint']}: {known['rows']} rows"
        + "".join(f", {n} {reason}" for reason, n in known["dropped"].items())
        for name, known in sorted(summary["features"].items())
    ]
    return "\n".join([*lines, f"dataset: {dataset} ({summary['seconds']:.0f} s)"])
