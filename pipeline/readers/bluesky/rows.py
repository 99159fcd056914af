"""Reads rows with an `at://` URI: records as a repository lists them, and the rows of public datasets.

A listed record has `uri` and `value`; datasets write `record` instead, or the fields of the record beside the URI:
`text`, `created_at` or `createdAt`, `langs`, `has_images`.
"""

from m3h.pipeline.readers.bluesky.record import SENSITIVE, read_post
from m3h.pipeline.readers.record import JsonObject, as_dict, date_field, text_field
from m3h.schemas.posts import ImageRef, Post


def has_address(record: JsonObject) -> bool:
    """Whether a JSON object has an `at://` URI."""
    return str(record.get("uri")).startswith("at://")


def is_row(record: JsonObject) -> bool:
    """Whether a JSON object is a record with its URI."""
    whole = isinstance(record.get("value"), dict) or isinstance(record.get("record"), dict)
    return has_address(record) and (whole or isinstance(record.get("text"), str))


def read_row(record: JsonObject) -> Post:
    """The post of a row. Of a row that says `has_images` and no more, the picture is named after the post."""
    uri = text_field(record, "uri")
    if whole := as_dict(record.get("value")) or as_dict(record.get("record")):
        label = record.get("label")
        labels = [label] if isinstance(label, str) and not record.get("neg") else []
        return read_post(whole, uri, labels=SENSITIVE.intersection(labels))
    post = read_post({**record, "$type": None}, uri)
    if not post.images and str(record.get("has_images")).lower() == "true":
        post = post.having(images=(ImageRef(path="/".join(uri.split("/")[2::2])),))
    return post.having(created_at=post.created_at or date_field(record, "created_at"))
