"""Files of ids: those that `ids` writes, without texts, which may be shared even if texts may not; and their reader."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc

from m3h.pipeline.text.post_addresses import id_of_address, needs_did
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.files import publish_text
from m3h.schemas.posts import SPLITS

FORMATS = (".txt", ".csv", ".jsonl")
ID_FIELDS = ("post_id", "tweet_id", "id_str", "id", "uri")
"""Names of the field or column that holds the id, the surest first."""
_ID = re.compile(r"[^\s,;:\"'{}\[\]]+")
"""What is an id on a line of its own: one word, and no link, list or object. Those of image-text sets are paths."""
_HOW_TO_RESOLVE = (
    "this address names the account by its handle, and the dataset knows it only by its DID. Give the at:// address "
    "with the DID; https://public.api.bsky.app/xrpc/com.atproto.identity.resolveHandle?handle=… tells it"
)


def read_ids(text: str, name: str) -> list[str]:
    """The ids of a file: one in each line, a table with a header, or JSON lines. Blank lines are skipped.

    An id may be the address of a post on Bluesky or Mastodon, see `id_of_address`.

    Args:
        text: the content.
        name: how errors name the file.

    Raises:
        UsageError: a line is no id, a table has no column of ids, or nothing is there; with the number of the line.
    """
    lines = list(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    first = next((line for line in lines if line.strip()), "")
    if first.lstrip().startswith("{"):
        found = list(_from_objects(lines, name))
    elif columns := [field for field in ID_FIELDS if field in _cells(first)]:
        found = list(_from_table(lines, columns[0], name))
    else:
        found = list(_from_lines(lines, name))
    if not found:
        raise UsageError(f"{name}: no id in it; expected one in each line.")
    return found


def _delimiter(header: str) -> str:
    return "\t" if "\t" in header else ","


def _cells(header: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([header], delimiter=_delimiter(header)))]


def _from_lines(lines: list[str], name: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if value := line.strip():
            if not (_ID.fullmatch(value) or id_of_address(value) or needs_did(value)):
                raise _fault(name, number, f"expected an id, found {value[:60]!r}")
            yield _known(value, name, number)


def _from_table(lines: list[str], column: str, name: str) -> Iterator[str]:
    """The column of the ids. A cell may hold line breaks; an error names the last line of its row."""
    rows = csv.reader(lines, delimiter=_delimiter(next(line for line in lines if line.strip())))
    place: int | None = None
    for cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if place is None:
            place = [cell.strip() for cell in cells].index(column)
        elif len(cells) <= place or not cells[place].strip():
            raise _fault(name, rows.line_num, f"expected an id in column {place + 1}, found none")
        else:
            yield _known(cells[place].strip(), name, rows.line_num)


def _from_objects(lines: list[str], name: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _fault(name, number, "expected a JSON object, found something else") from error
        fields = [field for field in ID_FIELDS if isinstance(value, dict) and isinstance(value.get(field), str | int)]
        if not fields:
            raise _fault(name, number, f"expected an object with one of {', '.join(ID_FIELDS)}")
        yield _known(str(value[fields[0]]).strip(), name, number)


def _known(record_id: str, name: str, line: int) -> str:
    """An id as it is. UsageError for an address from which the id of its post cannot be told."""
    if needs_did(record_id):
        raise UsageError(f"{name}: line {line}: {_HOW_TO_RESOLVE}.")
    return record_id


def _fault(name: str, line: int, found: str) -> UsageError:
    return UsageError(f"{name}: line {line}: {found}. Give one id in each line, a .csv with a header, or .jsonl.")


def write_ids(data: Dataset, out: Path, split: str = "") -> int:
    """Write the ids of the posts, sorted.

    Args:
        data: the dataset.
        out: the file. Its name ends in .txt (one id in each line), or in .csv or .jsonl (each id with its split).
        split: only the posts of this split; if empty, all.

    Returns:
        How many ids were written.

    Raises:
        UsageError: there is no such split, or the name ends otherwise.
    """
    if split and split not in SPLITS:
        raise UsageError(f"--split {split}: expected one of {', '.join(SPLITS)}.")
    if out.suffix not in FORMATS:
        raise UsageError(f"--out {out}: expected a name that ends in {', '.join(FORMATS)}.")
    posts = data.posts.select(["post_id", "split"])
    rows = (posts.filter(pc.equal(posts["split"], split)) if split else posts).to_pylist()
    publish_text(out, _text(rows, out.suffix))
    return len(rows)


def _text(rows: list[dict[str, str]], suffix: str) -> str:
    if suffix == ".csv":
        table = io.StringIO()
        writer = csv.DictWriter(table, ("post_id", "split"), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return table.getvalue()
    lines = [row["post_id"] if suffix == ".txt" else json.dumps(row, ensure_ascii=False) for row in rows]
    return "".join(f"{line}\n" for line in lines)
