"""What every kind of table is to its reader: names of columns, and rows in batches."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from m3h.pipeline.readers.record import RecordFault

BATCH = 1000
"""Rows that are held at a time."""


class BrokenRow(RecordFault):
    """Why a row cannot be read, with its bytes, where they are a line of text."""

    def __init__(self, reason: str, detail: str, raw: bytes) -> None:
        super().__init__(reason, detail)
        self.raw = raw


Row = Sequence[Any] | RecordFault
"""The values of a row in the order of the columns, or why it cannot be read."""


@dataclass(frozen=True)
class Table:
    """A table of a file.

    kind: what it is, for people: `CSV, separated by commas`.
    names: its columns.
    batches: reads the rows, a list of some at a time, once. It is given the names of the columns that are wanted, and
    the values of each row come in the order of these.
    nested: the columns whose values are objects or lists.
    """

    kind: str
    names: tuple[str, ...]
    batches: Callable[[Sequence[str]], Iterator[list[Row]]]
    nested: tuple[str, ...] = ()
