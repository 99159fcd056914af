"""The images as a Flink cluster: two TaskManagers, each with a pool of workers in its pod, write what we write."""

import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.commands import ROOT, files_of
from tests.docker.containers import Image, Network, answers, end, free, inside, network
from tests.docker.sample import build_words, copy_inputs

pytestmark = [pytest.mark.slow, pytest.mark.images]

COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
PROPERTIES = COMPOSE["services"]["jobmanager"]["environment"]["FLINK_PROPERTIES"]
PODS = ("jobmanager", "taskmanager-1", "taskmanager-2", "job-server", "submit")
REFRESH = ["refresh", "--dataset", "dataset", "--set", "features.vgg_grid.seed=5"]


@dataclass
class Cluster:
    """What runs in which pod. logs: a folder with what each printed."""

    images: Mapping[str, Image]
    pods: Network
    data: Path
    logs: Path
    running: dict[str, "subprocess.Popen[bytes]"]

    def start(self, name: str, image: str, *words: object, pod: str, binds: Mapping[Path, str], **how: object) -> None:
        line = self.images[image].line(*words, pod=self.pods.pod(pod), binds=binds, **how)  # type: ignore[arg-type]
        with open(self.logs / name, "wb") as log:
            self.running[name] = subprocess.Popen(line, stdout=log, stderr=log)

    def submit(self, *words: object) -> None:
        """Run a command in a pod of its own, with the flags of the compose file."""
        flags = [
            *("--runner=PortableRunner", "--job_endpoint=job-server:8099"),
            *("--environment_type=EXTERNAL", "--environment_config=localhost:50000", "--sdk_worker_parallelism=2"),
            *("--environment_cache_millis=3000", "--parallelism=2"),
        ]
        done = self.images["m3h-worker"].run(
            *words, "--", *flags, pod=self.pods.pod("submit"), binds={self.data: "/data"}
        )
        assert done.returncode == 0, done.stderr + "".join(self.tails())

    def kill(self) -> None:
        for process in self.running.values():
            end(process)

    def tails(self) -> Iterator[str]:
        for log in sorted(self.logs.iterdir()):
            yield f"\n== {log.name}\n{log.read_text()[-2000:]}"

    def wait(self, pod: str, port: int) -> None:
        """Until somebody listens there."""
        at = self.pods.addresses[pod]
        end = time.monotonic() + 600
        while not answers(self.pods.pod(pod), port, "localhost" if port == 50000 else at):
            ended = [name for name, process in self.running.items() if process.poll() is not None]
            assert not ended, f"{ended} ended: {''.join(self.tails())}"
            assert time.monotonic() < end, "".join(self.tails())
            time.sleep(0.5)


@contextmanager
def cluster(images: Mapping[str, Image], folder: Path) -> Iterator[Cluster]:
    for name in ("data", "staged", "logs"):
        (folder / name).mkdir()
    free(folder)
    with network(*PODS) as pods, ExitStack() as processes:
        started = Cluster(images, pods, folder / "data", folder / "logs", {})
        processes.callback(started.kill)
        staged = {folder / "staged": "/staged"}
        for image in images.values():
            (image.root / "etc" / "hosts").write_text(pods.hosts())
        for name in PODS[:3]:
            kind = name.partition("-")[0]
            variables = {"FLINK_PROPERTIES": f"{PROPERTIES}{kind}.host: {name}\n"}
            started.start(name, "m3h-flink", kind, pod=name, binds=staged, variables=variables)
        for name in PODS[1:3]:
            started.start(f"pool-{name[-1]}", "m3h-worker", "--worker_pool", pod=name, binds={started.data: "/data"})
        started.wait("jobmanager", 8081)
        server = COMPOSE["services"]["job-server"]
        how = {"pod": "job-server", "binds": staged, "entrypoint": server["entrypoint"]}
        started.start("job-server", "m3h-flink", *server["command"], **how)
        for name, port in (("job-server", 8099), ("taskmanager-1", 50000), ("taskmanager-2", 50000)):
            started.wait(name, port)
        yield started


def test_two_task_managers_of_images_build_and_refresh_what_we_do(images: Mapping[str, Image], tmp_path: Path) -> None:
    with cluster(images, tmp_path) as started:
        copy_inputs(started.data, posts=24)
        started.submit(*build_words())
        embedded = {"pod": "", "binds": {started.data: "/data"}}
        ours = images["m3h-worker"].run(*build_words("ours"), "--workers", 1, **embedded)
        assert ours.returncode == 0, ours.stderr
        assert files_of(started.data / "dataset") == files_of(started.data / "ours")

        started.submit(*REFRESH)
        ours = images["m3h-worker"].run(*("ours" if word == "dataset" else word for word in REFRESH), **embedded)
        assert ours.returncode == 0, ours.stderr
        assert files_of(started.data / "dataset") == files_of(started.data / "ours")

        for pool in ("pool-1", "pool-2"):
            log = (started.logs / pool).read_text()
            assert "Starting worker with command ['/opt/apache/beam/boot'" in log, log
            assert "Provision info" in log, log  # said by boot; what else it says goes to its TaskManager
        check_health_and_end(started)


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("jobmanager", "JobManager memory configuration failed: "),
        ("taskmanager", "TaskManager memory configuration failed: "),
    ],
)
def test_settings_of_memory_that_flink_refuses_are_one_line(images: Mapping[str, Image], kind: str, fault: str) -> None:
    variables = {"FLINK_PROPERTIES": f"{kind}.memory.process.size: 100m"}
    done = images["m3h-flink"].run(kind, variables=variables, pod="")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: Flink refuses its settings: {fault}")
    assert "Total Process Memory (100.000mb" in line


def check_health_and_end(started: Cluster) -> None:
    """Each container's health check passes, and its image's signal ends it."""
    for name, process in started.running.items():
        config = started.images["m3h-worker" if name.startswith("pool") else "m3h-flink"].config
        (first,) = inside(process)
        entered = ["nsenter", f"--target={first}", "--mount", "--pid", "--net", "--uts", "--root", "--wd"]
        environment = dict(entry.split("=", 1) for entry in config["Env"])
        health = [*entered, *config["Healthcheck"]["Test"][1:]]
        checked = subprocess.run(health, capture_output=True, text=True, env=environment, check=False)
        assert checked.returncode == 0, (name, checked.stderr)
        subprocess.run(["kill", f"-{signal.Signals[config['StopSignal']].value}", str(first)], check=True)
        try:
            process.wait(timeout=300)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{name} goes on after {config['StopSignal']}: {''.join(started.tails())}")
