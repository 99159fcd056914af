"""Law 2: the same inputs and rules give the same bytes, whoever computes them and however often it is killed."""

import json
import platform
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.commands import ROOT, command, environment, files_of, run, seen_in
from tests.pipeline.fakes import small_dump

SETTINGS = [
    *("--features", "ocr,backbone", "--set", "clean.min_hashtag_count=1", "features.backbone.batch_size=4"),
    *("shards.images=3", "shards.posts=7"),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return small_dump(tmp_path_factory.mktemp("source"), posts=18)


@pytest.fixture(scope="module")
def reference(source: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by one process, never disturbed."""
    dataset = tmp_path_factory.mktemp("one") / "dataset"
    done = run("pipeline", *build_words(source, dataset, workers=1), "--json")
    assert done.code == 0, done.err
    assert done.json["read"] == 18
    assert done.json["kept"] == 18
    assert {name: known["rows"] for name, known in done.json["features"].items()} == {"ocr": 18, "backbone": 18}
    return dataset


def build_words(source: tuple[Path, Path], dataset: Path, workers: int) -> list[object]:
    dump, images = source
    return ["build", "--dumps", dump, "--images", images, "--dataset", dataset, "--workers", workers, *SETTINGS]


@pytest.mark.slow
def test_the_order_of_the_input_changes_no_row(source: tuple[Path, Path], reference: Path, tmp_path: Path) -> None:
    dump, images = source
    lines = dump.read_text().splitlines()
    random.Random(5).shuffle(lines)
    shuffled = tmp_path / dump.name
    shuffled.write_text("\n".join(lines) + "\n")
    done = run("pipeline", *build_words((shuffled, images), tmp_path / "d", workers=1))
    assert done.code == 0, done.err
    ours, theirs = files_of(tmp_path / "d"), files_of(reference)
    features = [name for name in theirs if name.startswith(("features/", "images/"))]
    assert len(features) > 20
    assert {name: ours[name] for name in features} == {name: theirs[name] for name in features}


def test_three_kills_and_a_resume_leave_no_trace(source: tuple[Path, Path], reference: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "killed"
    receipts = dataset / ".build" / "receipts"
    records = dataset / ".build" / "records.json"
    kill_when(source, dataset, lambda: (dataset / ".build" / "lock").exists())
    kill_when(source, dataset, records.exists)
    kill_when(source, dataset, lambda: len(seen_in(receipts, "**/[0-9]*.json")) >= 3)
    waiting = dataset / ".build" / "next"
    finished = {p.relative_to(waiting): p.stat().st_mtime_ns for p in waiting.glob("features/*/*/shard-*")}
    assert finished
    assert not (dataset / "manifest.json").exists()

    done = run("pipeline", *build_words(source, dataset, workers=2))
    assert done.code == 0, done.err
    assert files_of(dataset) == files_of(reference)
    kept = [path for path, written in finished.items() if (dataset / path).stat().st_mtime_ns == written]
    assert len(kept) >= 3, "finished shards were done again"


@pytest.mark.slow
def test_other_rules_after_a_kill_start_from_nothing(source: tuple[Path, Path], tmp_path: Path) -> None:
    """Receipts and pictures of the build that was killed belong to other posts: none may be taken for these."""
    rules = ["image.max_pixels=6000", "clean.max_hashtags=3"]
    kill_when(source, tmp_path / "d", lambda: len(seen_in(tmp_path / "d", ".build/receipts/*/*/[0-9]*.json")) >= 3)
    posts = source[0].read_text().splitlines()[::2]
    half = tmp_path / "half" / source[0].name
    half.parent.mkdir()
    half.write_text("\n".join(posts) + "\n")
    for name in ("d", "clean"):
        assert run("pipeline", *build_words((half, source[1]), tmp_path / name, workers=2), *rules).code == 0
    assert files_of(tmp_path / "d") == files_of(tmp_path / "clean")
    assert run("pipeline", "verify", "--dataset", tmp_path / "d").code == 0


def kill_when(source: tuple[Path, Path], dataset: Path, reached: Callable[[], bool]) -> None:
    """Start a build of two processes, and SIGKILL it as soon as a point is reached."""
    build = subprocess.Popen(
        command("pipeline", *build_words(source, dataset, workers=2)),
        env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT,
    )  # fmt: skip
    while not reached():
        assert build.poll() is None, "the build ended before it was killed"
        time.sleep(0.02)
    workers = workers_of(build)
    build.send_signal(signal.SIGKILL)
    build.wait()
    psutil.wait_procs(workers, timeout=10)
    assert not any(worker.is_running() for worker in workers), "an orphan works on"


def workers_of(build: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    found = []
    for process in psutil.Process(build.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # such as a Tesseract that was just done
            if "m3h.pipeline.runtime.worker" in process.cmdline():
                found.append(process)
    return found


@pytest.mark.slow
def test_a_killed_worker_ends_the_build_with_one_line_and_the_same_command_resumes(
    source: tuple[Path, Path], reference: Path, tmp_path: Path
) -> None:
    dataset = tmp_path / "worker"
    build = subprocess.Popen(
        command("pipeline", *build_words(source, dataset, workers=2)),
        env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    receipts = dataset / ".build" / "receipts"
    while not seen_in(receipts, "**/[0-9]*.json"):
        assert build.poll() is None, "the build ended before a worker was killed"
        time.sleep(0.02)
    workers = workers_of(build)
    workers[-1].kill()
    _, err = build.communicate(timeout=60)
    assert build.returncode == 1
    lines = err.decode().splitlines()
    assert [line for line in lines if line.startswith("error: a worker process died")], lines
    psutil.wait_procs(workers, timeout=10)
    assert not any(worker.is_running() for worker in workers)

    assert run("pipeline", *build_words(source, dataset, workers=2)).code == 0
    assert files_of(dataset) == files_of(reference)


def test_a_second_build_at_the_same_time_is_wrong_use(source: tuple[Path, Path], tmp_path: Path) -> None:
    import fcntl

    (tmp_path / "d" / ".build").mkdir(parents=True)
    with open(tmp_path / "d" / ".build" / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run("pipeline", *build_words(source, tmp_path / "d", workers=1))
    assert (done.code, "another build is writing" in done.error) == (2, True)


def test_building_a_finished_dataset_again_does_nothing_and_says_the_same(
    source: tuple[Path, Path], reference: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in reference.rglob("shard-*")}
    bytes_before = files_of(reference)
    done = run("pipeline", *build_words(source, reference, workers=1), "--json")
    assert done.code == 0, done.err
    assert done.json["kept"] == 18
    assert {path: path.stat().st_mtime_ns for path in reference.rglob("shard-*")} == before
    assert files_of(reference) == bytes_before


def test_that_nothing_is_to_do_is_found_out_without_beam(source: tuple[Path, Path], reference: Path) -> None:
    words = [str(word) for word in build_words(source, reference, workers=1)]
    code = f"""
import sys
from m3h.pipeline.cli import main
code = main({words!r})
sys.exit(f"{{code}} {{'apache_beam' in sys.modules}}")
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "0 False"


def test_no_time_and_no_machine_stands_in_the_manifest(reference: Path) -> None:
    text = json.dumps(json.loads((reference / "manifest.json").read_text()))
    assert platform.node() not in text
    assert str(reference.parent) not in text


@pytest.mark.slow
def test_a_dump_added_later_gives_the_bytes_of_one_build_and_computes_new_pictures_only(
    source: tuple[Path, Path], reference: Path, tmp_path: Path
) -> None:
    dump, images = source
    lines = dump.read_text().splitlines(keepends=True)
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_text("".join(lines[::3]))
    second.write_text("".join(line for i, line in enumerate(lines) if i % 3))
    later, once = tmp_path / "later", tmp_path / "once"
    assert run("pipeline", *build_words((first, images), later, workers=1)).code == 0
    done = run("pipeline", *build_words((second, images), later, workers=1), "--json")
    assert done.code == 0, done.err
    assert done.json["read"] == 18
    both = ["build", "--dumps", first, second, "--images", images, "--dataset", once, "--workers", 1, *SETTINGS]
    assert run("pipeline", *both).code == 0
    assert files_of(later) == files_of(once)
    assert run("pipeline", "verify", "--dataset", later).code == 0

    first.unlink()
    lost = run("pipeline", *build_words((second, images), later, workers=1))
    assert lost.code == 2
    assert "was built from first.jsonl too, and it is not at" in lost.error
    first.write_text("{}\n")
    changed = run("pipeline", *build_words((second, images), later, workers=1))
    assert "was changed since" in changed.error
