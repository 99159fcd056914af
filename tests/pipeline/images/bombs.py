"""JPEGs that are small to send and costly to open."""

import io

from PIL import Image

EOI = b"\xff\xd9"
START_OF_SCAN = b"\xff\xda"


def plain(
    size: tuple[int, int] = (64, 48), progressive: bool = False, colour: tuple[int, int, int] = (220, 30, 30)
) -> bytes:
    """A JPEG of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "JPEG", progressive=progressive)
    return buffer.getvalue()


def many_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG whose last scan, which refines nothing, comes again and again, over the whole picture."""
    data = plain((side, side), progressive=True)
    last = data[data.rindex(START_OF_SCAN) : -len(EOI)]
    return data[: -len(EOI)] + last * scans + EOI


def claiming(data: bytes, width: int, height: int) -> bytes:
    """`data` whose frame header says another size."""
    frame = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    return data[: frame + 5] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + data[frame + 9 :]
