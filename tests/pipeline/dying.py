"""A command killed with SIGKILL before its n-th change of the file system, for many n, and then called again.

A program of its own, because it forks: nothing here reads a table before the fork.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from m3h.pipeline.checks.verify import verify
from m3h.pipeline.records.forget import forget
from m3h.pipeline.versions.compact import compact
from m3h.pipeline.versions.history import collect_garbage
from tests.commands import files_of

CHANGES = ("replace", "unlink", "rmdir")
OWNERS: tuple[object, ...] = (os,) if sys.version_info >= (3, 11) else (os, Path)
"""Whose functions change the file system: before 3.11, pathlib keeps references of its own to those of os."""


def in_child(work: Callable[[], None]) -> int:
    """The wait status of a forked process that does `work`."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            sys.stderr.write(f"{error!r}\n")
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def die_before(number: int) -> None:
    """From now on, the number-th change of the file system never happens, and nothing after it."""
    left = [number]

    def dying(change: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*args, **kwargs)

        return counted

    for owner, name in product(OWNERS, CHANGES):
        setattr(owner, name, dying(getattr(owner, name)))


def what_matters(folder: Path, command: str) -> dict[str, bytes]:
    """All; of `forget` not the salted list, nor the manifest that hashes it: the salt is drawn anew."""
    own = ("forgotten.json", "manifest.json", "manifest.sha256") if command == "forget" else ()
    return {name: data for name, data in files_of(folder).items() if name not in own}


COMMANDS: dict[str, Callable[[Path, Sequence[str]], object]] = {
    "forget": forget,
    "gc": lambda dataset, _: collect_garbage(dataset),
    "compact": compact,
}
ALWAYS_WHOLE = ("gc",)
"""Commands that leave a whole dataset wherever they are killed, before they are called again."""


def main(name: str, dataset: Path, step: int, words: Sequence[str]) -> dict[str, Any]:
    """How often it was killed, and the numbers after which the dataset was not as it should be."""
    command = COMMANDS[name]
    copy = dataset.parent / "copy"

    def fresh() -> None:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(dataset, copy)

    def whole_again() -> None:
        done = command(copy, words)
        assert not getattr(done, "traces", ())
        is_whole()

    def is_whole() -> None:
        assert verify(copy).ok

    fresh()
    assert in_child(whole_again) == 0
    expected = what_matters(copy, name)
    number, killed, wrong = 0, 0, []
    while True:
        fresh()

        def dies(number: int = number) -> None:
            die_before(number)
            command(copy, words)

        status = in_child(dies)
        if status == 0:
            return {"killed": killed, "wrong": wrong}
        killed += os.WTERMSIG(status) == signal.SIGKILL
        whole = name not in ALWAYS_WHOLE or in_child(is_whole) == 0
        if not whole or in_child(whole_again) != 0 or what_matters(copy, name) != expected:
            wrong.append(number)
        number += step


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])) + "\n")
