"""A run that is served by a process of its own, and a picture to ask it about."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.commands import ROOT, command, environment
from tests.model.serving.test_app import answered, head


@dataclass(frozen=True)
class Served:
    process: subprocess.Popen[bytes]
    url: str

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", int(self.url.rpartition(":")[2])

    def peak(self) -> int:
        """MiB, the largest part of the memory that the process has had."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text())
        assert found is not None
        return int(found[1]) >> 10

    def files(self) -> int:
        """How many files and connections it has open."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())

    def ask(self, **fields: Any) -> tuple[int, dict[str, Any]]:
        body = json.dumps(fields).encode()
        status, said = answered(self.address, head(len(body)), body)
        return status, json.loads(said)


@contextmanager
def serving(run: Path, log: Path) -> Iterator[Served]:
    """Ended as a user ends it: by Ctrl-C, which is no fault."""
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command("m3h", "serve", run, "--port", 0, "--json"), env=environment(), cwd=ROOT,
            stdout=subprocess.PIPE, stderr=errors,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            yield Served(process, json.loads(process.stdout.readline())["address"])
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
