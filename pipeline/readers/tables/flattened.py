"""Rows of tables whose columns are parts of one record: `entities.hashtags`, as pandas and twarc-csv name them."""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from m3h.pipeline.readers.record import JsonObject, as_dict, written_value

_FLAGS: dict[object, object] = {"True": True, "False": False, "true": True, "false": False}
_NOTHING = (None, "", "nan", "NaN", "None")


def unflattened(names: Iterable[str], values: Sequence[Any]) -> JsonObject:
    """The record of a row: objects for parts of dotted names, values for JSON in cells, and nothing for empty cells.

    Args:
        names: The names of the columns.
        values: The row.
    """
    record: JsonObject = {}
    for name, value in zip(names, values, strict=True):
        if not (isinstance(value, str | None) and value in _NOTHING):
            *parents, last = name.split(".")
            place = record
            for parent in parents:
                inner = place.setdefault(parent, {})
                place = inner if isinstance(inner, dict) else {}
            place[last] = written_value(value) if isinstance(value, str) and value not in _FLAGS else _plain(value)
    return record


def _plain(value: Any) -> object:
    return _FLAGS.get(value, value) if isinstance(value, str) else value


def as_v2(record: JsonObject) -> JsonObject:
    """A tweet of a table of twarc-csv as the API has it: it renames references, shortens marks and escapes texts."""
    references = record.get("referenced_tweets")
    if isinstance(references, dict):
        listed = [{"type": kind, **as_dict(reference)} for kind, reference in references.items()]
        record = {**record, "referenced_tweets": listed}
    entities = as_dict(record.get("entities"))
    if isinstance(tags := entities.get("hashtags"), list):
        marks = [{"tag": tag.lstrip("#")} if isinstance(tag, str) else tag for tag in tags]
        record = {**record, "entities": {**entities, "hashtags": marks}}
    text = record.get("text")
    return {**record, "text": _text(text)} if isinstance(text, str) else record


def _text(text: str) -> str:
    """A text without the escapes of twarc-csv."""
    if text.startswith('"') and text.endswith('"'):
        with suppress(ValueError):
            text = str(json.loads(text))
    return text.replace("\\n", "\n")
