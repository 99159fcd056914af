"""What a Beam stage raised, as the user is to hear it.

A runner turns the exceptions of its workers into texts with tracebacks, and logs them, up to three times. An error that
we raise on purpose, or a fault of the machine, is one line all the same.
"""

import logging
import re

from m3h.schemas import errors
from m3h.schemas.errors import M3hError, MachineError
from m3h.schemas.machine import fault_message, number_of, place_of

_OURS = re.compile(rf"^(?:\w+: )?{re.escape(errors.__name__)}\.(\w+): (.+)$", re.MULTILINE)
_SYSTEM = re.compile(r"^(?:RuntimeError: )?\w*Error: (\[Errno \d+\] .*)$", re.MULTILINE)
_WHERE = re.compile(r"(?: \[while running '.*?'\])+$")

_REPEATING = (
    "apache_beam.runners.common",
    "apache_beam.runners.worker.sdk_worker",
    "apache_beam.runners.worker.bundle_processor",
    "apache_beam.runners.portability.local_job_service",
    "apache_beam.runners.portability.fn_api_runner",
)
"""Loggers that repeat, with tracebacks, what is raised anyway."""


def silence_repetitions() -> None:
    """For this process."""
    for name in _REPEATING:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def stage_fault(error: Exception) -> M3hError | None:
    """The error of ours, or the machine's fault, that an exception of a runner tells of; None for any other."""
    if isinstance(error, M3hError) and _WHERE.search(str(error)):
        return _again(type(error).__name__, str(error))
    if not isinstance(error, RuntimeError):
        return None
    text = str(error)
    if ours := _OURS.findall(text):
        return _again(*ours[-1])
    system = _SYSTEM.findall(text) or [text]
    number = number_of(system[-1]) if system[-1].startswith("[Errno") else 0
    return MachineError(fault_message(number, place_of(system[-1]))) if number else None


def _again(name: str, message: str) -> M3hError:
    """An error of ours by its class's name, without the stage that Beam adds."""
    kind = getattr(errors, name, M3hError)
    return (kind if issubclass(kind, M3hError) else M3hError)(_WHERE.sub("", message))
