"""Plain `jsonl`: id, text, a picture's file or URL, and optionally hashtags, split, lang, created_at, collected_at."""

from typing import Any

from pipeline.readers.record import RecordFault, hashtags_in, id_field, normal_hashtags, text_field, valid_text
from schemas.posts import SPLITS, ImageRef, Post

PATH_FIELDS = ("image", "file", "image_file", "image_path", "filename")
URL_FIELDS = ("image_url", "url")
LIST_FIELD = "images"


def is_plain(record: dict[str, Any]) -> bool:
    """Whether a JSON object is a plain record."""
    names = (*PATH_FIELDS, *URL_FIELDS, LIST_FIELD, "hashtags", "split")
    return "id" in record and "text" in record and any(name in record for name in names)


def read_plain(record: dict[str, Any]) -> Post:
    """RecordFault where a field has the wrong type or the split is none of train, valid, test."""
    text = text_field(record, "text")
    split = text_field(record, "split", default="") or None
    if split is not None and split not in SPLITS:
        raise RecordFault("bad_field", f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
    return Post(
        post_id=id_field(record, "id"),
        text=text,
        hashtags=_hashtags(record, text),
        images=_images(record),
        lang=text_field(record, "lang", default="") or None,
        created_at=text_field(record, "created_at", default=""),
        collected_at=text_field(record, "collected_at", default=""),
        is_repost=text.startswith("RT @"),
        split=split,
    )


def _hashtags(record: dict[str, Any], text: str) -> tuple[str, ...]:
    tags = record.get("hashtags")
    if tags is None:
        return hashtags_in(text)
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise RecordFault("bad_field", "hashtags: expected a list of texts")
    return normal_hashtags(tags)


def _images(record: dict[str, Any]) -> tuple[ImageRef, ...]:
    listed = record.get(LIST_FIELD)
    if listed is not None:
        if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
            raise RecordFault("bad_field", f"{LIST_FIELD}: expected a list of files or URLs")
        return tuple(_reference(valid_text(item)) for item in dict.fromkeys(listed))
    given = [text_field(record, name, default="") for name in PATH_FIELDS]
    paths = [value for value in given if value and not _is_url(value)]
    urls = [value for value in given if _is_url(value)]
    urls += [value for name in URL_FIELDS if (value := text_field(record, name, default=""))]
    if not paths and not urls:
        return ()
    return (ImageRef(path=paths[0] if paths else "", url=urls[0] if urls else ""),)


def _reference(value: str) -> ImageRef:
    return ImageRef(url=value) if _is_url(value) else ImageRef(path=value)


def _is_url(value: str) -> bool:
    return value.startswith(("http://", "https://"))
