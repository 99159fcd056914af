"""Pictures that lie in a zip archive beside its posts, as in the personal archives of social networks."""

import zipfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import PurePosixPath

from m3h.pipeline.images.source_folder import possible_names
from m3h.pipeline.readers.dumps import DumpFile
from m3h.pipeline.readers.files.zips import all_files, content_of, is_zip, opened_zip
from m3h.pipeline.readers.image_text.members import NO_BYTES, PICTURES, suffix_of
from m3h.pipeline.readers.record import RecordFault
from m3h.pipeline.readers.streams import ARCHIVE_ERRORS, buffered
from m3h.pipeline.runtime.filesystems import opened, read_blocks
from m3h.schemas.posts import ImageRef, Post


class ZipPictures:
    """The pictures of an archive. They are found by the names that also count in a folder, in whatever folder they lie.

    max_bytes: of a picture that is kept; of a larger one, one byte more is read.
    """

    def __init__(self, archive: zipfile.ZipFile, max_bytes: int) -> None:
        self._archive = archive
        self._max_bytes = max_bytes
        self._files = {name: info for name, info in all_files(archive).items() if suffix_of(name) in PICTURES}
        self._by_last: defaultdict[str, list[str]] = defaultdict(list)
        for name in self._files:
            self._by_last[PurePosixPath(name).name].append(name)

    def __bool__(self) -> bool:
        return bool(self._files)

    def added_to(self, post: Post) -> Post:
        """The post with the bytes of its picture, if the archive has it; a picture that has bytes stays as it is."""
        if len(post.images) != 1 or post.images[0].content or post.images[0].embedded:
            return post
        (image,) = post.images
        names = (found for name in possible_names(image, post.post_id) if (found := self._member(name)))
        found = next(names, "")
        return post.having(images=(self._with_bytes(image, found),)) if found else post

    def _member(self, name: str) -> str:
        """The member of this path, or the only one whose path ends with it; "" where there is none, or several."""
        if name in self._files:
            return name
        parts = PurePosixPath(name).parts
        ends = [found for found in self._by_last[parts[-1]] if PurePosixPath(found).parts[-len(parts) :] == parts]
        return ends[0] if len(ends) == 1 else ""

    def _with_bytes(self, image: ImageRef, name: str) -> ImageRef:
        """With the bytes of a member; as it was where that cannot be read."""
        content = content_of(self._archive, self._files[name])
        try:
            data = b"" if isinstance(content, RecordFault) else content.read(self._max_bytes + 1)
        except ARCHIVE_ERRORS:
            return image
        if isinstance(content, RecordFault):
            return image
        return replace(image, content=data, embedded="" if data else NO_BYTES)


@contextmanager
def pictures_in(dump: DumpFile, max_bytes: int) -> Iterator[ZipPictures | None]:
    """The pictures of a dump that is a zip archive; None for any other, and where it has none."""
    if dump.is_folder or not _is_zip(dump):
        yield None
        return
    with opened(dump.path) as file:
        try:
            found = ZipPictures(opened_zip(file), max_bytes)
        except ARCHIVE_ERRORS:  # what reads its records says so
            found = None
        yield found or None


def _is_zip(dump: DumpFile) -> bool:
    try:
        return is_zip(buffered(read_blocks(dump.path)).peek(4)[:4])
    except ARCHIVE_ERRORS:
        return False
