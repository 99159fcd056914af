"""Texts are read once a build, however often it is killed; anew where their posts or the ways of writing are others."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from apache_beam import Create, FlatMap
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from m3h.pipeline.rules import CleanRules, TextRules
from m3h.pipeline.stages import clean
from m3h.pipeline.stages.clean import Text
from m3h.pipeline.text.text_cache import Reading, RecordedLookups, read_once
from m3h.schemas.posts import Post

SHARD = b"one two"
WRITTEN = {"avengersendgame": "AvengersEndGame", "sun": "Sun"}


class Reader:
    """Counts how often it reads."""

    def __init__(self) -> None:
        self.read = 0

    def __call__(self, asked: RecordedLookups) -> Iterator[Reading]:
        self.read += 1
        for hashtag in ("avengersendgame", "unseen"):
            yield ([hashtag], ["a", "b"], [asked.get(hashtag, hashtag)])


FOUND = [[["avengersendgame"], ["a", "b"], ["AvengersEndGame"]], [["unseen"], ["a", "b"], ["unseen"]]]


def plain(readings: list[Reading]) -> list[list[list[str]]]:
    return [[list(part) for part in reading] for reading in readings]


def test_a_shard_is_read_once(tmp_path: Path) -> None:
    reader = Reader()
    for _ in range(3):
        assert plain(read_once(SHARD, WRITTEN, tmp_path, read=reader)) == FOUND
    assert reader.read == 1


@pytest.mark.parametrize(
    ("shard", "written", "again"),
    [
        (SHARD, {**WRITTEN, "sun": "SUN", "moon": "Moon"}, 0),  # nobody asked for these
        (SHARD, {**WRITTEN, "avengersendgame": "AvengersEndgame"}, 1),
        (SHARD, {**WRITTEN, "unseen": "UnSeen"}, 1),
        (SHARD, {}, 1),
        (b"one two three", WRITTEN, 1),
        (b"onet wo", WRITTEN, 1),
    ],
)
def test_it_is_read_anew_where_something_it_hangs_on_is_another(
    tmp_path: Path, shard: bytes, written: Mapping[str, str], again: int
) -> None:
    reader = Reader()
    read_once(SHARD, WRITTEN, tmp_path, read=reader)
    now = plain(read_once(shard, written, tmp_path, read=reader))
    assert reader.read == 1 + again
    assert now[1][2] == [written.get("unseen", "unseen")]


def test_what_a_power_cut_left_is_read_anew(tmp_path: Path) -> None:
    reader = Reader()
    read_once(SHARD, WRITTEN, tmp_path, read=reader)
    (path,) = tmp_path.iterdir()
    for left in (path.read_bytes()[:9], b"", b"\0" * 9):
        path.write_bytes(left)
        assert plain(read_once(SHARD, WRITTEN, tmp_path, read=reader)) == FOUND
    assert reader.read == 4


def test_a_stage_that_goes_on_gives_the_same_posts_and_reads_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"{i} walks by the river in the #BlueSun of May" for i in range(20)]
    posts = [Post(str(i), text, hashtags=("bluesun",), source="s", position=i) for i, text in enumerate(texts)]

    def stage(posts: list[Post]) -> None:
        tokens = ("<number>", "walks", "by", "the", "river", "in", "the", "blue", "sun", "of", "may")
        expected = [(str(i), tokens, ("blue sun",)) for i in range(20)]
        with test_pipeline.TestPipeline() as root:
            read = root | Create(posts) | Text(CleanRules(), TextRules(), tmp_path, shards=5)
            told = read.keep | FlatMap(lambda post: [(post.post_id, post.tokens, post.keyphrases)])
            assert_that(told, equal_to(expected))

    stage(posts)
    assert len(list(tmp_path.iterdir())) == 5
    monkeypatch.setattr(clean, "tokenizer_of", None)
    stage(posts[::-1])
