"""Every command that writes, over every state it may find a dataset in: it does its work, or says one line and changes
nothing; and whoever left work unfinished finishes it afterwards.

A cell of the table is a command, a state, and the error that is due, if any. Commands run as a user runs them.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pytest

from m3h.pipeline.checks.verify import verify
from m3h.pipeline.dataset.transaction import (
    BUILD,
    COMPACT,
    FORGET,
    GC,
    REFRESH,
    REPAIR,
    USE,
    Command,
    transaction,
)
from m3h.pipeline.dataset.workspace import FOLDER, Workspace
from m3h.pipeline.versions.history import use
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.manifest import MANIFEST, Manifest
from tests.commands import files_of
from tests.kills import Victim, Zygote, temps
from tests.pipeline.cases import some
from tests.pipeline.fakes import small_dump
from tests.pipeline.made import POSTS_MADE, make, post_id

RULES = ["--set", "clean.min_hashtag_count=1", "clean.near_text=0", "shards.images=2", "shards.posts=4"]
POSTS = 5
HASHTAGS = "hashtags.tsv"

WORKING = "another build is writing here"
CHANGED = "one of the two was changed"
UNFINISHED = "an unfinished build lies in"
INTERRUPTED = "was interrupted halfway"


@dataclass
class World:
    """A finished dataset of two versions of one feature, and the words of every command upon it. DATASET: its place.

    forgets: the post that `forget` names. trials: copies that are ready to be tried, by the state they are in.
    """

    zygote: Zygote
    dataset: Path
    commands: dict[str, list[object]]
    forgets: str
    folder: Path
    trials: dict[tuple[str, str], Path] = field(default_factory=dict)

    def victim(self, command: str, dataset: Path) -> Victim:
        return Victim(self.zygote, [dataset if word == "DATASET" else word for word in self.commands[command]], dataset)

    def copy(self, folder: Path) -> Path:
        return shutil.copytree(self.dataset, folder / "dataset")

    def left_over(self, command: str, place: str) -> Path:
        """The dataset after the command was killed there; the folder is for looking at, and for copies."""
        if (command, place) not in self.trials:
            folder = self.folder / f"{command}-{place}"
            killed = self.victim(command, self.copy(folder / "killed"))
            spoil(killed.folder, command)
            assert killed.run(at=PLACES[place])
            self.trials[command, place] = killed.folder
        return self.trials[command, place]


def spoil(dataset: Path, command: str) -> None:
    """Give `repair` something to do; other commands need a dataset that is whole."""
    if command == "repair":
        (dataset / HASHTAGS).write_bytes((dataset / HASHTAGS).read_bytes()[:-1])
        (dataset / "stray").write_text("of nobody")


PLACES = {
    "staged": (*(f"{FOLDER}/{name}.json" for name in ("installing", "compact", "forget")), f"dataset/{HASHTAGS}"),
    "published": (f"dataset/{MANIFEST}",),
}
"""What is about to be put in its place. staged: all is staged, and nothing is noted of what is to be published;
`repair` stages no table of hashtags. published: files are in their places, the hash file names the next manifest."""


CHEAP = ("use", "gc", "compact", "forget", "repair")
DEAR = ("build", "retry", "refresh")


def words(feature: str, older: str, ids: Path) -> dict[str, list[object]]:
    """Commands that compute nothing."""
    return {
        "use": ["use", "--dataset", "DATASET", "--feature", feature, "--fingerprint", older],
        "gc": ["gc", "--dataset", "DATASET"],
        "compact": ["compact", "--dataset", "DATASET", "--set", "shards.images=3", "shards.posts=5"],
        "forget": ["forget", "--dataset", "DATASET", "--ids", ids],
        "repair": ["verify", "--repair", "--dataset", "DATASET", "--workers", 1],
    }


@pytest.fixture(scope="module")
def made(pipeline: Zygote, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Written by hand: nothing can be computed anew, and all else is done in no time."""
    folder = tmp_path_factory.mktemp("made")
    dataset = make(folder / "dataset", range(1, POSTS_MADE + 1))
    (folder / "ids").write_text(f"{post_id(2)}\n")
    commands = words("grid", Manifest.read(dataset).features["grid"].history[1], folder / "ids")
    return World(pipeline, dataset, commands, post_id(2), folder)


@pytest.fixture(scope="module")
def built(pipeline: Zygote, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Built of a dump, and refreshed."""
    folder = tmp_path_factory.mktemp("built")
    dump, images = small_dump(folder, POSTS)
    lines = dump.read_text().splitlines(keepends=True)
    for name, mine in (("early", ["{\n", *lines[:-1]]), ("mended", lines[:-1]), ("late", lines[-1:])):
        (folder / name).mkdir()
        (folder / name / f"{'late' if name == 'late' else 'early'}.jsonl").write_text("".join(mine))
    dataset, workers = folder / "dataset", ["--workers", 1]
    source = ["--images", images, "--dataset", "DATASET", *workers]
    other = ["--set", "features.ocr.min_confidence=30"]
    commands: dict[str, list[object]] = {
        "first": ["build", "--dumps", folder / "early" / "early.jsonl", *source, "--features", "ocr", *RULES],
        "build": ["build", "--dumps", folder / "late" / "late.jsonl", *source, *RULES],
        "retry": ["retry", "--dataset", "DATASET", "--dumps", folder / "mended" / "early.jsonl", *workers],
        "second": ["refresh", "--dataset", "DATASET", *other, *workers],
        "refresh": ["refresh", "--dataset", "DATASET", "--set", "features.ocr.min_confidence=60", *workers],
    }
    world = World(pipeline, dataset, commands, "1001", folder)
    for command in ("first", "second"):
        assert not world.victim(command, dataset).run()
    (folder / "ids").write_text("1001\n")
    world.commands |= words("ocr", Manifest.read(dataset).features["ocr"].history[1], folder / "ids")
    return world


# states


@contextmanager
def fresh(world: World, command: str, folder: Path) -> Iterator[Path]:
    yield world.copy(folder)


@contextmanager
def finished(world: World, command: str, folder: Path) -> Iterator[Path]:
    dataset = world.copy(folder)
    spoil(dataset, command)
    assert not world.victim(command, dataset).run()
    yield dataset


@contextmanager
def locked(world: World, command: str, folder: Path) -> Iterator[Path]:
    dataset = world.copy(folder)
    with Workspace(dataset).locked():
        yield dataset


@contextmanager
def changed_by_hand(world: World, command: str, folder: Path) -> Iterator[Path]:
    dataset = world.copy(folder)
    (dataset / MANIFEST).write_text((dataset / MANIFEST).read_text().replace('"notes"', '"NOTES"', 1))
    yield dataset


@contextmanager
def with_a_temp_file(world: World, command: str, folder: Path) -> Iterator[Path]:
    dataset = world.copy(folder)
    (dataset / "posts" / ".tmp-0123-part").write_bytes(b"half a file")
    Workspace(dataset).folder.mkdir()
    yield dataset


SIMPLE = {
    "fresh": (fresh, ""),
    "finished": (finished, ""),
    "locked": (locked, WORKING),
    "changed by hand": (changed_by_hand, CHANGED),
    "temp file": (with_a_temp_file, ""),
}
"""Each state with the error that is due in it."""


def but_for_the_lock(dataset: Path) -> dict[str, bytes]:
    """Whoever is killed leaves the lock's file, which locks nobody out."""
    return {name: data for name, data in files_of(dataset).items() if name != f"{FOLDER}/lock"}


def check(world: World, command: str, dataset: Path, error: str, printed: Path) -> None:
    """Run the command: it succeeds and the laws hold, or it says one line and no byte is another."""
    kept = set(Dataset(world.dataset).posts["post_id"].to_pylist()) - {world.forgets}
    before = but_for_the_lock(dataset)
    victim = world.victim(command, dataset)
    code = os.waitstatus_to_exitcode(world.zygote.run(victim.words, printed))
    said = printed.read_text()
    if error:
        lines = [line for line in said.splitlines() if error in line]
        if command != "repair" or error != CHANGED:  # which says what is broken, and what cannot be mended
            assert [line.startswith("error: ") for line in lines] == [True], said
        assert lines, said
        assert "Traceback" not in said
        assert code == (1 if error == CHANGED else 2), said
        assert but_for_the_lock(dataset) == before
        return
    assert code == 0, said
    assert verify(dataset).breaches == []
    assert kept <= set(Dataset(dataset).posts["post_id"].to_pylist())
    assert temps(dataset) == []
    assert not (dataset / FOLDER).exists()


def check_state(world: World, command: str, state: str, folder: Path) -> None:
    opened, error = SIMPLE[state]
    with opened(world, command, folder) as dataset:
        if command == "repair":
            (dataset / "stray").write_text("of nobody")
        check(world, command, dataset, error, folder / "printed")


def check_left_over(world: World, command: str, owner: str, place: str, folder: Path) -> None:
    """A command over what another one, killed, left over; then the killed one, which finishes where it was refused."""
    dataset = shutil.copytree(world.left_over(owner, place), folder / "dataset")
    if command == "repair":
        (dataset / "stray").write_text("of nobody")
    error = refusal(command, owner, place)
    check(world, command, dataset, error, folder / "printed")
    if error:
        (dataset / "stray").unlink(missing_ok=True)
        check(world, owner, dataset, "", folder / "printed")


def refusal(command: str, owner: str, place: str) -> str:
    """What a command says where another one, or the same, was killed."""
    if command == owner or owner in ("use", "gc"):
        return ""  # the same command goes on; a manifest alone is either the old one or the new one
    if owner in ("compact", "forget"):
        return "" if place == "staged" else f"{owner} {INTERRUPTED}; run {owner} again first."
    if command in (
        "build",
        "retry",
    ):  # the rows of others are given up, unless their files stand in the place of known ones
        return UNFINISHED if owner in ("build", "retry") and place == "published" else ""
    return UNFINISHED


@pytest.mark.parametrize("state", SIMPLE)
@pytest.mark.parametrize("command", CHEAP)
def test_a_command_that_computes_nothing(made: World, command: str, state: str, tmp_path: Path) -> None:
    check_state(made, command, state, tmp_path)


@pytest.mark.parametrize("owner", CHEAP)
@pytest.mark.parametrize("command", CHEAP)
def test_after_a_kill_of_one_that_computes_nothing(made: World, command: str, owner: str, tmp_path: Path) -> None:
    check_left_over(made, command, owner, "published", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("state", SIMPLE)
@pytest.mark.parametrize("command", DEAR)
def test_a_command_that_computes(built: World, command: str, state: str, tmp_path: Path) -> None:
    check_state(built, command, state, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "owner", "place"),
    some(list(product(CHEAP, ["compact", "forget", "repair"], ["staged", "published"])), 17),
)
def test_after_a_kill_anywhere(made: World, command: str, owner: str, place: str, tmp_path: Path) -> None:
    check_left_over(made, command, owner, place, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "owner", "place"),
    [
        *some([(command, owner, "published") for command in [*DEAR, *CHEAP] for owner in DEAR], 14),
        *some([(command, owner, "staged") for command in DEAR for owner in DEAR], 5),
    ],
)
def test_after_a_kill_of_one_that_computes(built: World, command: str, owner: str, place: str, tmp_path: Path) -> None:
    check_left_over(built, command, owner, place, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("command", "owner"), some(list(product(DEAR, CHEAP)), 8))
def test_one_that_computes_after_a_kill(built: World, command: str, owner: str, tmp_path: Path) -> None:
    check_left_over(built, command, owner, "published", tmp_path)


# the steps, one by one


@pytest.mark.parametrize(
    "command", [BUILD, REFRESH, REPAIR, COMPACT, FORGET, USE, GC], ids=lambda command: command.name
)
def test_a_plan_for_another_dataset_is_refused(dataset: Path, command: Command) -> None:
    known = Manifest.read(dataset)
    use(dataset, "grid", known.features["grid"].history[1])
    before = files_of(dataset)
    refused = pytest.raises(UsageError, match="another command has changed it meanwhile; run this one again")
    with refused, transaction(dataset, command, known):
        raise AssertionError("it went on")
    assert files_of(dataset) == before
    with pytest.raises(UsageError, match="meanwhile"), transaction(dataset, command, None):
        raise AssertionError("it went on")
    assert not (dataset / FOLDER).exists()


def test_what_fails_leaves_the_dataset_as_it_was_and_locks_nobody_out(dataset: Path) -> None:
    known, before = Manifest.read(dataset), files_of(dataset)

    def fails() -> None:
        with transaction(dataset, COMPACT, known) as change:
            change.next.mkdir()
            (change.next / "posts").write_text("half done")
            disk_is_full()

    with pytest.raises(OSError, match="full"):
        fails()
    assert {name: data for name, data in files_of(dataset).items() if not name.startswith(FOLDER)} == before
    assert verify(dataset).breaches == []
    with transaction(dataset, GC, known) as change:
        assert not change.next.exists()
    assert files_of(dataset) == before


def test_a_file_that_was_half_replaced_is_not_given_up(dataset: Path) -> None:
    """Of a refresh that was killed while its files took their places, another build would leave a mixture."""
    known, before = Manifest.read(dataset), files_of(dataset)
    shard = known.features["grid"].current_version.shards[0]

    def fails() -> None:
        with transaction(dataset, REFRESH, known, work={"refresh": 1}) as change:
            (change.next / shard).parent.mkdir(parents=True)
            (change.next / shard).write_bytes(b"other rows")
            change.publish(disk_is_full)

    with pytest.raises(OSError, match="full"):
        fails()
    for command, work in ((BUILD, {"inputs": []}), (REFRESH, {"refresh": 2}), (GC, None)):
        with pytest.raises(UsageError, match="unfinished build"), transaction(dataset, command, known, work=work):
            raise AssertionError("it went on")
    with transaction(dataset, REFRESH, known, work={"refresh": 1}) as change:
        assert (dataset / shard).read_bytes() == b"other rows"
        (change.next / shard).parent.mkdir(parents=True)
        (change.next / shard).write_bytes(before[shard])
        change.publish(known)
    assert files_of(dataset) == before


def disk_is_full() -> Manifest:
    raise OSError("the disk is full")
