"""What names a person: masked where it is written like that, left where it is not, and gone from a whole dataset."""

import io
import json

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.privacy import mask
from tests.commands import files_of, run
from tests.pipeline.fakes import picture


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


@pytest.mark.parametrize(
    "text",
    [
        "id 1084067481769032701, 2125550123 and 5551234",
        "2019-06-20 12:30, 20/06/2019, 2016 2017 2018 2019 and 1984-2001",
        "$1,234,567.00, 2,012,555,012 and 3.14159265358",
        "21-14, 192.168.100.200 and ISBN 978-3-16-148410-0",
        "f!@kn, 5 @ 3, a@b and #tag $TSLA",
        "https://x.org/555-123-4567 https://t.co/1234567890",
        "<mention> <email> <phone> <url>",
    ],
)
def test_ids_prices_dates_and_links_stay(text):
    assert mask(text) == text


PIECES = [
    "@",
    "bob",
    "me@mail.com",
    "+",
    "44 20 7946 0958",
    "(212) 555-0123",
    "x.com/",
    " ",
    "-",
    "1",
    "555",
    ".",
    "RT",
]


@given(st.text(max_size=30) | st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_a_masked_text_stays_as_it_is(text):
    assert mask(mask(text)) == mask(text)


def test_no_real_tweet_or_released_line_holds_what_looks_like_a_phone_number_or_an_address(m3h_data):
    lines = (m3h_data / "images_social" / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    masked = [mask(json.loads(line)["text"]) for line in lines]
    assert len(masked) == 8555
    assert [text for text in masked if "<phone>" in text or "<email>" in text] == []
    released = (m3h_data / "cmkp" / "test_src.txt").read_text(encoding="utf-8").split("\n")
    assert [line for line in released if mask(line) != line] == []


def planted(i: int) -> tuple[str, str, str]:
    """An account, an address and a phone number, each of its own, each written in one of several ways."""
    handle = f"zq{i:04d}user"
    mail = (f"qz{i:04d}@mail.com", f"qz.{i:04d}+x@sub.mail-x.co.uk", f"QZ_{i:04d}@MAIL.org")[i % 3]
    line = f"{1000 + i}"
    phone = (f"+1 202-555-{line}", f"(202) 555-{line}", f"202.555.{line}", f"+44 20 7946 {line}", f"020 7946 {line}")[
        i % 5
    ]
    return handle, mail, phone


def records(i: int) -> str:
    """One line: kept, dropped, or broken."""
    handle, mail, phone = planted(i)
    at = (f"@{handle}", f".@{handle}:", f"RT@{handle}", f"https://twitter.com/{handle}/status/1", f"@{handle}/list")[
        i % 5
    ]
    text = f"we walked along river number {i} with {at} so write {mail} or call {phone} soon #river"
    record = json.dumps({"id": i, "text": text, "image": "a.jpg", "hashtags": ["river"], "lang": "en"})
    if i % 7 == 0:
        return json.dumps({"text": f"{at} {mail}\n@{handle} {phone}", "id": i})[: 40 + i % 60]
    return record if i % 5 else record.replace("a.jpg", f"@{handle}.jpg")


@pytest.mark.slow
def test_none_of_a_thousand_planted_names_is_in_any_file_of_a_dataset_or_on_the_terminal(tmp_path):
    picture(tmp_path / "images" / "a.jpg", seed=1)
    names = range(334)
    (tmp_path / "d.jsonl").write_text("\n".join(map(records, names)), encoding="utf-8")
    done = run(
        *("pipeline", "build", "--dumps", tmp_path / "d.jsonl", "--images", tmp_path / "images"),
        *("--dataset", tmp_path / "dataset", "--features", "none", "--set", "clean.unique_images=false", "--json"),
        *("--set", "clean.near_text=0", "--set", "clean.unique_texts=false"),
    )
    assert done.code == 0, done.err
    assert done.json["kept"] > 200
    texts = [done.out, done.err]
    for name, data in files_of(tmp_path / "dataset").items():
        if name.endswith(".parquet"):
            texts.append(json.dumps(pq.read_table(io.BytesIO(data)).to_pylist(), ensure_ascii=False, default=str))
        elif not name.endswith(".jpg"):
            texts.append(data.decode())
    found = [secret for i in names for secret in planted(i) if any(secret.lower() in text.lower() for text in texts)]
    assert found == []
