"""Search every file of a dataset for traces of forgotten records, to prove that there are none."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from m3h.pipeline.dataset.publish import MAPPING
from m3h.pipeline.dataset.workspace import FOLDER
from m3h.pipeline.progress.monitor import tracked
from m3h.schemas.inside import name_of, walk
from m3h.schemas.shards import finished_hdf5

LANGUAGE = frozenset({"text", "tokens", "words", "hashtags", "keyphrases", "labels"})
"""Columns of text. An id that is a word or a number can be in them by chance."""

LONG = 6
"""Least number of characters of an id that is searched inside longer strings; a shorter one is in them by chance."""

_WORD = re.compile(r"[\w-]+")


class Names:
    """Finds ids inside longer strings: only whole words, and only ids of at least `LONG` characters."""

    def __init__(self, ids: Iterable[str]) -> None:
        long = {record_id for record_id in ids if len(record_id) >= LONG}
        self._words = {record_id for record_id in long if _WORD.fullmatch(record_id)}
        self._not_words = sorted(long - self._words)  # with spaces or other characters

    def found_in(self, text: str) -> set[str]:
        """The ids that are in `text`."""
        return self._words.intersection(_WORD.findall(text)) | {name for name in self._not_words if name in text}

    def masked(self, text: str, mask: str) -> str:
        """`text` with `mask` in the place of every id."""
        for name in self._not_words:
            text = text.replace(name, mask)
        return _WORD.sub(lambda word: mask if word[0] in self._words else word[0], text)


@dataclass(frozen=True)
class Sought:
    """What must not be in a dataset.

    ids: of records. texts, urls: those that no other record has. images: sha256 of pictures.
    """

    ids: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    urls: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()

    def as_json(self) -> dict[str, list[str]]:
        """As JSON values; `Sought.of` is the inverse."""
        return {name: sorted(values) for name, values in asdict(self).items()}

    @classmethod
    def of(cls, raw: dict[str, list[str]]) -> "Sought":
        """Inverse of `as_json`."""
        return cls(**{name: frozenset(values) for name, values in raw.items()})

    @cached_property
    def _names(self) -> Names:
        return Names(self.ids)

    @cached_property
    def _lines(self) -> frozenset[str]:
        return self.texts | self.urls

    def found_in(self, value: str, language: bool = False) -> set[str]:
        """Which kinds a string is or holds. language: the string is text, so ids in it do not count."""
        kinds = {kind for kind in ("ids", "texts", "urls", "images") if value in getattr(self, kind)}
        if language:
            return kinds - {"ids"}
        return kinds | self._inside(value)

    def found_in_text(self, text: str, language: bool = False) -> set[str]:
        """Which kinds are anywhere in a text file. language: as for `found_in`."""
        kinds = self._inside(text) | {"urls" if line in self.urls else "texts" for line in self._lines if line in text}
        return kinds - {"ids"} if language else kinds

    def _inside(self, text: str) -> set[str]:
        images = not self.images.isdisjoint(_WORD.findall(text))
        return ({"images"} if images else set()) | ({"ids"} if self._names.found_in(text) else set())


def traces(dataset: Path, sought: Sought) -> list[str]:
    """Where any of it can still be found, one sentence each. The state of an unfinished command is not searched."""
    found = []
    for path in tracked("searched", sorted(walk(dataset))):
        name = name_of(dataset, path)
        if name.partition("/")[0] != FOLDER:
            places = {(kind, "its name") for kind in sought.found_in_text(name)}
            places.update(_places(path, sought))
            found += [f"{path}: {kind} to be forgotten stand in {place}." for kind, place in sorted(places)]
    return found


def _places(path: Path, sought: Sought) -> Iterator[tuple[str, str]]:
    """(kind, place) for every place inside a file."""
    if path.suffix == ".jpg":
        return  # pixels; `verify` checks that their hash is the name
    if path.suffix == ".parquet":
        strings = _table_strings(path)
    elif path.suffix == ".h5":
        strings = _shard_strings(path)
    else:
        yield from _text_places(path, sought)
        return
    for column, values in strings:
        for value in values:
            yield from ((kind, f"column {column}") for kind in sought.found_in(value, column in LANGUAGE))


def _text_places(path: Path, sought: Sought) -> Iterator[tuple[str, str]]:
    text = path.read_bytes().decode("utf-8", errors="replace")
    try:
        values = list(_json_strings(json.loads(text)))
    except ValueError:
        yield from ((kind, "its text") for kind in sought.found_in_text(text, path.name == MAPPING))
        return
    kinds = {kind for value in values for kind in sought.found_in(value)} | sought.found_in_text("\n".join(values))
    yield from ((kind, "its text") for kind in kinds)


def _json_strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from _json_strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _json_strings(item)


def _table_strings(path: Path) -> Iterator[tuple[str, Iterable[str]]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                while pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type):
                    column = column.flatten()
                if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                    yield name, (value for value in pc.unique(column).to_pylist() if value is not None)


def _shard_strings(path: Path) -> Iterator[tuple[str, Iterable[str]]]:
    with finished_hdf5(path) as file:
        for name, values in file.items():
            if values.dtype.kind in "SO":
                yield name, {value.decode("utf-8", errors="replace") for value in values[:]}
