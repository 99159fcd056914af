"""Pictures that a table names: `metadata.jsonl` or `metadata.csv` in an image folder of Hugging Face datasets.

Each row names its picture in `file_name`, by its path from the table. Other fields are read as those of any set.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from m3h.pipeline.readers.exports import parsed
from m3h.pipeline.readers.framing import pieces_of
from m3h.pipeline.readers.image_text.captions import captioned
from m3h.pipeline.readers.image_text.members import key_of, record_id
from m3h.pipeline.readers.image_text.samples import Limits, Located
from m3h.pipeline.readers.record import JsonObject, RecordFault, texts, valid_text
from m3h.pipeline.readers.streams import decompressed
from m3h.schemas.posts import ImageRef, Post

TABLES = ("metadata.jsonl", "metadata.csv")

_FILE_NAME = "file_name"
HEAD_BYTES = 1 << 16
"""Bytes by which a table is known."""


def table_of(folder: Path) -> Path | None:
    """The table of a folder's pictures, known by its name and by the field `file_name` of its first row."""
    for name in TABLES:
        path = folder.joinpath(name)
        with suppress(OSError):
            if path.is_file() and names_pictures(name, _head_of(path)):
                return path
    return None


def _head_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def names_pictures(name: str, head: bytes) -> bool:
    """Whether a file is such a table. name: of the file. head: its first HEAD_BYTES bytes."""
    first = head.decode("utf-8-sig", "replace").lstrip().partition("\n")[0]
    if _is_csv(name):
        return bool(_separator_of(first))
    with suppress(ValueError, RecursionError):
        row = json.loads(first)
        return isinstance(row, dict) and any(map(_is_file_name, row))
    return f'"{_FILE_NAME}"' in first  # a first row that is damaged, or longer than what was read


@dataclass(frozen=True)
class Table:
    """A table of metadata.

    name: of its file. dump: name of the dump, with which its ids begin. pictures: paths of those in its folder, from
    there. picture: what such a path leads to; it may be no path of the folder.
    """

    name: str
    dump: str
    pictures: Sequence[str]
    picture: Callable[[str], ImageRef] = ImageRef

    def located(self, stream: io.BufferedReader, limits: Limits) -> Iterator[Located]:
        """Every row, and after the last one every picture that no row names. limits: for rows."""
        left, position = dict.fromkeys(self.pictures), 0
        rows = _csv_rows if _is_csv(self.name) else _json_rows
        for raw, fault in rows(decompressed(stream), limits.text):
            position += 1
            if fault or raw.strip():
                yield position, raw, [fault or self._record(raw, left)]
        for picture in left:
            position += 1
            fault = RecordFault("no_text", f"{picture}: {self.name} does not name it", self._id([picture]))
            yield position, b"", [fault]

    def _record(self, raw: bytes, left: dict[str, None]) -> Post | RecordFault:
        """The post of a row. Its pictures are taken out of `left`."""
        files: list[str] = []
        try:
            row = parsed(raw)
            files = _files_of(row if isinstance(row, dict) else {})
            for file in files:
                left.pop(file, None)
            post = captioned(self._id(files), {"json": raw}, [self.picture(file) for file in files])
            if not post.post_id:
                raise RecordFault("missing_field", _FILE_NAME)
        except UnicodeDecodeError as error:
            return RecordFault("not_utf8", str(error))
        except (ValueError, RecursionError) as error:
            return RecordFault("not_json", str(error))
        except RecordFault as fault:
            found = fault.record_id or self._id(files)
            return RecordFault(fault.reason, fault.detail, found, versions=fault.versions, parts=fault.parts)
        return post

    def _id(self, files: Sequence[str]) -> str:
        return record_id(self.dump, key_of(files[0])) if files else ""


def _separator_of(header: str) -> str:
    """What stands between the names of a header one of which is `file_name`; "" where none is."""
    return next((sep for sep in ",;\t|" if any(map(_is_file_name, next(csv.reader([header], delimiter=sep), [])))), "")


def _is_csv(name: str) -> bool:
    return name.endswith(".csv")


def _json_rows(stream: io.BufferedReader, limit: int) -> Iterator[tuple[bytes, RecordFault | None]]:
    return ((piece.raw, piece.fault) for piece in pieces_of(stream, limit))


def _csv_rows(stream: io.BufferedReader, limit: int) -> Iterator[tuple[bytes, RecordFault | None]]:
    """Rows as JSON, by the names in the header."""
    csv.field_size_limit(limit)
    header = stream.peek(HEAD_BYTES).decode("utf-8-sig", "replace").partition("\n")[0]
    text = io.TextIOWrapper(stream, "utf-8-sig", "surrogateescape", newline="")
    rows = csv.reader(text, delimiter=_separator_of(header) or ",")
    names: list[str] = []
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield b"", RecordFault("bad_field", str(error))
            continue
        if row is None:
            return
        if not names or not row:
            names = names or row
            continue
        fault = RecordFault("bad_field", f"expected {len(names)} fields, got {len(row)}")
        yield _as_json(dict(zip(names, row, strict=False))), None if len(row) == len(names) else fault


def _as_json(row: Mapping[str, str]) -> bytes:
    """A row as a line of JSON. What was no UTF-8 is none here either."""
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogateescape")


def _files_of(row: JsonObject) -> list[str]:
    """What a row says of its pictures' places; `file_names` lists several."""
    found: list[str] = []
    for field, value in row.items():
        if _is_file_name(field):
            listed = texts(value)
            found += [value] if isinstance(value, str) and listed is None else listed or []
    return [valid_text(file.removeprefix("./")) for file in found if file]


def _is_file_name(field: str) -> bool:
    return field in (_FILE_NAME, f"{_FILE_NAME}s") or field.endswith((f"_{_FILE_NAME}", f"_{_FILE_NAME}s"))
