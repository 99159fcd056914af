"""Commands about single records of a finished dataset: why, dropped, ids, forget."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from m3h.pipeline.commands.options import FinishedDataset, JsonOption
from m3h.schemas.console import DONE, FAILED, say, writable_file
from m3h.schemas.errors import M3hError, UsageError
from m3h.schemas.tables import format_table

LISTED = 30
"""How many rows `dropped` shows to people; the others are only counted."""


def why_command(
    dataset: FinishedDataset,
    id_: Annotated[str, typer.Option("--id", help="A record's id.")] = "",
    image: Annotated[str, typer.Option("--image", help="A picture's sha256 (or how it begins), URL or path.")] = "",
    as_json: JsonOption = False,
) -> int:
    """What became of a record or a picture, and which rule or error decided. Exit 1 if it was never there.

    \b
    m3h why --dataset data/tw --id 1234567890
    m3h why --dataset data/tw --image 6a09e667f3bcc908
    """
    from m3h.pipeline.records.why import Records, why
    from m3h.schemas.dataset import Dataset

    fates = why(dataset, id_, image)
    text = "\n\n".join(_format_fate(fate, id_) for fate in fates)
    if not fates:
        near = Records(Dataset(dataset)).near(id_) if id_ else ""
        hint = f" Did you mean {near}?" if near else " A record that could not be read has no id: see `dropped`."
        text = f"{dataset}: no record has the id {id_}.{hint}" if id_ else f"{dataset}: no picture is called {image}."
    say({"id": id_, "image": image, "found": fates}, as_json, text)
    return DONE if fates else FAILED


def _format_fate(fate: dict[str, Any], record_id: str) -> str:
    """For people: what became of a record or picture, then one line for each fact."""
    facts = {name: value for name, value in fate.items() if name not in ("fate", "features", "group_with", "rules")}
    head = f"{record_id}: {fate['fate']}" if "fate" in fate else f"picture {fate.get('image_sha256', '')}".rstrip()
    lines = [head, *(f"  {name}: {_shown(value)}" for name, value in facts.items() if value not in ("", [], None))]
    lines += [f"  rule {name}: {_shown(value)}" for name, value in fate.get("rules", {}).items()]
    lines += [f"  shares its group with {post['post_id']}: {post['through']}" for post in fate.get("group_with", ())]
    for row in fate.get("features", ()):
        version = f"{row['feature']} {row['fingerprint']}{'' if row['current'] else ' (not current)'}"
        lines.append(f"  {version}: {row['shard'] if row['row'] else 'no row. ' + row['means']}")
        lines += [f"    {row['reason']}: {row['detail']}"] if row.get("reason") else []
    return "\n".join(lines)


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def dropped_command(
    dataset: FinishedDataset,
    reason: Annotated[list[str] | None, typer.Option("--reason", help="One or several; all if left out.")] = None,
    stage: Annotated[str, typer.Option("--stage", help="Only records dropped in this stage, such as image.")] = "",
    dumps: Annotated[list[str] | None, typer.Option("--dumps", help="What the dataset was built from.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", callback=writable_file, help="File for JSON lines: rows, or with --dumps the raw records."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """The dropped records, and why. With --dumps and --out, their bytes, to be repaired and built again.

    \b
    m3h dropped --dataset data/tw
    m3h dropped --dataset data/tw --reason not_json bad_field --dumps 'raw/*.gz' --out broken.jsonl
    """
    from m3h.pipeline.records.dropped import dropped_rows, in_words, write_raw, write_rows
    from m3h.schemas.dataset import Dataset

    if dumps and not out:
        raise UsageError("--dumps: name the file for the raw records with --out.")
    data = Dataset(dataset)
    rows = dropped_rows(data, reason or (), stage)
    counts = [
        {"records": number, "stage": dropped_in, "reason": name, "means": means}
        for number, dropped_in, name, means in in_words(rows)
    ]
    summary: dict[str, Any] = {"dropped": len(rows), "by_reason": counts}
    lines = format_table(
        [(count["records"], f"{count['stage']}: {count['reason']}", f"({count['means']})") for count in counts],
        right={0},
    )
    if out and dumps:
        written = write_raw(data, rows, dumps, out=out)
        summary |= {"written": vars(written)}
        lines.append(f"{out}: {written.records} records in {written.lines} lines; {written.lost} have no bytes")
    elif out:
        write_rows(rows, out)
        lines.append(f"{out}: {len(rows)} rows")
    else:
        summary |= {"rows": rows}
        lines += ["", *(_row(row) for row in rows[:LISTED])]
        lines += [f"… and {len(rows) - LISTED} more; --out FILE writes them all"] if len(rows) > LISTED else []
    say(summary, as_json, "\n".join(lines))
    return DONE


def _row(row: dict[str, Any]) -> str:
    where = f"{row['source']}, {row['position']}" if row["source"] else "(forgotten)"
    detail = " ".join(row["detail"].split())
    return f"{row['record_id'] or '-'}  {row['reason']}  {where}  {detail[:100]}".rstrip()


def ids_command(
    dataset: FinishedDataset,
    out: Annotated[Path, typer.Option("--out", callback=writable_file, help="FILE.txt, .csv or .jsonl.")],
    split: Annotated[str, typer.Option("--split", help="train, valid or test; all if left out.")] = "",
    as_json: JsonOption = False,
) -> int:
    """The ids of the posts, and with .csv and .jsonl their split. They may be shared even if texts may not.

    \b
    m3h ids --dataset data/tw --out tw-ids.csv
    """
    from m3h.pipeline.records.ids import write_ids
    from m3h.schemas.dataset import Dataset

    posts = write_ids(Dataset(dataset), out, split)
    say({"posts": posts, "out": str(out)}, as_json, f"{out}: {posts} ids")
    return DONE


def forget_command(
    dataset: FinishedDataset,
    ids: Annotated[
        str, typer.Option("--ids", help="File of ids: one in each line, .csv with a header, or .jsonl; - for stdin.")
    ],
    missing_ok: Annotated[bool, typer.Option("--missing-ok", help="Do not fail if none of the ids is here.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Remove posts with their pictures and features for good, and check that nothing is left.

    The exit code is 1 if a trace is left, or if none of the ids was found.

    \b
    m3h forget --dataset data/tw --ids withdrawn.txt
    echo 1234567890 | m3h forget --dataset data/tw --ids -
    """
    from m3h.pipeline.records.forget import forget

    done = forget(dataset, _ids(ids))
    nothing_found = not (done.posts or done.dropped or done.already)
    removed = (
        f"{done.ids} ids: {done.posts} posts, {done.dropped} dropped records and {done.images} pictures were removed"
    )
    absent = f"{done.already} had been forgotten before, {done.unknown} were never here; all are kept out from now on"
    searched = (
        [*done.traces, "NOT everything was removed"] if done.traces else ["searched every file: no trace is left"]
    )
    say(vars(done), as_json, "\n".join([removed, absent, *searched]))
    if nothing_found and not missing_ok:
        found_none = f"--ids {ids}: none of the {done.ids} ids is in {dataset}."
        raise M3hError(f"{found_none} With --missing-ok that is no failure.")
    return FAILED if done.traces else DONE


def _ids(file: str) -> list[str]:
    from m3h.pipeline.records.ids import read_ids

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--ids {file}: {error}.") from error
    return read_ids(text, f"--ids {file}")
