"""Laws of the readers and of the masker on anything at all. Each runs for a moment; `M3H_FUZZ_SECONDS` makes it longer:

M3H_FUZZ_SECONDS=1800 pytest tests/pipeline/test_fuzz.py
"""

import bz2
import gzip
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m3h.pipeline.readers.dumps import DumpFile, raw_records, read_dump
from m3h.pipeline.readers.formats import FORMATS, MAX_CHARACTERS
from m3h.pipeline.rules import ReadRules
from m3h.pipeline.text.escapes import read, written
from m3h.pipeline.text.pii import mask, masked_dropped, masked_post, stored_id, stored_path, stored_url
from m3h.schemas.posts import Post
from tests.pipeline import hostile
from tests.pipeline.planted import FORMS, ORDINARY, detail, left_in

SECONDS = float(os.environ.get("M3H_FUZZ_SECONDS", "0"))

DETAILS = st.builds(detail, st.sampled_from(FORMS), st.integers(0, 8999))
SIGNS = "@＠./\\&;#%+-–‑()[]{}<>\"':=_?~$ \t\n\u00a0\u2009\u200b\u00ad\u202e0019aZéß日"
BITS = [
    *("&#64;", "&commat;", "%40", "%2540", "\\u0040", "\\/", "http://", "https://", "x.com/", "t.me/", "@a.b", ".com"),
    *("(at)", "(dot)", "tel:", "00", "+1", "202", "555", "0123", "<", ">", "RT", "&", "phone="),
]
PIECES = DETAILS.map(lambda planted: planted.written) | st.sampled_from(BITS + ORDINARY) | st.text(SIGNS, max_size=6)
TEXTS = st.lists(PIECES, max_size=6).map("".join) | st.text(max_size=60)


@given(TEXTS)
def a_masked_text_stays_as_it_is(text: str) -> None:
    masked = mask(text)
    assert mask(masked) == masked
    for stored in (stored_path, stored_url, stored_id):
        assert stored(stored(text)) == stored(text)


@given(TEXTS)
def every_sign_of_a_reading_has_its_place(text: str) -> None:
    for reading in (read(text), written(text)):
        assert len(reading.places) == len(reading.text) + 1
        assert list(reading.places) == sorted(reading.places)
        assert reading.places[-1] == len(text)


BEFORE = st.just("") | st.text(" \t\n,;?|“”", max_size=3)
AFTER = st.just("") | st.text(" \t\n,;!?|“”…", max_size=3)


@given(DETAILS, BEFORE, AFTER, st.sampled_from(ORDINARY))
def a_detail_among_other_words_is_found(planted: Any, before: str, after: str, ordinary: str) -> None:
    assert left_in([planted], mask(f"{ordinary} so {before}{planted.written}{after} now {ordinary}")) == []


@given(st.sampled_from(ORDINARY), st.sampled_from(ORDINARY))
def ordinary_texts_stay(text: str, other: str) -> None:
    assert mask(f"{text}\n{other}") == f"{text}\n{other}"


NAMES = """
id id_str text full_text user entities hashtags media type photo media_url_https url data includes meta errors title
attachments media_keys media_key author_id legacy rest_id __typename tweet tweet_results result tombstone note_tweet
edit_control edit_tweet_ids initial_tweet_id edit_history_tweet_ids edit_history edit_info initial edit _type content
rawContent date lang created_at collected_at split image images image_url withheld_in_countries withheld_copyright
withheld statuses extended_tweet extended_entities referenced_tweets retweeted_status delete limit
""".split()  # noqa: SIM905
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.sampled_from(["7", 8, "photo", "3_7", "river"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | TEXTS, inner, max_size=6),
    max_leaves=16,
)
GOOD = st.builds(hostile.good, st.integers(1, 400))


def spoilt(line: bytes, changes: list[tuple[int, bytes]]) -> bytes:
    """A line with some bytes overwritten or inserted."""
    for at, data in changes:
        place = at % (len(line) + 1)
        line = line[:place] + data + line[place + at % 3 :]
    return line


def changed(line: bytes, values: dict[str, object]) -> bytes:
    """A record with other values in some of its fields, wherever they lie."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: values.get(name, walk(item)) for name, item in value.items()}
        return [walk(item) for item in value] if isinstance(value, list) else value

    return json.dumps(walk(json.loads(line))).encode()


CHANGES = st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=4)), min_size=1, max_size=4)
LINES = (
    st.binary(max_size=80)
    | VALUES.map(lambda value: json.dumps(value).encode())
    | TEXTS.map(lambda text: text.encode("utf-8", "replace"))
    | GOOD
    | st.builds(spoilt, GOOD, CHANGES)
    | st.builds(changed, GOOD, st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=3))
)
COVERS: list[Callable[[bytes], bytes]] = [
    bytes,
    gzip.compress,
    bz2.compress,
    lambda data: data.decode("latin-1").encode("utf-16"),
]
FILES = st.builds(
    lambda lines, between, cover, cut: cover(between.join(lines))[: -cut or None],
    st.lists(LINES, max_size=5), st.sampled_from([b"\n", b"\r\n", b",\n", b"]\n["]), st.sampled_from(COVERS),
    st.sampled_from([0, 0, 0, 1, 9]),
)  # fmt: skip
LIMITS = ReadRules(max_line_bytes=4096)


@given(FILES | st.binary(max_size=200), st.sampled_from(["", *(name for name in FORMATS if name != "cmkp")]))
def any_bytes_give_posts_or_reasons(data: bytes, forced: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "dump")
        path.write_bytes(data)
        dump = DumpFile("dump", str(path), forced)
        found = list(read_dump(dump, LIMITS))
        places = [record.position for record in found]
        assert places == sorted(set(places))
        again = [place for held, _ in raw_records(dump, set(places), LIMITS) for place in held]
        assert again == places
    for record in found:
        assert record.position > 0
        if isinstance(record, Post):
            assert record.post_id
            assert len(record.text) <= MAX_CHARACTERS
            stored = masked_post(record)
            assert masked_post(stored) == stored
            json.dumps(vars(stored), default=str).encode()
        else:
            assert record.stage == "read"
            assert record.reason
            assert masked_dropped(masked_dropped(record)) == masked_dropped(record)
            f"{record.record_id}{record.detail}".encode()


LAWS = [
    a_masked_text_stays_as_it_is,
    every_sign_of_a_reading_has_its_place,
    a_detail_among_other_words_is_found,
    ordinary_texts_stay,
    any_bytes_give_posts_or_reasons,
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_law(law: Callable[[], None]) -> None:
    """A law runs again and again, each time on other examples, until its share of the time is used."""
    run = settings(deadline=None, max_examples=500 if SECONDS else 60, derandomize=False)(law)
    end = time.monotonic() + SECONDS / len(LAWS)
    run()
    while time.monotonic() < end:
        run()
