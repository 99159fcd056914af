"""A lock has one holder at a time, and a dead one does not keep it."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from schemas.errors import UsageError
from schemas.lock import alone
from tests.commands import environment


def test_the_second_is_refused_and_comes_in_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "lock"
    with alone(path, "busy"), pytest.raises(UsageError, match="busy"), alone(path, "busy"):
        pass
    assert not path.exists()
    with alone(path, "busy"):
        assert path.exists()


def test_of_many_that_come_and_go_never_two_are_inside(tmp_path: Path) -> None:
    path, inside, entered = tmp_path / "folder" / "lock", [], []

    def come_and_go(me: int) -> None:
        for _ in range(200):
            try:
                with alone(path, "busy"):
                    inside.append(me)
                    assert inside == [me]
                    inside.clear()
                    entered.append(me)
            except UsageError:
                continue

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, range(4)))
    assert entered


def test_a_killed_holder_does_not_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = "import pathlib, sys, time\nfrom schemas.lock import alone\n"
    code += "with alone(pathlib.Path(sys.argv[1]), ''):\n    print('held', flush=True)\n    time.sleep(600)"
    holder = subprocess.Popen([sys.executable, "-c", code, path], env=environment(), stdout=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(UsageError, match="busy"), alone(path, "busy"):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert path.exists()
    with alone(path, "busy"):
        pass
