"""The post of a picture and its text: a caption, what img2dataset knows of it, or a post of any format that is read."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from m3h.pipeline.readers.exports import parsed
from m3h.pipeline.readers.formats import MAX_CHARACTERS, characters, read_records
from m3h.pipeline.readers.record import (
    JsonObject,
    RecordFault,
    hashtags_in,
    id_text,
    normal_hashtags,
    texts,
    valid_text,
)
from m3h.schemas.posts import ImageRef, Post

CAPTIONS = ("caption", "text", "prompt", "description", "title")
"""Fields of JSON that may hold the text, the likeliest first."""
TAGS = ("hashtags", "keyphrases", "tags", "keywords")
"""Fields of JSON that may list keyphrases, the likeliest first."""

_IDS = ("id", "id_str", "post_id", "tweet_id")
_JSON = ("json", "jsn")


def captioned(post_id: str, found: Mapping[str, bytes], pictures: Sequence[ImageRef]) -> Post:
    """The post of a picture and its texts.

    JSON in a format of posts is read as such a post. Of other JSON, the fields that are known count, and a text in a
    file of its own comes before theirs. JSON that cannot be read costs the post only if there is no other text.

    Args:
        post_id: where no record states one.
        found: bytes of the texts, by suffix.
        pictures: those of the record; () for none.

    Raises:
        RecordFault: there is no text, or a record of posts cannot be read.
    """
    files = {suffix: data for suffix, data in found.items() if suffix not in _JSON}
    unread: tuple[str, ...] = ()
    try:
        described = _described(found)
    except RecordFault:
        if not files:
            raise
        described, unread = {}, ("json",)
    if isinstance(described, Post):
        return _with_pictures(described, pictures)
    text = _text(files, described)
    own_id = next((stated for name in _IDS if (stated := id_text(described.get(name)))), "")
    post = Post(
        post_id=own_id or post_id,
        text=text,
        hashtags=_hashtags(described, text),
        images=_images(described, pictures),
        lang=_field(described, "lang", "language") or None,
        created_at=_field(described, "created_at", "date"),
        unread=unread,
    )
    if (size := characters(post)) > MAX_CHARACTERS:
        raise RecordFault("record_too_large", f"{size} characters, at most {MAX_CHARACTERS}")
    return post


def _described(found: Mapping[str, bytes]) -> Post | JsonObject:
    """What the JSON says: a post, or the fields of an object; {} where there is none."""
    raw = next((found[suffix] for suffix in _JSON if suffix in found), None)
    if raw is None:
        return {}
    results = read_records(raw)
    if len(results) != 1:
        raise RecordFault("bad_field", f"json: expected one record, got {len(results)}")
    (result,) = results
    if isinstance(result, Post):
        return result
    if result.reason != "unknown_format":
        raise result
    value = parsed(raw)
    return value if isinstance(value, dict) else {}


def _with_pictures(post: Post, pictures: Sequence[ImageRef]) -> Post:
    """A post of the pictures beside it, with what its record says of its only one. Without any, as it is."""
    if not pictures:
        return post
    if len(pictures) == len(post.images) == 1:
        (named,) = post.images
        pictures = [replace(pictures[0], url=named.url, alt=named.alt)]
    return post.having(images=tuple(pictures))


def _text(files: Mapping[str, bytes], described: JsonObject) -> str:
    for data in files.values():
        try:
            return valid_text(data.decode("utf-8-sig").strip())
        except UnicodeDecodeError as error:
            raise RecordFault("not_utf8", str(error)) from error
    for name in CAPTIONS:
        value = described.get(name)
        if (listed := texts(value)) is not None:
            return valid_text("\n".join(listed))
        if isinstance(value, str):
            return valid_text(value.strip())
    raise RecordFault("missing_field", " or ".join(CAPTIONS))


def _hashtags(described: JsonObject, text: str) -> tuple[str, ...]:
    """What the JSON lists, else the hashtags of the text."""
    for name in TAGS:
        if listed := texts(described.get(name)):
            return normal_hashtags(listed)
    return hashtags_in(text)


def _images(described: JsonObject, pictures: Sequence[ImageRef]) -> tuple[ImageRef, ...]:
    url, alt = _field(described, "url"), _field(described, "alt", "alt_text")
    if not pictures and url:
        return (ImageRef(url=url, alt=alt),)
    return tuple(replace(image, url=url, alt=alt) for image in pictures[:1]) + tuple(pictures[1:])


def _field(described: JsonObject, *names: str) -> str:
    return next((valid_text(value) for name in names if isinstance(value := described.get(name), str)), "")
