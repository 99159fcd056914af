"""Each stage in a real pipeline: every post leaves by exactly one way."""

import os

import apache_beam as beam
import pyarrow.parquet as pq
import pytest
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from m3h.pipeline.cleaning.groups import age
from m3h.pipeline.dataset.tables import IMAGE_LIST
from m3h.pipeline.images.embedded import Embedded
from m3h.pipeline.readers.dumps import DumpFile
from m3h.pipeline.rules import CleanRules, ImageRules, ReadRules, SplitRules, TextRules
from m3h.pipeline.stages.clean import Language, Text
from m3h.pipeline.stages.dedup import Dedup
from m3h.pipeline.stages.image_list import WriteImageList
from m3h.pipeline.stages.images import Images
from m3h.pipeline.stages.rare_hashtags import RareHashtags
from m3h.pipeline.stages.read import ReadDumps
from m3h.pipeline.stages.routing import Filter, GlobalFilter, GroupFilter
from m3h.pipeline.stages.split import Split
from m3h.schemas.posts import Dropped, ImageRef, Post
from tests.pipeline.fakes import picture


def pipeline():
    return test_pipeline.TestPipeline(runner=FnApiRunner())


@pytest.fixture
def root():
    with pipeline() as root:
        yield root


def post(number, text="", **fields):
    return Post(str(number), text, source="jsonl:d", position=number, **fields)


def check(kept, dropped, keep, drop):
    assert_that(kept | "kept ids" >> beam.Map(lambda p: p.post_id), equal_to(keep), "kept")
    assert_that(dropped | "reasons" >> beam.Map(lambda d: (d.record_id, d.reason)), equal_to(drop), "dropped")


def even(item):
    return item if item.position % 2 == 0 else Dropped.of(item, "test", "odd")


def test_a_filter_lets_each_post_out_once(root):
    out = root | beam.Create([post(i) for i in range(7)]) | Filter(even)
    check(out.keep, out.dropped, ["0", "2", "4", "6"], [("1", "odd"), ("3", "odd"), ("5", "odd")])


def oldest_and_order(posts):
    assert posts == sorted(posts, key=age)
    first, *later = posts
    return [first, *(Dropped.of(p, "test", f"after_{first.post_id}") for p in later)]


def test_a_group_filter_sees_the_posts_of_a_key_from_first_to_last(root):
    posts = [post(i, text="ab"[i % 2]) for i in (9, 4, 7, 10, 1)]
    out = root | beam.Create(posts) | GroupFilter(lambda p: p.text, oldest_and_order)
    check(out.keep, out.dropped, ["1", "4"], [("7", "after_1"), ("9", "after_1"), ("10", "after_4")])


def above_mean(lengths):
    mean = sum(lengths.values()) / len(lengths)
    return {key: length > mean for key, length in lengths.items()}


def test_a_global_filter_decides_over_all_posts_at_once(root):
    posts = [post(i, text="x" * i) for i in range(5)]  # mean 2
    stage = GlobalFilter(
        lambda p: len(p.text), above_mean, lambda p, above: p if above else Dropped.of(p, "test", "short")
    )
    out = root | beam.Create(posts) | stage
    check(out.keep, out.dropped, ["3", "4"], [("0", "short"), ("1", "short"), ("2", "short")])


def test_no_posts_are_no_posts_at_any_filter(root):
    out = root | beam.Create([]) | GlobalFilter(lambda p: 0, above_mean, lambda p, above: p)
    check(out.keep, out.dropped, [], [])


def test_images_are_found_checked_and_stored(tmp_path):
    folder = tmp_path / "in"
    for name, seed in (("a.jpg", 1), ("same.jpg", 1), ("b.jpg", 2)):
        picture(folder / name, seed)
    (folder / "empty.jpg").write_bytes(b"")
    named = {1: "a.jpg", 2: "a.jpg", 3: "same.jpg", 4: "b.jpg", 5: "gone.jpg", 6: "empty.jpg"}
    posts = [post(i, images=(ImageRef(name),)) for i, name in named.items()]
    with pipeline() as root:
        kept, rows, dropped, _ = root | beam.Create(posts) | Images((folder,), tmp_path / "out", ImageRules())
        check(
            kept, dropped | beam.Flatten(), ["1", "2", "3", "4"], [("5", "image_missing"), ("6", "image_empty")],
        )  # fmt: skip
        hashes = kept | "by hash" >> beam.Map(lambda p: (p.image_sha256, p.post_id)) | beam.GroupByKey()
        groups = hashes | "groups" >> beam.Map(lambda item: sorted(item[1]))
        assert_that(groups, equal_to([["1", "2", "3"], ["4"]]), "hashes")
        assert_that(rows | "paths" >> beam.Map(lambda row: row.path), equal_to(["a.jpg", "same.jpg", "b.jpg"]), "rows")
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == 2


def test_odd_things_in_the_folder_leave_in_the_image_stage_each_for_its_reason(tmp_path):
    folder = tmp_path / "in"
    picture(folder / "a.jpg", 1)
    picture(tmp_path / "outside.jpg", 2)
    (folder / "outside.jpg").symlink_to(tmp_path / "outside.jpg")
    (folder / "inside.jpg").symlink_to("a.jpg")
    (folder / "folder.jpg").mkdir()
    os.mkfifo(folder / "pipe.jpg")
    (folder / "page.jpg").write_text("<html></html>")
    (folder / "half.jpg").write_bytes((folder / "a.jpg").read_bytes()[:-300])
    names = ["a", "outside", "inside", "folder", "pipe", "page", "half"]
    posts = [post(i, images=(ImageRef(f"{name}.jpg"),)) for i, name in enumerate(names)]
    with pipeline() as root:
        kept, rows, dropped, _ = root | beam.Create(posts) | Images((folder,), tmp_path / "out", ImageRules())
        check(
            kept, dropped | beam.Flatten(), ["0", "2"],
            [("1", "image_outside"), ("3", "image_not_a_file"), ("4", "image_not_a_file"),
             ("5", "image_not_jpeg"), ("6", "image_truncated")],
        )  # fmt: skip
        details = dropped | "all" >> beam.Flatten() | "details" >> beam.Map(lambda d: d.detail.partition(":")[0])
        assert_that(details, equal_to([f"{names[i]}.jpg" for i in (1, 3, 4, 5, 6)]), "each names its file")
        numbers = rows | "list" >> WriteImageList(tmp_path / "list", 10, False)
        assert_that(numbers, equal_to([1]), "one row a picture")
    (listed,) = pq.read_table(tmp_path / "list" / IMAGE_LIST).to_pylist()
    assert (listed["path"], listed["status"]) == ("a.jpg", "stored")  # the first of two names


def duplicated():
    """1 stays; 3 came twice; 4 has the text of 1; 5 the picture of 1; 6 the text of 2. 7 and 8 say nothing."""
    same = {"tokens": ("one", "text"), "image_sha256": "i1"}
    return [
        post(1, **same),
        post(2, tokens=("two",), image_sha256="i2"),
        post(3, tokens=("three",), image_sha256="i3").having(position=30),
        post(3, tokens=("three", "again"), image_sha256="i3").having(position=31),
        post(4, tokens=("one", "text", "<url>"), image_sha256="i4"),
        post(5, tokens=("five",), image_sha256="i1"),
        post(6, tokens=("two",), image_sha256="i6"),
        post(7, tokens=("<url>",), image_sha256="i7"),
        post(8, tokens=("<url>",), image_sha256="i8"),
    ]


@pytest.mark.parametrize(
    ("rules", "keep", "drop"),
    [
        (
            {},
            ["1", "2", "3", "7", "8"],
            [("3", "duplicate_id"), ("4", "duplicate_text"), ("5", "duplicate_image"), ("6", "duplicate_text")],
        ),
        ({"unique_texts": False, "unique_images": False}, list("12345678"), [("3", "duplicate_id")]),
    ],
)
def test_duplicates_go_by_the_rules(root, rules, keep, drop):
    kept, dropped = (root | beam.Create(duplicated()), root | "none" >> beam.Create([])) | Dedup(CleanRules(**rules))
    check(kept, dropped | beam.Flatten(), keep, drop)


@pytest.mark.parametrize("turned", [False, True])
def test_of_an_edited_post_the_last_version_stays_whatever_the_order(root, turned):
    def version(number, edit, **fields):
        fields = {"tokens": (f"t{number}",), "image_sha256": f"i{number}", "collected_at": "2022-01-01", **fields}
        return post(number, edit=edit, first_id="4" if edit else "", **fields)

    unknowing = version(7, 0, collected_at="2022-01-02").having(source="v1:older")
    posts = [version(4, 0), version(7, 1), unknowing, version(9, 2), version(5, 0)]
    kept, dropped = (
        root | beam.Create(posts[::-1] if turned else posts),
        root | "none" >> beam.Create([]),
    ) | Dedup(CleanRules())
    dropped = dropped | beam.Flatten()
    check(kept, dropped, ["5", "9"], [("4", "superseded"), ("7", "superseded"), ("7", "duplicate_id")])
    assert_that(dropped | beam.Map(lambda d: d.detail.partition(" ")[0]), equal_to(["9", "9", "7"]), "what stayed")


def test_how_most_posts_write_a_hashtag_decides_for_all(root, tmp_path):
    texts = ["#AvengersEndGame", "#AvengersEndGame", "#AvengersEndgame", "#avengersendgame"]
    posts = [Post(str(i), f"we watch {tag} today", hashtags=("avengersendgame",)) for i, tag in enumerate(texts)]
    read = root | beam.Create(posts) | Text(CleanRules(), TextRules(), tmp_path, shards=2)
    assert_that(read.keep | beam.FlatMap(lambda post: post.keyphrases), equal_to(["avengers end game"] * 4))


def test_rare_hashtags_take_their_posts_along(root):
    tags = {1: ("a",), 2: ("a", "b"), 3: ("a",), 4: ("c",), 5: ("a", "c")}
    posts = [post(i, hashtags=mine) for i, mine in tags.items()]
    out = root | beam.Create(posts) | RareHashtags(CleanRules(min_hashtag_count=2), TextRules())
    check(out.keep, out.dropped, ["1", "3", "4", "5"], [("2", "rare_hashtag")])
    assert_that(out.dropped | beam.Map(lambda d: d.detail), equal_to(["#b"]), "detail")


def test_texts_are_read_and_judged(root, tmp_path):
    posts = [
        post(1, "a walk by the river #sun", hashtags=("sun",)),
        post(2, "too short #sun", hashtags=("sun",)),
        post(3, "a walk by the river", hashtags=()),
    ]
    out = root | beam.Create(posts) | Text(CleanRules(), TextRules(), tmp_path, shards=2)
    check(out.keep, out.dropped, ["1"], [("2", "too_few_tokens"), ("3", "no_hashtag")])
    assert_that(out.keep | beam.Map(lambda p: p.tokens), equal_to([("a", "walk", "by", "the", "river")]), "tokens")


@pytest.mark.parametrize(("languages", "keep"), [(("en",), ["1"]), (("en", "de"), ["1", "2"]), ((), ["1", "2", "3"])])
def test_languages_are_told_and_chosen(root, languages, keep):
    posts = [post(1, lang="en-gb"), post(2, lang="de"), post(3, "une phrase en français sur la météo de demain")]
    out = root | beam.Create(posts) | Language(CleanRules(languages=languages))
    gone = [(i, "other_language") for i in ("1", "2", "3") if i not in keep]
    check(out.keep, out.dropped, keep, gone)
    expected = [{"1": "en", "2": "de", "3": "fr"}[i] for i in keep]
    assert_that(out.keep | beam.Map(lambda p: p.lang), equal_to(expected), "languages")


def test_posts_that_share_a_picture_or_a_text_share_a_split(root):
    posts = [post(i, tokens=(f"t{i // 3}",), image_sha256=f"i{i}") for i in range(90)]
    own = [post(i, tokens=(f"t{i}",), image_sha256=f"i{i}", split="valid") for i in (900, 901)]
    links = root | "links" >> beam.Create([("image i0", "image i3")])
    out = (root | beam.Create(posts + own), links) | Split(SplitRules(valid=0.3, test=0.3))
    linked = out | "linked" >> beam.Filter(lambda p: p.position < 6) | beam.Map(lambda p: (p.group, p.split))
    assert_that(linked | "one" >> beam.Distinct() | beam.combiners.Count.Globally(), equal_to([1]), "linked")
    mine = out | "mine" >> beam.Filter(lambda p: p.position < 900)
    pairs = mine | "splits" >> beam.Map(lambda p: (p.tokens, (p.group, p.split, p.own_split)))
    sizes = pairs | beam.GroupByKey() | beam.MapTuple(lambda _, found: (len(list(found)), len(set(found))))
    assert_that(sizes, equal_to([(3, 1)] * 30), "one split a group")
    assert_that(mine | "names" >> beam.Map(lambda p: p.split) | beam.Distinct(), equal_to(["train", "valid", "test"]))
    brought = out | "own" >> beam.Filter(lambda p: p.own_split) | "own splits" >> beam.Map(lambda p: p.split)
    assert_that(brought, equal_to(["valid", "valid"]), "own")


def test_dumps_are_read_tallied_and_the_released_one_is_ready(root, tmp_path):
    (tmp_path / "d.jsonl").write_text('{"id":1,"text":"a","image":"a.jpg"}\n{\n\n{"id":2,"text":"b","image":"b.jpg"}\n')
    (tmp_path / "test_src.txt").write_text("a b<sep>k<sep>http://x\nbad\n")
    dumps = [
        DumpFile("d.jsonl", str(tmp_path / "d.jsonl")),
        DumpFile("test_src.txt", str(tmp_path / "test_src.txt"), "cmkp"),
    ]
    out = root | beam.Create(dumps) | ReadDumps(ReadRules(), Embedded(tmp_path / "embedded", 100))
    check(out.keep, out.dropped, ["1", "2"], [("", "not_json"), ("", "bad_line")])
    assert_that(out.ready | beam.Map(lambda p: p.post_id), equal_to(["test-000001"]), "ready")
    assert_that(out.tally, equal_to([("d.jsonl", 3), ("test_src.txt", 2)]), "tally")
