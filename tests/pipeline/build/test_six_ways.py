"""One dataset, whatever runs the build: 1, 2 or 4 processes, files in another order, kills and resumes, Prism."""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from m3h.pipeline.dataset.run_history import read_runs
from tests.commands import ROOT, command, environment, files_of, run, seen_in
from tests.pipeline.fakes import small_dump
from tests.pipeline.helpers import gone, wait_for
from tests.prism_folder import install

pytestmark = pytest.mark.slow

POSTS = 12
SETTINGS = [
    *("--set", "clean.min_hashtag_count=1", "features.vgg_grid.weights=random", "features.vgg_grid.batch_size=4"),
    *("shards.images=3", "shards.posts=5"),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Path]:
    """Three dumps and the folder of their pictures."""
    folder = tmp_path_factory.mktemp("source")
    dump, images = small_dump(folder, POSTS)
    lines = dump.read_text().splitlines(keepends=True)
    parts = [folder / f"part-{i}.jsonl" for i in range(3)]
    for i, part in enumerate(parts):
        part.write_text("".join(lines[i::3]))
    return parts, images


@pytest.fixture(scope="module")
def reference(source: tuple[list[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by one process, never disturbed."""
    dataset = tmp_path_factory.mktemp("one") / "dataset"
    finish(build_words(*source, dataset, "--workers", 1))
    return dataset


@pytest.fixture(scope="module")
def prism() -> list[str]:
    return ["--", "--runner=PrismRunner", f"--prism_location={install()}", "--prism_log_level=warn"]


@pytest.fixture
def pool() -> Iterator[tuple[psutil.Process, str]]:
    """A worker pool, as other machines have one, and its address: an EXTERNAL environment asks it for workers."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))  # it starts `python`
    process = psutil.Popen(words, env={**environment(), "PATH": path}, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(port))
        yield process, f"localhost:{port}"
    finally:
        for child in (*process.children(recursive=True), process):
            child.kill()
        process.wait()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("localhost", port)) == 0


def build_words(dumps: Sequence[Path], images: Path, dataset: Path, *more: object) -> list[object]:
    return ["build", "--dumps", *dumps, "--images", images, "--dataset", dataset, *SETTINGS, *more]


def finish(words: Sequence[object]) -> None:
    done = run("pipeline", *words)
    assert done.code == 0, done.err


def begin(words: Sequence[object], dataset: Path) -> "subprocess.Popen[bytes]":
    """A build that has finished a shard and is at work on others."""
    build = subprocess.Popen(
        command("pipeline", *words),
        env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip

    def shard_done() -> bool:
        assert build.poll() is None, build.communicate()[1].decode()
        return bool(seen_in(dataset, ".build/receipts/*/*/[0-9]*.json"))

    wait_for(shard_done, seconds=300)
    return build


def sums(dataset: Path) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in files_of(dataset).items()}


def test_two_processes(source: tuple[list[Path], Path], reference: Path, tmp_path: Path) -> None:
    finish(build_words(*source, tmp_path / "d", "--workers", 2))
    assert sums(tmp_path / "d") == sums(reference)


def test_four_processes_and_dumps_in_another_order(
    source: tuple[list[Path], Path], reference: Path, tmp_path: Path
) -> None:
    dumps, images = source
    finish(build_words(dumps[::-1], images, tmp_path / "d", "--workers", 4))
    assert sums(tmp_path / "d") == sums(reference)


def test_killed_and_resumed(source: tuple[list[Path], Path], reference: Path, tmp_path: Path) -> None:
    words = build_words(*source, tmp_path / "d", "--workers", 1)
    build = begin(words, tmp_path / "d")
    build.kill()
    build.communicate()
    finish(words)
    assert sums(tmp_path / "d") == sums(reference)


def test_prism_whose_build_was_killed_and_refreshed(
    source: tuple[list[Path], Path], reference: Path, prism: list[str], tmp_path: Path
) -> None:
    words = build_words(*source, tmp_path / "d", *prism)
    build = begin(words, tmp_path / "d")
    started = psutil.Process(build.pid).children(recursive=True)
    assert "prism" in {process.name() for process in started}
    build.kill()
    build.communicate()
    wait_for(lambda: all(gone(process) for process in started))
    finish(words)
    assert sums(tmp_path / "d") == sums(reference)

    shutil.copytree(reference, tmp_path / "embedded")
    setting = ["--set", "features.ocr.min_confidence=20"]
    finish(["refresh", "--dataset", tmp_path / "d", *setting, *prism])
    finish(["refresh", "--dataset", tmp_path / "embedded", *setting, "--workers", 1])
    assert sums(tmp_path / "d") == sums(tmp_path / "embedded")
    assert sums(tmp_path / "d") != sums(reference)
    last = read_runs(tmp_path / "d")[-1]
    assert [(stage["stage"], stage["rows"]) for stage in last["stages"]] == [("ocr", POSTS)]
    assert 0 < last["counters"]["ocr.rows"] <= POSTS  # on a busy machine Prism leaves some out


def test_prism_that_lost_a_worker_says_so_and_the_same_command_resumes(
    source: tuple[list[Path], Path],
    reference: Path,
    prism: list[str],
    pool: tuple[psutil.Process, str],
    tmp_path: Path,
) -> None:
    process, address = pool
    external = ["--environment_type=EXTERNAL", f"--environment_config={address}"]
    words = build_words(*source, tmp_path / "d", *prism, *external)
    build = begin(words, tmp_path / "d")
    for worker in process.children():
        worker.kill()
    _, err = build.communicate(timeout=300)
    lines = err.decode().splitlines()
    assert build.returncode == 1, lines
    (error,) = [line for line in lines if line.startswith("error:")]
    assert error.startswith("error: the engine gave up: ")
    assert "SDK worker disconnected" in error
    assert "Traceback" not in err.decode()
    finish(words)
    assert sums(tmp_path / "d") == sums(reference)
