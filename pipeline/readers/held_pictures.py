"""Dumps that hold pictures themselves: a build of them needs no folder of pictures, nor leave to fetch them."""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from m3h.pipeline.readers.dumps import DumpFile, read_dump
from m3h.pipeline.readers.files.zips import all_files, content_of, is_zip, opened_zip
from m3h.pipeline.readers.image_text import archive
from m3h.pipeline.readers.image_text.members import PICTURES, suffix_of
from m3h.pipeline.readers.record import RecordFault
from m3h.pipeline.readers.streams import ARCHIVE_ERRORS, buffered
from m3h.pipeline.runtime.filesystems import opened, read_blocks
from m3h.schemas.posts import Post

_LOOKED_AT = 100
"""Records that show whether a dump holds pictures."""


def holds_pictures(dump: DumpFile) -> bool:
    """Whether the beginning of a dump has pictures in it: as files beside their texts, or as fields of its records."""
    return dump.is_folder or any(True for _ in _zipped(dump, 0)) or _records_hold_pictures(dump)


def _records_hold_pictures(dump: DumpFile) -> bool:
    if not dump.format and archive.is_set(dump.path):
        return True
    posts = (record for record in islice(read_dump(dump), _LOOKED_AT) if isinstance(record, Post))
    return any(image.content for post in posts for image in post.images)


def pictures_of(dumps: Iterable[DumpFile], wanted: Collection[str], max_bytes: int) -> Iterator[tuple[str, bytes]]:
    """The sha256 and the bytes of pictures in dumps, each once. No dump is read further than needed.

    Args:
        dumps: where they are looked for.
        wanted: their sha256.
        max_bytes: of a picture.
    """
    left = set(wanted)
    for dump in dumps:
        for data in _pictures(dump, max_bytes) if left else ():
            if (digest := hashlib.sha256(data).hexdigest()) in left:
                left.discard(digest)
                yield digest, data
            if not left:
                return


def _pictures(dump: DumpFile, max_bytes: int) -> Iterator[bytes]:
    yield from _zipped(dump, max_bytes)
    if not dump.is_folder and _records_hold_pictures(dump):
        posts = (post for post in read_dump(dump, max_picture_bytes=max_bytes) if isinstance(post, Post))
        yield from (image.content for post in posts for image in post.images)


def _zipped(dump: DumpFile, max_bytes: int) -> Iterator[bytes]:
    """The pictures of a zip archive that can be read; none of another dump."""
    try:
        if dump.is_folder or not is_zip(buffered(read_blocks(dump.path)).peek(4)[:4]):
            return
        with opened(dump.path) as file:
            zipped = opened_zip(file)
            pictures = (info for name, info in all_files(zipped).items() if suffix_of(name) in PICTURES)
            for content in (content_of(zipped, info) for info in pictures):
                if not isinstance(content, RecordFault):
                    yield content.read(max_bytes)
    except ARCHIVE_ERRORS:  # what reads its records says so
        return
