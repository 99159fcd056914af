"""Puts the files of an image-text set together to records, in one pass: those of one record follow each other."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedReader

from m3h.pipeline.readers.image_text.captions import captioned
from m3h.pipeline.readers.image_text.members import NO_BYTES, PICTURES, TEXTS, is_hidden, key_of, record_id, suffix_of
from m3h.pipeline.readers.record import RecordFault
from m3h.pipeline.readers.streams import ARCHIVE_ERRORS
from m3h.schemas.posts import ImageRef, Post

Members = Iterator[tuple[str, BufferedReader | RecordFault | None]]
"""The name and the content of each file, or why it has none. None for a picture that stays where it is."""


Located = tuple[int, bytes, list[Post | RecordFault]]
"""The position of a record, its bytes, and the record."""


@dataclass(frozen=True)
class Limits:
    """text: most bytes of a text. picture: most bytes of a picture that is kept; of a larger one, one more is read."""

    text: int
    picture: int


@dataclass
class Sample:
    """The files of one record.

    key: what their names share. texts: content by suffix. others: suffixes of files that are neither picture nor text.
    fault: why the record cannot be read. reading: the file that is being read.
    """

    key: str
    pictures: dict[str, ImageRef] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    fault: RecordFault | None = None
    reading: str = ""

    def has(self, name: str) -> bool:
        """Whether a file belongs to this record: `KEY.features.npy` belongs to `KEY.jpg` too."""
        other = suffix_of(name) not in (*PICTURES, *TEXTS)
        return key_of(name) == self.key or (other and name.startswith(f"{self.key}."))

    def add(self, name: str, content: BufferedReader | RecordFault | None, limits: Limits) -> None:
        """Read a file of this record. Of two with one name the second counts, as when an archive is unpacked."""
        suffix, self.reading = suffix_of(name), name
        if suffix not in (*PICTURES, *TEXTS):
            self.others.append(suffix)
        elif isinstance(content, RecordFault):
            self.fault = self.fault or RecordFault(content.reason, f"{name}: {content.detail}")
        elif content is None:
            self.pictures[name] = ImageRef(path=name)
        elif suffix in PICTURES:
            self.pictures[name] = self._picture(name, content, limits.picture)
        else:
            self._take_text(name, content.read(limits.text + 1), limits.text)
        self.reading = ""

    def _picture(self, name: str, content: BufferedReader, limit: int) -> ImageRef:
        """With its bytes if it is the only one so far: a record with several is dropped, whatever they show."""
        several = bool(self.pictures.keys() - {name})
        data = b"" if several else content.read(limit + 1)
        return ImageRef(path=name, content=data, embedded="" if data or several else NO_BYTES)

    def _take_text(self, name: str, data: bytes, limit: int) -> None:
        if len(data) > limit:
            detail = f"{name}: more than {limit} bytes (read.max_line_bytes)"
            self.fault = self.fault or RecordFault("line_too_long", detail)
        self.texts[suffix_of(name)] = data[:limit]

    @property
    def raw(self) -> bytes:
        """The bytes of its text."""
        return next((self.texts[suffix] for suffix in TEXTS if suffix in self.texts), b"")

    def record(self, name: str) -> Post | RecordFault:
        """The post of these files, or why there is none. name: of the set, with which its ids begin."""
        own_id = record_id(name, self.key)
        try:
            return self._post(own_id)
        except RecordFault as fault:
            found = fault.record_id or own_id
            return RecordFault(fault.reason, fault.detail, found, versions=fault.versions, parts=fault.parts)

    def _post(self, own_id: str) -> Post:
        if self.fault:
            raise self.fault
        if self.texts:
            return captioned(own_id, self.texts, tuple(self.pictures.values()))
        if self.pictures:
            raise RecordFault("no_text", f"{next(iter(self.pictures))}: no text of this name beside it")
        raise RecordFault("unknown_format", f"{self.key}: neither a picture nor a text, but {', '.join(self.others)}")


def samples_of(members: Members, limits: Limits) -> Iterator[Sample]:
    """The records of a set.

    Where the set is damaged, the record that was being read has a fault. Where none was, the error comes after the
    records that are whole.

    Raises:
        OSError, EOFError, tarfile.TarError, …: one of ARCHIVE_ERRORS.
    """
    sample: Sample | None = None
    try:
        for name, content in members:
            if is_hidden(name):
                continue
            if sample and not sample.has(name):
                yield sample
                sample = None
            sample = sample or Sample(key_of(name))
            sample.add(name, content, limits)
    except ARCHIVE_ERRORS as error:
        if sample and sample.reading:
            sample.fault = RecordFault("unreadable_file", f"{sample.reading}: {type(error).__name__}: {error}")
            yield sample
            return
        if sample:
            yield sample
        raise
    if sample:
        yield sample
