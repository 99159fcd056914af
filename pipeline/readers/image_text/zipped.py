"""Image-text sets in zip archives: pairs of files, and pictures that a table of metadata names."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from m3h.pipeline.readers.files.zips import all_files, content_of, opened_zip
from m3h.pipeline.readers.image_text.members import NO_BYTES, PICTURES, are_pairs, is_hidden, key_of, suffix_of
from m3h.pipeline.readers.image_text.metadata import HEAD_BYTES, TABLES, Table, names_pictures
from m3h.pipeline.readers.image_text.samples import Limits, Located, Members, samples_of
from m3h.pipeline.readers.record import RecordFault
from m3h.pipeline.readers.streams import ARCHIVE_ERRORS
from m3h.schemas.posts import ImageRef


@dataclass(frozen=True)
class ZippedSet:
    """A set in an archive. name: of the dump, with which its ids begin. limits: for texts and pictures."""

    archive: zipfile.ZipFile
    files: dict[str, zipfile.ZipInfo]
    name: str
    limits: Limits

    @classmethod
    def within(cls, file: IO[bytes], name: str, limits: Limits) -> "ZippedSet | None":
        """The set in an archive; None where it is none. One of ARCHIVE_ERRORS where the archive is damaged."""
        archive = opened_zip(file)
        files = {name: info for name, info in all_files(archive).items() if not is_hidden(name)}
        found = cls(archive, files, name, limits)
        return found if found.tables or are_pairs(found.names) else None

    @property
    def names(self) -> list[str]:
        """Names of its files, those of one record side by side."""
        return sorted(self.files, key=lambda name: (key_of(name), name))

    @property
    def tables(self) -> list[str]:
        """Names of the tables of metadata."""
        names = (name for name in self.names if name.rpartition("/")[2] in TABLES)
        return [name for name in names if names_pictures(name, self._head(name))]

    def located(self) -> Iterator[Located]:
        """Every record, each of one position."""
        if not (tables := self.tables):
            samples = samples_of(self._members(), self.limits)
            yield from ((at, sample.raw, [sample.record(self.name)]) for at, sample in enumerate(samples, start=1))
            return
        before = 0
        for name in tables:
            position = before
            for at, raw, records in self._rows(name):
                position = before + at
                yield position, raw, records
            before = position

    def _members(self) -> Members:
        """The files, each read by itself: one that is damaged costs its own record only."""
        for name in self.names:
            try:
                data = self._read(name, max(self.limits.text, self.limits.picture) + 1)
                yield name, io.BufferedReader(io.BytesIO(data))
            except RecordFault as fault:
                yield name, fault

    def _rows(self, name: str) -> Iterator[Located]:
        """The rows of a table. If it is damaged, the last one says so."""
        content, at = content_of(self.archive, self.files[name]), 0
        room = name.rpartition("/")[0]
        below = f"{room}/" if room else ""
        pictures = [file.removeprefix(below) for file in self.names if self._is_picture_of(file, below)]
        table = Table(
            name, f"{self.name}/{room}" if room else self.name, pictures, lambda path: self._picture(below, path)
        )
        try:
            if isinstance(content, RecordFault):
                yield 1, b"", [content]
                return
            for at, raw, records in table.located(content, self.limits):
                yield at, raw, records
        except ARCHIVE_ERRORS as error:
            yield at + 1, b"", [RecordFault("unreadable_file", f"{name}: {type(error).__name__}: {error}")]

    def _is_picture_of(self, file: str, below: str) -> bool:
        return file.startswith(below) and suffix_of(file) in PICTURES

    def _picture(self, below: str, path: str) -> ImageRef:
        """The picture that a table names by a path from its folder."""
        name = f"{below}{path}"
        if name not in self.files:
            return ImageRef(path=name)
        data = self._read(name, self.limits.picture + 1)
        return ImageRef(path=name, content=data, embedded="" if data else NO_BYTES)

    def _read(self, name: str, size: int) -> bytes:
        """The first bytes of a file. RecordFault where it cannot be read."""
        content = content_of(self.archive, self.files[name])
        if isinstance(content, RecordFault):
            raise content
        try:
            return content.read(size)
        except ARCHIVE_ERRORS as error:
            raise RecordFault("unreadable_file", f"{type(error).__name__}: {error}") from error

    def _head(self, name: str) -> bytes:
        try:
            return self._read(name, HEAD_BYTES)
        except RecordFault:
            return b""
