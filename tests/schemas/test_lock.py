"""A lock has one holder at a time, and a dead one does not keep it."""

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from m3h.schemas.errors import IntegrityError, MachineError, UsageError
from m3h.schemas.lock import alone
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
    code = "import pathlib, sys, time\nfrom m3h.schemas.lock import alone\n"
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


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    said = r"has no locks \(.*Choose a folder on a local disk"
    with pytest.raises(MachineError, match=said), alone(tmp_path / "lock", "busy"):
        pytest.fail("came in without a lock")


@pytest.mark.parametrize(
    "gone", ["removed", "renamed, as NFS does with a file that is open", "removed with its folder"]
)
def test_a_file_that_goes_between_opening_and_locking_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    path, locked, flock = tmp_path / "folder" / "lock", [], fcntl.flock

    def flock_of_a_file_that_goes(descriptor: int, how: int) -> None:
        if not locked:
            if gone == "removed":
                path.unlink()
            elif gone == "removed with its folder":
                shutil.rmtree(path.parent)
            else:
                path.rename(path.with_name(".nfs0001"))
        locked.append(descriptor)
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock_of_a_file_that_goes)
    with alone(path, "busy"):
        assert len(locked) == 2
        assert path.is_file()
        with pytest.raises(UsageError, match="busy"), alone(path, "busy"):
            pass


def test_a_link_in_the_locks_place_is_refused_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    other, path = tmp_path / "other", tmp_path / "lock"
    other.write_text("kept")
    path.symlink_to(other)
    with pytest.raises(IntegrityError, match="found a link"), alone(path, "busy"):
        pass
    assert other.read_text() == "kept"


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    lowest = _lowest_free_descriptor()
    for _ in range(3):
        with alone(tmp_path / "lock", "busy"), pytest.raises(UsageError), alone(tmp_path / "lock", "busy"):
            pass
    assert _lowest_free_descriptor() == lowest


def _lowest_free_descriptor() -> int:
    """The system hands out the lowest number that is free."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor
