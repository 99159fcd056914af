"""Reads plain `jsonl` records, and the rows of tables.

A record has `id`, `text`, and a picture's file or URL. It may have `hashtags`, `split`, `lang`, `created_at` and
`collected_at`. Other names that tables of tweets often have are read too (fields.py), and a list that a table wrote as
text.
"""

import re
from collections.abc import Sequence

from m3h.pipeline.readers.fediverse.html_text import text_of
from m3h.pipeline.readers.fields import FILES, LISTS, SURE_IDS, SURE_TEXTS, URLS, Fields, fields_of
from m3h.pipeline.readers.pictures import pictures_of
from m3h.pipeline.readers.record import (
    JsonObject,
    RecordFault,
    date_field,
    dicts,
    hashtags_in,
    id_text,
    is_nothing,
    normal_hashtags,
    note_unread,
    optional_text,
    text_field,
    texts,
    written_value,
)
from m3h.schemas.posts import EMPTY_POST, SPLITS, Post

MARKS = frozenset(SURE_TEXTS)
_NOTHING = frozenset(("", "nan", "NaN", "NaT", "None", "null", "NULL", "<NA>"))
"""What tables write for a cell without a value."""
_FOR_SOME = ("private", "direct", "limited", "followers", "mutuals_only")
"""For whom posts of Mastodon and other servers are that are not for everybody."""
_HTML = re.compile(r"\s*<p>.*</p>\s*", re.DOTALL)
"""How posts of Mastodon are written, which tables of them keep."""
_BETWEEN_TAGS = re.compile(r"[|,;\s]+")
_FLOAT = re.compile(r"[+-]?(?:\d(?:[.,]\d*)?[eE]\+\d+|\d[.,]\d+E\d+|\d+\.0*|\d+,0+)")
"""An id that a program took for a decimal number: `1.78e+18`, `1.78E18` of Java and Spark, `1,78E+18` of a spreadsheet
in many languages."""
_MARKED = re.compile(r"""(?:x|'|=")(\d{5,})"?""")
"""An id with what keeps a program from taking it for a number: R's rtweet writes `x`, and spreadsheets have `'` or
`="…"`."""
_OWN_PICTURES = frozenset((*FILES, "images", "photos", "image_url", "img_url", "photo_url", "picture_url"))
"""What no tweet of an API calls its pictures."""
_OF_TWEETS = frozenset(
    (
        *("entities", "extended_entities", "extended_tweet", "retweeted_status", "withheld_in_countries"),
        *("withheld_copyright", "deleted_at", "attachments", "note_tweet", "referenced_tweets", "withheld"),
        *("edit_history_tweet_ids", "edit_info", "edit_history", "includes"),
    )
)
_SPLITS = {
    **{name: name for name in SPLITS},
    "training": "train",
    "validation": "valid",
    "dev": "valid",
    "val": "valid",
}


def is_plain(record: JsonObject) -> bool:
    """Whether a JSON object is a plain record."""
    pictures = (*FILES, *URLS, *LISTS, "hashtags", "split")
    return all(any(name in record for name in names) for names in (SURE_IDS, SURE_TEXTS, pictures))


def has_own_picture(record: JsonObject) -> bool:
    """Whether a plain record names its picture, and holds nothing that only tweets of an API have.

    Its other fields may be called as there (`user`, `author_id`).
    """
    return not _OWN_PICTURES.isdisjoint(record) and _OF_TWEETS.isdisjoint(record) and is_plain(record)


def read_plain(record: JsonObject, fields: Fields | None = None) -> Post:
    """The post of a plain record. RecordFault when it has no id or no text, `not_public` when only some may read it.

    Args:
        record: The record.
        fields: Which of its fields are taken for what; None decides by their names.
    """
    fields = fields or fields_of(tuple(record))
    if fields.visibility and (visibility := _optional(record, fields.visibility)) in _FOR_SOME:
        raise RecordFault("not_public", visibility)
    text = _required_text(record, fields)
    text = text_of(text) if _HTML.fullmatch(text) else text
    return EMPTY_POST.having(
        post_id=_id(record, fields.id),
        text=text,
        hashtags=_hashtags(record, fields.hashtags, text),
        images=pictures_of(record, fields),
        lang=_optional(record, fields.lang) or None,
        created_at=_date(record, fields.created_at),
        collected_at=_date(record, fields.collected_at),
        is_repost=text.startswith("RT @"),
        split=_split(record, fields.split),
    )


def _id(record: JsonObject, names: Sequence[str]) -> str:
    """The first whole id. RecordFault where there is none."""
    for name in names:
        value = record.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit():
            return value
        found = id_text(value)
        if found and found not in _NOTHING and not _FLOAT.fullmatch(found):
            return marked[1] if (marked := _MARKED.fullmatch(found)) else found
    for name in names:
        value = record.get(name)
        if isinstance(value, float | str) and not is_nothing(value) and _FLOAT.fullmatch(str(value).strip()):
            raise RecordFault("bad_field", f"{name}: {value} is a decimal number, whose last digits are lost")
    raise RecordFault("missing_field", " or ".join(SURE_IDS))


def _required_text(record: JsonObject, fields: Fields) -> str:
    for name in fields.text[:-1]:
        if not is_nothing(record.get(name)):
            return text_field(record, name)
    return text_field(record, fields.text[-1] if fields.text else "text")


def _present(record: JsonObject, names: Sequence[str]) -> str:
    """The first of the fields that has a value; "" where none has."""
    for name in names:
        value = record.get(name)
        if value not in _NOTHING if isinstance(value, str) else not is_nothing(value):
            return name
    return ""


def _optional(record: JsonObject, names: Sequence[str]) -> str:
    name = _present(record, names)
    return optional_text(record, name) if name else ""


def _date(record: JsonObject, names: Sequence[str]) -> str:
    name = _present(record, names)
    return date_field(record, name) if name else ""


def _split(record: JsonObject, names: Sequence[str]) -> str | None:
    split = _optional(record, names).lower()
    if split and split not in _SPLITS:
        note_unread(names[0])
    return _SPLITS.get(split)


def _hashtags(record: JsonObject, names: Sequence[str], text: str) -> tuple[str, ...]:
    """The hashtags that the record lists; those in its text where it lists none, or nothing that can be read."""
    name = _present(record, names)
    if not name:
        return hashtags_in(text)
    if (listed := _tags(record[name])) is None:
        note_unread(name)
        return hashtags_in(text)
    return normal_hashtags(listed)


def _tags(value: object) -> list[str] | None:
    """The hashtags of a list of texts or of the API's marks, or of a text with signs between them; None for others."""
    if isinstance(value, str) and not value.startswith(("[", "{")):
        return [value] if value.isalnum() else _BETWEEN_TAGS.split(value)
    if (listed := texts(value)) is not None:
        return listed
    marks = written_value(value) if isinstance(value, str) else value
    if not isinstance(marks, list) or len(dicts(marks)) < len(marks):
        return None
    return texts([mark.get("text") or mark.get("tag") for mark in dicts(marks)])
