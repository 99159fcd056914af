"""The pictures of plain records and of rows of tables: names of files, URLs, lists of both, and pictures themselves."""

import base64
import binascii
import re
from collections.abc import Sequence
from contextlib import suppress

from m3h.pipeline.readers.fields import LISTS, Fields
from m3h.pipeline.readers.record import JsonObject, is_nothing, note_unread, texts, valid_text, written_value
from m3h.schemas.posts import ImageRef

_NEXT_URL = re.compile(r"\s*[,;\s]\s*(?=https?://)")
"""Between URLs. One may hold commas itself."""
_WRITTEN_OBJECT = re.compile(r"""fullUrl=["'](https?://[^"']+)["']""")
"""A photo as Python writes out an object of snscrape, which is what pandas puts into a cell."""
_PAGE = re.compile(
    r"https?://(?:(?:www\.|mobile\.)?(?:(?:twitter|x|bsky)\.(?:com|app)|threads\.net)/"
    r"|[^/\s]+/(?:@[^/\s]+|users/[^/\s]+/statuses)/\d+/?$)"  # of Mastodon, on any server
)
"""Addresses of posts, which tables often have in a column `url`."""
_PATHS, _URLS, _ALTS = ("path", "file", "filename"), ("url", "media_url_https", "src", "fullUrl"), ("alt", "alt_text")
_KINDS = ("", "photo", "image")
_PHOTOS = (None, "photo", "image", "Image", "Photo")


def pictures_of(record: JsonObject, fields: Fields) -> tuple[ImageRef, ...]:
    """The pictures of a record. A field that is none of what is known here is noted, and no picture comes from it.

    Args:
        record: The record.
        fields: Which of its fields are taken for what.
    """
    for name in fields.lists:
        if (found := _listed(record.get(name), name)) is not None:
            return tuple(_distinct(_with_companions(found, record, fields)))
    path, url = _one_picture(record, fields)
    if (not path and not url) or (fields.kinds and _column(record, fields.kinds, 1)[0] not in _KINDS):
        return ()
    return (ImageRef(path, url, _column(record, fields.alt, 1)[0] if fields.alt else ""),)


def _one_picture(record: JsonObject, fields: Fields) -> tuple[str, str]:
    """The first file's name and the first URL among the fields that may hold one."""
    path = url = ""
    for name in fields.addresses:
        value = record.get(name)
        if not isinstance(value, str):
            if not is_nothing(value):
                note_unread(name)
        elif value.startswith(("http://", "https://")):
            url = url or ("" if name == "url" and _PAGE.match(value) else value)
        elif name not in fields.urls:
            path = path or value
    return valid_text(path), valid_text(url)


def _listed(value: object, name: str) -> list[ImageRef] | None:
    """The pictures of a field that holds several, or one as an object; None where it holds one text, or nothing."""
    if isinstance(value, str):
        if (items := _items(value, name)) is None:
            return None
    elif isinstance(value, list | dict | bytes):
        items = value if isinstance(value, list) else [value]
    else:
        return None
    found = [picture for item in items if (picture := _picture(item)) is not None]
    if len(found) < sum(not is_nothing(item) for item in items) - sum(map(_is_other_medium, items)):
        note_unread(name)
    return found


def _items(text: str, name: str) -> Sequence[object] | None:
    """What a text lists, as Python, JSON or a table writes it. None where it is the name or the URL of one picture."""
    if text.startswith(("[", "{")):
        if (listed := texts(text)) is not None:
            return listed
        value = written_value(text)
        return _WRITTEN_OBJECT.findall(text) if value is text else value if isinstance(value, list) else [value]
    if name in LISTS[3:]:
        return None
    if "|" in text:
        return text.split("|")
    if text.find("http", 1) < 0 or not text.startswith(("http://", "https://")):
        return None
    urls = _NEXT_URL.split(text)
    return urls if len(urls) > 1 else None


def _picture(item: object) -> ImageRef | None:
    """A picture by the name of its file, its URL, its bytes, or an object that has some of these."""
    if isinstance(item, str):
        item = valid_text(item.strip())
        return (ImageRef(url=item) if item.startswith(("http://", "https://")) else ImageRef(item)) if item else None
    if isinstance(item, bytes):
        return ImageRef(content=item)
    if not isinstance(item, dict) or _is_other_medium(item):
        return None
    path, url, alt = (_text(item, names) for names in (_PATHS, _URLS, _ALTS))
    content = _bytes(item.get("bytes"))
    return ImageRef(path, url, alt, content=content) if path or url or content else None


def _is_other_medium(item: object) -> bool:
    return isinstance(item, dict) and item.get("type") not in _PHOTOS


def _text(item: JsonObject, names: Sequence[str]) -> str:
    return next((valid_text(value) for name in names if isinstance(value := item.get(name), str) and value), "")


def _bytes(value: object) -> bytes:
    """Bytes, which JSON holds as base64."""
    if isinstance(value, str):
        with suppress(binascii.Error, ValueError):
            return base64.b64decode(value, validate=True)
    return value if isinstance(value, bytes) else b""


def _with_companions(found: list[ImageRef], record: JsonObject, fields: Fields) -> list[ImageRef]:
    """The pictures with what other columns say of each: its kind, its file and its alt text, in the same order."""
    alts = _column(record, fields.alt, len(found))
    kinds = _column(record, fields.kinds, len(found))
    files = _column(record, fields.beside, len(found))
    return [
        ImageRef(image.path or file, image.url, image.alt or alt, content=image.content)
        for image, alt, kind, file in zip(found, alts, kinds, files, strict=True)
        if kind in _KINDS
    ]


def _distinct(images: list[ImageRef]) -> list[ImageRef]:
    return list({(image.path, image.url, image.content): image for image in images}.values())


def _column(record: JsonObject, names: Sequence[str], number: int) -> list[str]:
    """The texts of a column that has one for each picture; as many empty ones where it has not."""
    for name in names:
        value = record.get(name)
        listed = value.split("|") if isinstance(value, str) and number > 1 else texts([value]) or texts(value) or []
        if len(listed) == number:
            return [valid_text(item.strip()) for item in listed]
    return [""] * number
