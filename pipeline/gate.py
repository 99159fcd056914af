"""The image gate: pictures of strangers are decoded in a helper process that may hang, burst or crash.

Each process that meets pictures has one helper (`pipeline.gate_helper`), started with its first picture. Its address
space is limited; one that takes too long is killed. Whatever happens to it costs one picture, and the next one finds a
new helper.
"""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.gate_helper import CRASH, LENGTH, MEMORY
from pipeline.images import StoredImage, refuse_size
from pipeline.rules import ImageRules
from schemas.errors import ImageFault, M3hError

TIMEOUT = "image_gate_timeout"

BYTES_A_PIXEL = 24
"""Of the helper: coefficients of a progressive JPEG with four channels (8), pixels, RGB, turned RGB (12), the rest."""

COPIES = 3
"""Of a picture's bytes: as received, as read by the decoder, and one to spare."""

SPARE_BYTES = 128 * 2**20
"""What the helper may map beyond what it has mapped when ready, and beyond what one picture needs."""

_START_SECONDS = 120.0
_LONGEST_ANSWER = 1 << 16


def memory_for(rules: ImageRules) -> int:
    """Bytes a helper may map while it looks at a picture: enough for any that keeps within the rules."""
    return BYTES_A_PIXEL * rules.max_pixels + COPIES * rules.max_bytes + SPARE_BYTES


class Gate:
    """Looks at pictures, one at a time, for any number of threads. memory: bytes, `memory_for(rules)` if not given."""

    def __init__(self, rules: ImageRules, memory: int | None = None) -> None:
        self._rules = rules
        self._options = {
            "max_pixels": rules.max_pixels,
            "allow_grey": rules.allow_grey,
            "memory": memory or memory_for(rules),
        }
        self._lock = threading.Lock()
        self._helper: _Helper | None = None

    def __enter__(self) -> "Gate":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the helper. The gate can be used again, with a new one."""
        with self._lock:
            self._stop()

    def inspect(self, data: bytes) -> StoredImage:
        """What the store may know of the picture in `data`. ImageFault where the picture may not be kept."""
        refuse_size(len(data), self._rules.max_bytes)
        with self._lock:
            try:
                answer = self._ask(data)
            except _HelperDiedError:  # perhaps by a hand that meant no picture: what dies twice is to blame
                try:
                    answer = self._ask(data)
                except _HelperDiedError as error:
                    raise ImageFault(CRASH, str(error)) from error
        if "reason" in answer:
            raise ImageFault(answer["reason"], answer["detail"])
        return StoredImage(hashlib.sha256(data).hexdigest(), len(data), **answer)

    def _ask(self, data: bytes) -> Mapping[str, Any]:
        if self._helper is None or not self._helper.alive:
            self._stop()
            self._helper = _Helper(self._options)
        try:
            answer = self._helper.ask(data, self._rules.timeout_seconds)
        except TimeoutError as error:
            self._stop()
            raise ImageFault(TIMEOUT, f"{self._rules.timeout_seconds:g} s") from error
        except BaseException:  # such as Ctrl-C: an answer that is still to come would be taken for the next picture's
            self._stop()
            raise
        if answer.get("reason") == MEMORY:
            self._stop()
        return answer

    def _stop(self) -> None:
        if self._helper is not None:
            self._helper.kill()
            self._helper = None


@lru_cache(maxsize=1)
def gate_of(rules: ImageRules) -> Gate:
    """This process's gate."""
    return Gate(rules)


class _HelperDiedError(Exception):
    """The helper went away before it answered; the message says how."""


class _Helper:
    """A helper process, seen from the process it serves."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._socket, theirs = socket.socketpair()
        started: Future[subprocess.Popen[bytes]] = Future()
        threading.Thread(target=self._attend, args=(theirs, options, started), daemon=True, name="image gate").start()
        self._process = started.result()
        try:
            self._receive(time.monotonic() + _START_SECONDS)
        except (TimeoutError, _HelperDiedError) as error:
            self.kill()
            raise M3hError(f"the image gate's helper process does not start: {error or 'no sign of life'}.") from error

    @staticmethod
    def _attend(theirs: socket.socket, options: Mapping[str, Any], started: "Future[subprocess.Popen[bytes]]") -> None:
        """Start the helper and wait for its end, in a thread for that alone: a helper dies with the thread it is of."""
        try:
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, "-W", "ignore", "-m", "pipeline.gate_helper",
                     json.dumps({"descriptor": theirs.fileno(), **options})],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,  # which may belong to --json
                    start_new_session=True,  # Ctrl-C is its parent's to answer
                    cwd=Path(__file__).parent.parent,
                    env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                )  # fmt: skip
        except BaseException as error:
            started.set_exception(error)
            return
        started.set_result(process)
        process.wait()

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def ask(self, data: bytes, seconds: float) -> Mapping[str, Any]:
        """The helper's answer: fields of an Appearance, or a reason and a detail. TimeoutError, _HelperDiedError."""
        deadline = time.monotonic() + seconds
        try:
            self._socket.settimeout(seconds)
            self._socket.sendall(LENGTH.pack(len(data)))
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise self._death() from error
        return json.loads(self._receive(deadline))

    def _receive(self, deadline: float) -> bytes:
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size, deadline))
        if length > _LONGEST_ANSWER:
            raise _HelperDiedError(f"an answer of {length} bytes")
        return self._exactly(length, deadline)

    def _exactly(self, length: int, deadline: float) -> bytes:
        found = b""
        while len(found) < length:
            self._socket.settimeout(max(1e-3, deadline - time.monotonic()))
            try:
                more = self._socket.recv(length - len(found))
            except ConnectionResetError as error:
                raise self._death() from error
            if not more:
                raise self._death()
            found += more
        return found

    def _death(self) -> _HelperDiedError:
        code = self._process.wait()
        return _HelperDiedError(f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}")

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()
        self._socket.close()
