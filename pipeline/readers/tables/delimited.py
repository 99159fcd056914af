"""Reads tables that are text: fields with commas, tabs, semicolons or bars between them, quoted or not (CSV, TSV).

Python's own parser is used: it takes any number of line ends inside quotes, and can go on behind a broken row, which
that of Arrow cannot. A quote that is never closed would swallow the rest of the file. So a row that ends beyond its
line and is not what the header says costs that line alone, and reading goes on with the next one.
"""

import csv
import io
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from operator import itemgetter
from typing import Literal

from m3h.pipeline.readers.record import RecordFault
from m3h.pipeline.readers.tables.table import BrokenRow, Row, Table

_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_BOM = "\ufeff"
_RETURN = "\ufdd0"
"""No character of any text."""
_HEAD = 1 << 16
_BLOCK = 1 << 18
"""Bytes that are parsed at a time."""
_NAME = re.compile(r"[^\W\d][\w .:/()#$-]{0,63}")
"""How columns are named where none of the names is known. Anything else is taken for lines of something else."""
_QUOTING: tuple[Literal[0], Literal[3]] = (csv.QUOTE_MINIMAL, csv.QUOTE_NONE)
"""How a line that stands alone is taken: with quotes that are not doubled inside of quotes, and without quotes."""
_SEPARATOR_LINE = re.compile(rb'(?:\xef\xbb\xbf)?"?sep=[^\r\n]"?\r?\n', re.IGNORECASE)
"""What some programs write before the header, for Excel."""
_ESCAPED = '\\"'
"""A quote inside quotes as Spark and MySQL write it."""
_NO_TABLE = (b"{", b"[", b"<")
"""How files of JSON, and web pages, begin."""


class _BadLine(str):
    """A line that makes its row unreadable."""

    fault: RecordFault

    @classmethod
    def of(cls, text: str, fault: RecordFault) -> "_BadLine":
        line = cls(text)
        line.fault = fault
        return line


def _fault_of(line: str) -> RecordFault | None:
    return line.fault if isinstance(line, _BadLine) else None


def text_table(stream: io.BufferedReader, limit: int, finds_post: Callable[[tuple[str, ...]], bool]) -> Table | None:
    """The table that a stream of text holds; None where it holds something else. Its rows are not read yet.

    Args:
        stream: UTF-8.
        limit: Most bytes of a line.
        finds_post: Whether columns of these names have something to take for an id and a text.
    """
    head = stream.peek(_HEAD)[:_HEAD]
    if line := _SEPARATOR_LINE.match(head):
        head = head[line.end() :]
    if head.removeprefix(_BOM.encode()).lstrip().startswith(_NO_TABLE):
        return None
    found = [(separator, _first_rows(head, separator)) for separator in _SEPARATORS]
    known = ((sep, rows[0]) for sep, rows in found if rows and finds_post(tuple(rows[0])))
    strange = ((sep, rows[0]) for sep, rows in found if _looks_like_table(rows))
    separator, names = next(known, None) or next(strange, None) or ("", [])
    if not separator:
        return None
    stream.read(line.end() if line else 0)
    rows = partial(_batches, stream, limit, separator, tuple(names))
    return Table(f"text, separated by {_SEPARATORS[separator]}", tuple(names), rows)


def _first_rows(head: bytes, separator: str) -> list[list[str]]:
    """The first two rows of a text, without blank ones; fewer where one is broken."""
    lines = io.StringIO(head.decode("utf-8", "replace").removeprefix(_BOM), newline="\n")
    rows: list[list[str]] = []
    with suppress(csv.Error):
        for row in csv.reader(lines, delimiter=separator):
            rows += [row] if row else []
            if len(rows) == 2:
                break
    return rows


def _looks_like_table(rows: list[list[str]]) -> bool:
    """Whether rows are a header and a row of the same width, although no name in it is known."""
    if len(rows) < 2 or len(rows[0]) < 2 or len(rows[0]) != len(rows[1]):
        return False
    names = [name for name in rows[0] if name]
    return len(set(names)) == len(names) >= len(rows[0]) - 1 and all(map(_NAME.fullmatch, names))


def _without_returns(line: str) -> str:
    """A line with a mark for each carriage return inside: Python before 3.13, and so pandas, writes them unquoted."""
    text = line.rstrip("\r\n")
    if "\r" not in text or _RETURN in text:
        return line
    return text.replace("\r", _RETURN) + line[len(text) :]


def _with_returns(row: list[str]) -> list[str]:
    return [field.replace(_RETURN, "\r") for field in row]


class _Lines:
    """The lines of a stream, many at a time or one by one. Those that a row is made of can be read again."""

    def __init__(self, stream: io.BufferedReader, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._again: deque[str] = deque()
        self.held: list[str] = []

    def block(self) -> list[str]:
        """The next lines, whole ones; [] at the end."""
        data = self._stream.read(_BLOCK)
        if data and not data.endswith(b"\n"):
            data += self._stream.readline(self._limit + 2)  # a line end has up to two bytes
        lines = io.BytesIO(data).readlines()
        if len(data) <= self._limit or max(map(len, lines)) <= self._limit:
            with suppress(UnicodeDecodeError):
                return io.StringIO(data.decode(), newline="\n").readlines()
        return [self._line(line) for line in lines]

    def __iter__(self) -> "_Lines":
        """Itself. It may end, and go on when lines are to be read again."""
        return self

    def __next__(self) -> str:
        """The next line; those that are to be read again come first."""
        if not (self._again or self.read_again(self.block())):
            raise StopIteration
        self.held.append(self._again.popleft())
        return _without_returns(self.held[-1])

    def take(self) -> list[str]:
        """The lines since the last call."""
        held, self.held = self.held, []
        return held

    def read_again(self, lines: Sequence[str]) -> bool:
        """Let these lines come next. Whether there are any now."""
        self._again.extendleft(reversed(lines))
        return bool(self._again)

    def _line(self, line: bytes) -> str:
        if len(line.rstrip(b"\r\n")) > self._limit:
            return self._too_long(line)
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            return _BadLine.of(line.decode("utf-8", "replace"), BrokenRow("not_utf8", str(error), line.rstrip(b"\r\n")))

    def _too_long(self, line: bytes) -> str:
        size, start = len(line), line[: self._limit]
        while not line.endswith(b"\n") and (line := self._stream.readline(_BLOCK)):
            size += len(line)
        detail = f"{size} bytes, at most {self._limit} (read.max_line_bytes)"
        return _BadLine.of("\n", BrokenRow("line_too_long", detail, start))


def _batches(
    stream: io.BufferedReader, limit: int, separator: str, names: Sequence[str], wanted: Sequence[str]
) -> Iterator[list[Row]]:
    rows = _rows(_Lines(stream, limit), separator, len(names))
    places = [names.index(name) for name in wanted]
    pick = None if places == [*range(len(names))] else itemgetter(*places) if len(places) > 1 else None
    is_header = True
    for batch in rows:
        batch = batch[1:] if is_header else batch
        is_header = False
        yield [*batch] if pick is None else [row if isinstance(row, RecordFault) else pick(row) for row in batch]


def _rows(lines: _Lines, separator: str, width: int) -> Iterator[list[list[str] | RecordFault]]:
    """Every row, without blank ones, some at a time. The first one is the header."""
    while block := lines.block():
        if (rows := _whole_rows(block, separator, width)) is None:
            lines.read_again(block)
            rows = list(_single_rows(lines, separator, width))
        if rows:
            yield rows


def _whole_rows(block: list[str], separator: str, width: int) -> list[list[str] | RecordFault] | None:
    """The rows of some lines; None where they are not all whole, and each has to be looked at."""
    if any(type(line) is not str for line in block):
        return None
    try:
        rows = [row for row in csv.reader(block, delimiter=separator, strict=True) if row]
    except csv.Error:  # the end is inside quotes, too
        return None
    return [*rows] if all(len(row) == width for row in rows) else None


def _single_rows(lines: _Lines, separator: str, width: int) -> Iterator[list[str] | RecordFault]:
    """The rows of the lines that are to be read again, each by itself. The last one may take further lines."""
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while lines.read_again(()):
        problem = ""
        try:
            row = _with_returns(next(reader, []))
        except csv.Error as error:
            row, problem = [], str(error)
        held = lines.take()
        if any(line.strip() or _fault_of(line) for line in held):
            found, used = _repaired(row, held, separator, width, problem=problem)
            lines.read_again(held[used:])
            yield found


def _repaired(
    row: list[str], held: list[str], separator: str, width: int, *, problem: str
) -> tuple[list[str] | RecordFault, int]:
    """A row, or why it is none; and how many of its lines are used up."""
    fault = next(filter(None, map(_fault_of, held)), None)
    if len(row) == width or (fault and len(held) == 1):
        return fault or row, len(held)
    line = held[0]
    escaped = [(line.replace(_ESCAPED, '""'), _QUOTING[0])] if _ESCAPED in line else []
    for text, quoting in [*escaped, *((line, quoting) for quoting in _QUOTING)]:
        for fields in _parsed(text, separator, quoting):
            if len(fields) == width + 1 and not fields[-1]:
                fields = fields[:-1]  # a separator behind the last field
            if len(fields) == width and _fault_of(line) is None:
                return fields, 1
    problem = problem or f"{len(row)} fields, where the header has {width}"
    return _fault_of(line) or BrokenRow("bad_row", problem, line.rstrip("\r\n").encode()), 1


def _parsed(line: str, separator: str, quoting: Literal[0, 3]) -> list[list[str]]:
    try:
        rows = csv.reader([_without_returns(line).rstrip("\r\n")], delimiter=separator, quoting=quoting)
        return list(map(_with_returns, rows))
    except csv.Error:
        return []
