"""The gate's helper process: reads pictures, decodes them, and says what they are or why they may not be kept.

It talks over a socket: a length (4 bytes, big endian) and so many bytes, a picture one way and JSON the other.
"""

import json
import socket
import struct
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.images import examine
from pipeline.worker import die_with_parent
from schemas.errors import ImageFault

MEMORY, CRASH = "image_gate_memory", "image_gate_crash"

LENGTH = struct.Struct(">I")


def main(options: Mapping[str, Any]) -> None:
    """The helper: answer for every picture that arrives, until there is nobody to answer."""
    die_with_parent()
    with socket.socket(fileno=options["descriptor"]) as connection, connection.makefile("rwb") as stream:
        _warm_up()
        _limit_memory(options["memory"])
        _send(stream, b"")  # ready
        while header := stream.read(LENGTH.size):
            data = stream.read(*LENGTH.unpack(header))
            answer = _answer(data, options["max_pixels"], options["allow_grey"])
            del data
            _send(stream, json.dumps(answer).encode())


def _send(stream: Any, message: bytes) -> None:
    stream.write(LENGTH.pack(len(message)) + message)
    stream.flush()


def _answer(data: bytes, max_pixels: int, allow_grey: bool) -> dict[str, Any]:
    try:
        return asdict(examine(data, max_pixels, allow_grey))
    except ImageFault as fault:
        return {"reason": fault.reason, "detail": fault.detail}
    except MemoryError:
        return {"reason": MEMORY, "detail": "more than a picture within image.max_pixels needs"}
    except Exception as error:  # whatever a decoder answers hostile bytes with, it is that picture's fault
        return {"reason": CRASH, "detail": type(error).__name__}


def _warm_up() -> None:
    """Load everything a picture needs, so that the first one takes no longer than the others."""
    import io

    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 30)).save(buffer, "JPEG", exif=exif)
    examine(buffer.getvalue(), 256, allow_grey=True)


def _limit_memory(spare: int) -> None:
    """Let this process map `spare` bytes more than it has mapped now. Only Linux enforces it."""
    import resource

    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + spare
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
