"""A Flink cluster of two TaskManagers as docs/flink.md starts it, and what tests do to it."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.commands import ROOT, command, environment
from tests.flink_folder import SCRIPTS, install


@dataclass(frozen=True)
class Cluster:
    """home: its folder. rest: port of its REST interface. flags: Beam's."""

    home: Path
    rest: int
    flags: Sequence[str]

    def process(self, name: str) -> psutil.Process:
        """One that `start` started: `taskmanager-2`."""
        return psutil.Process(int((self.home / "run" / f"{name}.pid").read_text()))

    def workers(self, number: int) -> list[psutil.Process]:
        """The processes that compute for a TaskManager."""
        return self.process(f"pool-{number}").children(recursive=True)

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


def run_and_strike(cluster: Cluster, dataset: Path, words: Sequence[object], victims: str) -> dict[Path, int]:
    """Run a command; SIGKILL the second TaskManager, or its `workers`, when the first one's have finished a shard.

    Until then the second one's stand still, so it cannot have done its part. Returns when each shard that was finished
    by then was written.
    """
    log = dataset.with_suffix(".log")
    with open(log, "wb") as err:
        build = subprocess.Popen(
            command("pipeline", *words, "--", *cluster.flags),
            env=environment(), stdout=subprocess.DEVNULL, stderr=err, cwd=ROOT,
        )  # fmt: skip
    held: set[psutil.Process] = set()
    extracting, receipts = dataset / ".build" / "images.txt", dataset / ".build" / "receipts"
    while not (held and list(receipts.rglob("[0-9]*.json"))):
        assert build.poll() is None, log.read_text()
        if extracting.is_file():
            held.update(_stopped(cluster.workers(2)))
        time.sleep(0.02)
    finished = {path: path.stat().st_mtime_ns for path in (dataset / ".build" / "next").glob("features/*/*/shard-*")}
    for process in held if victims == "workers" else [cluster.process("taskmanager-2")]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    for process in held:
        with suppress(psutil.NoSuchProcess):
            process.resume()
    assert build.wait(timeout=600) == 0, log.read_text()
    return {path.relative_to(dataset / ".build" / "next"): written for path, written in finished.items()}


def _stopped(workers: Sequence[psutil.Process]) -> Iterator[psutil.Process]:
    for worker in workers:
        with suppress(psutil.NoSuchProcess):
            worker.suspend()
            yield worker
