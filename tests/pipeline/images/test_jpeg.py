"""Pictures: judged by their bytes and pixels, seen upright, kept once."""

import contextlib
import hashlib
import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from m3h.pipeline.cleaning.local_features import local_features
from m3h.pipeline.images.jpeg import Appearance, decode, examine, is_turned, perceptual_hash, refuse_size
from m3h.pipeline.images.store import image_path, keep
from m3h.schemas.errors import ImageFault
from tests.pipeline.fakes import picture

RARE = Path(__file__).parent / "jpegs"


def noise(mode: str = "RGB", size: tuple[int, int] = (48, 32), seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def saved(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **{"format": "JPEG", **options})
    return buffer.getvalue()


def looked(data: bytes, max_pixels: int = 1_000_000, allow_grey: bool = False) -> Appearance:
    return examine(data, max_pixels, allow_grey)


def reason(data: bytes, **rules: Any) -> str:
    with pytest.raises(ImageFault) as caught:
        looked(data, **rules)
    return caught.value.reason


# what it is


def test_a_colour_jpeg_is_described(tmp_path: Path) -> None:
    data = saved(noise())
    (tmp_path / "a.jpg").write_bytes(data)
    seen = decode(tmp_path / "a.jpg")
    assert looked(data) == Appearance(48, 32, "RGB", perceptual_hash(seen), local_features(seen))


@pytest.mark.parametrize(("data", "mode"), [(saved(noise("CMYK")), "CMYK"), ((RARE / "ycck.jpg").read_bytes(), "CMYK"),
                                            (saved(noise(), progressive=True), "RGB")])  # fmt: skip
def test_four_channels_and_progressive_ones_are_kept(tmp_path: Path, data: bytes, mode: str) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    assert looked(data).mode == mode
    assert decode(tmp_path / "a.jpg").mode == "RGB"


def test_of_several_frames_the_first_is_the_picture() -> None:
    first = noise(seed=1)
    several = saved(first, format="MPO", save_all=True, append_images=[noise(seed=2, size=(16, 16))])
    assert Image.open(io.BytesIO(several)).format == "MPO"
    assert looked(several) == looked(saved(first))


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (65_500, 2)])
def test_no_shape_is_too_odd(size: tuple[int, int]) -> None:
    seen = looked(saved(Image.new("RGB", size, (250, 20, 20))))
    assert (seen.width, seen.height) == size


def test_what_comes_after_the_picture_does_not_matter() -> None:
    data = saved(noise())
    assert looked(data + b"<html>" * 1000) == looked(data + saved(noise(seed=1))) == looked(data)


def test_a_colour_profile_does_not_matter() -> None:
    assert looked(saved(noise(), icc_profile=b"nonsense" * 20_000)) == looked(saved(noise()))


# what it is not


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_other_formats_are_told_by_their_bytes(format: str) -> None:
    data = saved(noise(), format=format)
    with pytest.raises(ImageFault) as caught:
        looked(data)
    assert (caught.value.reason, caught.value.detail) == ("image_not_jpeg", f"begins with {data[:16]!r}")


@pytest.mark.parametrize("data", [b"<!DOCTYPE html><html>", b"\n" + saved(noise()), b"\xff\xd8", b"\xff"])
def test_what_does_not_begin_as_a_jpeg_is_none(data: bytes) -> None:
    assert reason(data) == "image_not_jpeg"


@pytest.mark.parametrize("image", [noise("L"), noise("L").convert("RGB"), Image.new("RGB", (40, 40), (200, 200, 200))])
def test_grey_is_told_by_the_pixels(image: Image.Image) -> None:
    assert reason(saved(image)) == "image_grey"
    assert looked(saved(image), allow_grey=True).mode == image.mode


@pytest.mark.parametrize(("spread", "grey"), [(0, True), (8, True), (20, False)])
def test_a_little_colour_is_grey_still(spread: int, grey: bool) -> None:
    data = saved(Image.new("RGB", (64, 64), (120, 120, 120 + spread)), quality=100, subsampling=0)
    if grey:
        assert reason(data) == "image_grey"
    else:
        assert looked(data).width == 64


def test_one_coloured_corner_makes_a_picture_coloured() -> None:
    image = noise("L", (64, 64)).convert("RGB")
    image.paste((255, 0, 0), (0, 0, 16, 16))
    assert looked(saved(image, quality=95)).mode == "RGB"


def test_limits_are_inclusive() -> None:
    data = saved(noise(size=(100, 100)))
    assert looked(data, max_pixels=10_000).width == 100
    assert reason(data, max_pixels=9_999) == "image_too_large"
    refuse_size(10, 10)
    for size, expected in ((11, "image_too_large"), (0, "image_empty")):
        with pytest.raises(ImageFault, match=expected):
            refuse_size(size, 10)


def claiming(data: bytes, size: bytes) -> bytes:
    """`data` whose frame header says another height and width."""
    frame = data.index(b"\xff\xc0")
    return data[: frame + 5] + size + data[frame + 9 :]


def test_a_header_that_lies_is_believed_only_within_the_limit() -> None:
    data = saved(noise())
    assert reason(claiming(data, b"\xff\xff\xff\xff")) == "image_too_large"
    assert looked(claiming(data, b"\x00\x40\x00\x30")).height == 64  # what is not there, the decoder paints grey
    assert reason(claiming(data, b"\x00\x00\x00\x30")) == "image_broken"


@pytest.mark.parametrize(
    "name", ["arithmetic", "arithmetic_progressive", "lossless", "lossless16", "jpeg_ls", "twelve_bits"]
)
def test_kinds_that_not_every_decoder_reads_are_refused_as_such(name: str) -> None:
    assert reason((RARE / f"{name}.jpg").read_bytes()) == "image_unsupported"


@pytest.mark.parametrize("progressive", [False, True])
def test_wherever_it_is_cut_a_picture_is_truncated(progressive: bool) -> None:
    data = saved(noise(size=(64, 64)), progressive=progressive)
    assert {reason(data[:cut]) for cut in range(3, len(data) - 1, 7)} == {"image_truncated"}


def test_a_file_without_a_picture_is_broken() -> None:
    assert reason(b"\xff\xd8\xff\xd9" + b"\xff\xd9" * 20) == "image_truncated"
    assert reason(b"\xff\xd8\xff\xe0\x00\x02 no marker here " + b"\x00" * 50) == "image_truncated"


EXIF = Image.Exif()
EXIF[0x0112] = 3
WHOLE = saved(noise(), exif=EXIF, icc_profile=b"x" * 50)


@pytest.mark.filterwarnings("ignore")
@given(st.integers(0, 10**9), st.integers(1, 8), st.booleans())
def test_any_damage_is_a_fault_with_a_reason_or_none_at_all(seed: int, changes: int, cut: bool) -> None:
    rng = random.Random(seed)
    data = bytearray(WHOLE)
    for _ in range(changes):
        data[rng.randrange(len(data) if rng.random() < 0.5 else 400)] = rng.randrange(256)
    with contextlib.suppress(ImageFault):
        assert looked(bytes(data[: rng.randrange(len(data))] if cut else data)).width > 0


# upright


def turned(orientation: int) -> bytes:
    """A picture whose upright shape is 32 x 48: red above, blue below, and green at the top left."""
    upright = Image.new("RGB", (32, 48), (220, 20, 20))
    upright.paste((20, 20, 220), (0, 24, 32, 48))
    upright.paste((20, 200, 20), (0, 0, 16, 16))
    undo = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90",
            7: "TRANSVERSE", 8: "ROTATE_270"}  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright.transpose(Image.Transpose[undo[orientation]]) if orientation in undo else upright
    return saved(stored, exif=exif, quality=95, subsampling=0)


@pytest.mark.parametrize("orientation", range(10))
def test_a_picture_is_seen_as_its_exif_orientation_says(tmp_path: Path, orientation: int) -> None:
    (tmp_path / "a.jpg").write_bytes(turned(orientation))
    pixels = decode(tmp_path / "a.jpg")
    assert pixels.size == (32, 48)
    for place, channel in (((4, 4), 1), ((28, 4), 0), ((4, 44), 2), ((28, 44), 2)):
        colour = pixels.getpixel(place)
        assert isinstance(colour, tuple)
        assert np.argmax(colour) == channel
    assert is_turned(tmp_path / "a.jpg") == (orientation in range(2, 9))
    seen = looked(turned(orientation))
    assert (seen.width, seen.height, seen.phash) == (32, 48, looked(turned(1)).phash)


@pytest.mark.filterwarnings("ignore")
def test_an_exif_block_that_cannot_be_read_turns_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(saved(noise(), exif=b"Exif\0\0MM\0*" + b"\xff" * 40))
    assert not is_turned(tmp_path / "a.jpg")
    assert decode(tmp_path / "a.jpg").size == (48, 32)


def test_a_fault_while_decoding_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(saved(noise())[:-100])
    with pytest.raises(ImageFault, match=r"image_truncated: a\.jpg: "):
        decode(tmp_path / "a.jpg")


# what it looks like


def test_of_a_picture_without_any_detail_only_the_mean_lies_above_the_median() -> None:
    assert perceptual_hash(Image.new("RGB", (40, 30), (200, 30, 30))) == "8" + "0" * 15


def bits_between(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


@pytest.mark.parametrize("seed", range(5))
def test_a_smaller_coarser_copy_looks_the_same_and_another_picture_does_not(tmp_path: Path, seed: int) -> None:
    original = picture(tmp_path / "a.jpg", seed, (320, 200)).read_bytes()
    copy = saved(Image.open(tmp_path / "a.jpg").resize((150, 100)), quality=40)
    other = picture(tmp_path / "c.jpg", seed + 100, (320, 200)).read_bytes()
    one, two, three = (looked(data).phash for data in (original, copy, other))
    assert bits_between(one, two) <= 4
    assert bits_between(one, three) >= 16


# the store


def test_a_picture_is_stored_once_under_its_hash(tmp_path: Path) -> None:
    data = saved(noise())
    name = hashlib.sha256(data).hexdigest()
    keep(tmp_path, name, data)
    target = image_path(tmp_path, name)
    assert target == tmp_path / "images" / name[:2] / f"{name}.jpg"
    written = target.stat().st_mtime_ns
    keep(tmp_path, name, data)
    assert target.stat().st_mtime_ns == written
    assert target.read_bytes() == data
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [target]
