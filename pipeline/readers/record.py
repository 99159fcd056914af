"""What every record reader needs: a fault with a reason, text that is valid Unicode, hashtags found in text."""

import math
import re
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from pipeline.entities import hashtags

_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_V1_DATE = "%a %b %d %H:%M:%S %z %Y"
LONG_AGO = -math.inf
"""The moment of a date that is missing or that no calendar has."""


class RecordFault(Exception):
    """A record that cannot be read. `reason` is the word counted in `dropped`; record_id: its id where it has one."""

    def __init__(self, reason: str, detail: str = "", record_id: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.record_id = record_id


def valid_text(text: str) -> str:
    """`text` with lone surrogates and NULs replaced: JSON can spell them, UTF-8 and file names cannot."""
    return _UNWRITABLE.sub("�", text)


def text_field(record: dict[str, Any], name: str, default: str | None = None) -> str:
    """A string of the record, see `valid_text`. RecordFault `bad_field` where it is of another type."""
    value = record.get(name)
    if value is None:
        if default is None:
            raise RecordFault("missing_field", name)
        return default
    if not isinstance(value, str):
        raise RecordFault("bad_field", f"{name}: expected text, got {type(value).__name__}")
    return valid_text(value)


def id_field(record: dict[str, Any], *names: str) -> str:
    """The first of `names` that is there, as text; a whole number will do."""
    for name in names:
        if found := id_text(record.get(name)):
            return found
    raise RecordFault("missing_field", " or ".join(names))


def id_text(value: Any) -> str:
    """An id as text, "" where `value` is none: neither a whole number nor a text that is not blank."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return valid_text(value.strip()) if isinstance(value, str) else ""


def refuse_withheld(*marks: Any) -> None:
    """RecordFault `withheld` where a mark is set: a list of countries, or that it is a matter of copyright."""
    for mark in marks:
        if mark:
            countries = ", ".join(str(item) for item in mark) if isinstance(mark, list) else "copyright"
            raise RecordFault("withheld", valid_text(countries))


def edit_fields(post_id: str, history: Any, first_id: str = "") -> dict[str, Any]:
    """Fields of an edited Post. history: ids of all versions, from the first to the last, if the record lists them.

    first_id: where the record names it apart. {} for a post that was never edited.
    """
    ids = [found for item in history if (found := id_text(item))] if isinstance(history, list) else []
    first = ids[0] if post_id in ids else first_id
    if first in ("", post_id):
        return {}
    return {"first_id": first, "edit": ids.index(post_id) if post_id in ids else 1}


def moment(date: str) -> float:
    """Seconds since 1970 of a date as Twitter's v1.1 API writes it or as ISO 8601; LONG_AGO where it is neither."""
    try:
        read = datetime.fromisoformat(date.replace("Z", "+00:00"))
    except ValueError:
        try:
            read = datetime.strptime(date, _V1_DATE)
        except ValueError:
            return LONG_AGO
    return ((read if read.tzinfo else read.replace(tzinfo=timezone.utc)) - _EPOCH).total_seconds()


def hashtags_in(text: str) -> tuple[str, ...]:
    """Hashtags of a text as Twitter finds them, see `normal_hashtags`. For records that list none of their own."""
    return normal_hashtags(hashtag.value for hashtag in hashtags(text))


def marked_hashtags(marks: Any, name: str, text: str) -> tuple[str, ...]:
    """The hashtags an API marked, each under `name`, even if there are none: it knows better where a text is cut off.

    Those of the text where `marks` is no list.
    """
    if not isinstance(marks, list):
        return hashtags_in(text)
    return normal_hashtags(mark[name] for mark in dicts(marks) if isinstance(mark.get(name), str))


def normal_hashtags(tags: Iterable[str]) -> tuple[str, ...]:
    """Lower-cased, without `#`, distinct, in order; tabs and line ends, which no hashtag has, become spaces."""
    cleaned = (" ".join(valid_text(tag).lower().split()).lstrip("#＃ ") for tag in tags)
    return tuple(dict.fromkeys(tag for tag in cleaned if tag))


def without_links(text: str, links: Iterable[Any]) -> str:
    """`text` without the links of the post's own pictures: they are not words of the author."""
    for link in links:
        if isinstance(link, str) and link:
            text = text.replace(link, " ")
    return text.strip()


def dicts(value: Any) -> list[dict[str, Any]]:
    """The objects of a JSON list; [] for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def as_dict(value: Any) -> dict[str, Any]:
    """A JSON object; {} for anything else."""
    return value if isinstance(value, dict) else {}
