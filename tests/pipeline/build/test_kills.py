"""Every command that writes, killed at random places with all its processes, ends as if it had never been killed.

A place is a change of the file system, drawn from all those of a run that nobody kills.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from m3h.pipeline.checks.verify import verify
from m3h.pipeline.dataset.workspace import FOLDER, Workspace
from m3h.pipeline.records.forget import forget
from tests.commands import files_of
from tests.kills import Victim, Zygote, kill_again_and_again, temps
from tests.pipeline.fakes import small_dump
from tests.pipeline.made import POSTS_MADE, make, post_id
from tests.pipeline.shop import crawled_dump, opened, words

POSTS = 9
RULES = ["--set", "clean.min_hashtag_count=1", "clean.near_text=0", "shards.images=2", "shards.posts=4"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dump, with all its posts but the last three (`early.jsonl`), and with these (`late.jsonl`)."""
    dump, _ = small_dump(tmp_path_factory.mktemp("source"), POSTS)
    lines = dump.read_text().splitlines(keepends=True)
    (dump.parent / "early.jsonl").write_text("".join(lines[:-3]))
    (dump.parent / "late.jsonl").write_text("".join(lines[-3:]))
    return dump.parent


def build(source: Path, dump: str, dataset: Path, workers: int = 1) -> list[object]:
    images = source / "images"
    return [
        *("build", "--dumps", source / dump, "--images", images, "--dataset", dataset, "--workers", workers),
        *("--features", "ocr", *RULES),
    ]


@pytest.fixture(scope="module")
def built(source: Path, pipeline: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the early dump."""
    dataset = tmp_path_factory.mktemp("built") / "dataset"
    assert not Victim(pipeline, build(source, "early.jsonl", dataset), dataset).run()
    return dataset


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several versions, and one post forgotten, so that the list of forgotten ones has its salt."""
    dataset = make(tmp_path_factory.mktemp("made") / "dataset", range(1, POSTS_MADE + 1))
    forget(dataset, [post_id(2)])
    return dataset


def survives(
    zygote: Zygote,
    folder: Path,
    command: Sequence[object],
    kills: int,
    seed: int,
    before: Path | None = None,
    workers: int = 1,
    computes: bool = True,
) -> None:
    """Once undisturbed, and once killed on the way: the same files. command: after `DATASET` is its place put.

    before: the dataset to begin from, whole until the new one takes its place. computes: whether what a killed one has
    finished must not be done again; a command that only copies may begin anew.
    """
    places = [folder / name / "dataset" for name in ("whole", "killed")]
    for place in places:
        place.parent.mkdir()
        if before:
            shutil.copytree(before, place)
    whole, killed = (Victim(zygote, [_placed(word, place) for word in command], place) for place in places)
    assert not whole.run()
    whole_before = before is not None and verify(before).ok

    def look() -> None:
        assert not [path for path in killed.folder.rglob("shard-*") if path.stat().st_size == 0]
        if whole_before and not Workspace(killed.folder).is_installing:
            assert verify(killed.folder).breaches == []

    kill_again_and_again(killed, whole, kills, seed, look)
    assert files_of(killed.folder) == files_of(whole.folder)
    assert temps(killed.folder) == []
    assert not (killed.folder / FOLDER).exists()
    found_out = ("/shard-", "judged/", "readings/")  # shards; what was found out of pictures, and of texts
    for part in found_out if computes else ():
        redone = killed.made(part) - whole.made(part)
        assert redone.total() <= kills * workers, redone


def _placed(word: object, dataset: Path) -> object:
    return dataset if str(word) == "DATASET" else word


def test_a_build_of_two_processes(pipeline: Zygote, source: Path, tmp_path: Path) -> None:
    survives(pipeline, tmp_path, build(source, "dump.jsonl", Path("DATASET"), 2), kills=4, seed=1, workers=2)


def test_a_dump_that_is_added(pipeline: Zygote, source: Path, built: Path, tmp_path: Path) -> None:
    survives(pipeline, tmp_path, build(source, "late.jsonl", Path("DATASET")), kills=4, seed=2, before=built)


def test_a_refresh(pipeline: Zygote, built: Path, tmp_path: Path) -> None:
    command = ["refresh", "--dataset", "DATASET", "--set", "features.ocr.min_confidence=30", "--workers", 1]
    survives(pipeline, tmp_path, command, kills=4, seed=3, before=built)


def test_a_retry(pipeline: Zygote, source: Path, built: Path, tmp_path: Path) -> None:
    """Of a record that was broken in the first dump of that name."""
    broken = shutil.copytree(source, tmp_path / "broken")
    lines = (source / "early.jsonl").read_text().splitlines(keepends=True)
    (broken / "early.jsonl").write_text("".join([lines[0][:-9] + "\n", *lines[1:]]))
    before = tmp_path / "before" / "dataset"
    before.parent.mkdir()
    Victim(pipeline, build(broken, "early.jsonl", before), before).run()
    command = ["retry", "--dataset", "DATASET", "--dumps", source / "early.jsonl", "--workers", 1]
    survives(pipeline, tmp_path, command, kills=3, seed=4, before=before)
    for name, data in files_of(built).items():
        assert data == (tmp_path / "killed" / "dataset" / name).read_bytes(), name


def test_a_repair(pipeline: Zygote, built: Path, tmp_path: Path) -> None:
    before = shutil.copytree(built, tmp_path / "before")
    for path in sorted(before.glob("features/ocr/*/shard-*"))[:2]:
        path.write_bytes(path.read_bytes()[:-1])
    (before / "stray").write_text("of nobody")
    command = ["verify", "--repair", "--dataset", "DATASET", "--workers", 1]
    survives(pipeline, tmp_path, command, kills=3, seed=5, before=before)
    assert files_of(tmp_path / "killed" / "dataset") == files_of(built)


@pytest.mark.parametrize(
    ("command", "kills"),
    [
        (["forget", "--dataset", "DATASET", "--ids", "IDS"], 4),
        (["compact", "--dataset", "DATASET", "--set", "shards.images=7", "shards.posts=9"], 4),
        (["gc", "--dataset", "DATASET"], 3),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_computes_nothing(pipeline: Zygote, made: Path, tmp_path: Path, command: list[str], kills: int) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("".join(f"{post_id(i)}\n" for i in (1, 3, 7)))
    placed = [str(ids) if word == "IDS" else word for word in command]
    survives(pipeline, tmp_path, placed, kills, 6, before=made, computes=False)


def test_a_crawl(pipeline: Zygote, tmp_path: Path) -> None:
    with opened(tmp_path / "source", POSTS) as shop:
        dump = crawled_dump(shop, tmp_path / "source", tmp_path / "crawled.jsonl")
        survives(pipeline, tmp_path, words(dump, Path("DATASET"), shop, host_rate=1000), kills=4, seed=7)
        again = sum(times - 2 for times in shop.pictures.values())  # once for the whole one, once for the killed one
        assert again <= 5 * 2, "what was stored was asked for again"
