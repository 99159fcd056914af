"""Commands about single records of a finished dataset: why, dropped, ids, forget."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.commands.options import DatasetOption, JsonOption
from schemas.console import DONE, FAILED, say
from schemas.errors import UsageError

LISTED = 30
"""Rows that `dropped` shows people; the rest is counted."""


def why_command(
    dataset: DatasetOption,
    id_: Annotated[str, typer.Option("--id", help="A record's id.")] = "",
    image: Annotated[str, typer.Option("--image", help="A picture's sha256 (or how it begins), URL or path.")] = "",
    as_json: JsonOption = False,
) -> int:
    """What became of a record or a picture, and which rule or fault decided. Exit 1 where there never was such a one.

    \b
    python -m pipeline why --dataset data/tw --id 1234567890
    python -m pipeline why --dataset data/tw --image 6a09e667f3bcc908
    """
    from pipeline.why import Records, why
    from schemas.dataset import Dataset

    fates = why(dataset, id_, image)
    text = "\n\n".join(_told(fate, id_) for fate in fates)
    if not fates:
        near = Records(Dataset(dataset)).near(id_) if id_ else ""
        hint = f" Did you mean {near}?" if near else " A record that could not be read has no id: see `dropped`."
        text = f"{dataset}: no record has the id {id_}.{hint}" if id_ else f"{dataset}: no picture is called {image}."
    say({"id": id_, "image": image, "found": fates}, as_json, text)
    return DONE if fates else FAILED


def _told(fate: dict[str, Any], record_id: str) -> str:
    """One fate for people: what became of it, then a line a fact."""
    facts = {name: value for name, value in fate.items() if name not in ("fate", "features", "group_with", "rules")}
    head = f"{record_id}: {fate['fate']}" if "fate" in fate else f"picture {fate.get('image_sha256', '')}".rstrip()
    lines = [head, *(f"  {name}: {_shown(value)}" for name, value in facts.items() if value not in ("", [], None))]
    lines += [f"  rule {name}: {_shown(value)}" for name, value in fate.get("rules", {}).items()]
    lines += [f"  shares its group with {o['post_id']}: {o['through']}" for o in fate.get("group_with", ())]
    for row in fate.get("features", ()):
        which = f"{row['feature']} {row['fingerprint']}{'' if row['current'] else ' (not current)'}"
        lines.append(f"  {which}: {row['shard'] if row['row'] else 'no row. ' + row['means']}")
        lines += [f"    {row['reason']}: {row['detail']}"] if row.get("reason") else []
    return "\n".join(lines)


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def dropped_command(
    dataset: DatasetOption,
    reason: Annotated[list[str] | None, typer.Option("--reason", help="One or several; all if left out.")] = None,
    stage: Annotated[str, typer.Option("--stage", help="The door they left by, such as image.")] = "",
    dumps: Annotated[list[str] | None, typer.Option("--dumps", help="What the dataset was built from.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="JSON lines: rows, or with --dumps raw records.")] = None,
    as_json: JsonOption = False,
) -> int:
    """The records that left, and why. With --dumps and --out, their bytes, to be mended and built again.

    \b
    python -m pipeline dropped --dataset data/tw
    python -m pipeline dropped --dataset data/tw --reason not_json bad_field --dumps 'raw/*.gz' --out broken.jsonl
    """
    from pipeline.leavers import in_words, leavers, write_raw, write_rows
    from schemas.dataset import Dataset

    if dumps and not out:
        raise UsageError("--dumps: name the file for the raw records with --out.")
    data = Dataset(dataset)
    rows = leavers(data, reason or (), stage)
    doors = [{"records": n, "stage": door, "reason": why, "means": means} for n, door, why, means in in_words(rows)]
    summary: dict[str, Any] = {"dropped": len(rows), "doors": doors}
    lines = [f"{door['records']:8}  {door['stage']}: {door['reason']}  ({door['means']})" for door in doors]
    if out and dumps:
        written = write_raw(data, rows, dumps, out)
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
    dataset: DatasetOption,
    out: Annotated[Path, typer.Option("--out", help="FILE.txt, .csv or .jsonl.")],
    split: Annotated[str, typer.Option("--split", help="train, valid or test; all if left out.")] = "",
    as_json: JsonOption = False,
) -> int:
    """The ids of the posts, and with .csv and .jsonl their split: what may be shared where texts may not.

    \b
    python -m pipeline ids --dataset data/tw --out tw-ids.csv
    """
    from pipeline.ids import write_ids
    from schemas.dataset import Dataset

    posts = write_ids(Dataset(dataset), out, split)
    say({"posts": posts, "out": str(out)}, as_json, f"{out}: {posts} ids")
    return DONE


def forget_command(
    dataset: DatasetOption,
    ids: Annotated[str, typer.Option("--ids", help="File with one id a line, or - for standard input.")],
    as_json: JsonOption = False,
) -> int:
    """Remove posts with their pictures and features for good, and prove that nothing is left. Exit 1 where a trace is.

    \b
    python -m pipeline forget --dataset data/tw --ids withdrawn.txt
    echo 1234567890 | python -m pipeline forget --dataset data/tw --ids -
    """
    from pipeline.forget import forget

    done = forget(dataset, _ids(ids))
    found = f"{done.ids} ids: {done.posts} posts, {done.dropped} dropped records and {done.images} pictures are gone"
    others = f"{done.already} had been forgotten before, {done.unknown} were never here; all are kept out from now on"
    searched = [*done.traces, "NOT everything is gone"] if done.traces else ["searched every file: no trace is left"]
    say(vars(done), as_json, "\n".join([found, others, *searched]))
    return FAILED if done.traces else DONE


def _ids(file: str) -> list[str]:
    """The ids of a file, one a line; blank lines are none."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--ids {file}: {error}.") from error
    found = [line.strip() for line in text.split("\n") if line.strip()]
    if not found:
        raise UsageError(f"--ids {file}: no id in it; expected one a line.")
    return found
