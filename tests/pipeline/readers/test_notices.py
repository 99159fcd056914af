"""Records of Twitter that are no posts: what they say of posts is read, and nothing of accounts."""

import json
from typing import Any

import pytest

from m3h.pipeline.readers.formats import read_records
from m3h.pipeline.readers.long_texts import LongText
from m3h.pipeline.readers.record import Part, RecordFault
from m3h.pipeline.records.reasons import explained


def fault(record: dict[str, Any]) -> RecordFault:
    (found,) = read_records(json.dumps(record).encode())
    assert isinstance(found, RecordFault)
    return found


DELETION = (Part("deletion", "112"),)


@pytest.mark.parametrize(
    ("record", "parts"),
    [
        ({"delete": {"status": {"id": 112, "id_str": "112", "user_id": 3}, "timestamp_ms": "1"}}, DELETION),
        ({"delete": {"status": {"id": 112}}}, DELETION),
        ({"delete": {}}, ()),
        ({"delete": [1]}, ()),
        ({"scrub_geo": {"user_id": 3, "up_to_status_id": 112}}, ()),
        (
            {"data": {"delete": {"event_at": "2021-07-06", "tweet": {"id": "112", "author_id": "3"}}}},
            DELETION,
        ),
        ({"data": {"undrop": {"event_at": "2021-07-06", "tweet": {"id": "112", "author_id": "3"}}}}, ()),
        ({"id": "112", "action": "delete", "reason": "deactivated", "created_at": "x", "redacted_at": "y"}, DELETION),
        ({"id": "112", "action": "delete", "reason": "scrub_geo", "created_at": "x", "redacted_at": "y"}, ()),
    ],
)
def test_a_message_is_a_notice_and_a_deletion_names_its_post(record: dict[str, Any], parts: tuple[Part, ...]) -> None:
    found = fault(record)
    assert (found.reason, found.parts, found.record_id) == ("notice", parts, "")


def test_a_post_that_an_archive_lists_as_deleted_deletes_its_copies():
    record = {
        "tweet": {"id_str": "112", "full_text": "gone", "entities": {}, "deleted_at": "Mon Nov 24 07:05:11 +0000 2025"}
    }
    found = fault(record)
    assert (found.reason, found.record_id, found.parts) == ("deleted", "112", DELETION)


def test_includes_in_a_file_of_their_own_bring_the_urls_of_photos_alone():
    media: list[Any] = [
        {"media_key": "3_1", "type": "photo", "url": "https://p/1.jpg"},
        {"media_key": "3_2", "type": "photo"},
        {"media_key": "7_3", "type": "video", "url": "https://p/3.jpg"},
        {"url": "https://p/4.jpg", "type": "photo"},
        "odd",
    ]
    found = fault({"users": [{"id": "1", "username": "somebody"}], "media": media, "tweets": [], "places": []})
    assert (found.reason, found.parts) == ("supplement", (Part("picture", "3_1", "https://p/1.jpg"),))
    assert "somebody" not in found.detail


@pytest.mark.parametrize("record", [{"users": []}, {"users": [{"id": "1"}], "media": []}])
def test_users_without_pictures_are_no_fault_of_the_dump(record: dict[str, Any]) -> None:
    assert (fault(record).reason, fault(record).parts) == ("supplement", ())


@pytest.mark.parametrize(
    "record", [{"users": "many"}, {"users": [], "name": "x"}, {"data": {"delete": {}}}, {"media": []}]
)
def test_other_objects_with_such_fields_stay_unknown(record: dict[str, Any]) -> None:
    assert fault(record).reason == "unknown_format"


def note(**fields: Any) -> dict[str, Any]:
    core = {"text": "a long walk #River", "hashtags": [{"text": "River"}], "mentions": [{"screenName": "somebody"}]}
    dates = {"createdAt": "2025-11-24T06:05:11.000Z", "updatedAt": "2025-11-24T06:07:11.000Z"}
    return {"noteTweet": {"noteTweetId": "5", "core": core, **dates, **fields}}


def test_a_long_text_is_known_by_the_seconds_of_its_making_and_of_its_change():
    whole = LongText("a long walk #River", ("river",))
    found = fault(note())
    assert (found.reason, found.parts) == ("supplement", (whole.part_at("1763964311"), whole.part_at("1763964431")))
    assert LongText.of(found.parts[0]) == whole


@pytest.mark.parametrize(
    ("fields", "reason", "parts"),
    [
        ({"core": {}}, "missing_field", 0),
        ({"core": {"text": 5}}, "bad_field", 0),
        ({"core": {"text": "no marks #Here"}}, "supplement", 2),
        ({"createdAt": None, "updatedAt": "soon"}, "supplement", 0),
        ({"createdAt": 7}, "bad_field", 0),
    ],
)  # fmt: skip
def test_a_long_text_that_is_odd_or_broken_costs_itself(fields: dict[str, Any], reason: str, parts: int) -> None:
    found = fault(note(**fields))
    assert (found.reason, len(found.parts)) == (reason, parts)


def test_the_glossary_has_the_reason():
    assert "other records" in explained("supplement").means
