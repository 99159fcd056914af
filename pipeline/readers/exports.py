"""Takes records out of what databases wrap around them: MongoDB's extended JSON and Elasticsearch's hits."""

import codecs
import json
import re

from m3h.pipeline.readers.record import JsonObject, as_dict, dicts

_BETWEEN = re.compile(r"\s*,?\s*")
_NUMBERS = ("$numberLong", "$numberInt")


def parsed(piece: bytes) -> object:
    """The value of a JSON text, with MongoDB's wrapped numbers, ids and dates as plain ones. `NaN` is null.

    Objects that follow each other, with a comma or nothing between and behind them, are the list of these: programs
    write them that forget the line ends, or the list around its members.

    Raises:
        UnicodeDecodeError: the bytes are not UTF-8.
        ValueError: they are not JSON.
        RecursionError: the JSON is nested deeper than Python can parse.
    """
    text = piece.removeprefix(codecs.BOM_UTF8).decode()
    decoder = _OF_EXPORTS if b'"$' in piece else _PLAIN
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and (objects := _objects(text, decoder)):
            return objects
        raise


def _objects(text: str, decoder: json.JSONDecoder) -> list[object]:
    """The objects of a text that holds nothing else; [] of any other text."""
    objects: list[object] = []
    at = len(text) - len(text.lstrip())
    while at < len(text):
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError:
            return []
        if not isinstance(value, dict):
            return []
        objects.append(value)
        between = _BETWEEN.match(text, end)
        at = between.end() if between else end
    return objects


def _null(_: str) -> None:
    """For `NaN` and infinities, which pandas writes for cells without a value."""


def _unwrapped(record: JsonObject) -> object:
    """The value in an object of extended JSON; any other object as it is."""
    if len(record) != 1:
        return record
    ((name, value),) = record.items()
    if name in _NUMBERS and isinstance(value, str) and value.lstrip("-").isascii() and value.lstrip("-").isdigit():
        return int(value) if len(value) < _LONGEST_NUMBER else record
    return value if name in ("$date", "$oid") and isinstance(value, str | int) else record


_PLAIN = json.JSONDecoder(parse_constant=_null)
_OF_EXPORTS = json.JSONDecoder(object_hook=_unwrapped, parse_constant=_null)
_LONGEST_NUMBER = 30
"""Characters. The numbers that MongoDB wraps have 64 bits."""


def hits(record: JsonObject) -> list[object]:
    """The documents of an answer of Elasticsearch, of one of its hits, or of its scroll; else the record itself."""
    source = record.get("_source")
    if isinstance(source, dict) and "_index" in record:
        return [source]
    listed = dicts(as_dict(record.get("hits")).get("hits"))
    if listed and all(isinstance(hit.get("_source"), dict) for hit in listed):
        return [hit["_source"] for hit in listed]
    return [record]
