"""Archives that are image-text sets: tars, as img2dataset and webdataset write them, in one pass; and zips.

Pictures are read one at a time. Which archives are sets shows at their beginning.
"""

import io
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from m3h.pipeline.readers.archives import is_tar, members_of
from m3h.pipeline.readers.files.zips import is_zip
from m3h.pipeline.readers.image_text.members import are_pairs
from m3h.pipeline.readers.image_text.samples import Limits, Located, samples_of
from m3h.pipeline.readers.image_text.zipped import ZippedSet
from m3h.pipeline.readers.record import RecordFault
from m3h.pipeline.readers.streams import ARCHIVE_ERRORS, buffered, decompressed
from m3h.pipeline.runtime.filesystems import opened, read_blocks


def is_set(path: str) -> bool:
    """Whether a file is an archive of pictures and their texts."""
    try:
        stored = buffered(read_blocks(path))
        if is_zip(stored.peek(4)[:4]):
            with opened(path) as file:
                return ZippedSet.within(file, "", Limits(0, 0)) is not None
        stream = decompressed(stored)
        return is_tar(stream) and are_pairs(_names(stream))
    except ARCHIVE_ERRORS:
        return False


def _names(stream: io.BufferedReader) -> Iterator[str]:
    return (name for name, _ in members_of(stream))


def located_samples(path: str, name: str, limits: Limits, on_bytes: Callable[[int], None]) -> Iterator[Located]:
    """Every record of an archive that is a set, each of one position.

    Args:
        path: of the file.
        name: of the dump. Its ids begin with it, because another set may have the same keys.
        limits: for texts and pictures.
        on_bytes: called with the number of bytes of each read.
    """
    position = 0
    try:
        for position, raw, records in _located(path, name_of_set(name), limits, on_bytes):
            yield position, raw, records
    except ARCHIVE_ERRORS as error:
        yield position + 1, b"", [RecordFault("unreadable_file", f"{type(error).__name__}: {error}")]


def _located(path: str, name: str, limits: Limits, on_bytes: Callable[[int], None]) -> Iterator[Located]:
    stored = buffered(_reporting(read_blocks(path), on_bytes))
    if is_zip(stored.peek(4)[:4]):
        with opened(path) as file:
            zipped = ZippedSet.within(file, name, limits)
            yield from zipped.located() if zipped else ()
        return
    samples = samples_of(members_of(decompressed(stored)), limits)
    yield from ((at, sample.raw, [sample.record(name)]) for at, sample in enumerate(samples, start=1))


def _reporting(blocks: Iterator[bytes], on_bytes: Callable[[int], None]) -> Iterator[bytes]:
    for block in blocks:
        on_bytes(len(block))
        yield block


def name_of_set(name: str) -> str:
    """The name of a dump without the suffixes of its file."""
    path = PurePosixPath(name)
    stem = path.name.partition(".tar")[0].removesuffix(".zip")
    return str(path.with_name(stem or path.name))
