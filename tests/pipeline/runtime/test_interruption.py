"""Ctrl-C ends a pipeline and its processes at once, and what breaks by that is not told."""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from m3h.pipeline.runtime.interruption import DEAF, Interruption
from tests.commands import environment
from tests.pipeline.helpers import gone, wait_for


def test_a_result_or_an_exception_comes_back() -> None:
    assert Interruption().watch(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        Interruption().watch(lambda: 1 / 0)


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A shell's background jobs ignore Ctrl-C. What an interrupt changes in a process that ends by it is undone."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    before, level = signal.signal(signal.SIGINT, signal.default_int_handler), logging.getLogger("apache_beam").level
    yield
    signal.signal(signal.SIGINT, before)
    logging.getLogger("apache_beam").setLevel(level)


@pytest.mark.usefixtures("listening")
def test_an_interrupt_ends_the_processes_that_were_started_since(capfd: pytest.CaptureFixture[str]) -> None:
    before = subprocess.Popen(["sleep", "600"])
    interruption, started = Interruption(), []

    def serve() -> None:
        started.append(subprocess.Popen(["sh", "-c", "sleep 600 & wait"]))
        wait_for(lambda: bool(psutil.Process(started[0].pid).children()))
        os.kill(os.getpid(), signal.SIGINT)
        raise RuntimeError(f"exit {started[0].wait()}")  # as Beam's threads do, of which each waits for a worker

    server = threading.Thread(target=serve)

    def work() -> None:
        server.start()
        threading.Event().wait()

    with pytest.raises(KeyboardInterrupt):
        interruption.watch(work)
    server.join()
    assert interruption.happened(0)
    assert started[0].returncode == -signal.SIGKILL
    assert not gone(psutil.Process(before.pid))
    before.kill()
    before.wait()
    assert "Traceback" not in capfd.readouterr().err


def test_what_a_shell_starts_is_deaf_to_it() -> None:
    code = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    shell = subprocess.run(["sh", "-c", f"{DEAF}exec {sys.executable} -c '{code}'"], capture_output=True, check=True)
    assert shell.stdout == b"True\n"


@pytest.mark.parametrize("program", ["pipeline", "model", "m3h"])
def test_while_the_program_is_being_imported_it_is_one_line_too(program: str, tmp_path: Path) -> None:
    """A package that the program imports interrupts it, in the middle of everything."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, signal, importlib.abc\n"
        "class Interrupts(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name in ('m3h.pipeline.commands', 'm3h.model.commands'):\n"
        "            signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupts())\n"
    )
    start = (
        [str(Path(sys.executable).with_name("m3h"))] if program == "m3h" else [sys.executable, "-m", f"m3h.{program}"]
    )
    done = subprocess.run(
        [*start, "stats" if program != "model" else "systems"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (done.returncode, done.stderr) == (130, "error: interrupted; run the same command again.\n")
