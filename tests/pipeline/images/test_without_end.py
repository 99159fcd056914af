"""A picture that lacks only its end marker is whole; one that lacks pixels is not, by as little as it may be."""

import io
from pathlib import Path

import pytest
from PIL import Image

from m3h.pipeline.images.jpeg import decode, examine
from m3h.schemas.errors import ImageFault
from tests.pipeline.corpus import coloured, saved

END = b"\xff\xd9"


def reason(data: bytes) -> str:
    try:
        examine(data, 10**6, False)
    except ImageFault as fault:
        return fault.reason
    return ""


def pixels_of(data: bytes) -> bytes:
    return Image.open(io.BytesIO(data)).convert("RGB").tobytes()


def only_whole_ones_are_kept(data: bytes, folder: Path) -> list[int]:
    """Cut by 1 to 59 bytes: those cuts that are kept, each of which looks as the whole picture."""
    kept, path = [], folder / "a.jpg"
    for missing in range(1, 60):
        path.write_bytes(data[:-missing])
        if not reason(data[:-missing]):
            assert decode(path).tobytes() == pixels_of(data), missing
            kept.append(missing)
    return kept


@pytest.mark.parametrize("options", [{}, {"quality": 95, "subsampling": 0}, {"optimize": True}], ids=str)
@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_a_picture_without_its_end_or_half_of_it_is_kept_and_none_that_lacks_a_pixel(
    tmp_path: Path, options: dict[str, object], mode: str
) -> None:
    data = saved(coloured(mode), **options)
    assert data.endswith(END)
    assert only_whole_ones_are_kept(data, tmp_path) in ([1, 2], [1, 2, 3])  # a last byte may be there to fill up


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_of_a_picture_with_restarts_none_is_kept_that_lacks_a_pixel(tmp_path: Path, mode: str) -> None:
    """Whole runs may be missing, which nothing behind the last one would show."""
    kept = only_whole_ones_are_kept(saved(coloured(mode), restart_marker_blocks=2), tmp_path)
    assert set(kept) <= {1, 2, 3}


def test_a_progressive_picture_may_lack_its_last_scans_and_is_truncated() -> None:
    assert reason(saved(coloured(), progressive=True)[:-2]) == "image_truncated"


def test_a_picture_that_lacks_the_scans_of_a_channel_is_truncated() -> None:
    """The header of the scan says that it holds one channel of three."""
    data = bytearray(saved(coloured())[:-2])
    scan = data.index(b"\xff\xda")
    data[scan + 2 : scan + 5] = b"\x00\x08\x01"
    assert reason(bytes(data)) in ("image_truncated", "image_broken")
