"""Builds of dumps that hold their pictures themselves: the same rules, the same store, and no folder to name."""

import hashlib
import json
import random
import shutil
from pathlib import Path

import pytest

from m3h.pipeline.dataset.workspace import FOLDER, Workspace
from tests.commands import files_of
from tests.kills import Victim
from tests.pipeline.cases import some
from tests.pipeline.fakes import picture, small_dump
from tests.pipeline.finished import differing, dropped, is_conserved, shown
from tests.pipeline.histories.worlds import EmbeddedWorld
from tests.pipeline.shop import opened, words
from tests.pipeline.tars import Member, pair, write_set
from tests.pipeline.warm import Warm

POSTS = 6
ALONE = ["--features", "none", "--workers", 1, "--progress", "none"]
RULES = ["--set", "clean.min_hashtag_count=1", "clean.near_text=0", "clean.near_images=0"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dump, its pictures, and an archive of both."""
    dump, images = small_dump(tmp_path_factory.mktemp("source"), POSTS)
    write_set(dump.parent / "set.tar", records_of(dump, images))
    return dump.parent


def records_of(dump: Path, images: Path) -> list[list[Member]]:
    """The records of a dump as pairs of a picture and its JSON."""
    records = [json.loads(line) for line in dump.read_text().splitlines()]
    return [pair(f"s/{r['id']}", (images / r["image"]).read_bytes(), r) for r in records]


def build(m3h: Warm, dataset: Path, *more: object) -> None:
    m3h.must("build", *more, "--dataset", dataset, *ALONE, *RULES)


def test_an_archive_gives_the_posts_and_pictures_of_its_parts(m3h: Warm, source: Path, tmp_path: Path) -> None:
    build(m3h, tmp_path / "apart", "--dumps", source / "dump.jsonl", "--images", source / "images")
    build(m3h, tmp_path / "held", "--dumps", source / "set.tar")
    assert shown(tmp_path / "held") == shown(tmp_path / "apart")
    assert len(shown(tmp_path / "held")) == POSTS
    assert not (tmp_path / "held" / FOLDER).exists()
    m3h.must("verify", "--dataset", tmp_path / "held")


def test_pictures_that_cannot_be_kept_leave_for_the_reasons_of_any_picture(m3h: Warm, tmp_path: Path) -> None:
    colour = picture(tmp_path / "a.jpg", 1).read_bytes()
    text = "a long walk by the river #river"
    records = [
        pair("png", b"\x89PNG\r\n\x1a\n and more", text),
        pair("cut", colour[: len(colour) // 2], text),
        pair("empty", b"", text),
        pair("large", colour + bytes(5000), text),
        [*pair("two", colour, text), ("two.png", colour)],
        [("alone.txt", text.encode())],
        [("silent.jpg", colour)],
    ]
    dump = write_set(tmp_path / "set.tar", records)
    build(m3h, tmp_path / "d", "--dumps", dump, "--set", f"image.max_bytes={len(colour)}")
    found = {row["record_id"]: (row["stage"], row["reason"]) for row in dropped(tmp_path / "d")}
    assert found == {
        "set/png": ("image", "image_not_jpeg"),
        "set/cut": ("image", "image_truncated"),
        "set/empty": ("image", "image_empty"),
        "set/large": ("image", "image_too_large"),
        "set/two": ("image", "several_images"),
        "set/alone": ("image", "no_image"),
        "set/silent": ("read", "no_text"),
    }
    assert is_conserved(tmp_path / "d")


def test_the_picture_of_a_record_comes_before_one_of_its_name_in_a_folder(
    m3h: Warm, source: Path, tmp_path: Path
) -> None:
    """Records without one of their own have it from the folder."""
    for i in range(POSTS):
        picture(tmp_path / "other" / f"s/{1000 + i}.jpg", seed=100 + i)
    plain = {"id": 1, "text": "something quite different about the harbour #sea", "image": "p.jpg", "lang": "en"}
    (tmp_path / "plain.jsonl").write_text(json.dumps(plain))
    own = picture(tmp_path / "other" / "p.jpg", seed=99).read_bytes()
    dumps = [source / "set.tar", tmp_path / "plain.jsonl"]
    build(m3h, tmp_path / "d", "--dumps", *dumps, "--images", tmp_path / "other")
    found = shown(tmp_path / "d")
    assert found.pop("1") == hashlib.sha256(own).hexdigest()
    assert found == {str(1000 + i): sha256(source / "images" / f"p{i}.jpg") for i in range(POSTS)}


def test_what_a_dump_holds_is_not_fetched_and_a_crawl_may_come_later(m3h: Warm, source: Path, tmp_path: Path) -> None:
    build(m3h, tmp_path / "d", "--dumps", source / "set.tar")
    before = shown(tmp_path / "d")
    with opened(tmp_path / "shop", 2) as shop:
        texts = ("something quite different about the harbour #sea", "nobody expected so many at the market #food")
        lines = []
        for i, text in enumerate(texts):
            picture(tmp_path / "shop" / "images" / f"p{i}.jpg", seed=50 + i)
            url = f"http://localhost:{shop.port}/p{i}.jpg"
            lines.append({"id": 5 + i, "text": text, "image_url": url, "lang": "en"})
        (tmp_path / "more.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        command = [*words(tmp_path / "more.jsonl", tmp_path / "d", shop, host_rate=1000), "clean.near_text=0"]
        m3h.must(*command, "clean.near_images=0")
        after = shown(tmp_path / "d")
        assert {post: after[post] for post in before} == before
        assert after.keys() - before.keys() == {"5", "6"}
        assert sorted(path.rpartition("/")[2] for path in shop.pictures) == ["p0.jpg", "p1.jpg"]
        (tmp_path / "ids").write_text("5\n")
        m3h.must("forget", "--dataset", tmp_path / "d", "--ids", tmp_path / "ids")
        assert shown(tmp_path / "d").keys() == after.keys() - {"5"}


def test_what_is_forgotten_is_in_no_file_and_does_not_come_back(m3h: Warm, source: Path, tmp_path: Path) -> None:
    """Neither with a dump that is added, nor in the workspace of a build that is killed on the way."""
    dataset = tmp_path / "d"
    build(m3h, dataset, "--dumps", source / "set.tar")
    (tmp_path / "ids").write_text("1002\n")
    m3h.must("forget", "--dataset", dataset, "--ids", tmp_path / "ids")
    gone = sha256(source / "images" / "p2.jpg")
    assert not list(dataset.rglob(f"*{gone}*"))
    record = {"id": 7, "text": "something quite different about the harbour #sea", "lang": "en"}
    later = write_set(tmp_path / "later.tar", [pair("x", picture(tmp_path / "x.jpg", 77).read_bytes(), record)])
    command = ["build", "--dumps", later, "--dataset", dataset, *ALONE, *RULES]
    assert Victim(m3h.zygote, command, dataset).run(25)
    assert list(Workspace(dataset).embedded.rglob("*.jpg"))
    assert not list(dataset.rglob(f"*{gone}*"))
    m3h.must(*command)
    assert shown(dataset).keys() == {"1000", "1001", "1003", "1004", "1005", "7"}
    assert not list(dataset.rglob(f"*{gone}*"))


def test_folders_of_pairs_and_of_metadata_need_no_folder_of_pictures_and_are_not_mixed_up(
    m3h: Warm, source: Path, tmp_path: Path
) -> None:
    """Both have pictures of the same names; one is damaged, one lies outside."""
    records = [json.loads(line) for line in (source / "dump.jsonl").read_text().splitlines()]
    pairs, table = tmp_path / "pairs", tmp_path / "table"
    for i, record in enumerate(records):
        folder = pairs if i < 3 else table
        folder.mkdir(exist_ok=True)
        shutil.copyfile(source / "images" / record["image"], folder / f"{i % 3}.jpg")
        if i < 3:
            (pairs / f"{i}.txt").write_text(record["text"])
    rows = [{"file_name": f"{i}.jpg", "text": record["text"]} for i, record in enumerate(records[3:])]
    (table / "2.jpg").unlink()
    (table / "2.jpg").symlink_to(source / "images" / "p5.jpg")
    (table / "metadata.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    dataset = tmp_path / "d"
    build(m3h, dataset, "--dumps", pairs, table, "--set", "clean.languages=[]")
    expected = {
        **{f"pairs/{i}": sha256(source / "images" / f"p{i}.jpg") for i in range(3)},
        **{f"table/{i}": sha256(source / "images" / f"p{i + 3}.jpg") for i in range(2)},
    }
    assert shown(dataset) == expected
    assert [(row["record_id"], row["reason"]) for row in dropped(dataset)] == [("table/2", "image_outside")]
    before = files_of(dataset)
    (pairs / "0.jpg").write_bytes((pairs / "1.jpg").read_bytes())  # what a record was found to show it goes on showing
    m3h.must("retry", "--dataset", dataset, "--workers", 1, "--progress", "none")
    assert differing(before, files_of(dataset)) == []


def test_a_folder_with_a_further_pair_is_a_changed_dump_which_retry_takes(
    m3h: Warm, source: Path, tmp_path: Path
) -> None:
    pairs, dataset = tmp_path / "pairs", tmp_path / "d"
    pairs.mkdir()
    for i, text in enumerate(("a long walk by the river #river", "nobody expected so many at the market #food")):
        shutil.copyfile(source / "images" / f"p{i}.jpg", pairs / f"{i}.jpg")
        (pairs / f"{i}.txt").write_text(text)
        said = m3h.run("build", "--dumps", pairs, "--dataset", dataset, *ALONE, *RULES)
    assert (said.code, len(said.errors)) == (2, 1)
    assert "pairs: " in said.errors[0]
    assert shown(dataset).keys() == {"pairs/0"}
    m3h.must("retry", "--dataset", dataset, "--dumps", pairs, "--workers", 1, "--progress", "none")
    assert shown(dataset).keys() == {"pairs/0", "pairs/1"}


def test_a_lost_picture_is_taken_from_its_dump_again(m3h: Warm, source: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "d"
    build(m3h, dataset, "--dumps", source / "set.tar")
    before = files_of(dataset)
    next(path for path in sorted(dataset.glob("images/*/*.jpg"))).unlink()
    assert m3h.run("verify", "--dataset", dataset).code == 1
    m3h.must("verify", "--repair", "--dataset", dataset, "--workers", 1)
    assert differing(before, files_of(dataset)) == []


def test_plan_foresees_what_an_archive_would_change_and_leaves_nothing(m3h: Warm, source: Path, tmp_path: Path) -> None:
    """A further record that shows the picture of an earlier one joins its group."""
    dataset = tmp_path / "d"
    build(m3h, dataset, "--dumps", source / "set.tar")
    before = files_of(dataset)
    record = {"id": 3, "text": "something quite different about the harbour #sea", "lang": "en", "split": "test"}
    later = write_set(tmp_path / "l.tar", [pair("x", (source / "images" / "p1.jpg").read_bytes(), record)])
    said = m3h.must("plan", "--dataset", dataset, "--dumps", later, "--workers", 1)
    assert "posts that --dumps would move" in said.printed
    assert differing(before, files_of(dataset)) == []


def test_a_history_of_archives_ends_as_one_build(m3h: Warm, tmp_path: Path) -> None:
    world = EmbeddedWorld(m3h, tmp_path, random.Random(1)).begin()
    world.live(2)
    world.end()


@pytest.mark.slow
@pytest.mark.parametrize("seed", some(range(12), 5))
def test_histories_of_archives(m3h: Warm, tmp_path: Path, seed: int) -> None:
    world = EmbeddedWorld(m3h, tmp_path, random.Random(seed)).begin()
    world.live(5)
    world.end()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
