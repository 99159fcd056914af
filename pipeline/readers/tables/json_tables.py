"""Tables that pandas wrote as JSON by columns, by index or in two parts, and objects that hold records by their ids."""

from collections.abc import Callable, Iterator

from m3h.pipeline.readers.fields import fields_of
from m3h.pipeline.readers.plain import has_own_picture
from m3h.pipeline.readers.record import JsonObject


def rows_of(record: JsonObject, finds_post: Callable[[tuple[str, ...]], bool]) -> list[object]:
    """The rows of a table in a JSON object; the object itself where it is none.

    Args:
        record: The object.
        finds_post: Whether fields of these names have something to take for an id and a text.
    """
    if not record or "tweet" in record:
        return [record]
    return [*(_by_key(record) or _by_columns(record, finds_post) or _in_two_parts(record) or [record])]


def _by_key(record: JsonObject) -> list[JsonObject]:
    """Rows under their numbers (`orient="index"`), or records under their ids, which become their ids."""
    if not (next(iter(record)).isdigit() and all(key.isascii() and key.isdigit() for key in record)):
        return []
    rows = [row if fields_of(tuple(row)).id else {"id": key, **row} for key, row in _objects(record)]
    return rows if len(rows) == len(record) else []


def _objects(record: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    return ((key, row) for key, row in record.items() if isinstance(row, dict))


def _by_columns(record: JsonObject, finds_post: Callable[[tuple[str, ...]], bool]) -> list[JsonObject]:
    """Columns of equal length: lists, or objects with the numbers of rows (`orient="columns"`)."""
    first = next(iter(record.values()))
    if not isinstance(first, (dict, list)):  # as of most records
        return []
    columns = list(record.values())
    if not all(type(column) is type(first) for column in columns):
        return []
    if isinstance(first, dict):
        if not all(isinstance(column, dict) and column.keys() == first.keys() for column in columns):
            return []
        columns = [[column[key] for key in first] for column in columns if isinstance(column, dict)]
    lists = [column for column in columns if isinstance(column, list)]
    if not finds_post(tuple(record)) or len({len(column) for column in lists}) != 1:
        return []
    return [dict(zip(record, values, strict=True)) for values in zip(*lists, strict=True)]


def _in_two_parts(record: JsonObject) -> list[JsonObject]:
    """The names of columns beside the values of rows (`orient="split"`), or beside rows (`orient="table"`)."""
    names, data = record.get("columns"), record.get("data")
    if not isinstance(data, list) or not data:
        return []
    if isinstance(names, list) and all(isinstance(row, list) and len(row) == len(names) for row in data):
        return [dict(zip(map(str, names), row, strict=True)) for row in data]
    if not all(isinstance(row, dict) for row in data):
        return []
    return data if "schema" in record or all(map(has_own_picture, data)) else []
