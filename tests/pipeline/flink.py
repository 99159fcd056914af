"""A Flink cluster of two TaskManagers as docs/flink.md starts it, and what tests do to it."""

import fcntl
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.commands import ROOT, command, environment, seen_in
from tests.flink_folder import SCRIPTS, install
from tests.pipeline.helpers import gone, wait_for


@dataclass(frozen=True)
class Cluster:
    """home: its folder. rest: port of its REST interface. flags: Beam's."""

    home: Path
    rest: int
    flags: Sequence[str]

    def process(self, name: str) -> psutil.Process:
        """One that `start` started: `taskmanager-2`."""
        return psutil.Process(int((self.home / "run" / f"{name}.pid").read_text()))

    def faults_of_last_job(self) -> list[str]:
        """Why Flink started the last job's tasks anew."""
        last = max(self._ask("/jobs/overview")["jobs"], key=lambda job: job["start-time"])
        assert last["state"] == "FINISHED"
        entries = self._ask(f"/jobs/{last['jid']}/exceptions")["exceptionHistory"]["entries"]
        return [entry["exceptionName"] for entry in entries]

    def _ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://localhost:{self.rest}{path}", timeout=60) as answer:
            return json.load(answer)


@contextmanager
def cluster(home: Path) -> Iterator[Cluster]:
    """One in a folder of its own, with the jars that are installed; nothing of it is left."""
    for installed in install().iterdir():
        (home / installed.name).symlink_to(installed)
    rest, jobs, pool = free_ports(3)
    ports = ["--rest-port", rest, "--job-port", jobs, "--pool-port", pool]
    done = script("start", home, *ports)
    assert done.returncode == 0, done.stderr
    try:
        yield Cluster(home, rest, done.stdout.split())
    finally:
        assert script("stop", home).returncode == 0
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(home) in " ".join(p.info["cmdline"] or ())]


def script(*words: object) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, str(SCRIPTS / "cluster.py"), *(str(word) for word in words)]
    return subprocess.run(line, capture_output=True, text=True, cwd=ROOT, timeout=600)


def free_ports(number: int) -> list[int]:
    with ExitStack() as open_ones:
        sockets = [open_ones.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("", 0))
        return [one.getsockname()[1] for one in sockets]


def run_and_strike(cluster: Cluster, dataset: Path, words: Sequence[object], victim: str) -> dict[Path, int]:
    """Run a command; when shards are finished, SIGKILL a worker in the middle of another, or its TaskManager.

    One picture cannot be opened until then, so that there surely is a task that dies. Returns when each shard
    that was finished by then was written.
    """
    picture = max((dataset / "images").glob("*/*.jpg"), key=lambda path: path.name)
    log = dataset.with_suffix(".log")
    with _held(picture) as readers, open(log, "wb") as err:
        build = subprocess.Popen(
            command("pipeline", *words, "--", *cluster.flags),
            env=environment(), stdout=subprocess.DEVNULL, stderr=err, cwd=ROOT,
        )  # fmt: skip
        while not (finished := _shards(dataset)) or not (reading := _of_pools(cluster, readers())):
            assert build.poll() is None, log.read_text()
            time.sleep(0.05)
        (worker, number), *_ = reading.items()
        struck = worker if victim == "worker" else cluster.process(f"taskmanager-{number}")
        struck.kill()
        wait_for(lambda: gone(worker))
    assert build.wait(timeout=900) == 0, log.read_text()
    return finished


@contextmanager
def _held(picture: Path) -> Iterator[Callable[[], set[int]]]:
    """A picture that nobody can open for now: the kernel lets a process wait that tries, up to 45 seconds (a lease).

    Yields who waits: processes, by their ids.
    """

    def waiting() -> set[int]:
        return {int(file.parts[2]) for file in seen_in(Path("/proc"), "[0-9]*/task/*/wchan") if "lease" in _text(file)}

    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # by which the kernel tells that somebody waits
    try:
        with open(picture, "rb") as file:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            yield waiting
    finally:
        signal.signal(signal.SIGIO, before)


def _text(file: Path) -> str:
    with suppress(OSError):
        return file.read_text()
    return ""


def _shards(dataset: Path) -> dict[Path, int]:
    """The shards that wait to be installed, and when each was written."""
    waiting = dataset / ".build" / "next"
    shards = seen_in(waiting, "features/*/*/shard-*")
    return {path.relative_to(waiting): path.stat().st_mtime_ns for path in shards}


def _of_pools(cluster: Cluster, pids: set[int]) -> dict[psutil.Process, int]:
    """Those of the processes that are workers, and the number of the TaskManager for which each works."""
    return {
        worker: number
        for number in (1, 2)
        for worker in cluster.process(f"pool-{number}").children()
        if worker.pid in pids
    }
