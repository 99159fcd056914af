"""Built images, run without an engine: as their configuration says, as their user, on a root that nobody can write.

An image's files are mounted once, by buildah; bubblewrap makes of them what an engine would call containers. Network
namespaces stand for pods: those of one `Network` reach each other, and nothing else.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Image:
    """root: where its files are mounted. config: its entry point, user, environment and so on, as Docker names them."""

    root: Path
    config: Mapping[str, Any]

    def line(
        self,
        *words: object,
        binds: Mapping[Path, str] | None = None,
        variables: Mapping[str, str] | None = None,
        entrypoint: Sequence[str] | None = None,
        user: int | None = None,
        pod: str,
    ) -> list[str]:
        """The command line that runs it.

        binds: folders of this machine, and where it finds them and may write. user: another than the image's own. pod:
        the network namespace; "" for this machine's own.
        """
        number = str(user or self.config["User"])
        # As from an engine, no signal is ignored, whatever started us: a shell's background jobs ignore SIGINT.
        sandbox = ["env", "--default-signal"]
        sandbox += ["bwrap", "--ro-bind", self.root, "/", "--proc", "/proc", "--dev", "/dev", "--clearenv"]
        sandbox += ["--unshare-pid", "--unshare-ipc", "--as-pid-1", "--die-with-parent"]
        sandbox += ["--unshare-uts", "--hostname", pod.partition("-")[2] or "localhost"]
        for folder in ("/tmp", *self._homes()):  # noqa: S108
            sandbox += ["--perms", "1777", "--tmpfs", folder]
        for path, target in (binds or {}).items():
            sandbox += ["--bind", path, target]
        for name, value in {"HOME": self._home(number), **self._environment(), **(variables or {})}.items():
            sandbox += ["--setenv", name, value]
        sandbox += ["--chdir", self.config.get("WorkingDir") or "/"]
        becoming = [
            "setpriv",
            "--pdeathsig=KILL",
            f"--reuid={number}",
            f"--regid={number}",
            "--clear-groups",
            "--no-new-privs",
        ]
        network = ["ip", "netns", "exec", pod] if pod else []
        start = self.config["Entrypoint"] if entrypoint is None else entrypoint
        return [str(word) for word in (*network, *sandbox, *becoming, *start, *words)]

    def run(self, *words: object, **how: Any) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(self.line(*words, **how), capture_output=True, text=True, timeout=1800, check=False)

    def _environment(self) -> dict[str, str]:
        return dict(entry.split("=", 1) for entry in self.config.get("Env") or ())

    def _home(self, user: str) -> str:
        """As every engine says it; "/" for a user whom the image does not know."""
        users = [line.split(":") for line in (self.root / "etc" / "passwd").read_text().splitlines()]
        return next((fields[5] for fields in users if fields[2] == user), "/")

    def _homes(self) -> list[str]:
        return [f"/home/{path.name}" for path in sorted((self.root / "home").iterdir())]


@dataclass
class Network:
    """Pods by the names of their namespaces. addresses: of each pod, by the name it was added with."""

    name: str
    addresses: dict[str, str] = field(default_factory=dict)

    def pod(self, name: str) -> str:
        return f"{self.name}-{name}"

    def hosts(self) -> str:
        """/etc/hosts of its pods."""
        return "127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in self.addresses.items())


@contextmanager
def network(*pods: str) -> Iterator[Network]:
    """Namespaces for pods, which are gone in the end, and all that runs in them."""
    made = Network(f"m3h{os.getpid()}")
    hub = made.name
    with ExitStack() as namespaces:
        for space in (hub, *map(made.pod, pods)):
            _ip("netns", "add", space)
            namespaces.callback(_ip, "netns", "del", space)
        _ip("-n", hub, "link", "add", "bridge", "type", "bridge")
        _ip("-n", hub, "link", "set", "bridge", "up")
        for number, name in enumerate(pods, 1):
            space, made.addresses[name] = made.pod(name), f"10.0.0.{number}"
            _ip("-n", hub, "link", "add", f"port{number}", "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("-n", hub, "link", "set", f"port{number}", "master", "bridge", "up")
            _ip("-n", space, "address", "add", f"{made.addresses[name]}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                _ip("-n", space, "link", "set", device, "up")
        yield made


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def free(folder: Path) -> None:
    """Let every user write a folder and what is in it."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)


def answers(pod: str, port: int, host: str = "localhost") -> bool:
    """Does somebody listen there, seen from a pod?"""
    knock = f"import socket; socket.create_connection(({host!r}, {port}), timeout=2)"
    line = ["ip", "netns", "exec", pod, sys.executable, "-c", knock]
    return subprocess.run(line, capture_output=True, check=False).returncode == 0


def inside(process: "subprocess.Popen[bytes]") -> list[int]:
    """The process that is number 1 in the container that a process runs; none where it has not come so far."""
    return [int(word) for word in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def end(process: "subprocess.Popen[bytes]") -> None:
    """Kill a container, if it runs still."""
    if process.poll() is None:
        for first in inside(process):
            os.kill(first, signal.SIGKILL)
        process.kill()
        process.wait()


@contextmanager
def mounted(variables: Mapping[str, str], *images: str) -> Iterator[dict[str, Image]]:
    """Images of buildah's storage, by their names, with their files. variables: buildah's environment."""

    def buildah(*words: str) -> str:
        line = ["buildah", *words]
        return subprocess.run(line, capture_output=True, text=True, check=True, env=variables).stdout.strip()

    with ExitStack() as containers:
        found = {}
        for name in images:
            container = buildah("from", "--pull-never", f"localhost/{name}")
            containers.callback(buildah, "rm", container)
            config = json.loads(buildah("inspect", "--type", "image", f"localhost/{name}"))["Docker"]["config"]
            found[name] = image = Image(Path(buildah("mount", container)), config)
            (image.root / "etc" / "hosts").write_text("127.0.0.1 localhost\n")  # as every engine does
        yield found
