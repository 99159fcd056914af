"""The field mapping of a configuration (`read.fields`): what a record's own fields are taken for, in JMESPath."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from jmespath.exceptions import JMESPathError

from m3h.pipeline.readers.fields import Fields, fields_of
from m3h.pipeline.readers.plain import read_plain
from m3h.pipeline.readers.record import JsonObject, RecordFault
from m3h.pipeline.rules import ReadRules, compiled_expression
from m3h.schemas.errors import UsageError
from m3h.schemas.posts import Post

_PICTURES = ("image", "images", "image_url")
_OF_PICTURES = ("lists", "files", "urls", "kinds", "beside")


def refuse_format(rules: ReadRules, forced: str) -> None:
    """UsageError where fields are mapped and a format is forced too that says itself what they are."""
    if rules.fields and forced not in ("", "jsonl"):
        raise UsageError(f"--format {forced}: it says what the fields are, and so does read.fields. Give one of them.")


@dataclass(frozen=True)
class FieldMapping:
    """What fields are taken for: pairs of a part of a post, as the format `jsonl` names it, and an expression."""

    pairs: tuple[tuple[str, str], ...]

    def __bool__(self) -> bool:
        return bool(self.pairs)

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> "FieldMapping":
        """The mapping of `read.fields`."""
        return cls(tuple(sorted(fields.items())))

    def read(self, record: JsonObject) -> Post:
        """The post of a record. Parts that are not mapped are taken from the fields that have their usual names.

        Raises:
            RecordFault: it has no id or text, or an expression meets a value that it cannot take.
        """
        values = {target: _search(target, expression, record) for target, expression in self.pairs}
        return read_plain({**record, **values}, _fields(tuple(record), tuple(values)))

    def finds_post(self, names: tuple[str, ...]) -> bool:
        """Whether a record with these fields has something to take for an id and for a text, as far as names tell."""
        mapped = {target for target, expression in self.pairs if not _named(expression).isdisjoint(names)}
        fields = fields_of(names)
        return all(target in mapped or getattr(fields, target) for target in ("id", "text"))


@lru_cache(maxsize=256)
def _named(expression: str) -> frozenset[str]:
    """The names of fields in an expression, and the expression, which may be one itself."""
    compiled = compiled_expression(expression)
    found, open_nodes = {expression}, [] if compiled is None else [compiled.parsed]
    while open_nodes:
        node = open_nodes.pop()
        found |= {node["value"]} if node["type"] == "field" else set()
        open_nodes += [child for child in node["children"] if isinstance(child, dict)]
    return frozenset(found)


@lru_cache(maxsize=256)
def _fields(names: tuple[str, ...], mapped: tuple[str, ...]) -> Fields:
    """What is taken for what: the mapped parts, and by their usual names those that are not."""
    usual = fields_of(tuple(name for name in names if name not in mapped))
    parts: dict[str, tuple[str, ...]] = {target: (target,) for target in mapped if target not in _PICTURES}
    if not {*mapped}.isdisjoint(_PICTURES):
        parts |= dict.fromkeys(_OF_PICTURES, ())
        parts["lists"] = tuple(name for name in ("images", "image") if name in mapped)
        parts["urls"] = tuple(name for name in ("image_url",) if name in mapped)
    return replace(usual, **parts)


def _search(target: str, expression: str, record: JsonObject) -> object:
    if expression in record:
        return record[expression]
    try:
        return _compiled(expression)(record)
    except (JMESPathError, TypeError, ValueError, AttributeError) as error:
        raise RecordFault("bad_field", f"{target}: {expression}: {' '.join(str(error).split())}") from error


@lru_cache(maxsize=256)
def _compiled(expression: str) -> Callable[[Any], object]:
    found = compiled_expression(expression)
    return found.search if found is not None else lambda _: None
