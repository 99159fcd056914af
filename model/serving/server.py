"""Runs the application on a socket of this machine."""

import contextlib
import functools
import socket

from m3h.model.api import Predictor
from m3h.model.serving.answers import answer
from m3h.model.serving.app import application
from m3h.schemas.errors import UsageError

BACKLOG = 1024
"""Connections that the system keeps until they are taken."""


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: an address of this machine.
        port: 0 takes a free one.

    Raises:
        UsageError: the port cannot be had.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise UsageError(f"--port {port}: {error.strerror}. Name another, or 0 for a free one.") from error
    return listening


def serve_until_interrupted(predictor: Predictor, run: str, listening: socket.socket) -> None:
    """Answer requests until Ctrl-C or SIGTERM.

    Args:
        predictor: answers; its reader is loaded already.
        run: its name.
        listening: where requests come in.
    """
    import uvicorn

    app = application(functools.partial(answer, predictor), run)
    # What is no HTTP is answered with 400; a warning each would fill the terminal.
    quiet = {"access_log": False, "log_config": None, "log_level": "error", "server_header": False}
    plain = {"http": "h11", "ws": "none", "lifespan": "off"}
    config = uvicorn.Config(app, **plain, **quiet, backlog=BACKLOG, timeout_graceful_shutdown=5)  # type: ignore[arg-type]
    try:
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        predictor.reader.close()
