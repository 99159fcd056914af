"""The embedded runner's shuffles on disk. Beam's own hold all records in the memory of the process that was started.

Beam 2.77 keeps what a stage has written in lists and, for a GroupByKey, in a dictionary of Python objects. It encodes
each worker's share anew before it sends it, all of it as one message, which the worker holds whole. A message of 2 GB
is an error. So the memory of every process grows with the number of posts.

Here what is larger than `KEPT` goes to a temporary file (in $TMPDIR, without a name, so that nothing is left behind).
A GroupByKey divides it by the keys' hashes, and groups one division after the other. Each is sent as it is read, while
the worker works, and queues between the processes are short. What is smaller is left to Beam's own code, which also
groups and encodes each division: the data are the same, in another order.
"""

import functools
import itertools
import os
import tempfile
import threading
import weakref
import zlib
from array import array
from collections.abc import Iterable, Iterator
from typing import Any

from apache_beam.coders import coder_impl as coders
from apache_beam.runners.portability.fn_api_runner import execution, fn_runner, worker_handlers
from apache_beam.runners.portability.fn_api_runner.execution import GroupingBuffer, ListBuffer
from apache_beam.runners.worker import data_plane

from m3h.schemas.errors import MachineError
from m3h.schemas.machine import fault_message, number_of

KEPT = 8 << 20
"""Bytes of one collection that stay in memory, and that are gathered before they are written to the file."""

_DIVISIONS = 1024
"""Of a GroupByKey's keys: a shuffle of 10 GB is grouped in steps of 10 MB."""

_QUEUED = 16 << 20
"""Bytes that wait between two processes, at either end; 100 MB of Beam's own."""


class _File:
    """A file without a name that grows. It is gone with the last one who reads it."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="m3h-shuffle-", buffering=0)  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._size = 0

    def write(self, data: bytes) -> "_Piece":
        """Append.

        Raises:
            MachineError: The file cannot be written.
        """
        try:
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            if number := number_of(error):
                raise MachineError(fault_message(number, f"{tempfile.gettempdir()} ($TMPDIR)")) from error
            raise
        piece = _Piece(self, self._size, len(data))
        self._size += len(data)
        return piece

    def read(self, start: int, size: int) -> bytes:
        """What was written there. Any number of threads may read."""
        return os.pread(self._file.fileno(), size, start)


class _Piece:
    """Some bytes of a file."""

    __slots__ = ("_file", "place")

    def __init__(self, file: _File, start: int, size: int) -> None:
        self._file, self.place = file, (start, size)

    def read(self) -> bytes:
        """All of them."""
        return b"".join(self._read())

    def _read(self) -> Iterator[bytes]:  # the system reads at most 2 GB at once
        start, end = self.place[0], sum(self.place)
        while start < end:
            data = self._file.read(start, end - start)
            if not data:
                raise MachineError(f"{tempfile.gettempdir()}: a temporary file lost {end - start} bytes. Build again.")
            start += len(data)
            yield data


class _Share:
    """What one worker gets, read when it is asked for."""

    def __init__(self, streams: Iterable[Any]) -> None:
        self._streams = streams

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._streams)


class _Pieces:
    """Bytes or pieces, all as bytes; can be read again."""

    def __init__(self, pieces: list[Any]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return (piece.read() if isinstance(piece, _Piece) else piece for piece in self._pieces)


class DiskList(ListBuffer):
    """What a stage wrote for the next one."""

    def __init__(self, coder_impl: coders.CoderImpl | None) -> None:
        super().__init__(coder_impl)
        self._inputs: list[Any] = []
        self._file: _File | None = None
        self._in_memory = 0

    def copy(self) -> "DiskList":
        """For another stage that reads it. The bytes on disk are shared."""
        new = DiskList(self._coder_impl)
        new._inputs = list(self._inputs)
        new._in_memory = self._in_memory
        return new

    def append(self, element: bytes) -> None:
        """As Beam's. What is beyond `KEPT` goes to the file."""
        super().append(element)
        self._in_memory += len(element)
        if self._in_memory > KEPT:
            file = self._file = self._file or _File()
            self._inputs = [one if isinstance(one, _Piece) else file.write(one) for one in self._inputs]
            self._in_memory = 0

    def extend(self, extra: Any) -> None:
        """As Beam's."""
        super().extend(extra)
        self._in_memory += extra._in_memory

    def partition(self, n: int) -> list[Any]:
        """A share for each of `n` workers, of as many messages."""
        if len(self._inputs) >= n and not self.cleared:
            return [_Share(_Pieces(self._inputs[k::n])) for k in range(n)]
        self._inputs = list(_Pieces(self._inputs))  # a single message
        return list(super().partition(n))

    def __iter__(self) -> Iterator[bytes]:
        return super().__iter__() if self.cleared else iter(_Pieces(self._inputs))  # Beam's raises

    def clear(self) -> None:
        """As Beam's."""
        super().clear()
        self._file, self._in_memory = None, 0


class DiskGroups(GroupingBuffer):
    """What a stage wrote for a GroupByKey."""

    def __init__(self, pre_grouped_coder: Any, post_grouped_coder: Any, windowing: Any) -> None:
        super().__init__(pre_grouped_coder, post_grouped_coder, windowing)
        self._as_written: list[bytes] = []
        self._in_memory = 0
        self._file: _File | None = None
        self._waiting: list[bytearray] = []
        self._divisions: list[array[int]] = []  # starts and sizes in the file: there may be a million pieces

    def append(self, elements_data: bytes) -> None:
        """Keep what a worker sent, as long as it is little; else divide it."""
        self._in_memory += len(elements_data)
        if self._file is None and self._in_memory <= KEPT:
            self._as_written.append(elements_data)
            return
        if self._file is None:
            self._file = _File()
            self._waiting = [bytearray() for _ in range(_DIVISIONS)]
            self._divisions = [array("Q") for _ in range(_DIVISIONS)]
        for data in (*self._as_written, elements_data):
            self._divide(data)
        self._as_written.clear()
        if self._in_memory > KEPT:
            self._write_waiting()

    def extend(self, input_buffer: Any) -> None:
        """Take over what another stage wrote for the same GroupByKey."""
        if isinstance(input_buffer, DiskGroups):
            for data in input_buffer._all_written():
                self.append(data)

    def partition(self, n: int) -> list[Any]:
        """A share of the groups for each of `n` workers. Divisions go, the largest first, to who has least."""
        if self._file is None:
            return self._grouped(self._as_written).partition(n)
        self._write_waiting()
        sizes = [sum(pieces[1::2]) for pieces in self._divisions]
        shares: list[list[int]] = [[] for _ in range(n)]
        loads = [0] * n
        for division in sorted(range(_DIVISIONS), key=lambda one: -sizes[one]):
            worker = loads.index(min(loads))
            shares[worker].append(division)
            loads[worker] += sizes[division]
        return [_Share(_Groups(self, share)) for share in shares]

    def groups_of(self, division: int) -> Iterable[bytes]:
        """The groups of a division, encoded."""
        if not self._divisions[division]:
            return ()
        (encoded,) = self._grouped(_Pieces(self._pieces_of(division))).partition(1)
        return list(encoded)

    def _pieces_of(self, division: int) -> list[_Piece]:
        places = self._divisions[division]
        return [_Piece(self._file, *place) for place in zip(places[::2], places[1::2], strict=True) if self._file]

    def _grouped(self, written: Iterable[bytes]) -> Any:
        """Beam's own buffer of some of the data."""
        buffer = GroupingBuffer(self._pre_grouped_coder, self._post_grouped_coder, self._windowing)
        for data in written:
            buffer.append(data)
        return buffer

    def _divide(self, data: bytes) -> None:
        """Each record, as it is, to the division of its key."""
        decode, encode_key = self._pre_grouped_coder.get_impl().decode_from_stream, self._key_coder.get_impl().encode
        stream, size, start = coders.create_InputStream(data), len(data), 0  # type: ignore[attr-defined]
        while start < size:
            key, _ = decode(stream, True).value
            end = size - stream.size()
            self._waiting[zlib.crc32(encode_key(key)) % _DIVISIONS] += data[start:end]
            start = end

    def _write_waiting(self) -> None:
        for waiting, division in zip(self._waiting, self._divisions, strict=True):
            if waiting and self._file is not None:
                division.extend(self._file.write(bytes(waiting)).place)
        self._waiting = [bytearray() for _ in range(_DIVISIONS)]
        self._in_memory = 0

    def _all_written(self) -> Iterator[bytes]:
        pieces = [piece for division in range(len(self._divisions)) for piece in self._pieces_of(division)]
        return itertools.chain(self._as_written, map(bytes, self._waiting), _Pieces(pieces))


class _Groups:
    """The groups of some divisions; can be read again."""

    def __init__(self, buffer: DiskGroups, divisions: list[int]) -> None:
        self._buffer, self._divisions = buffer, divisions

    def __iter__(self) -> Iterator[bytes]:
        return itertools.chain.from_iterable(map(self._buffer.groups_of, self._divisions))


class _Bundle:
    """What is sent to one worker for one stage. over: whether it needs no more of it. fault: why not all was sent."""

    def __init__(self) -> None:
        self.over = False
        self.fault: Exception | None = None

    def send(self, stream: Any, share: _Share) -> None:
        """Send a share piece by piece. The stream is always closed: a worker would wait forever for its end."""
        try:
            for data in itertools.takewhile(lambda _: not self.over, share):
                stream.write(data)
                stream.flush()
        except Exception as error:  # raised by `process_bundle`: this is a thread of its own
            self.fault = error
        finally:
            stream.close()


def send_input(manager: Any, bundle: str, transform: str, streams: Any) -> None:
    """In the place of `BundleManager._send_input_to_worker`: a share goes piece by piece, while the worker works.

    The worker's queue is short, and its work begins only after this call. So another thread waits for room in it.
    """
    channel = manager._worker_handler.data_conn
    stream = channel.output_stream(bundle, transform)
    if isinstance(streams, _Share) and isinstance(channel, data_plane._GrpcDataChannel):
        threading.Thread(target=manager.m3h_bundle.send, args=(stream, streams), daemon=True, name="send_share").start()
        return
    for data in streams or ():
        stream.write(data)
    stream.close()


_process_bundle = fn_runner.BundleManager.process_bundle


def process_bundle(manager: Any, *args: Any, **kwargs: Any) -> Any:
    """In the place of `BundleManager.process_bundle`: a worker that got only a part of its share has done nothing."""
    sent = manager.m3h_bundle = _Bundle()
    try:
        result = _process_bundle(manager, *args, **kwargs)
    finally:
        sent.over = True
    if sent.fault:
        raise sent.fault
    return result


_close = worker_handlers.ControlConnection.close


def close_control(connection: Any) -> None:
    """In the place of `ControlConnection.close`: a worker that connects only now is told to end, too.

    Beam tells only those that have connected, and then waits for all: forever, where a full disk ends a run early.
    """
    if connection._state == worker_handlers.BeamFnControlServicer.UNSTARTED_STATE:
        connection.push(worker_handlers.BeamFnControlServicer._DONE_MARKER)
    _close(connection)


def shorten_queues() -> None:
    """In every process that sends or receives records, before it opens a channel."""
    data_plane._DEFAULT_SEND_QUEUE_MAX_BYTES = _QUEUED


@functools.cache
def install() -> None:
    """Have the embedded runner of this process shuffle by way of the disk."""
    replaced = (
        *((execution, "ListBuffer", DiskList), (fn_runner, "ListBuffer", DiskList)),
        *((execution, "GroupingBuffer", DiskGroups), (fn_runner.BundleManager, "process_bundle", process_bundle)),
        (fn_runner.BundleManager, "_send_input_to_worker", send_input),
        (worker_handlers.ControlConnection, "close", close_control),
    )
    for place, name, ours in replaced:
        setattr(place, name, ours)
