"""What every record reader needs: a fault with a reason, text that is valid Unicode, hashtags found in text."""

import re
from collections.abc import Iterable
from typing import Any

from pipeline.entities import hashtags

_SURROGATES = re.compile("[\ud800-\udfff]")


class RecordFault(Exception):
    """A record that cannot be read. `reason` is the word counted in `dropped`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def valid_text(text: str) -> str:
    """`text` with lone surrogates replaced: JSON can spell them, UTF-8 cannot."""
    return _SURROGATES.sub("�", text)


def text_field(record: dict[str, Any], name: str, default: str | None = None) -> str:
    """A string of the record, lone surrogates replaced. RecordFault `bad_field` where it is of another type."""
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
        value = record.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and value.strip():
            return valid_text(value.strip())
    raise RecordFault("missing_field", " or ".join(names))


def hashtags_in(text: str) -> tuple[str, ...]:
    """Hashtags of a text as Twitter finds them, see `normal_hashtags`. For records that list none of their own."""
    return normal_hashtags(hashtag.value for hashtag in hashtags(text))


def normal_hashtags(tags: Iterable[str]) -> tuple[str, ...]:
    """Lower-cased, without `#`, distinct, in order; tabs and line ends, which no hashtag has, become spaces."""
    cleaned = (" ".join(valid_text(tag).lower().split()).lstrip("#＃ ") for tag in tags)
    return tuple(dict.fromkeys(tag for tag in cleaned if tag))


def dicts(value: Any) -> list[dict[str, Any]]:
    """The objects of a JSON list; [] for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def as_dict(value: Any) -> dict[str, Any]:
    """A JSON object; {} for anything else."""
    return value if isinstance(value, dict) else {}
