"""Picture folders that move, change or stand beside others: a finished post goes on showing what it showed."""

import json
import shutil
from pathlib import Path

import pytest

from m3h.pipeline.dataset.publish import file_entry
from m3h.pipeline.dataset.remembered import recall, remember
from m3h.pipeline.dataset.tables import FOUND
from m3h.schemas.dataset import Dataset
from m3h.schemas.manifest import Manifest
from tests.commands import files_of
from tests.pipeline.fakes import picture, small_dump
from tests.pipeline.finished import differing, is_conserved, shown
from tests.pipeline.warm import Said, Warm

POSTS = 6
QUIET = ["--workers", 1, "--progress", "none"]
RULES = ["--features", "ocr", *QUIET, "--set", "clean.min_hashtag_count=1", "clean.near_text=0", "clean.near_images=0"]


@pytest.fixture(scope="module")
def built_once(m3h: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `source` and `dataset` copy."""
    folder = tmp_path_factory.mktemp("built")
    dump, images = small_dump(folder / "source", POSTS + 2)
    lines = dump.read_text().splitlines(keepends=True)
    dump.with_name("early.jsonl").write_text("".join(lines[:POSTS]))
    dump.with_name("late.jsonl").write_text("".join(lines[POSTS:]))
    m3h.must(*build_words(folder / "dataset", dump.with_name("early.jsonl"), images))
    return folder


@pytest.fixture
def source(built_once: Path, tmp_path: Path) -> Path:
    """A folder with pictures, a dump of the first posts (`early.jsonl`), and one of the last two (`late.jsonl`)."""
    return shutil.copytree(built_once / "source", tmp_path / "source")


def build_words(dataset: Path, dump: Path, images: Path | None) -> list[object]:
    return ["build", "--dumps", dump, "--dataset", dataset, *(["--images", images] if images else []), *RULES]


@pytest.fixture
def dataset(built_once: Path, source: Path, tmp_path: Path) -> Path:
    """Of the early dump, and of the pictures of `source`."""
    dataset = shutil.copytree(built_once / "dataset", tmp_path / "dataset")
    remembered = json.dumps(recall(dataset))
    assert str(built_once) in remembered
    remember(dataset, {}, (), **json.loads(remembered.replace(str(built_once), str(source.parent))))
    return dataset


def is_sound(m3h: Warm, dataset: Path) -> bool:
    return m3h.run("verify", "--dataset", dataset).code == 0 and is_conserved(dataset)


def added(m3h: Warm, dataset: Path, dump: Path, images: Path | None = None) -> Said:
    return m3h.must(*build_words(dataset, dump, images))


def redrawn(folder: Path, names: list[str]) -> Path:
    """A folder of other pictures under these names."""
    for number, name in enumerate(names):
        picture(folder / name, seed=500 + number)
    return folder


NAMES = [f"p{i}.jpg" for i in range(POSTS)]


def test_a_folder_that_is_gone_is_refused_by_name_and_its_new_place_may_be_named(
    m3h: Warm, source: Path, dataset: Path, tmp_path: Path
) -> None:
    added(m3h, whole := shutil.copytree(dataset, tmp_path / "whole"), source / "late.jsonl")
    before, moved = files_of(dataset), tmp_path / "moved"
    (source / "images").rename(moved)
    for words in (
        build_words(dataset, source / "late.jsonl", None),
        ["retry", "--dataset", dataset, "--dumps", source / "early.jsonl", *QUIET],
        ["plan", "--dataset", dataset, "--dumps", source / "late.jsonl", "--workers", 1],
    ):
        said = m3h.run(*words)
        assert said.code == 2, said.printed
        assert said.errors == [
            f"error: {dataset}: was built with the pictures in {source / 'images'}, and this folder is gone. "
            "Mount it, or name its new place with --images."
        ]
        assert files_of(dataset) == before
    added(m3h, dataset, source / "late.jsonl", moved)
    assert differing(files_of(dataset), files_of(whole)) == []


@pytest.mark.slow
def test_the_place_of_new_pictures_alone_may_be_named_where_the_old_folder_is_gone(
    m3h: Warm, source: Path, dataset: Path, tmp_path: Path
) -> None:
    before = shown(dataset)
    late = tmp_path / "late"
    late.mkdir()
    for name in ("p6.jpg", "p7.jpg"):
        (source / "images" / name).rename(late / name)
    shutil.rmtree(source / "images")
    added(m3h, dataset, source / "late.jsonl", late)
    after = shown(dataset)
    assert {post: after.get(post) for post in before} == before
    assert len(after) == POSTS + 2
    assert is_sound(m3h, dataset)


@pytest.mark.parametrize(
    "change", ["redrawn", *(pytest.param(name, marks=pytest.mark.slow) for name in ("emptied", "broken"))]
)
def test_what_a_post_shows_stays_whatever_becomes_of_its_folder(
    m3h: Warm, source: Path, dataset: Path, tmp_path: Path, change: str
) -> None:
    added(m3h, whole := shutil.copytree(dataset, tmp_path / "whole"), source / "late.jsonl")
    for name in NAMES:
        match change:
            case "emptied":
                (source / "images" / name).unlink()
            case "redrawn":
                redrawn(source / "images", NAMES)
            case _:
                (source / "images" / name).write_bytes(b"<html>")
    added(m3h, dataset, source / "late.jsonl")
    assert differing(files_of(dataset), files_of(whole)) == []
    m3h.must("retry", "--dataset", dataset, *QUIET)
    assert differing(files_of(dataset), files_of(whole)) == []


def test_a_second_folder_with_the_same_names_is_for_the_posts_that_come_with_it(
    m3h: Warm, source: Path, dataset: Path, tmp_path: Path
) -> None:
    before = shown(dataset)
    second = redrawn(tmp_path / "second", NAMES)
    lines = [json.loads(line) for line in (source / "early.jsonl").read_text().splitlines()]
    more = tmp_path / "more.jsonl"
    more.write_text("".join(json.dumps({**r, "id": r["id"] + 500, "text": "so " + r["text"]}) + "\n" for r in lines))
    added(m3h, dataset, more, second)
    after = shown(dataset)
    assert {post: after[post] for post in before} == before
    assert len(set(after.values())) == len(after) == 2 * POSTS
    assert is_sound(m3h, dataset)


@pytest.mark.slow
def test_the_picture_of_a_post_that_is_not_kept_yet_stays_too(
    m3h: Warm, source: Path, dataset: Path, tmp_path: Path
) -> None:
    """Its hashtag is rare until another dump brings it again; by then there are two pictures of its file's name."""
    words = [*build_words(tmp_path / "d", source / "early.jsonl", source / "images"), "clean.min_hashtag_count=2"]
    m3h.must(*words)
    assert shown(tmp_path / "d") == {}
    first = Dataset(tmp_path / "d").images.to_pylist()
    assert len(first) == POSTS
    lines = [json.loads(line) for line in (source / "early.jsonl").read_text().splitlines()]
    more = tmp_path / "more.jsonl"
    more.write_text("".join(json.dumps({**r, "id": r["id"] + 500, "text": "so " + r["text"]}) + "\n" for r in lines))
    again = build_words(tmp_path / "d", more, redrawn(tmp_path / "second", NAMES))
    m3h.must(*again, "clean.min_hashtag_count=2")
    after = shown(tmp_path / "d")
    assert len(after) == 2 * POSTS
    paths = {row["image_sha256"]: row["path"] for row in first}
    assert {post: paths[after[post]] for post in after if int(post) < 1500} == {
        str(1000 + i): name for i, name in enumerate(NAMES)
    }


@pytest.mark.slow
def test_retry_with_a_folder_looks_again_and_keeps_what_it_does_not_find(
    m3h: Warm, source: Path, dataset: Path, tmp_path: Path
) -> None:
    before = shown(dataset)
    other = redrawn(tmp_path / "other", NAMES[:2])
    (other / NAMES[2]).write_bytes(b"<html>")
    shutil.rmtree(source / "images")
    m3h.must("retry", "--dataset", dataset, "--images", other, *QUIET)
    after = shown(dataset)
    assert after.keys() == before.keys()
    assert {post for post in after if after[post] != before[post]} == {"1000", "1001"}
    assert is_sound(m3h, dataset)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["empty", "one name"])
def test_retry_with_a_folder_takes_nothing_from_a_folder_that_it_does_not_name(
    m3h: Warm, source: Path, dataset: Path, tmp_path: Path, kind: str
) -> None:
    """Another folder of an earlier build has the same file names, with other pictures."""
    second = redrawn(tmp_path / "second", [*NAMES, "p6.jpg", "p7.jpg"])
    added(m3h, dataset, source / "late.jsonl", second)
    before = shown(dataset)
    (named := tmp_path / "named").mkdir()
    expected = []
    if kind == "one name":
        picture(named / NAMES[3], seed=700)
        expected = ["1003"]
    words = ("plan", "--dataset", dataset, "--images", named, "--workers", 1, "--json")
    assert m3h.must(*words).json["changed"] == expected
    m3h.must("retry", "--dataset", dataset, "--images", named, *QUIET)
    after = shown(dataset)
    assert after.keys() == before.keys()
    assert sorted(post for post in after if after[post] != before[post]) == expected
    assert is_sound(m3h, dataset)


@pytest.mark.slow
def test_plan_lists_the_posts_that_retry_with_another_folder_would_change(
    m3h: Warm, source: Path, dataset: Path, tmp_path: Path
) -> None:
    before = files_of(dataset)
    (source / "images" / NAMES[3]).write_bytes(b"<html>")
    other = redrawn(tmp_path / "other", NAMES[:3])
    words = ("plan", "--dataset", dataset, "--images", other, "--workers", 1)
    assert m3h.must(*words, "--json").json["changed"] == ["1000", "1001", "1002"]
    said = m3h.must(*words).printed
    assert "posts that retry --images would change: 3, such as 1000, 1001, 1002" in said
    assert files_of(dataset) == before
    same = m3h.must("plan", "--dataset", dataset, "--images", source / "images", "--workers", 1).printed
    assert "posts that retry --images would change: 0" in same
    was = shown(dataset)
    m3h.must("retry", "--dataset", dataset, "--images", other, *QUIET)
    assert sorted(post for post, image in shown(dataset).items() if image != was[post]) == ["1000", "1001", "1002"]


@pytest.mark.slow
def test_forgetting_takes_the_pictures_of_forgotten_records_alone(
    m3h: Warm, source: Path, dataset: Path, tmp_path: Path
) -> None:
    """One is kept, one was dropped; another dropped record keeps its picture, and a shared one gets its other name."""
    lines = [json.loads(line) for line in (source / "early.jsonl").read_text().splitlines()]
    shutil.copyfile(source / "images" / "p3.jpg", source / "images" / "a3.jpg")
    picture(source / "images" / "q1.jpg", 901)
    picture(source / "images" / "q2.jpg", 902)
    more = tmp_path / "more.jsonl"
    records = [
        {**lines[3], "id": 2003, "image": "a3.jpg", "text": f"so {lines[3]['text']}"},  # dropped: the picture of 1003
        {**lines[0], "id": 2001, "image": "q1.jpg"},  # dropped: the text of 1000
        {**lines[1], "id": 2002, "image": "q2.jpg"},
    ]
    more.write_text("".join(json.dumps(record) + "\n" for record in records))
    added(m3h, dataset, more)
    before = {row["path"]: row["image_sha256"] for row in Dataset(dataset).images.to_pylist()}
    (tmp_path / "ids").write_text("1000\n2001\n2003\n")
    done = m3h.must("forget", "--dataset", dataset, "--ids", tmp_path / "ids", "--json").json
    assert (done["posts"], done["dropped"], done["images"], done["traces"]) == (1, 2, 2, [])
    after = {row["path"]: row["image_sha256"] for row in Dataset(dataset).images.to_pylist()}
    assert before.keys() - after.keys() == {"p0.jpg", "q1.jpg", "a3.jpg"}
    assert after["p3.jpg"] == before["a3.jpg"]
    found = Dataset(dataset).found.to_pylist()
    assert sorted(row["post_id"] for row in found) == ["1001", "1002", "1003", "1004", "1005", "2002"]
    assert is_sound(m3h, dataset)


def test_pictures_of_a_folder_and_of_urls_do_not_mix(m3h: Warm, source: Path, dataset: Path) -> None:
    before = files_of(dataset)
    words = ["build", "--dumps", source / "late.jsonl", "--dataset", dataset, "--crawl", *RULES]
    said = m3h.run(*words, "crawl.contact=me@example.org")
    assert said.code == 2
    assert said.errors == [
        f"error: --crawl: {dataset} has pictures of a folder. Name a folder with --images, or build another."
    ]
    assert files_of(dataset) == before


def test_verify_finds_a_record_that_names_a_picture_of_nobody(m3h: Warm, dataset: Path) -> None:
    manifest = Manifest.read(dataset)
    (name,) = [name for name in manifest.files if name.startswith("images/part-")]
    rows = Dataset(dataset).found.to_pylist()
    FOUND.write(dataset / name, [{**rows[0], "image_sha256": "ab" * 32}, *rows[1:]])
    manifest.files[name] = file_entry(dataset / name)
    manifest.write(dataset)
    said = m3h.run("verify", "--dataset", dataset)
    assert said.code == 1
    assert f"{dataset / name}: names 1 pictures that are not listed, such as {'ab' * 32}." in said.printed


def test_a_path_in_the_place_of_a_hash_leads_nowhere(m3h: Warm, source: Path, dataset: Path) -> None:
    manifest = Manifest.read(dataset)
    (name,) = [name for name in manifest.files if name.startswith("images/part-")]
    rows = Dataset(dataset).found.to_pylist()
    FOUND.write(dataset / name, [{**rows[0], "image_sha256": "../../../outside"}, *rows[1:]])
    manifest.files[name] = file_entry(dataset / name)
    manifest.write(dataset)
    said = m3h.run(*build_words(dataset, source / "late.jsonl", None))
    assert (said.code, len(said.errors)) == (1, 1), said.printed
    assert "expected the sha256 of a picture, got '../../../outside'" in said.errors[0]


@pytest.mark.slow
def test_a_stored_picture_that_was_damaged_is_found_in_its_folder_again(m3h: Warm, dataset: Path) -> None:
    before = files_of(dataset)
    first, second, *_ = sorted(dataset.glob("images/*/*.jpg"))
    first.write_bytes(first.read_bytes()[:-1])
    second.unlink()
    assert m3h.run("verify", "--dataset", dataset).code == 1
    m3h.must("retry", "--dataset", dataset, *QUIET)
    assert differing(before, files_of(dataset)) == []
