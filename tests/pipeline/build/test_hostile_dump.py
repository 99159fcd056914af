"""Ten thousand lines, a thousand of them poison: each line becomes what it must, and none costs another."""

from collections import Counter

import pytest

from m3h.pipeline.build.build import BuildOptions, build
from m3h.pipeline.checks.verify import verify
from m3h.pipeline.config import BuildConfig
from m3h.pipeline.dataset.publish import columns
from m3h.pipeline.readers.dumps import DumpFile, raw_records, read_dump
from m3h.pipeline.rules import ReadRules
from m3h.schemas.posts import Dropped, Post
from tests.pipeline.fakes import picture
from tests.pipeline.hostile import MAX_LINE, PICTURES, POISON, hostile_dump

RULES = ReadRules(max_line_bytes=MAX_LINE)


@pytest.fixture(scope="module")
def hostile():
    return hostile_dump()


def written(folder, hostile):
    (folder / "dump.jsonl").write_bytes(hostile.data)
    return DumpFile("dump.jsonl", str(folder / "dump.jsonl"))


@pytest.fixture(scope="module")
def dump(hostile, tmp_path_factory):
    return written(tmp_path_factory.mktemp("hostile"), hostile)


@pytest.fixture(scope="module")
def found(dump):
    return list(read_dump(dump, RULES))


def test_the_dump_is_as_hostile_as_it_says(hostile):
    assert (len(hostile.lines), len(hostile.poison)) == (10_000, 1_000)
    assert {kind for kind, _ in hostile.poison.values()} == set(POISON)
    assert len(POISON) >= 15


def test_every_line_is_a_post_or_dropped_for_its_own_reason(hostile, found):
    assert [item.position for item in found] == list(range(1, 10_001))
    dropped = {item.position: item.reason for item in found if isinstance(item, Dropped)}
    assert dropped == {place: reason for place, (_, reason) in hostile.poison.items()}


def test_no_poison_changes_the_post_beside_it(found):
    for item in found:
        if isinstance(item, Post):
            assert (item.post_id, item.hashtags) == (str(item.position), (f"tag{item.position % 7}",))
            assert len(item.images) == 1


def test_every_poisoned_line_is_found_again_by_its_position(hostile, dump):
    found = {place: raw for places, raw in raw_records(dump, hostile.poison, RULES) for place in places}
    assert found == {place: hostile.lines[place - 1][:MAX_LINE].rstrip(b"\r") for place in hostile.poison}


def test_mended_lines_are_posts_and_all_others_stay_what_they_were(hostile, found, tmp_path):
    again = list(read_dump(written(tmp_path, hostile.mended()), RULES))
    assert [type(item) for item in again] == [Post] * 10_000
    assert [item for item in again if item.position not in hostile.poison] == [
        item for item in found if isinstance(item, Post)
    ]
    assert {item.post_id for item in again if item.position in hostile.poison} == {str(i) for i in hostile.poison}


@pytest.mark.slow
def test_a_whole_build_of_it_loses_nothing_and_a_mended_one_keeps_all(hostile, tmp_path):
    for i in range(PICTURES):
        picture(tmp_path / "images" / f"p{i}.jpg", seed=i)
    clean = {"min_hashtag_count": 1, "unique_texts": False, "unique_images": False}
    config = BuildConfig(clean=clean, read={"max_line_bytes": MAX_LINE})
    for name, version in (("hostile", hostile), ("mended", hostile.mended())):
        (tmp_path / name).mkdir()
        dump = written(tmp_path / name, version)
        dataset = tmp_path / name / "dataset"
        options = {"images": tmp_path / "images", "features": (), "config": config, "workers": 2}
        counts = build(BuildOptions([dump.path], dataset, **options)).manifest.counts
        reasons = Counter(reason for _, reason in version.poison.values())
        assert (counts["read"], counts["kept"]) == (10_000, 10_000 - len(version.poison))
        assert counts["dropped"] == ({"read": dict(sorted(reasons.items()))} if reasons else {})
        rows = columns(dataset, "dropped", ("position", "reason"), pattern="part-*.parquet")
        assert dict(rows) == {place: reason for place, (_, reason) in version.poison.items()}
        assert verify(dataset).breaches == []
