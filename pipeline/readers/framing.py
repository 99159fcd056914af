"""A stream of bytes to pieces, one JSON text each: lines, members of one great list, or indented objects.

Lines are the rule. A file that begins with a list of objects, with or without the `window.YTD.tweets.part0 =` of a
personal archive, is cut at its members, so that a broken one costs itself alone; so is a file of indented objects.
No piece longer than `limit` bytes is ever held.
"""

import io
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import chain

from pipeline.readers.record import RecordFault
from pipeline.readers.streams import buffered
from pipeline.storage import blocks_of

_LIST = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:[\w.$]+\s*=\s*)?\[(?=\s*[{\]])")
_INDENTED = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?=\{[ \t]*\r?\n[ \t]+\")")
_FIRST = re.compile(rb"(\s*)\{([ \t]*\")?")
_BETWEEN, _WITHIN, _QUOTED = rb'["{}\[\],]', rb'["{}\[\]]', rb'["\\]'
_HEAD = 4096
BLOCK = 1 << 16
"""Bytes that are looked at in one go."""


@dataclass(frozen=True)
class Piece:
    """raw: its bytes without the line's end, or as many of them as were held. fault: why there is nothing to read."""

    raw: bytes
    fault: RecordFault | None = None


def pieces_of(stream: io.BufferedReader, limit: int) -> Iterator[Piece]:
    """Every piece of a stream in order; blank lines too, so that pieces can be counted as lines."""
    head = stream.peek(_HEAD)[:_HEAD]
    if start := _LIST.match(head):
        stream.read(start.end())
        rest = yield from _values(stream, limit, _indent(head[start.end() :]), in_list=True)
        if rest is None:
            raise EOFError("the list has no end")
        stream = buffered(chain([rest], blocks_of(stream)))
        yield from _after_list(stream, limit)
    elif start := _INDENTED.match(head):
        stream.read(start.end())
        yield from _values(stream, limit, b"")
    yield from _lines(stream, limit)


def _indent(head: bytes) -> bytes | None:
    """What stands before each member's brace in its line; None where other braces may stand as far to the left."""
    if not (first := _FIRST.match(head)):
        return None
    indent = first[1].rpartition(b"\n")[2] if b"\n" in first[1] else b""
    return indent if indent or first[2] else None


def _lines(stream: io.BufferedReader, limit: int) -> Iterator[Piece]:
    while line := stream.readline(limit + 2):  # and its end, of up to two bytes
        text = line.rstrip(b"\r\n")
        if len(text) <= limit:
            yield Piece(text)
            continue
        size = len(line)
        while not line.endswith(b"\n") and (line := stream.readline(BLOCK)):
            size += len(line)
        yield Piece(text[:limit], _too_long(size, limit))


def _too_long(size: int, limit: int) -> RecordFault:
    return RecordFault("line_too_long", f"{size} bytes, at most {limit} (read.max_line_bytes)")


def _after_list(stream: io.BufferedReader, limit: int) -> Iterator[Piece]:
    """What stands behind the list in its last line: nothing, or a semicolon."""
    rest = next(_lines(stream, limit), Piece(b""))
    if rest.fault or rest.raw.strip(b"; \t"):
        yield rest


class _Value:
    """Bytes of one value, of which no more than `limit` are kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._size = 0

    def add(self, part: bytes) -> None:
        part = part if self._size else part.lstrip()
        self._size += len(part)
        self._kept += part[: max(0, self._limit - len(self._kept))]

    def end(self, part: bytes) -> Iterator[Piece]:
        """The value, if there is one, with its last part; the next begins."""
        self.add(part)
        raw, size = bytes(self._kept), self._size
        self._kept.clear()
        self._size = 0
        if size > self._limit:
            yield Piece(raw, _too_long(size, self._limit))
        elif raw := raw.rstrip(b", \t\r\n"):
            yield Piece(raw)


def _values(
    stream: io.BufferedReader, limit: int, indent: bytes | None, in_list: bool = False
) -> Generator[Piece, None, bytes | None]:
    """Values one after the other, with commas or nothing between them; returns what was read behind a list's end.

    Brackets and quotes are all that is looked at: whether a value is JSON is for others to say. A brace that stands
    where values begin begins one, so that a value that was never closed costs no other.
    """
    anew = b"" if indent is None else rb"|\n" + re.escape(indent) + rb"(?=\{)"
    between, within, inside = re.compile(_BETWEEN), re.compile(_WITHIN + anew), re.compile(_QUOTED + anew)
    value = _Value(limit)
    depth, quoted, skip = 0, False, 0
    for block in _uncut(blocks_of(stream, BLOCK)):
        start, at = 0, skip
        while mark := (inside if quoted else within if depth else between).search(block, at):
            at = mark.end()
            match mark[0][:1]:
                case b"\\":
                    at += block[at : at + 1] != b"\n"  # a line's end is never escaped
                case b'"':
                    quoted = not quoted
                case b"{" | b"[":
                    depth += 1
                case b"," | b"]" if depth == 0 and (in_list or mark[0] == b","):
                    yield from value.end(block[start : at - 1])
                    start = at
                    if mark[0] == b"]":
                        return block[at:]
                case b"}" | b"]" if depth:
                    depth -= 1
                    if depth == 0:
                        yield from value.end(block[start:at])
                        start = at
                case b"\n":
                    yield from value.end(block[start : mark.start()])
                    depth, quoted, start = 0, False, at
        skip = max(0, at - len(block))
        value.add(block[start:])
    if not in_list:
        yield from value.end(b"")
    return None


def _uncut(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Blocks of which none ends in the blanks between a line's end and what the next line begins with."""
    held = b""
    for block in blocks:
        block = held + block
        end = block.rfind(b"\n")
        cut = end if end >= 0 and len(block) - end < _HEAD and not block[end:].strip() else len(block)
        held = block[cut:]
        yield block[:cut]
    yield held
