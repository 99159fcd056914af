"""Whether a dump holds anything that is read; if not, what it is and what to do, in one line."""

from collections import Counter
from collections.abc import Sequence

from m3h.pipeline.readers.dumps import DumpFile, read_dump
from m3h.pipeline.readers.files.kinds import HEAD_BYTES, is_binary, text_kind_of
from m3h.pipeline.readers.streams import ARCHIVE_ERRORS, buffered, decompressed
from m3h.pipeline.rules import ReadRules
from m3h.pipeline.runtime.filesystems import read_blocks
from m3h.schemas.errors import UsageError
from m3h.schemas.posts import Post

NO_FAULT_OF_THE_DUMP = {"notice", "supplement", "withheld", "unavailable", "deleted", "promoted"}
"""Reasons of the stage `read` for records that are what they should be."""

_NAMED = 3
_ADVICE = {
    "unknown_format": "If these are posts, name their fields with read.fields, or the format with --format.",
    "unknown_table": "Name it with read.table, and its columns with read.fields.",
    "missing_field": "If these are posts, name their fields with read.fields.",
    "bad_field": "If these are posts, name their fields with read.fields.",
}
_OTHER_ADVICE = "docs/dumps.md says what is read."


def refuse_unreadable(dumps: Sequence[DumpFile], rules: ReadRules) -> None:
    """Look for one record that is of use. As a rule it is the first; a dump without any is read to its end.

    Args:
        dumps: files of one build.
        rules: the limits.

    Raises:
        UsageError: no dump has one. The line says what they are.
    """
    found: list[str] = []
    for dump in dumps:
        if not (what := complaint(dump, rules)):
            return
        if len(found) < _NAMED:
            found.append(f"{dump.name}: {what}")
    if found:
        more = f" {len(dumps) - len(found)} more files are no better." if len(dumps) > len(found) else ""
        raise UsageError(f"--dumps {' '.join(found)}{more}")


def complaint(dump: DumpFile, rules: ReadRules) -> str:
    """Why no record of a dump is of use, in a sentence or two; "" where one is."""
    reasons: Counter[str] = Counter()
    first = ""
    for record in read_dump(dump, rules):
        if isinstance(record, Post) or record.reason in NO_FAULT_OF_THE_DUMP:
            return ""
        first = first or record.detail
        reasons[record.reason] += 1
    if not reasons:
        return f"{'it holds no records' if dump.size() else 'an empty file'}. {_OTHER_ADVICE}"
    if reasons.keys() == {"unreadable_file"}:
        return f"{first}."
    head = _head_of(dump)
    if kind := text_kind_of(head):
        return f"{kind}."
    if is_binary(head) and "unknown_format" not in reasons:
        return f"no text, and of no kind that is known here. {_OTHER_ADVICE}"
    listed = ", ".join(f"{reason} {number}" for reason, number in sorted(reasons.items()))
    advice = _ADVICE.get(max(reasons, key=reasons.__getitem__), _OTHER_ADVICE)
    return f"no record is a post that is known here ({listed}; the first: {first}). {advice}"


def _head_of(dump: DumpFile) -> bytes:
    """The first bytes of a dump as text, b"" where they cannot be read."""
    try:
        return decompressed(buffered(read_blocks(dump.path))).peek(HEAD_BYTES)[:HEAD_BYTES]
    except ARCHIVE_ERRORS:
        return b""
