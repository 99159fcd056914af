"""Made tweets: any dump begins as every larger one does, in the same memory, and with everything that can go wrong."""

import hashlib
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.dumps import KINDS, SPOILT, record, records, spoilt, write_dump
from m3h.pipeline.readers.formats import read_records
from m3h.schemas.posts import Post


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**9), st.integers(0, 10**6))
def test_a_record_depends_on_seed_and_place_alone(seed: int, index: int) -> None:
    line = record(index, seed)
    assert line == record(index, seed)
    assert b"\n" not in line
    assert line != record(index, seed + 1) or b'"number"' in line or line.isdigit() or b'"delete"' in line


def test_a_dump_begins_as_every_larger_one(tmp_path: Path) -> None:
    assert list(records(40)) == list(records(90))[:40]
    whole = b"".join(path.read_bytes() for path in write_dump(tmp_path / "one", 50))
    parts = [path.read_bytes() for path in write_dump(tmp_path / "parts", 120, per_file=40)]
    assert len(parts) == 3
    assert b"".join(parts).startswith(whole)


def test_the_bytes_are_the_same_everywhere() -> None:
    digest = hashlib.sha256(b"\n".join(records(300, seed=7))).hexdigest()
    assert digest == "39c01a99adcc834944348480c007939f16d8711707b514bf8820151b41a18f18"


def test_memory_does_not_grow_with_the_number_of_records(tmp_path: Path) -> None:
    def peak(posts: int) -> int:
        tracemalloc.start()
        write_dump(tmp_path / str(posts), posts)
        grown = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return grown

    peak(10)  # vocabularies are made once
    assert peak(1000) < peak(100) + 50_000


@pytest.fixture(scope="module")
def found() -> list[object]:
    return [result for line in records(6000) for result in read_records(line, "")]


def test_every_fault_of_a_line_occurs(found: list[object]) -> None:
    faults = Counter(result.reason for result in found if not isinstance(result, Post))  # type: ignore[attr-defined]
    kinds = list(KINDS)
    assert set(faults) == set(kinds[kinds.index("not_json") :])


def test_posts_are_as_mixed_as_in_a_stream(found: list[object]) -> None:
    posts = [post for post in found if isinstance(post, Post)]
    assert 0.1 < sum(post.is_repost for post in posts) / len(posts) < 0.2
    pictures = Counter(min(len(post.images), 2) for post in posts if not post.is_repost)
    assert pictures[0] > 200
    assert pictures[2] > 100
    tags = Counter(tag for post in posts for tag in post.hashtags)
    assert sum(number == 1 for number in tags.values()) > len(tags) / 2, "most hashtags are rare"
    assert tags.most_common(1)[0][1] > 200, "a few are everywhere"
    ids = Counter(post.post_id for post in posts)
    assert sum(number > 1 for number in ids.values()) > 20
    names = Counter(image.url for post in posts for image in post.images)
    assert sum(number > 1 for number in names.values()) > 30
    assert sum(bool(post.first_id) for post in posts) > 10
    assert sum(post.is_quote for post in posts) > 30
    assert {post.lang for post in posts} == {"en", "es", "fr", "ja"}


def test_pictures_are_spoilt_in_their_shares() -> None:
    reasons = Counter(spoilt(f"1-{i:x}-0.jpg") for i in range(20_000))
    for reason, share in SPOILT.items():
        assert 0.7 < reasons[reason] / 20_000 / share < 1.3
