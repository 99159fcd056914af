"""Reading pictures leaves no process behind: not when it takes too long, not when somebody is killed."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from m3h.pipeline.extractors.ocr.reader import Reader
from m3h.pipeline.extractors.ocr.sheets import Sheet, View
from m3h.pipeline.extractors.ocr.table import words_of
from m3h.pipeline.runtime.subprocess_helper import Helper
from tests.commands import ROOT, environment
from tests.pipeline.fakes import picture
from tests.pipeline.helpers import gone, helpers, wait_for

PROGRAM = {"engine": "pytesseract", "program": "tesseract", "language": "eng", "mode": 3}
SECONDS = 60.0
MODULE = "m3h.pipeline.extractors.ocr.helper"
REAL = shutil.which("tesseract")


@pytest.fixture
def sleepy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `tesseract` on the path that starts a process and waits for it; where it writes who they are.

    Where the file `awake` is, it is the real one.
    """
    program = tmp_path / "bin" / "tesseract"
    program.parent.mkdir()
    program.write_text(
        f"""#!/bin/sh
[ -e {tmp_path}/awake ] && exec {REAL} "$@"
sleep 1000 &
echo $$ $! > {tmp_path}/new
mv {tmp_path}/new {tmp_path}/asleep
wait
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    return tmp_path / "asleep"


def asleep(path: Path) -> list[psutil.Process]:
    """The fake program and the process it started, once they are there."""
    wait_for(path.exists)
    found = [psutil.Process(int(pid)) for pid in path.read_text().split()]
    assert len(found) == 2
    return found


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader(PROGRAM, SECONDS)
    yield reader
    reader.close()


def sheet(folder: Path, seed: int = 0) -> Sheet:
    return Sheet([View(str(picture(folder / f"{seed}.jpg", seed)))])


def reading(reader: Reader, sheets: list[Sheet]) -> threading.Thread:
    thread = threading.Thread(target=reader.read, args=(sheets,))
    thread.start()
    return thread


def test_a_helper_that_takes_too_long_is_killed_with_all_its_processes(
    tmp_path: Path, sleepy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = helpers(module=MODULE)
    reader = Reader(PROGRAM, 1.0)
    late = sheet(tmp_path)
    reader.read([late])
    assert late.fault is not None
    assert (late.fault.reason, late.fault.detail) == ("ocr_timeout", "1.0 s")
    sleepers = asleep(sleepy)
    wait_for(lambda: all(map(gone, sleepers)))
    assert helpers(since=before, module=MODULE) == []
    (tmp_path / "awake").touch()
    monkeypatch.setattr(reader, "_seconds", SECONDS)  # a busy machine is no failure
    found = sheet(tmp_path, seed=1)
    reader.read([found])
    assert [words_of(table) for table in found.tables] == [[]]
    reader.close()


def test_a_batch_may_take_an_eighth_of_the_limit_longer_for_each_further_picture(
    tmp_path: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    ask = Helper.ask
    monkeypatch.setattr(Helper, "ask", lambda self, data, seconds: asked.append(seconds) or ask(self, data, seconds))
    for number in (1, 3, 9):
        reader.read([sheet(tmp_path, seed) for seed in range(number)])
    assert asked == [SECONDS, SECONDS * 1.25, SECONDS * 2]


def test_when_something_kills_the_helper_its_processes_end_and_no_picture_is_lost(
    tmp_path: Path, sleepy: Path, reader: Reader
) -> None:
    before = helpers(module=MODULE)
    found = sheet(tmp_path)
    thread = reading(reader, [found])
    sleepers = asleep(sleepy)
    (tmp_path / "awake").touch()
    (helper,) = helpers(since=before, module=MODULE)
    helper.kill()
    thread.join()
    assert found.tables
    assert found.fault is None
    wait_for(lambda: all(map(gone, sleepers)))


def test_no_process_outlives_a_worker_that_is_killed(tmp_path: Path, sleepy: Path) -> None:
    code = f"""
from m3h.pipeline.extractors.ocr.reader import Reader
from m3h.pipeline.extractors.ocr.sheets import Sheet, View
Reader({PROGRAM!r}, {SECONDS}).read([Sheet([View({str(picture(tmp_path / "p.jpg", 1))!r})])])
"""
    worker = subprocess.Popen([sys.executable, "-c", code], env=environment(), cwd=ROOT)
    sleepers = asleep(sleepy)
    (helper,) = helpers(worker.pid, module=MODULE)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    wait_for(lambda: all(map(gone, [helper, *sleepers])))


def test_the_reader_ends_processes_that_the_program_leaves_behind(tmp_path: Path, sleepy: Path) -> None:
    """It ends well, and what it started lives on: until the reader is closed."""
    program = tmp_path / "bin" / "tesseract"
    script = program.read_text().replace("wait\n", f'exec {REAL} "$@"\n')
    program.write_text(script.replace("sleep 1000 &", "sleep 1000 > /dev/null 2>&1 &"))
    reader = Reader(PROGRAM, SECONDS)
    found = sheet(tmp_path)
    reader.read([found])
    assert found.tables
    _, child = (int(pid) for pid in sleepy.read_text().split())
    left = psutil.Process(child)
    assert not gone(left)
    reader.close()
    wait_for(lambda: gone(left))


def test_the_library_is_killed_like_the_program(tmp_path: Path) -> None:
    from m3h.pipeline.extractors.ocr.engines import data_file

    before = helpers(module=MODULE)
    library = {"engine": "tesserocr", "data": str(data_file("eng").parent), "language": "eng", "mode": 3}
    reader = Reader(library, 1e-3)
    late = Sheet([View(str(picture(tmp_path / "large.jpg", 0, (3000, 2000))))])
    reader.read([late])
    assert late.fault is not None
    assert late.fault.reason == "ocr_timeout"
    assert helpers(since=before, module=MODULE) == []


def test_several_threads_read_their_own_sheets_at_the_same_time(tmp_path: Path, sleepy: Path, reader: Reader) -> None:
    before = helpers(module=MODULE)
    sheets = [sheet(tmp_path, seed=1), sheet(tmp_path, seed=2)]
    threads = [reading(reader, [one]) for one in sheets]
    at_work = min(2, os.cpu_count() or 1)
    wait_for(lambda: len(helpers(module="1000")) == at_work)  # as many programs, each with its `sleep 1000`
    (tmp_path / "awake").touch()
    for helper in helpers(since=before, module=MODULE):
        helper.kill()
    for thread in threads:
        thread.join()
    assert [bool(one.tables) for one in sheets] == [True, True]


def test_the_helper_ends_when_its_reader_is_no_longer_referenced(tmp_path: Path) -> None:
    before = helpers(module=MODULE)
    Reader(PROGRAM, SECONDS).read([sheet(tmp_path)])
    wait_for(lambda: helpers(since=before, module=MODULE) == [])
