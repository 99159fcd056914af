"""Forgotten posts leave no trace, and what stays is what a build of the others would have written."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from m3h.pipeline.checks.verify import verify
from m3h.pipeline.dataset.publish import file_entry
from m3h.pipeline.dataset.suppression_list import FORGOTTEN_FILE, NOBODY, read_suppression_list
from m3h.pipeline.dataset.tables import IMAGE_LIST_PATTERN, IMAGES
from m3h.pipeline.dataset.transaction import BUILD, transaction
from m3h.pipeline.dataset.workspace import Workspace
from m3h.pipeline.records.forget import Forgetting, forget
from m3h.pipeline.records.trace_scan import Names, Sought, traces
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import IntegrityError, UsageError
from m3h.schemas.manifest import Manifest
from m3h.schemas.posts import Dropped, Post
from tests.commands import files_of, run
from tests.pipeline import made
from tests.pipeline.cases import all_wanted
from tests.pipeline.made import CONFIG, DROPPED_MADE, POSTS_MADE, image_of, make, post_id, text_of

ALL = range(1, POSTS_MADE + 1)


@pytest.mark.parametrize(
    "gone",
    [[1, 3, 5, 7, 12, 13], [4, 6], [3, 4, 8], [2], [*range(1, 20)]],
    ids=["a third", "the second of a pair", "a whole pair", "one", "all but one"],
)
def test_what_stays_is_what_a_build_without_them_would_have_written(
    dataset: Path, tmp_path: Path, gone: list[int]
) -> None:
    done = forget(dataset, [post_id(i) for i in gone])
    assert (done.posts, done.traces) == (len(gone), ())
    others = files_of(make(tmp_path / "others", [i for i in ALL if i not in gone]))
    ours = files_of(dataset)
    for folder in ("posts/", "features/", "images/", "hashtags.tsv", "dropped/grid", "dropped/words"):
        mine, theirs = ({n: b for n, b in files.items() if n.startswith(folder)} for files in (ours, others))
        assert mine == theirs, folder
    assert verify(dataset).breaches == []
    manifest, theirs_too = Manifest.read(dataset), Manifest.read(tmp_path / "others")
    assert manifest.features == theirs_too.features
    assert manifest.counts["read"] == manifest.counts["kept"] + len(DROPPED_MADE) + len(gone)


def test_nothing_of_a_forgotten_post_is_in_any_file(dataset: Path) -> None:
    ids = [*(post_id(i) for i in (1, 3, 5, 7, 9)), "2000001"]
    done = forget(dataset, [*ids, "7777777"])
    # post 3's picture stays, for post 4 shows it; post 9's dropped older version goes with it
    assert done == Forgetting(ids=7, posts=5, dropped=2, images=4, unknown=1)
    everything = Sought(frozenset(ids), images=frozenset(image_of(i) for i in (1, 5, 7, 9)))
    assert traces(dataset, everything) == []
    rows = Dataset(dataset).dropped.to_pylist()
    assert sorted(row["detail"] for row in rows if row["reason"] != "forgotten") == [
        """Expecting ',': b'{"id": 1000002'""", "a forgotten post",
    ]  # fmt: skip
    masked = [row for row in rows if row["reason"] == "forgotten"]
    assert len(masked) == 7
    assert {(row["record_id"], row["source"], row["position"], row["detail"]) for row in masked} == {("", "", 0, "")}


def test_the_search_finds_what_is_there_wherever_it_stands(whole: Path) -> None:
    sought = Sought(
        frozenset({post_id(1), "2000001"}), frozenset({text_of(1)}),
        frozenset({f"http://host/{image_of(1)[:12]}.jpg"}), frozenset({image_of(7)}),
    )  # fmt: skip
    found = {trace.replace(str(whole), "D") for trace in traces(whole, sought)}
    kinds = {
        trace.partition(" to be forgotten stand in ")[0].partition(": ")[2] + trace[trace.rindex(" ") :]
        for trace in found
    }
    assert kinds == {
        "ids post_id.", "ids group.", "ids record_id.", "ids detail.", "texts text.", "urls url.",
        "images image_sha256.", "images record_id.", "images name.",
    }  # fmt: skip
    places = {trace.partition(": ")[0].partition("/")[2].rpartition("/")[0] for trace in found}
    # post 7 has no row in any feature: its picture is named in their lists of those without one, and in the store
    assert places == {"posts", "dropped", "images", f"images/{image_of(7)[:2]}"}
    shard = traces(whole, Sought(images=frozenset({image_of(1)})))
    assert sum("/features/" in trace for trace in shard) == 3


def test_an_id_inside_the_detail_of_an_unreadable_record_is_masked(dataset: Path) -> None:
    forget(dataset, [post_id(2)])
    (row,) = [row for row in Dataset(dataset).dropped.to_pylist() if row["reason"] == "not_json"]
    assert row["detail"] == """Expecting ',': b'{"id": a forgotten post'"""


def test_ids_that_are_no_words_are_found_and_masked_too() -> None:
    names = Names({"a b/c d", "tiny", "1000001", "valid-000001"})
    text = "see a b/c d, tiny, 1000001, 10000010 and valid-000001."
    assert names.found_in(text) == {"a b/c d", "1000001", "valid-000001"}
    assert names.masked(text, "X") == "see X, tiny, X, 10000010 and X."


def test_a_picture_that_stays_forgets_the_file_named_after_a_post(dataset: Path) -> None:
    before = Dataset(dataset).images.to_pylist()
    named = [{**row, "path": f"sub/{post_id(3)}.jpg"} if row["image_sha256"] == image_of(3) else row for row in before]
    IMAGES.write_parts(dataset, named, CONFIG.shards.posts)
    manifest = Manifest.read(dataset)
    for path in dataset.glob(IMAGE_LIST_PATTERN):
        manifest.files[path.relative_to(dataset).as_posix()] = file_entry(path)
    manifest.write(dataset)
    assert forget(dataset, [post_id(3)]).traces == ()
    (row,) = [row for row in Dataset(dataset).images.to_pylist() if row["image_sha256"] == image_of(3)]
    assert row["path"] == "sub/a forgotten post.jpg"


def test_everything_can_be_forgotten(dataset: Path) -> None:
    done = forget(dataset, [*(post_id(i) for i in ALL), "2000001", "2000002"])
    assert (done.posts, done.dropped, done.images) == (20, 3, 19)
    data = Dataset(dataset)
    assert (data.posts.num_rows, data.images.num_rows, data.table("words").num_rows) == (0, 0, 0)
    assert data.tensors("grid").rows == {}
    assert not list(dataset.rglob("*.jpg"))
    assert verify(dataset).breaches == []


def test_forgetting_twice_changes_nothing_more(dataset: Path) -> None:
    forget(dataset, [post_id(1)])
    before = files_of(dataset)
    again = forget(dataset, [post_id(1), post_id(1)])
    assert again == Forgetting(ids=1, already=1)
    assert files_of(dataset) == before


def test_the_list_keeps_ids_out_without_holding_them(dataset: Path) -> None:
    forget(dataset, [post_id(1), "7777777"])
    assert "1000001" not in (dataset / FORGOTTEN_FILE).read_text()
    forgotten = read_suppression_list(dataset, Manifest.read(dataset))
    records: list[Post | Dropped] = [Post(post_id(1), "a"), Post(post_id(2), "b"), Dropped("read", "x", "7777777")]
    left = list(forgotten.masked(records))
    assert left == [Dropped("forgotten", "forgotten"), records[1], Dropped("forgotten", "forgotten")]
    assert list(NOBODY.masked(records)) == records


def test_a_lost_list_is_an_error_not_an_empty_list(dataset: Path) -> None:
    forget(dataset, [post_id(1)])
    (dataset / FORGOTTEN_FILE).unlink()
    with pytest.raises(IntegrityError, match="forgotten posts could come back"):
        read_suppression_list(dataset, Manifest.read(dataset))


def test_a_trace_in_a_file_of_ones_own_is_found_and_keeps_the_command_open(dataset: Path) -> None:
    (dataset / "notes.md").write_text(f"look at post {post_id(1)}\n")
    (dataset / "sub").mkdir()
    (dataset / "sub" / "more.json").write_text(json.dumps({"mine": [text_of(1)], "n": 1000001}))
    done = forget(dataset, [post_id(1)])
    assert [trace.replace(str(dataset), "D") for trace in done.traces] == [
        "D/notes.md: ids to be forgotten stand in its text.",
        "D/sub/more.json: texts to be forgotten stand in its text.",
    ]
    refused = pytest.raises(UsageError, match="run forget again")
    with refused, transaction(dataset, BUILD, Manifest.read(dataset), work={}):
        raise AssertionError("another command went on")
    shutil.rmtree(dataset / "sub")
    (dataset / "notes.md").unlink()
    assert forget(dataset, [post_id(1)]) == Forgetting(ids=1, posts=1, images=1)
    assert not (dataset / ".build").exists()


@pytest.mark.parametrize("name", ["posts/*", "features/grid/0*/shard-*", "features/words/*/shard-*", "hashtags.tsv"])
def test_a_damaged_file_is_named_before_anything_is_changed(dataset: Path, name: str) -> None:
    path = sorted(dataset.glob(name))[0]
    path.write_bytes(path.read_bytes()[:-1])
    before = files_of(dataset)
    with pytest.raises(IntegrityError, match=path.name):
        forget(dataset, [post_id(i) for i in ALL if i > 1])
    after = {name: data for name, data in files_of(dataset).items() if not name.startswith(".build/")}
    assert after == before


def test_an_unfinished_build_is_not_touched(dataset: Path) -> None:
    Workspace(dataset).begin({"some": "build"})
    with pytest.raises(UsageError, match="unfinished build"):
        forget(dataset, [post_id(1)])


@pytest.mark.parametrize(("ids", "code"), [("1000001\n\n 2000001 \n", 0), ("\n", 2)])
def test_the_command_reads_ids_from_standard_input(dataset: Path, ids: str, code: int) -> None:
    done = run("pipeline", "forget", "--dataset", dataset, "--ids", "-", "--json", stdin=ids.encode())
    assert done.code == code, done.err
    if code == 0:
        expected: dict[str, Any] = {"ids": 2, "posts": 1, "dropped": 1, "images": 1, "already": 0, "unknown": 0}
        assert done.json == {**expected, "traces": []}


def test_short_ids_and_ids_that_are_words_are_no_false_alarm(dataset: Path) -> None:
    assert forget(dataset, ["6", "tea", "rain", "20"]) == Forgetting(ids=4, unknown=4)


def dying(dataset: Path, step: int) -> dict[str, Any]:
    """`forget` killed before every step-th change of the file system, and called again, each time on a copy."""
    done = run("tests.pipeline.dying", "forget", dataset, step, post_id(1), post_id(3), post_id(7), "2000001")
    assert done.code == 0, done.err
    return done.json


def test_killed_at_some_moments_the_same_call_finishes(dataset: Path) -> None:
    found = dying(dataset, 16)
    assert found["killed"] >= 6
    assert found["wrong"] == []


@pytest.mark.slow
def test_killed_at_any_moment_the_same_call_finishes(dataset: Path) -> None:
    step = 1 if all_wanted() else 3
    found = dying(dataset, step)
    assert found["killed"] >= 90 // step
    assert found["wrong"] == []


def test_made_is_a_whole_dataset(whole: Path) -> None:
    assert verify(whole).breaches == []
    assert Manifest.read(whole).features["grid"].current == made.VERSIONS[1][1]
