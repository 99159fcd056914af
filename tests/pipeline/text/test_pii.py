"""What names a person: masked where it is written like that, left where it is not, and gone from a whole dataset."""

import hashlib
import json

import pytest

from m3h.pipeline.text.pii import mask, stored_id, stored_path, stored_url
from tests.pipeline.planted import FORMS, ORDINARY, detail, left_in


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("RT@bob: hi .@al_ice, @bob/friends", "RT<mention>: hi .<mention>, <mention>"),
        ("mail a.b+c@x-y.co.uk! or é@mail.com", "mail <email>! or <email>"),
        ("+44 20 7946 0958, 07911123456 and (020) 7946 0958", "<phone>, <phone> and <phone>"),
        ("(212) 555-0123 212.555.0199 1-202-555-0143", "<phone> <phone> <phone>"),
        ("+33 6 12 34 56 78 in 2019", "<phone> in 2019"),
        ("https://twitter.com/bob/status/12 x.com/bob https://t.co/bob", "<url> <url> https://t.co/bob"),
        ('{"screen_name": "bob", "text": "hi', '{"screen_name": "<mention>", "text": "hi'),
    ],
)
def test_names_give_way_to_placeholders(text, masked):
    assert mask(text) == masked


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "around", ["{}", "so call {} now #tag", '["{}"]', "x\n{}\ty"], ids=["alone", "words", "json", "lines"]
)
def test_every_way_of_writing_a_detail_is_found(form: str, around: str) -> None:
    planted = detail(form, 7)
    text = around.replace("{}", planted.written)
    masked = mask(text)
    assert left_in([planted], masked) == []
    assert mask(masked) == masked


@pytest.mark.parametrize("text", ORDINARY)
def test_scores_ids_prices_dates_and_links_stay(text: str) -> None:
    assert mask(text) == text


def test_there_are_enough_of_both() -> None:
    assert len(set(FORMS)) >= 120
    assert len(set(ORDINARY)) >= 60


# the first 20 hex digits of the sha256 of bob@mail.com, with the letters g to p for the digits 0 to 9
BOB = hashlib.sha256(b"bob@mail.com").hexdigest()[:20].translate(str.maketrans("0123456789", "ghijklmnop"))


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("1084067481769032701", "1084067481769032701"),
        ("0001234567", "0001234567"),
        ("valid-000001", "valid-000001"),
        ("550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440000"),
        ("bob@mail.com", "id-" + BOB),
    ],
)
def test_an_id_that_is_an_address_becomes_a_digest_and_any_other_stays(written: str, stored: str) -> None:
    assert stored_id(written) == stored


@pytest.mark.parametrize("form", FORMS)
def test_what_is_stored_of_an_id_a_path_and_a_link_tells_them_apart_and_names_nobody(form: str) -> None:
    one, other = detail(form, 7), detail(form, 8)
    assert left_in([one], stored_id(one.written)) == []
    if "/555" in form:  # two folders
        return
    assert left_in([one], stored_path(f"photos/{one.written}/1.jpg")) == []
    links = [f"https://example.org/?u={planted.written}/1.jpg" for planted in (one, other)]
    first, second = map(stored_url, links)
    assert first != second
    assert left_in([one], first) == []
    assert stored_url(first) == first


def test_no_real_tweet_or_released_line_holds_what_looks_like_a_phone_number_or_an_address(m3h_data):
    lines = (m3h_data / "images_social" / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    masked = [mask(json.loads(line)["text"]) for line in lines]
    assert len(masked) == 8555
    assert [text for text in masked if "<phone>" in text or "<email>" in text] == []
    released = (m3h_data / "cmkp" / "test_src.txt").read_text(encoding="utf-8").split("\n")
    assert [line for line in released if mask(line) != line] == []
