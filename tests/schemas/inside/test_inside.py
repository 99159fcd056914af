"""The one way to the files of a dataset: whatever lies there, nothing outside is found, read, changed or removed.

`M3H_FUZZ_SECONDS=900 pytest tests/schemas/inside/test_inside.py -k random` tries random folders for as long as that.
"""

import os
import random
import socket
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.schemas import inside
from m3h.schemas.errors import IntegrityError

SECRET = b"of nobody else"
SHA256 = "ab" + "0" * 62
SECONDS = float(os.environ.get("M3H_FUZZ_SECONDS", "3"))

NAMES = st.one_of(
    st.text(max_size=12),
    st.lists(st.sampled_from(["..", ".", "", "a", "posts", "~", "a b", "é", "x" * 256, "-", "%2e%2e"]), max_size=4).map(
        "/".join
    ),
)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A dataset with one file, beside a folder that nothing may touch."""
    (tmp_path / "outside" / "sub").mkdir(parents=True)
    for name in ("secret", "sub/secret", f"{SHA256}.jpg", "sub/part-00000.parquet"):
        (tmp_path / "outside" / name).write_bytes(SECRET)
    (tmp_path / "dataset" / "posts").mkdir(parents=True)
    (tmp_path / "dataset" / "posts" / "part-0").write_bytes(b"own")
    return tmp_path / "dataset"


def state(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every name below a folder with its kind, its time and its bytes."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        data = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found[str(path)] = (status.st_mode, status.st_mtime_ns, data)
    return found


@given(name=NAMES)
def test_a_name_that_is_accepted_stays_inside(name: str) -> None:
    folder = Path("/data/set")
    if inside.is_name(name):
        assert Path(os.path.normpath(folder / name)) == folder / name
        assert (folder / name).is_relative_to(folder)
        assert name.isascii()
        assert name == (folder / name).relative_to(folder).as_posix()
    else:
        with pytest.raises(IntegrityError, match="is no name inside a dataset"):
            inside.file_in(folder, name)


@pytest.mark.parametrize(
    "name",
    ["..", ".", "", "/", "/etc/passwd", "a/../b", "a//b", "a/", "./a", "a\n", "a\\b", "a b", "a\0b", "~", "x" * 256, 5],
)
def test_such_names_are_refused(dataset: Path, name: str) -> None:
    with pytest.raises(IntegrityError):
        inside.file_in(dataset, name)
    with pytest.raises(IntegrityError, match=r"marker\.json: names "):
        inside.refuse_other_names(["posts/part-0", name], dataset / "marker.json")


@pytest.mark.parametrize("name", ["manifest.json", ".build/next/posts/part-00000-of-00001.parquet", "a..b", "...", "-"])
def test_such_names_are_accepted(name: str) -> None:
    assert inside.is_name(name)


@pytest.mark.parametrize("name", ["../" * 3 + "x", SHA256[:-1], SHA256.upper(), SHA256 + "\n", "", None, 7])
def test_a_picture_is_named_by_a_sha256_alone(dataset: Path, name: object) -> None:
    with pytest.raises(IntegrityError, match="expected a sha256"):
        inside.picture_file(dataset, name)
    assert inside.picture_file(dataset, SHA256) == dataset / "ab" / f"{SHA256}.jpg"


def link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "outside")


def link_to_file(path: Path) -> None:
    path.symlink_to(path.parent.parent / "outside" / "secret")


def broken_link(path: Path) -> None:
    path.symlink_to("nowhere")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def bound_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


STRANGE = [(link, "a link"), (link_to_file, "a link"), (broken_link, "a link"), (link_to_itself, "a link")]
STRANGE += [(os.mkfifo, "a named pipe"), (bound_socket, "a socket")]


@pytest.mark.parametrize(("make", "what"), STRANGE)
def test_what_is_neither_file_nor_folder_is_refused_by_name_and_kind(
    dataset: Path, make: Callable[[Path], None], what: str
) -> None:
    make(dataset / "images")
    outside = state(dataset.parent / "outside")
    whole = f"{dataset / 'images'}: expected a file or a folder, found {what}."
    ways: list[Callable[[], object]] = [
        lambda: inside.file_in(dataset, "images"),
        lambda: inside.file_in(dataset, "images/secret"),
        lambda: inside.folder_in(dataset, "images"),
        lambda: inside.picture_file(inside.folder_in(dataset, "images"), SHA256),
        lambda: inside.has_file(dataset, "images/x/y"),
        lambda: inside.remove(dataset, "images"),
        lambda: inside.remove(dataset, "images/secret"),
        lambda: inside.remove_tree(dataset, "images"),
        lambda: inside.move_in(dataset / "posts" / "part-0", dataset, "images/new"),
        lambda: inside.copy_in(dataset / "posts" / "part-0", dataset, "images"),
        lambda: inside.files_in(dataset, "*"),
        lambda: inside.files_in(dataset, "images/*"),
        lambda: inside.folders_in(dataset, "im*/*"),
        lambda: inside.refuse_strange(dataset),
    ]
    for way in ways:
        with pytest.raises(IntegrityError, match=f"found {what}"):
            way()
    assert [sentence.startswith(whole) for sentence in inside.strange_entries(dataset)] == [True]
    assert [path.name for path in inside.walk(dataset)] == ["part-0"]
    assert state(dataset.parent / "outside") == outside
    assert (dataset / "posts" / "part-0").read_bytes() == b"own"


def test_a_file_in_a_folders_place_and_a_folder_in_a_files_are_refused(dataset: Path) -> None:
    with pytest.raises(IntegrityError, match="posts: expected a file, found a folder"):
        inside.file_in(dataset, "posts")
    with pytest.raises(IntegrityError, match="part-0: expected a folder, found a file"):
        inside.file_in(dataset, "posts/part-0/x")
    with pytest.raises(IntegrityError, match="part-0: expected a folder, found a file"):
        inside.remove_tree(dataset, "posts/part-0")


def test_the_dataset_itself_may_be_a_link_for_its_user_has_named_it(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "named").symlink_to(dataset)
    assert inside.file_in(tmp_path / "named", "posts/part-0").read_bytes() == b"own"
    assert [path.name for path in inside.files_in(tmp_path / "named", "posts/*")] == ["part-0"]
    inside.refuse_strange(tmp_path / "named")


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert inside.files_in(tmp_path / "none", "posts/*") == []
    assert list(inside.walk(tmp_path / "none")) == []
    inside.remove_tree(tmp_path, "none")
    inside.remove(tmp_path, "none/x")
    inside.refuse_strange(tmp_path / "none")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("posts/*", ["posts/.tmp-1", "posts/a b", "posts/part-0"]),
        ("posts/part-*", ["posts/part-0"]),
        ("*/*/*.jpg", ["images/ab/x.jpg"]),
        ("images/*", ["images/images.parquet"]),
        ("[!.]*", ["hashtags.tsv"]),
        ("nothing/*", []),
        ("hashtags.tsv/*", []),
    ],
)
def test_a_pattern_finds_files_in_order(dataset: Path, pattern: str, found: list[str]) -> None:
    for name in ("posts/.tmp-1", "posts/a b", "images/ab/x.jpg", "images/images.parquet", "hashtags.tsv"):
        (dataset / name).parent.mkdir(parents=True, exist_ok=True)
        (dataset / name).write_bytes(b"")
    assert [inside.name_of(dataset, path) for path in inside.files_in(dataset, pattern)] == found


PARTS = ("a", "b", "posts", "images", ".build", "next", "..", ".", "", "ab", f"{SHA256}.jpg", "*", "é", "a b")


class RandomFolder:
    """A folder with random files, folders, links and pipes, many of them links to a folder beside it."""

    def __init__(self, place: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.dataset, self.outside = place / "dataset", place / "outside"
        self.dataset.mkdir()
        (self.outside / "a" / "b").mkdir(parents=True)
        for name in ("a/x", "a/b/posts", f"{SHA256}.jpg", "a/images"):
            (self.outside / name).write_bytes(SECRET)
        folders = [self.dataset]
        for _ in range(self.chance.randrange(12)):
            path = self.chance.choice(folders) / self.chance.choice([part for part in PARTS if part.strip(".")])
            if not os.path.lexists(path):
                self._make(path, folders)

    def _make(self, path: Path, folders: list[Path]) -> None:
        kind = self.chance.randrange(6)
        if kind < 2:
            path.mkdir()
            folders.append(path)
        elif kind == 2:
            path.write_bytes(b"own")
        elif kind == 3:
            os.mkfifo(path)
        else:
            targets = [self.outside, self.outside / "a", self.outside / "a" / "x", Path(".."), Path("nowhere")]
            target = self.chance.choice([*targets, *folders])
            relative = self.chance.random() < 0.5 and target.is_absolute()
            path.symlink_to(os.path.relpath(target, path.parent) if relative else target)

    def name(self) -> str:
        return "/".join(self.chance.choice(PARTS) for _ in range(self.chance.randrange(1, 5)))

    def act(self) -> None:
        """Something random by every way there is. A path that is given is read and written, as callers do."""
        way = self.chance.randrange(10)
        name = self.name()
        if way < 3:
            path = inside.file_in(self.dataset, name)
            if path.exists():
                assert path.read_bytes() != SECRET
                path.write_bytes(b"changed")
        elif way == 3:
            folder = inside.folder_in(self.dataset, name)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "made").write_bytes(b"made")
        elif way == 4:
            inside.remove(self.dataset, name)
        elif way == 5:
            inside.remove_tree(self.dataset, name)
        elif way == 6:
            for path in inside.files_in(self.dataset, name):
                assert path.read_bytes() != SECRET
                path.unlink()
        elif way == 7:
            for path in [*inside.folders_in(self.dataset, name)]:
                inside.remove_if_empty(path)
        elif way == 8:
            assert all(path.read_bytes() != SECRET for path in inside.walk(self.dataset))
        else:
            made = self.dataset / "made"
            made.write_bytes(b"made")
            inside.move_in(made, self.dataset, name)


def test_random_actions_on_random_folders_touch_nothing_outside(tmp_path: Path) -> None:
    ends, folders, actions, refused = time.monotonic() + SECONDS, 0, 0, 0
    while time.monotonic() < ends or folders < 20:
        place = tmp_path / str(folders)
        place.mkdir()
        world = RandomFolder(place, seed=folders)
        before = state(world.outside)
        for _ in range(20):
            actions += 1
            try:
                world.act()
            except IntegrityError:
                refused += 1
            except (FileExistsError, IsADirectoryError, NotADirectoryError, FileNotFoundError):
                refused += 1  # a folder in the way of another, as any caller may meet
        assert state(world.outside) == before, f"seed {folders}"
        folders += 1
    sys.stdout.write(f"{folders} folders, {actions} actions, {refused} refused\n")
    assert 0 < refused < actions
