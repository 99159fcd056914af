"""What a runner made of an exception of ours is one line again."""

import traceback

import pytest

from m3h.pipeline.runtime.runner_errors import stage_fault
from m3h.schemas.errors import IntegrityError, M3hError, MachineError, UsageError


def in_a_runners_words(error: Exception) -> RuntimeError:
    """The text of a worker's traceback, as the embedded runner raises it."""
    lines = ["Traceback (most recent call last):\n", '  File "a.py", line 1, in process\n']
    lines += traceback.format_exception_only(error)
    return RuntimeError("".join(lines))


@pytest.mark.parametrize("kind", [UsageError, IntegrityError, MachineError, M3hError])
def test_an_error_of_ours_is_recognised_in_a_workers_traceback(kind: type[M3hError]) -> None:
    found = stage_fault(in_a_runners_words(kind("weights lost.pth: no such file. [while running 'extract']")))
    assert type(found) is kind
    assert str(found) == "weights lost.pth: no such file."


def test_a_full_disk_is_the_machines_fault() -> None:
    found = stage_fault(in_a_runners_words(OSError(28, "No space left on device", "/data/x")))
    assert isinstance(found, MachineError)
    assert "/data/x" in str(found)


def test_any_other_exception_keeps_its_traceback() -> None:
    assert stage_fault(in_a_runners_words(ZeroDivisionError("division by zero"))) is None
    assert stage_fault(KeyError("x")) is None
    assert stage_fault(RuntimeError("Traceback\nother.schemas.errors.UsageError: a bug")) is None
