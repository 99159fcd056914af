"""Cuts a stream of bytes into pieces. A piece is one line, one member of a large list, or one indented object.

Most dumps have one record per line. A file that begins with a list of objects is cut at the members of the list, so
that a broken member loses only itself. The list may follow `window.YTD.tweets.part0 =`, as in a personal archive, or
be the `orderedItems` of an object, as in the `outbox.json` of a Mastodon archive, all in one line. An object that holds
records by their ids is cut at these, and a file of indented objects at its objects. No piece longer than `limit` bytes
is held in memory.
A streaming JSON parser (ijson) would not do: it ends at the first broken value.
"""

import io
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import chain

from m3h.pipeline.readers.record import RecordFault
from m3h.pipeline.readers.streams import buffered
from m3h.pipeline.runtime.filesystems import blocks_of

_FIELD = rb'"[@\w]+":[ \t]*(?:"[^"\\]*"|\d+)'
_LIST = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:[\w.$]+\s*=\s*|(?P<object>\{(?:"
    + _FIELD
    + rb',[ \t]*)*"orderedItems":[ \t]*))?\[(?=\s*[{\]])'
)
_END_OF_OBJECT = re.compile(rb"[ \t]*(?:,[ \t]*" + _FIELD + rb")*\}[; \t]*")
_BY_KEY = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{(?=\s*\"\d+\"\s*:\s*\{)")
_INDENTED = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?=\{[ \t]*\r?\n[ \t]+\")")
_FIRST_MEMBER = re.compile(rb"(\s*)\{([ \t]*\")?")
_BETWEEN_VALUES, _IN_VALUE, _IN_STRING = rb'["{}\[\],]', rb'["{}\[\]]', rb'["\\]'
_HEAD = 4096
BLOCK = 1 << 16
"""Bytes that are searched at a time."""


@dataclass(frozen=True)
class Piece:
    """raw: the piece's bytes without the line end, at most `limit` of them. fault: why the piece cannot be read."""

    raw: bytes
    fault: RecordFault | None = None


def pieces_of(stream: io.BufferedReader, limit: int) -> Iterator[Piece]:
    """Every piece of a stream in order. Blank lines are pieces too, so that pieces can be counted as lines."""
    head = stream.peek(_HEAD)[:_HEAD]
    if start := _LIST.match(head):
        stream.read(start.end())
        scanner = _ValueScanner(limit, _indent(head[start.end() :]), b"]")
        rest = yield from scanner.scan_stream(stream)
        if rest is None:
            raise EOFError("the list has no end")
        stream = buffered(chain([rest], blocks_of(stream)))
        yield from _after_list(stream, limit, in_object=start["object"] is not None)
    elif start := _BY_KEY.match(head):
        stream.read(start.end())
        rest = yield from _members_by_key(stream, limit)
        stream = buffered(chain([rest], blocks_of(stream)))
        yield from _after_list(stream, limit, in_object=False)
    elif start := _INDENTED.match(head):
        stream.read(start.end())
        yield from _ValueScanner(limit, b"").scan_stream(stream)
    yield from _lines(stream, limit)


def _members_by_key(stream: io.BufferedReader, limit: int) -> Generator[Piece, None, bytes]:
    """Each member of an object of records as an object of one. Returns the bytes of the last block behind its end."""
    members = _ValueScanner(limit, None, b"}").scan_stream(stream)
    while True:
        try:
            member = next(members)
        except StopIteration as ended:
            if ended.value is None:
                raise EOFError("the object of records has no end") from ended
            return bytes(ended.value)
        yield Piece(b"{" + member.raw + b"}", member.fault)


def layout_of(head: bytes) -> str:
    """How records lie in a file of JSON that begins with these bytes, for people."""
    if start := _LIST.match(head):
        return "the list of an outbox" if start["object"] else "a list of JSON objects"
    if _BY_KEY.match(head):
        return "a JSON object of records"
    return "indented JSON objects" if _INDENTED.match(head) else "lines of JSON"


def _indent(head: bytes) -> bytes | None:
    """The white space before each member's brace. None when inner braces may have the same indentation."""
    if not (first := _FIRST_MEMBER.match(head)):
        return None
    indent = first[1].rpartition(b"\n")[2] if b"\n" in first[1] else b""
    return indent if indent or first[2] else None


def _lines(stream: io.BufferedReader, limit: int) -> Iterator[Piece]:
    while line := stream.readline(limit + 2):  # a line end has up to two bytes
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


def _after_list(stream: io.BufferedReader, limit: int, in_object: bool) -> Iterator[Piece]:
    """The rest of the line in which a list ends, unless it is empty, a semicolon, or the end of the list's object."""
    rest = next(_lines(stream, limit), Piece(b""))
    is_end = in_object and _END_OF_OBJECT.fullmatch(rest.raw)
    if rest.fault or (rest.raw.strip(b"; \t") and not is_end):
        yield rest


class _Value:
    """The bytes of one value. At most `limit` of them are kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._size = 0

    def add(self, part: bytes) -> None:
        part = part if self._size else part.lstrip()
        self._size += len(part)
        self._kept += part[: max(0, self._limit - len(self._kept))]

    def end(self, part: bytes) -> Iterator[Piece]:
        """The value with its last part, unless it is empty. After this call the next value begins."""
        self.add(part)
        raw, size = bytes(self._kept), self._size
        self._kept.clear()
        self._size = 0
        if size > self._limit:
            yield Piece(raw, _too_long(size, self._limit))
        elif raw := raw.rstrip(b", \t\r\n"):
            yield Piece(raw)


class _ValueScanner:
    """Cuts a stream into JSON values that follow each other, with commas or nothing between them.

    The scanner looks only at brackets and quotes; it does not check that a value is valid JSON. A brace at the
    indentation of the members always begins a new value. So a value that is never closed does not hide the next ones.
    """

    def __init__(self, limit: int, indent: bytes | None, end: bytes = b"") -> None:
        member_start = b"" if indent is None else rb"|\n" + re.escape(indent) + rb"(?=\{)"
        patterns = (_BETWEEN_VALUES, _IN_VALUE + member_start, _IN_STRING + member_start)
        self._patterns = tuple(re.compile(pattern) for pattern in patterns)
        self._end = end  # of the list; b"" for values that only follow each other
        self._value = _Value(limit)
        self._depth = 0
        self._quoted = False
        self._skip = 0  # bytes of the next block that belong to an escape in this one

    def scan_stream(self, stream: io.BufferedReader) -> Generator[Piece, None, bytes | None]:
        """Every value of the stream. Returns the bytes of the last block behind the list's end; None without an end."""
        for block in _unsplit_line_starts(blocks_of(stream, BLOCK)):
            end = yield from self._scan_block(block)
            if end is not None:
                return block[end:]
        if not self._end:
            yield from self._value.end(b"")
        return None

    def _scan_block(self, block: bytes) -> Generator[Piece, None, int | None]:
        """The values that end in `block`. Returns the position behind the list's end; None when the list goes on."""
        start, at = 0, self._skip
        depth, quoted = self._depth, self._quoted
        between_values, in_value, in_string = self._patterns
        while mark := (in_string if quoted else in_value if depth else between_values).search(block, at):
            at = mark.end()
            match mark[0][:1]:
                case b"\\":
                    at += block[at : at + 1] != b"\n"  # a line end cannot be escaped
                case b'"':
                    quoted = not quoted
                case b"{" | b"[":
                    depth += 1
                case b"," | self._end if depth == 0:
                    yield from self._value.end(block[start : at - 1])
                    start = at
                    if mark[0] == self._end:
                        return at
                case b"}" | b"]" if depth:
                    depth -= 1
                    if depth == 0:
                        yield from self._value.end(block[start:at])
                        start = at
                case b"\n":  # the start of a member, see _indent
                    yield from self._value.end(block[start : mark.start()])
                    depth, quoted, start = 0, False, at
        self._depth, self._quoted = depth, quoted
        self._skip = max(0, at - len(block))
        self._value.add(block[start:])
        return None


def _unsplit_line_starts(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in other blocks: none ends within the white space at the start of a line."""
    held = b""
    for block in blocks:
        block = held + block
        end = block.rfind(b"\n")
        cut = end if end >= 0 and len(block) - end < _HEAD and not block[end:].strip() else len(block)
        held = block[cut:]
        yield block[:cut]
    yield held
