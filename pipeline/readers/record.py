"""What every reader of records needs: faults with a reason, valid Unicode text, and the hashtags of a text."""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal, TypedDict

from m3h.pipeline.text.entities import hashtags

JsonObject = dict[str, object]
"""A JSON object as `json.loads` returns it. Its values can have any JSON type."""

_INVALID_CHARACTER = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, order=True)
class Part:
    """What one record says of posts in other records, of the same dump or of another one.

    kind: `deletion`, where the post of the id `key` was deleted by its author; `picture`, where the picture that other
    records name by `key` has the URL `value`; `text`, where `value` is the whole text of a post that was cut.
    """

    kind: Literal["deletion", "picture", "text"]
    key: str
    value: str = ""


class RecordFault(Exception):
    """A record that is no post, or cannot be read.

    reason: a fixed word, which `dropped` counts. detail: what was found. record_id: the record's id, or "".
    versions: as of a Post. parts: what the record says of other posts.
    """

    def __init__(
        self,
        reason: str,
        detail: str = "",
        record_id: str = "",
        *,
        versions: tuple[str, ...] = (),
        parts: tuple[Part, ...] = (),
    ) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = valid_text(detail)
        self.record_id = record_id
        self.versions = versions
        self.parts = parts


class EditFields(TypedDict, total=False):
    """The fields of a Post that belong to an edit history."""

    first_id: str
    edit: int
    versions: tuple[str, ...]


def valid_text(text: str) -> str:
    """`text` with `�` for lone surrogates and NULs. JSON can contain them, but UTF-8 and file names cannot."""
    if text.isascii() and "\0" not in text:  # most texts; a tenth of the time
        return text
    return _INVALID_CHARACTER.sub("�", text)


def text_field(record: JsonObject, name: str, default: str | None = None) -> str:
    """A text field of the record, made valid by `valid_text`.

    Args:
        record: the JSON object.
        name: the name of the field.
        default: returned when the field is missing or null; None means that the field is required.

    Raises:
        RecordFault: `missing_field` when a required field is missing, `bad_field` when the value is not a text.
    """
    value = record.get(name)
    if value is None:
        if default is None:
            raise RecordFault("missing_field", name)
        return default
    if not isinstance(value, str):
        raise RecordFault("bad_field", f"{name}: expected text, got {type(value).__name__}")
    return valid_text(value)


def optional_text(record: JsonObject, name: str) -> str:
    """A text field that a post can do without, made valid; "" when it is missing or null.

    A value of another type is noted by `note_unread`, and costs nothing but itself.
    """
    value = record.get(name)
    if isinstance(value, str):
        return valid_text(value)
    if not is_nothing(value):
        note_unread(name)
    return ""


def date_field(record: JsonObject, name: str) -> str:
    """A date as the record has it, and "" without one. A number is seconds or milliseconds since 1970.

    Tables write such a number as text or as a decimal number too. Any other value is noted by `note_unread`.
    """
    value = record.get(name)
    if isinstance(value, str):
        is_number = value[:10].isdigit() and _NUMBER_OF_DATE.fullmatch(value)
        return _moment(float(value)) if is_number else valid_text(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LAST_MILLISECOND:
        return _moment(float(value))
    if not is_nothing(value):
        note_unread(name)
    return ""


def _moment(number: float) -> str:
    seconds = number / 1000 if number > _LAST_SECOND else number
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")


def is_nothing(value: object) -> bool:
    """Whether a field has no value: null, or `NaN`, which is not equal to itself."""
    return value is None or value != value


_unread: ContextVar[list[str] | None] = ContextVar("unread", default=None)


def note_unread(name: str) -> None:
    """Note that the record which is being read has a field `name` whose value cannot be read."""
    if (names := _unread.get()) is not None:
        names.append(name)


@contextmanager
def noting_unread() -> Iterator[list[str]]:
    """Gathers what `note_unread` is given in this block. The list may be emptied at any time."""
    names: list[str] = []
    token = _unread.set(names)
    try:
        yield names
    finally:
        _unread.reset(token)


_ESCAPE = r"""\\(?:[\\'"nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U000[0-9a-f]{5}|U0010[0-9a-f]{4})"""
_WRITTEN_TEXT = rf"""(?:'(?:[^'\\\n]|{_ESCAPE})*'|"(?:[^"\\\n]|{_ESCAPE})*")"""
_WRITTEN_LIST = re.compile(rf"\[(?:{_WRITTEN_TEXT}(?:, ?{_WRITTEN_TEXT})*)?\]")
"""What Python writes for a list of texts. Anything else must not reach Python's parser, which may warn, or run out of
memory or stack."""

_LAST_SECOND = 10_000_000_000
"""In the year 2286. As milliseconds it is April 1970, long before the first post."""
_LAST_MILLISECOND = 1000 * _LAST_SECOND
_NUMBER_OF_DATE = re.compile(r"(?a:\d{10}|\d{13})(?:\.(?a:\d){1,9})?")
"""Seconds or milliseconds as text: of any date since September 2001."""


def texts(value: object) -> list[str] | None:
    """A list of texts, or one that a table wrote as text (`"['a', 'b']"`); None for any other value."""
    if isinstance(value, str) and value.startswith("[") and _WRITTEN_LIST.fullmatch(value):
        with suppress(ValueError, SyntaxError):
            value = ast.literal_eval(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    return None


_PYTHONS_OWN = re.compile(rf"{_WRITTEN_TEXT}|\b(?:None|True|False|nan)\b")
_IN_JSON = {"None": "null", "True": "true", "False": "false", "nan": "null"}


def written_value(text: str) -> object:
    """The list or object that a text holds, as JSON or as Python writes it; the text itself where it holds neither."""
    if not text.startswith(("[", "{")):
        return text
    for form in (lambda: text, lambda: _PYTHONS_OWN.sub(_as_json, text)):
        with suppress(ValueError, SyntaxError, RecursionError):
            return json.loads(form())
    return text


def _as_json(match: re.Match[str]) -> str:
    return _IN_JSON.get(match[0]) or json.dumps(ast.literal_eval(match[0]))


def id_field(record: JsonObject, *names: str) -> str:
    """The first id among the fields `names`, as text. RecordFault `missing_field` when none of them has an id."""
    for name in names:
        if found := id_text(record.get(name)):
            return found
    raise RecordFault("missing_field", " or ".join(names))


def id_text(value: object) -> str:
    """An id as text. An id is a whole number or a text that is not blank; "" for any other value."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return valid_text(value.strip()) if isinstance(value, str) else ""


def refuse_withheld(*marks: object) -> None:
    """RecordFault `withheld` when a mark is set. A mark is a list of countries, or a flag for a copyright claim."""
    for mark in marks:
        if mark:
            countries = ", ".join(str(item) for item in mark) if isinstance(mark, list) else "copyright"
            raise RecordFault("withheld", valid_text(countries))


def edit_fields(post_id: str, history: object, first_id: str = "") -> EditFields:
    """The fields of an edited Post; {} for a post that was never edited.

    Args:
        post_id: the id of this version.
        history: the ids of all versions from first to last; anything but a list when the record does not have them.
        first_id: the id of the first version, used when `history` does not contain `post_id`; "" when unknown.
    """
    ids = [found for item in history if (found := id_text(item))] if isinstance(history, list) else []
    first = ids[0] if post_id in ids else first_id
    versions = tuple(found for found in dict.fromkeys([first, *ids, post_id]) if found)
    if len(versions) <= 1 or not first:
        return {}
    if first == post_id:
        return {"versions": versions}
    return {"first_id": first, "edit": ids.index(post_id) if post_id in ids else 1, "versions": versions}


def hashtags_in(text: str) -> tuple[str, ...]:
    """The hashtags of a text by Twitter's rules, see `normal_hashtags`. For records that do not list their hashtags."""
    return normal_hashtags(hashtag.value for hashtag in hashtags(text))


def marked_hashtags(marks: object, name: str, text: str) -> tuple[str, ...]:
    """The hashtags that an API marked, even when it marked none. The API also knows hashtags of cut texts.

    Args:
        marks: the list of marks. When it is not a list, the hashtags are found in `text`.
        name: the field of a mark that holds the hashtag.
        text: the text of the post.
    """
    if not isinstance(marks, list):
        return hashtags_in(text)
    return normal_hashtags(tag for mark in dicts(marks) if isinstance(tag := mark.get(name), str))


def listed_hashtags(tags: object, text: str) -> tuple[str, ...]:
    """The hashtags that a tool lists, even when it lists none. Those in `text` where `tags` is no list of texts."""
    listed = texts(tags)
    return hashtags_in(text) if listed is None else normal_hashtags(listed)


def normal_hashtags(tags: Iterable[str]) -> tuple[str, ...]:
    """Distinct hashtags in order, in lower case and without `#`. Tabs and line ends become spaces."""
    return tuple(dict.fromkeys([tag for tag in map(_normal_hashtag, tags) if tag]))


def _normal_hashtag(tag: str) -> str:
    tag = tag.lower()
    return tag if tag.isascii() and tag.isalnum() else " ".join(valid_text(tag).split()).lstrip("#＃ ")


def alt_text(record: JsonObject, *names: str) -> str:
    """What an author says that a picture shows: the first text among the fields `names`; "" without one.

    A field with another value says nothing of the picture, and the picture stays.
    """
    for name in names:
        if isinstance(value := record.get(name), str) and (text := value.strip()):
            return valid_text(text)
    return ""


def without_links(text: str, links: Iterable[object]) -> str:
    """`text` without the links to the post's own pictures, because the author did not write them."""
    for link in links:
        if isinstance(link, str) and link:
            text = text.replace(link, " ")
    return text.strip()


def dicts(value: object) -> list[JsonObject]:
    """The objects of a JSON list; [] for any other value."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def as_dict(value: object) -> JsonObject:
    """A JSON object as it is; {} for any other value."""
    return value if isinstance(value, dict) else {}
