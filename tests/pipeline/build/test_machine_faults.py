"""A disk that is full, a folder that cannot be written, limits on files, a clock that jumps: one line, nothing lost."""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from m3h.pipeline.checks.verify import verify
from m3h.pipeline.dataset.workspace import FOLDER, Workspace
from tests.commands import files_of, run
from tests.kills import MORTAL, Zygote, temps
from tests.pipeline.fakes import small_dump
from tests.pipeline.made import POSTS_MADE, make, post_id

POSTS = 7
RULES = ["--set", "clean.min_hashtag_count=1", "clean.near_text=0", "shards.images=2", "shards.posts=4"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dump, _ = small_dump(tmp_path_factory.mktemp("source"), POSTS)
    return dump.parent


def build(source: Path, dataset: Path) -> list[object]:
    places = ("--dumps", source / "dump.jsonl", "--images", source / "images", "--dataset", dataset)
    return ["build", *places, "--features", "ocr", "--workers", 1, *RULES]


@pytest.fixture(scope="module")
def whole(source: Path, pipeline: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert pipeline.run(build(source, folder / "dataset"), folder / "printed") == 0
    return folder / "dataset"


class Disk:
    """A small disk of its own, in memory. mounted: False where nobody lets us mount one."""

    def __init__(self, folder: Path, kilobytes: int) -> None:
        folder.mkdir()
        self.folder = folder
        self.mounted = self._mount("-t", "tmpfs", "-o", f"size={kilobytes}k,mode=700", "tmpfs")

    def _mount(self, *words: str) -> bool:
        done = subprocess.run(["mount", *words, str(self.folder)], capture_output=True, check=False)
        return done.returncode == 0

    def change(self, *options: str) -> None:
        assert self._mount("-o", ",".join(("remount", *options)))

    def leave(self, kilobytes: int) -> None:
        """Fill the disk but for so much."""
        free = shutil.disk_usage(self.folder).free
        (self.folder / "ballast").write_bytes(bytes(max(0, free - 1024 * kilobytes)))

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Of 20 MB."""
    disk = Disk(tmp_path / "disk", 20_000)
    try:
        yield disk
    finally:
        disk.close()


def is_said_in_one_line(status: int, printed: Path) -> str:
    """The error line of a command that failed as it should."""
    text = printed.read_text(errors="replace")
    assert status in (1 << 8, 2 << 8), text[-2000:]
    assert "Traceback" not in text, text[-2000:]
    (line,) = [line for line in text.splitlines() if line.startswith("error:")]
    return line


def test_a_full_disk_while_building(disk: Disk, pipeline: Zygote, source: Path, whole: Path, tmp_path: Path) -> None:
    """At several moments; where no disk can be mounted, with a limit on the sizes of files in its place."""
    words, printed = build(source, disk.folder / "dataset"), tmp_path / "printed"
    for left in (0, 40, 60, 90, 500):
        if disk.mounted:
            disk.leave(left)
            line = is_said_in_one_line(pipeline.run(words, printed), printed)
            assert "No space left on device" in line
            (disk.folder / "ballast").unlink()
        else:
            limits = {"RLIMIT_FSIZE": 2000 + 10 * left}
            assert "File too large" in is_said_in_one_line(pipeline.run(words, printed, limits=limits), printed)
        assert not (disk.folder / "dataset" / "manifest.json").exists()
    assert pipeline.run(words, printed) == 0, printed.read_text()
    assert files_of(disk.folder / "dataset") == files_of(whole)
    assert temps(disk.folder) == []


CHANGES: list[Callable[[Path], Sequence[object]]] = [
    lambda dataset: ["gc", "--dataset", dataset],
    lambda dataset: ["compact", "--dataset", dataset, "--set", "shards.images=7", "shards.posts=9"],
    lambda dataset: ["forget", "--dataset", dataset, "--ids", dataset.parent / "ids.txt"],
    lambda dataset: ["use", "--dataset", dataset, "--feature", "grid", "--fingerprint", "0"],
]


@pytest.mark.parametrize("change", CHANGES, ids=["gc", "compact", "forget", "use"])
def test_a_full_disk_and_a_read_only_one_leave_a_finished_dataset_as_it_is(
    disk: Disk, pipeline: Zygote, tmp_path: Path, change: Callable[[Path], Sequence[object]]
) -> None:
    if not disk.mounted:
        pytest.skip("this user may not mount a disk")
    dataset, printed = make(disk.folder / "dataset", range(1, POSTS_MADE + 1)), tmp_path / "printed"
    (disk.folder / "ids.txt").write_text(f"{post_id(1)}\n{post_id(3)}\n")
    before = files_of(dataset)
    words = change(dataset)
    disk.change("ro")
    assert "Read-only file system" in is_said_in_one_line(pipeline.run(words, printed), printed)
    assert verify(dataset).breaches == []
    disk.change("rw")
    assert files_of(dataset) == before
    for left in (0, 8, 24, 300):
        disk.leave(left)
        status = pipeline.run(words, printed)
        (disk.folder / "ballast").unlink()
        if status == 0:
            break
        assert "No space left on device" in is_said_in_one_line(status, printed)
        assert verify(dataset).breaches == [] or Workspace(dataset).is_installing
    assert left > 0
    assert pipeline.run(words, printed) == 0, printed.read_text()
    assert verify(dataset).breaches == []
    assert temps(dataset) == []
    assert not (dataset / FOLDER).exists()


@pytest.mark.parametrize(
    "limits",
    [{"RLIMIT_FSIZE": 3000}, *({"RLIMIT_NOFILE": more} for more in (1, 4, 8))],
    ids=str,
)
def test_a_limit_on_files_ends_a_build_that_then_goes_on(
    pipeline: Zygote, source: Path, whole: Path, tmp_path: Path, limits: dict[str, int]
) -> None:
    words, printed = build(source, tmp_path / "dataset"), tmp_path / "printed"
    status = pipeline.run(words, printed, limits=limits)
    if status:
        line = is_said_in_one_line(status, printed)
        assert "File too large" in line or "Too many open files" in line
        assert pipeline.run(words, printed) == 0, printed.read_text()
    assert files_of(tmp_path / "dataset") == files_of(whole)


def test_a_clock_that_jumps_changes_nothing(
    source: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORTAL_CLOCK", "jumps")
    done = run("pipeline", *build(source, tmp_path / "dataset"), folders=[MORTAL])
    assert done.code == 0, done.err
    assert files_of(tmp_path / "dataset") == files_of(whole)
