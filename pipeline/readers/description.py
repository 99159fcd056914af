"""What a dump file is: its compression, its layout, the formats of its records, and what is taken from which field."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from m3h.pipeline.readers.archives import is_tar
from m3h.pipeline.readers.bluesky import car
from m3h.pipeline.readers.dumps import DumpFile, raw_records
from m3h.pipeline.readers.fields import Fields, fields_of
from m3h.pipeline.readers.files import zips
from m3h.pipeline.readers.formats import CMKP, names_in
from m3h.pipeline.readers.framing import layout_of
from m3h.pipeline.readers.image_text import archive
from m3h.pipeline.readers.image_text.folder import IMAGE_TEXT
from m3h.pipeline.readers.mapping import FieldMapping
from m3h.pipeline.readers.streams import ARCHIVE_ERRORS, buffered, compression_of, decompressed
from m3h.pipeline.readers.tables.open import TableSource, opened_table
from m3h.pipeline.readers.tables.rows import PLAIN, RowReader
from m3h.pipeline.rules import ReadRules
from m3h.pipeline.runtime.filesystems import is_remote, read_blocks

_HEAD = 4096
_SET = "a {} of pictures and their texts"
_SETS = tuple(map(_SET.format, ("tar archive", "zip archive")))
_PICTURES = ("lists", "files", "urls")


@dataclass(frozen=True)
class Description:
    """What a dump file is.

    layout: how its records lie in it. compression: "" for none. formats: of its records, with their numbers.
    taken: what is read -> the fields or columns it is taken from; {} where the format says it.
    """

    layout: str
    compression: str
    formats: Mapping[str, int]
    taken: Mapping[str, Sequence[str]]


def described(dump: DumpFile, rules: ReadRules, records: int) -> Description:
    """Look at a file.

    Args:
        dump: The file.
        rules: How it is read.
        records: How many records it has.
    """
    mapping = FieldMapping.of(rules.fields)
    if dump.format == CMKP:
        return Description("lines of a released dataset", "", {CMKP: records}, {})
    if dump.is_folder:
        return Description(_SET.format("folder"), "", {IMAGE_TEXT: records}, {})
    layout, compression, table = _layout(dump, rules)
    if layout in _SETS:
        return Description(layout, compression, {IMAGE_TEXT: records}, {})
    if table is not None:
        columns = _taken(table.fields, mapping) if table.format == PLAIN else {}
        return Description(layout, compression, {table.format: records}, columns)
    formats: Counter[str] = Counter()
    taken: dict[str, list[str]] = {}
    for positions, raw in raw_records(dump, range(1, records + 1), rules):
        found = names_in(raw, dump.format, mapping)
        formats.update([found[0][0]] * len(positions) if found else [])
        for name, record in found:
            if name == PLAIN:
                for part, names in _taken(fields_of(tuple(record)), mapping).items():
                    taken[part] = [*dict.fromkeys([*taken.get(part, ()), *names])]
    return Description(layout, compression, dict(sorted(formats.items())), taken)


def _layout(dump: DumpFile, rules: ReadRules) -> tuple[str, str, RowReader | None]:
    """How records lie in a file, how it is compressed, and the reader of its rows where it is a table."""
    stored = buffered(read_blocks(dump.path))
    compression = compression_of(stored.peek(6)[:6])
    is_set = not dump.format and archive.is_set(dump.path)
    if zips.is_zip(stored.peek(4)[:4]):
        return _SET.format("zip archive") if is_set else "a zip archive", "", None
    try:
        stream = decompressed(stored)
        if is_tar(stream):
            return _SET.format("tar archive") if is_set else "a tar archive", compression, None
        if car.is_car(stream):
            return "a repository (CAR)", compression, None
        own_file = Path(dump.path) if stream is stored and not is_remote(dump.path) else None
        with opened_table(TableSource(stream, own_file), rules, dump.format) as table:
            if isinstance(table, RowReader):
                return table.table.kind, compression, table
            return "a table" if table else layout_of(stream.peek(_HEAD)[:_HEAD]), compression, None
    except ARCHIVE_ERRORS:
        return "a file that cannot be read", compression, None


def _taken(found: Fields, mapping: FieldMapping) -> dict[str, list[str]]:
    """Part of a post -> the fields that it is taken from, the first of them that has a value."""
    parts = {part.name: getattr(found, part.name) for part in fields(found) if part.name not in (*_PICTURES, "kinds")}
    parts["pictures"] = found.addresses
    parts.pop("beside")
    taken = {part: list(names) for part, names in parts.items() if names}
    return taken | {target: [expression] for target, expression in mapping.pairs}
