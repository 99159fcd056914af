"""The loop of a helper process, without the process."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from m3h.pipeline.runtime.subprocess_helper import LENGTH, serve


@pytest.mark.parametrize("reads_the_answer", [True, False])
def test_a_helper_ends_without_a_word_when_nobody_asks_any_more(reads_the_answer: bool) -> None:
    """A process that is killed leaves answers unread, which resets the connection."""
    ours, helpers = socket.socketpair()
    with ThreadPoolExecutor() as threads:
        ending = threads.submit(serve, helpers.detach(), lambda question: question + question)
        with ours, ours.makefile("rwb", buffering=0) as stream:
            assert stream.read(LENGTH.size) == LENGTH.pack(0)  # it is ready
            stream.write(LENGTH.pack(2) + b"ab")
            if reads_the_answer:
                assert stream.read(LENGTH.size) == LENGTH.pack(4)
                assert stream.read(4) == b"abab"
            else:
                while len(ours.recv(LENGTH.size + 4, socket.MSG_PEEK)) < LENGTH.size + 4:
                    pass
        assert ending.result(timeout=30) is None
