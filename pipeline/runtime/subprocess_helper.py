"""Helper processes: work that may hang, run out of memory or crash is done by a process that can be replaced.

A helper is a module of ours with a `main`, started with its first question and again after its end. It talks over a
socket: a length (4 bytes, big endian) and so many bytes, each way. Nothing that it started outlives it, and it does not
outlive the process it serves.
"""

import json
import os
import signal
import socket
import struct
import subprocess
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from m3h.schemas.errors import M3hError
from m3h.schemas.own_module import module_command

LENGTH = struct.Struct(">I")

_START_SECONDS = 120.0


class HelperDiedError(Exception):
    """The helper went away before it answered; the message says how."""


class Helper:
    """One helper process at a time, for one thread at a time.

    Args:
        name: for error messages.
        module: of ours, whose `main` answers.
        options: what `main` is given, as JSON, beside the `descriptor` of its socket.
        longest: bytes that an answer may have.
    """

    def __init__(self, name: str, module: str, options: Mapping[str, Any], *, longest: int) -> None:
        self._start = lambda: _Process(name, module, options, longest=longest)
        self._process: _Process | None = None

    def ask(self, data: bytes, seconds: float) -> bytes:
        """The answer. TimeoutError, or HelperDiedError where it died twice over it: then the question is to blame."""
        try:
            return self._ask(data, seconds)
        except HelperDiedError:  # perhaps it was killed for another reason than this question
            return self._ask(data, seconds)

    def _ask(self, data: bytes, seconds: float) -> bytes:
        if self._process is None or not self._process.alive:
            self.stop()
            self._process = self._start()
        try:
            return self._process.ask(data, seconds)
        except BaseException:  # Ctrl-C too: an answer that is still to come would be taken for the next question's
            self.stop()
            raise

    def stop(self) -> None:
        """End the process. The next question finds a new one."""
        if self._process is not None:
            self._process.kill()
            self._process = None


class _Process:
    """A helper process, seen from the process it serves."""

    def __init__(self, name: str, module: str, options: Mapping[str, Any], *, longest: int) -> None:
        self._longest = longest
        self._socket, helpers_end = socket.socketpair()
        weakref.finalize(self, self._socket.close).atexit = False  # the helper ends by it when nobody asks any more
        self._ended = threading.Event()
        started: Future[subprocess.Popen[bytes]] = Future()
        answers = {"started": started, "ended": self._ended}
        arguments = (helpers_end, module, options)
        threading.Thread(target=self._attend, args=arguments, kwargs=answers, daemon=True, name=name).start()
        self._process = started.result()
        try:
            self._receive(time.monotonic() + _START_SECONDS)
        except (TimeoutError, HelperDiedError) as error:
            self.kill()
            raise M3hError(f"the {name}'s helper process does not start: {error or 'no sign of life'}.") from error

    @staticmethod  # or the thread would keep this alive, and so its helper, when it is used no more
    def _attend(
        helpers_end: socket.socket,
        module: str,
        options: Mapping[str, Any],
        *,
        started: "Future[subprocess.Popen[bytes]]",
        ended: threading.Event,
    ) -> None:
        """Start the helper and wait for its end, in a thread for that alone: a helper dies with the thread it is of."""
        try:
            with helpers_end:
                process = subprocess.Popen(
                    module_command(
                        module, json.dumps({"descriptor": helpers_end.fileno(), **options}), options=("-W", "ignore")
                    ),
                    pass_fds=[helpers_end.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,  # which may belong to --json
                    start_new_session=True,  # Ctrl-C is its parent's to answer; what it starts is in its group
                    env={**os.environ, "OMP_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1", "OPENBLAS_NUM_THREADS": "1"},
                )  # fmt: skip
        except BaseException as error:
            started.set_exception(error)
            return
        started.set_result(process)
        _end_of_group(process)
        ended.set()

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return not self._ended.is_set()

    def ask(self, data: bytes, seconds: float) -> bytes:
        """The helper's answer. TimeoutError, HelperDiedError."""
        deadline = time.monotonic() + seconds
        try:
            self._socket.settimeout(seconds)
            self._socket.sendall(LENGTH.pack(len(data)))
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise self._death() from error
        return self._receive(deadline)

    def _receive(self, deadline: float) -> bytes:
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size, deadline))
        if length > self._longest:
            raise HelperDiedError(f"an answer of {length} bytes")
        return self._exactly(length, deadline)

    def _exactly(self, length: int, deadline: float) -> bytes:
        found = bytearray()
        while len(found) < length:
            self._socket.settimeout(max(1e-3, deadline - time.monotonic()))
            try:
                more = self._socket.recv(length - len(found))
            except ConnectionResetError as error:
                raise self._death() from error
            if not more:
                raise self._death()
            found += more
        return bytes(found)

    def _death(self) -> HelperDiedError:
        self._ended.wait()
        code = self._process.returncode
        return HelperDiedError(f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}")

    def kill(self) -> None:
        """End it now, and all that it started."""
        self._process.kill()
        self._ended.wait()
        self._socket.close()


def _end_of_group(process: "subprocess.Popen[bytes]") -> None:
    """Wait for a process's end, then end whatever is left of its group."""
    if hasattr(os, "waitid"):
        # While it is not reaped, no other group gets its number.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    else:
        process.wait()
    with suppress(ProcessLookupError, PermissionError):  # nothing is left of it
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def serve(descriptor: int, answer: Callable[[bytes], bytes]) -> None:
    """A helper's own loop: say that it is ready, then answer until the other end is closed. descriptor: its socket."""
    with (
        suppress(ConnectionError),  # a process that is killed closes its end with answers in it that nobody has read
        socket.socket(fileno=descriptor) as connection,
        connection.makefile("rwb") as stream,
    ):
        _send(stream, b"")
        while header := stream.read(LENGTH.size):
            _send(stream, answer(stream.read(*LENGTH.unpack(header))))


def _send(stream: Any, message: bytes) -> None:
    stream.write(LENGTH.pack(len(message)) + message)
    stream.flush()
