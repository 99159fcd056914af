"""Records as JavaScript files, so that a page from disk can load them: `fetch` of file:// is refused.

A kind of records has an index that filters work on, a file of texts that a search needs, and parts of the records
themselves. A page loads the index, and then only the parts that it shows.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from m3h.schemas.files import publish_bytes

PER_PART = 240
"""Records in one file."""

Row = dict[str, Any]


@dataclass
class Names:
    """Numbers for names, in the order in which they come."""

    numbers: dict[str, int] = field(default_factory=dict)

    def number(self, name: str) -> int:
        """The number of a name, a new one for a new name."""
        return self.numbers.setdefault(name, len(self.numbers))


def parts(rows: Sequence[Row]) -> Iterator[tuple[int, Sequence[Row]]]:
    """The records of each file, with its number."""
    return ((start // PER_PART, rows[start : start + PER_PART]) for start in range(0, len(rows), PER_PART))


def write_index(folder: Path, kind: str, index: Row) -> None:
    """Write KIND-index.js."""
    _write(folder / f"{kind}-index.js", kind, "index", {**index, "per": PER_PART})


def write_search(folder: Path, kind: str, texts: Row) -> None:
    """Write KIND-search.js."""
    _write(folder / f"{kind}-search.js", kind, "search", texts)


def write_part(folder: Path, kind: str, number: int, records: Row) -> None:
    """Write KIND-00000.js and so on."""
    _write(folder / f"{kind}-{number:05d}.js", kind, number, records)


def _write(path: Path, kind: str, part: int | str, value: object) -> None:
    publish_bytes(path, script(f"m3h.loaded({json.dumps(kind)},{json.dumps(part)},", value, ")"), lasting=False)


def script(begin: str, value: object, end: str) -> bytes:
    """A script of one call or assignment. JSON in ASCII is JavaScript, whatever a post says."""
    return (begin + json.dumps(value, separators=(",", ":")) + end + ";\n").encode("ascii")
