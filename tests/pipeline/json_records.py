"""What readers make of one value of JSON: its posts, or why there are none."""

import json

from m3h.pipeline.readers.formats import read_records
from m3h.pipeline.readers.record import RecordFault
from m3h.schemas.posts import Post


def results(value: object) -> list[Post | RecordFault]:
    """All records of the value."""
    return read_records(json.dumps(value).encode())


def post(value: object) -> Post:
    """The post of the only record."""
    (found,) = results(value)
    assert isinstance(found, Post), vars(found)
    return found


def fault(value: object) -> RecordFault:
    """The fault of the only record."""
    (found,) = results(value)
    assert isinstance(found, RecordFault), found
    return found
