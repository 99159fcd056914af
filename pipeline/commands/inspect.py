"""The command that looks at dumps before they are built: inspect."""

from pathlib import Path
from typing import Annotated

import typer

from m3h.pipeline.commands.options import JsonOption, SetOption, beam_flags
from m3h.schemas.console import DONE, say


def inspect_command(
    dumps: Annotated[list[str], typer.Argument(help="Files, globs, folders, URLs, or - for standard input.")],
    format: Annotated[
        str, typer.Option("--format", help="Of all records, as docs/dumps.md names it; else each is detected.")
    ] = "",
    config: Annotated[Path | None, typer.Option("--config", help="YAML file, as for build.")] = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> int:
    """What dump files are, which field is taken for what, the first posts, and what would be dropped. Writes nothing.

    \b
    m3h inspect raw/tweets.csv
    m3h inspect 'raw/*.jsonl.gz' --json
    m3h inspect mine.jsonl --set read.fields.id=tweet.id read.fields.text=body
    """
    from m3h.pipeline.config import BuildConfig
    from m3h.pipeline.readers.find import find_dumps
    from m3h.pipeline.readers.mapping import refuse_format
    from m3h.pipeline.records.inspection import inspect_dump
    from m3h.pipeline.runtime.filesystems import give_options, is_remote
    from m3h.pipeline.runtime.temporary_folder import temporary_folder
    from m3h.schemas.config import resolve

    if beam_flags or any(map(is_remote, dumps)):
        give_options(beam_flags)
    rules = resolve(BuildConfig, config, set_ or ()).read
    refuse_format(rules, format)
    with temporary_folder("m3h-inspect-") as folder:
        found = [inspect_dump(dump, rules) for dump in find_dumps(dumps, format, folder / "stdin")]
    say({"files": [one.summary() for one in found]}, as_json, "\n".join(one.text() for one in found))
    return DONE
