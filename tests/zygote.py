"""`python -m tests.zygote pipeline|model`: a process that has loaded a program, and forks a child for every command.

A question a line on standard input, in JSON: `words` of the command line, `environment` for it, a file for what it
prints, `limits`. The answer is its wait status. Each child leads a process group of its own, as a shell's job does.
"""

import importlib
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

PROGRAMS = {
    "pipeline": (
        "m3h.pipeline.cli",
        "m3h.pipeline.build.build",
        "m3h.pipeline.versions.refresh",
        "m3h.pipeline.checks.repair",
        "m3h.pipeline.build.retry",
    ),
    "model": ("m3h.model.cli", "m3h.model.runs.experiment"),
}
"""The module with `main`, and what else is to be loaded once."""


def main(program: str) -> None:
    """Answer until nobody asks."""
    modules = [importlib.import_module(name) for name in PROGRAMS[program]]
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(run(modules[0], **asked))
        sys.stdout.write(f"{os.waitpid(child, 0)[1]}\n")
        sys.stdout.flush()


def run(program: Any, words: list[str], environment: dict[str, str], printed: str, limits: dict[str, int]) -> int:
    """In the child: the command, from its beginning. limits: of `resource`, of open files beyond those open now."""
    os.setsid()
    os.environ.update(environment)
    descriptor = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)
    importlib.import_module("tests.mortal.sitecustomize")
    for name, value in limits.items():
        open_now = max(int(path.name) for path in Path("/proc/self/fd").iterdir()) if name == "RLIMIT_NOFILE" else 0
        most = value + open_now
        resource.setrlimit(getattr(resource, name), (most, most))
    try:
        return int(program.main(words))
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 99
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    main(sys.argv[1])
