"""Records of Bluesky and Mastodon with anything in any field: each is a post or leaves with a reason."""

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from m3h.pipeline.readers.formats import read_records
from m3h.schemas.posts import Post
from tests.pipeline.readers.bluesky import made as bluesky
from tests.pipeline.readers.fediverse import made as fediverse

RECORDS: list[Any] = [
    bluesky.event(), bluesky.event("delete"), {"feed": [{"post": bluesky.view()}]}, bluesky.view(),
    {"records": [{"uri": bluesky.URI, "value": bluesky.record()}]}, {"thread": {"post": bluesky.view()}},
    fediverse.status(), fediverse.status(reblog=fediverse.status()), {"event": "update", "payload": fediverse.status()},
    fediverse.outbox(fediverse.activity()), fediverse.note(), fediverse.activity("Delete"),
    {"statuses": [fediverse.status()]},
]  # fmt: skip
FORCED = ["", "bluesky", "mastodon", "activitypub"]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a record something can be replaced."""
    yield path
    if isinstance(value, dict | list):
        for name in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[name], (*path, name))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(
        ["at://", "at://a/b", "did:plc:", "http://", "https://h.example/@a/1", "Note", "Create", "\ud800\x00", 10**30]
    ),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "type", "url", "$type"]), inner),
    max_leaves=4,
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_anything_in_a_field_gives_a_post_or_a_reason(data: st.DataObject) -> None:
    record = data.draw(st.sampled_from(RECORDS))
    for _ in range(data.draw(st.integers(1, 2))):
        record = replaced(record, data.draw(st.sampled_from(list(places(record)))), data.draw(VALUES))
    for found in read_records(json.dumps(record).encode(), data.draw(st.sampled_from(FORCED))):
        if isinstance(found, Post):
            assert found.post_id
            json.dumps(vars(found), default=str).encode()
        else:
            assert found.reason
            f"{found.detail}{found.record_id}".encode()
