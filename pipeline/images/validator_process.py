"""The validator's helper process: decodes pictures, and says in JSON what they are or why they may not be kept."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from m3h.pipeline.images.jpeg import examine
from m3h.pipeline.runtime.lifetime import die_with_parent
from m3h.pipeline.runtime.subprocess_helper import serve
from m3h.schemas.errors import ImageFault

MEMORY, CRASH = "image_decoder_memory", "image_decoder_crash"


def main(options: Mapping[str, Any]) -> None:
    """The helper: answer for every picture that arrives, until the other end is closed."""
    die_with_parent()
    _warm_up()
    _limit_memory(options["memory"])

    def answer(picture: bytes) -> bytes:
        return json.dumps(_answer(picture, options["max_pixels"], options["allow_grey"])).encode()

    serve(options["descriptor"], answer)


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
