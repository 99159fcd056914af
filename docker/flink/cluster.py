"""A Flink cluster of plain processes on one machine: JobManager, TaskManagers, Beam's job server, a pool of workers.

python docker/flink/install.py ~/flink          once: the jars
python docker/flink/cluster.py start ~/flink    prints the flags for `m3h build ... -- FLAGS`
python docker/flink/cluster.py stop ~/flink

A pool starts workers with this very Python, in the folder where `start` was called: m3h is installed there or lies
there. HOME/run has a log and a pid file for each process. See docs/flink.md.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

POOL = "workers"
"""The name by which every TaskManager finds its own pool."""

POOL_PROGRAM = Path(__file__).with_name("pool.py").resolve()
JAVA = ("java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Quick to start, and sparing with processors: those are the workers', who do what takes long."""

PATIENCE_SECONDS = 300
LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
appender.console.name = console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %-60c %x - %m%n
"""


class Cluster:
    """The processes of one cluster. home: as install.py made it. Ports: of Flink's web page, job server and pool."""

    def __init__(self, home: Path, rest: int = 8081, jobs: int = 8099, pool: int = 50000, slots: int = 2) -> None:
        self._home, self._run = home.absolute(), home.absolute() / "run"
        self._rest, self._jobs, self._pool, self._slots = rest, jobs, pool, slots

    def start(self, task_managers: int) -> None:
        """Start everything and wait until it can take a job. SystemExit where that does not come to pass."""
        if any(_group(note) for note in self._run.glob("*.pid")):
            raise SystemExit(f"error: a cluster runs in {self._home}; stop it first.")
        for port in (self._rest, self._jobs):
            if _answers(port):
                raise SystemExit(f"error: port {port} is taken; stop what listens there, or name another.")
        self._run.mkdir(exist_ok=True)
        self._configure()
        java = [*JAVA, f"-Dlog4j.configurationFile={self._run / 'log4j.properties'}"]
        flink = ["--configDir", str(self._run)]
        self._process("jobmanager", [*java, "-jar", str(self._home / "jobmanager.jar"), *flink])
        for number in range(1, task_managers + 1):
            address = f"127.0.0.{number + 1}"
            hosts = self._run / f"hosts-{number}"
            hosts.write_text(f"127.0.0.1 localhost {socket.gethostname()}\n{address} {POOL}\n")
            self._process(f"pool-{number}", [sys.executable, str(POOL_PROGRAM), f"{address}:{self._pool}"])
            own = [f"-Djdk.net.hosts.file={hosts}", "-jar", str(self._home / "taskmanager.jar")]
            self._process(f"taskmanager-{number}", [*java, *own, *flink])
        server = [f"--flink-master=localhost:{self._rest}", f"--job-port={self._jobs}", "--artifact-port=0"]
        server += ["--expansion-port=-1", f"--artifacts-dir={self._run / 'staged'}"]
        self._process("job-server", [*JAVA, "-jar", str(self._home / "job-server.jar"), *server])
        for number in range(1, task_managers + 1):
            self._wait(f"pool {number}", lambda at=f"127.0.0.{number + 1}": _answers(self._pool, at))
        self._wait("the TaskManagers", lambda: self._registered() == task_managers)
        self._wait("the job server", lambda: _answers(self._jobs))

    def _configure(self) -> None:
        values = {
            "jobmanager.rpc.address": "localhost",
            "jobmanager.rpc.port": _free_port(),
            "rest.address": "localhost",
            "rest.port": self._rest,
            "taskmanager.host": "localhost",
            "taskmanager.numberOfTaskSlots": self._slots,
            "taskmanager.load-balance.mode": "SLOTS",
            "heartbeat.interval": 2000,
            "heartbeat.timeout": 50000,
            "restart-strategy.type": "fixed-delay",
            "restart-strategy.fixed-delay.attempts": 10,
            "restart-strategy.fixed-delay.delay": "6 s",  # longer than workers are kept: a dead one must be forgotten
            "io.tmp.dirs": self._run,
            # what Flink's own shell scripts would work out
            "taskmanager.cpu.cores": self._slots,
            "taskmanager.memory.framework.heap.size": "128m",
            "taskmanager.memory.framework.off-heap.size": "128m",
            "taskmanager.memory.task.heap.size": "256m",
            "taskmanager.memory.task.off-heap.size": "0m",
            "taskmanager.memory.jvm-metaspace.size": "256m",
            "taskmanager.memory.jvm-overhead.min": "192m",
            "taskmanager.memory.jvm-overhead.max": "192m",
            "taskmanager.memory.managed.size": "256m",
            "taskmanager.memory.network.min": "256m",
            "taskmanager.memory.network.max": "256m",
        }
        (self._run / "config.yaml").write_text("".join(f"{key}: {value}\n" for key, value in values.items()))
        (self._run / "log4j.properties").write_text(LOG4J)

    def _process(self, name: str, words: Sequence[str]) -> None:
        ours = {"PATH": Path(sys.executable).parent}  # where a worker finds Python, and with it m3h
        paths = {key: f"{path}{os.pathsep}{os.environ.get(key, '')}" for key, path in ours.items()}
        with open(self._run / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **paths},
            )  # fmt: skip
        (self._run / f"{name}.pid").write_text(f"{process.pid}\n")

    def _registered(self) -> int:
        with suppress(OSError), urllib.request.urlopen(f"http://localhost:{self._rest}/overview", timeout=5) as answer:
            return int(json.load(answer)["taskmanagers"])
        return 0

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not ready():
            dead = [f"{note.stem} ended" for note in self._run.glob("*.pid") if not _group(note)]
            if dead or time.monotonic() > deadline:
                stop(self._home)
                why = ", ".join(dead) or f"waited {PATIENCE_SECONDS} s"
                raise SystemExit(f"error: {what} did not come up ({why}); the logs are in {self._run}.")
            time.sleep(0.2)

    def flags(self, parallelism: int) -> str:
        """What Beam needs to know, to be given behind `--`."""
        return (
            f"--runner=PortableRunner --job_endpoint=localhost:{self._jobs} --environment_type=EXTERNAL "
            f"--environment_config={POOL}:{self._pool} --sdk_worker_parallelism={self._slots} "
            f"--environment_cache_millis=3000 --parallelism={parallelism}"
        )


def stop(home: Path) -> None:
    """End all that `start` started, workers too; kindly first."""
    notes = sorted((home / "run").glob("*.pid"))
    for kind in (signal.SIGTERM, signal.SIGKILL):
        processes = [process for note in notes for process in _group(note)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(kind)
        psutil.wait_procs(processes, timeout=10)
    for note in notes:
        note.unlink()


def _group(note: Path) -> list[psutil.Process]:
    """The living processes of the session that a pid file names."""
    leader, found = int(note.read_text()), []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _answers(port: int, host: str = "localhost") -> bool:
    with socket.socket() as client:
        return client.connect_ex((host, port)) == 0


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("localhost", 0))
        return int(server.getsockname()[1])


def main() -> None:
    """Start or stop."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("what", choices=["start", "stop"])
    words.add_argument("home", type=Path, metavar="HOME", help="the folder that install.py filled")
    words.add_argument("--taskmanagers", type=int, default=2)
    words.add_argument("--slots", type=int, default=2, help="of a TaskManager: shards it computes at a time")
    words.add_argument("--rest-port", type=int, default=8081, help="Flink's web page")
    words.add_argument("--job-port", type=int, default=8099, help="Beam's job server")
    words.add_argument("--pool-port", type=int, default=50000, help="the pool of workers")
    given = words.parse_args()
    if given.what == "stop":
        stop(given.home)
        return
    cluster = Cluster(given.home, given.rest_port, given.job_port, given.pool_port, given.slots)
    cluster.start(given.taskmanagers)
    sys.stdout.write(cluster.flags(given.taskmanagers) + "\n")


if __name__ == "__main__":
    main()
