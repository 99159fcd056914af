"""What one record says of another is applied, whichever is read first; without that, posts stay as they are."""

import json

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.cleaning.parts import applied
from m3h.pipeline.dataset.suppression_list import SuppressionList
from m3h.pipeline.images.embedded import Embedded
from m3h.pipeline.readers.dumps import DumpFile
from m3h.pipeline.readers.long_texts import LongText, is_cut, second_of
from m3h.pipeline.readers.record import Part
from m3h.pipeline.rules import ReadRules
from m3h.pipeline.stages.coders import PartCoder
from m3h.pipeline.stages.parts import ApplyParts
from m3h.pipeline.stages.read import ReadDumps
from m3h.schemas.posts import Dropped, ImageRef, Post

NOON, SECOND = "2025-11-24T12:00:00.000Z", "1763985600"
WHOLE = LongText("We walked along the river & saw a heron #Walk #Birds", ("walk", "birds"))


def post(number: int, text: str = "", **fields: object) -> Post:
    return Post(str(number), text, source="detected:d", position=number).having(**fields)


@pytest.fixture
def root():
    with test_pipeline.TestPipeline(runner=FnApiRunner()) as root:
        yield root


def apply(root: beam.Pipeline, posts: list[Post], parts: list[Part]):
    of_parts = root | "parts made" >> beam.Create(parts).with_output_types(Part)
    return (root | "posts made" >> beam.Create(posts), of_parts) | ApplyParts()


def test_each_part_reaches_the_posts_that_ask_for_it_and_no_other(root):
    posts = [
        post(1),
        post(2, versions=("2", "3")),
        post(4, images=(ImageRef("3_7", alt="a heron"), ImageRef("3_8"))),
        post(5, "We walked along the river &amp; …  https://t.co/a1", created_at=NOON),
        post(6, "Another second …", created_at="2025-11-24T12:00:01Z"),
        post(7, images=(ImageRef("3_7", "https://own"),)),
    ]
    parts = [
        *(Part("deletion", key) for key in ("1", "1", "3", "99")),
        Part("picture", "3_7", "https://p/7.jpg"),
        WHOLE.part_at(SECOND),
        LongText("Of the same second", ()).part_at(SECOND),
    ]
    out = apply(root, posts, parts)
    kept = [
        posts[2].having(images=(ImageRef(url="https://p/7.jpg", alt="a heron"), ImageRef("3_8"))),
        posts[3].having(text=WHOLE.text, hashtags=WHOLE.hashtags),
        *posts[4:],
    ]
    gone = [Dropped.of(one, "read", "deleted", detail="another record says so") for one in posts[:2]]
    assert_that(out.keep, equal_to(kept), "kept")
    assert_that(out.dropped, equal_to(gone), "dropped")


def test_without_parts_every_post_passes_by_as_it_is(root):
    posts = [post(1, "cut …", created_at=NOON), post(2, images=(ImageRef("3_7"),))]
    out = apply(root, posts, [])
    assert_that(out.keep, equal_to(posts), "kept")
    assert_that(out.dropped, equal_to([]), "dropped")


PARTS = st.lists(
    st.builds(Part, st.just("deletion"), st.just("1"))
    | st.builds(Part, st.just("picture"), st.just("3_7"), st.sampled_from(["https://a", "https://b"]))
    | st.sampled_from([WHOLE.part_at(SECOND), LongText("We walked home", ()).part_at(SECOND)]),
    max_size=5,
)


@given(PARTS)
def test_a_deletion_wins_always_and_a_post_takes_a_part_once(parts: list[Part]) -> None:
    whole = post(1, "We walked…", created_at=NOON, images=(ImageRef("3_7"),))
    out = applied(whole, sorted(parts))
    assert isinstance(out, Dropped) == any(part.kind == "deletion" for part in parts)
    if isinstance(out, Post):
        assert applied(out, sorted(parts)) == out


@given(st.builds(Part, st.sampled_from(["deletion", "picture", "text"]), st.text(), st.text()))
def test_a_part_comes_out_as_it_went_in(part: Part) -> None:
    assert PartCoder().decode(PartCoder().encode(part)) == part


@pytest.mark.parametrize(
    ("text", "cut"),
    [("so it goes…", True), ("so it goes… https://t.co/a https://t.co/b", True), ("so ... ", True),
     ("so… it goes", False), ("", False), ("https://t.co/a", False)],
)  # fmt: skip
def test_a_cut_text_ends_with_dots_and_perhaps_a_link(text: str, cut: bool) -> None:
    assert is_cut(text) == cut


def test_a_text_of_dots_alone_continues_nothing():
    assert not WHOLE.continues("… https://t.co/a")


@pytest.mark.parametrize(
    ("date", "second"),
    [(NOON, SECOND), ("Mon Nov 24 12:00:00 +0000 2025", SECOND), ("2025-11-24T13:00:00.9+01:00", SECOND), ("", ""),
     ("soon", "")],
)  # fmt: skip
def test_the_same_second_has_one_key_however_the_date_is_written(date: str, second: str) -> None:
    assert second_of(date) == second


def read(root, tmp_path, *, forgotten=()):
    line = {"id": 1, "text": "a", "image": "a.jpg"}
    files = {
        "a_deletions.jsonl": [{"delete": {"status": {"id": 1, "id_str": "1", "user_id": 9}}}],
        "b_posts.jsonl": [line, {**line, "id": 2}],
        "c_posts.jsonl": [line, {**line, "id": 3}],
        "d_deletions.jsonl": [{"data": {"delete": {"tweet": {"id": "3", "author_id": "9"}, "event_at": NOON}}}],
    }
    for name, records in files.items():
        (tmp_path / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    dumps = [DumpFile(name, str(tmp_path / name)) for name in files]
    embedded = Embedded(tmp_path / "embedded", 100)
    return root | beam.Create(dumps) | ReadDumps(ReadRules(), embedded, SuppressionList().having(forgotten))


def test_a_deletion_before_or_after_a_post_removes_all_its_records_and_every_record_is_counted(root, tmp_path):
    out = read(root, tmp_path)
    assert_that(out.keep | "ids" >> beam.Map(lambda p: p.post_id), equal_to(["2"]), "kept")
    reasons = out.dropped | "reasons" >> beam.Map(lambda d: (d.record_id, d.reason))
    expected = [("1", "deleted"), ("1", "deleted"), ("3", "deleted"), ("", "notice"), ("", "notice")]
    assert_that(reasons, equal_to(expected), "dropped")
    counts = [("a_deletions.jsonl", 1), ("b_posts.jsonl", 2), ("c_posts.jsonl", 2), ("d_deletions.jsonl", 1)]
    assert_that(out.tally, equal_to(counts), "tally")


def test_a_deleted_post_that_is_to_be_forgotten_leaves_no_trace(root, tmp_path):
    out = read(root, tmp_path, forgotten=["1"])
    assert_that(out.keep | "ids" >> beam.Map(lambda p: p.post_id), equal_to(["2"]), "kept")
    reasons = out.dropped | "reasons" >> beam.Map(lambda d: (d.record_id, d.reason))
    expected = [("", "forgotten"), ("", "forgotten"), ("3", "deleted"), ("", "notice"), ("", "notice")]
    assert_that(reasons, equal_to(expected), "dropped")
