"""Pictures: found inside the folder alone, judged by their pixels, kept once."""

import contextlib
import hashlib
import io
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.images import decode, image_path, inspect, locate, perceptual_hash, store
from pipeline.rules import ImageRules
from schemas.errors import ImageFault
from schemas.posts import ImageRef
from tests.pipeline.fakes import picture

RULES = ImageRules()


def noise(mode="RGB", size=(48, 32), seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def saved(path, image, **options):
    image.save(path, **options)
    return path


def reason(path, rules=RULES):
    with pytest.raises(ImageFault) as caught:
        inspect(path, rules)
    return caught.value.reason


# where


@pytest.fixture
def folder(tmp_path):
    inside = tmp_path / "images"
    for name in ("a.jpg", "sub/a.jpg", "sub/b.jpg", "é x.jpg"):
        (inside / name).parent.mkdir(parents=True, exist_ok=True)
        (inside / name).write_bytes(name.encode())
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    return inside


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (ImageRef("a.jpg"), "a.jpg"),
        (ImageRef("sub/a.jpg"), "sub/a.jpg"),
        (ImageRef("elsewhere/a.jpg"), "a.jpg"),
        (ImageRef("/abs/a.jpg"), "a.jpg"),
        (ImageRef("../a.jpg"), "a.jpg"),
        (ImageRef("gone.jpg", "http://x/y/a.jpg?name=large"), "a.jpg"),
        (ImageRef(url="http://x/y/a.jpg:large"), "a.jpg"),
        (ImageRef(url="http://x/y/a?format=jpg&name=large"), "a.jpg"),
        (ImageRef(url="https://x/%C3%A9%20x.jpg"), "é x.jpg"),
        (ImageRef("sub/a.jpg", "http://x/a.jpg"), "sub/a.jpg"),
    ],
)
def test_by_path_then_by_name_then_by_the_urls_name(folder, reference, expected):
    assert locate(reference, [folder]) == folder / expected


@pytest.mark.parametrize(
    "reference",
    [
        ImageRef("../secret.jpg"),
        ImageRef("sub/../../secret.jpg"),
        ImageRef(url="http://x/../secret.jpg"),
        ImageRef(url="http://x/%2e%2e%2fsecret.jpg"),
        ImageRef(".."),
        ImageRef("."),
        ImageRef("sub"),
        ImageRef("b.jpg"),
        ImageRef("a\0.jpg"),
        ImageRef("a" * 5000),
        ImageRef(url="http://[half/a.jpg"),
        ImageRef(url="http://x/"),
        ImageRef(),
    ],
)
def test_what_is_not_inside_the_folder_is_missing(folder, reference):
    with pytest.raises(ImageFault) as caught:
        locate(reference, [folder])
    assert (caught.value.reason, caught.value.detail) == ("image_missing", reference.path or reference.url)


def test_an_absolute_path_is_never_followed(folder):
    with pytest.raises(ImageFault, match="image_missing"):
        locate(ImageRef(str(folder.parent / "secret.jpg")), [folder])


NAMES = st.sampled_from(["..", ".", "", "sub", "a.jpg", "secret.jpg", "%2e%2e", "~"])
PARTS = st.lists(NAMES, max_size=6).map("/".join)


@given(PARTS, PARTS)
def test_no_reference_leads_out_of_the_folder(tmp_path_factory, path, url):
    base = tmp_path_factory.getbasetemp() / "outside"
    (base / "images" / "sub").mkdir(parents=True, exist_ok=True)
    (base / "secret.jpg").write_bytes(b"secret")
    (base / "images" / "sub" / "a.jpg").write_bytes(b"a")
    try:
        found = locate(ImageRef(path, f"http://x/{url}"), [base / "images"])
    except ImageFault:
        return
    assert found.resolve().is_relative_to(([base / "images"]).resolve())


# what


def test_a_colour_jpeg_is_described(tmp_path):
    path = saved(tmp_path / "a.jpg", noise())
    data, stored = inspect(path, RULES)
    assert data == path.read_bytes()
    assert vars(stored) == {
        "image_sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "width": 48, "height": 32, "mode": "RGB",
        "phash": perceptual_hash(decode(path)),
    }  # fmt: skip


def test_of_a_picture_without_any_detail_only_the_mean_lies_above_the_median():
    assert perceptual_hash(Image.new("RGB", (40, 30), (200, 30, 30))) == "8" + "0" * 15


def bits_between(one, other):
    return (int(one, 16) ^ int(other, 16)).bit_count()


@pytest.mark.parametrize("seed", range(5))
def test_a_smaller_coarser_copy_looks_the_same_and_another_picture_does_not(tmp_path, seed):
    original = picture(tmp_path / "a.jpg", seed, (320, 200))
    copy = saved(tmp_path / "b.jpg", Image.open(original).resize((150, 100)), quality=40)
    other = picture(tmp_path / "c.jpg", seed + 100, (320, 200))
    one, two, three = (inspect(path, RULES)[1].phash for path in (original, copy, other))
    assert bits_between(one, two) <= 4
    assert bits_between(one, three) >= 16


def test_a_cmyk_jpeg_is_kept(tmp_path):
    path = saved(tmp_path / "a.jpg", noise("CMYK"), format="JPEG")
    assert inspect(path, RULES)[1].mode == "CMYK"
    assert decode(path).mode == "RGB"


def test_a_jpeg_is_known_by_its_bytes_not_its_name(tmp_path):
    assert inspect(saved(tmp_path / "a.png", noise(), format="JPEG"), RULES)[1].width == 48


@pytest.mark.parametrize(
    ("image", "options", "expected"),
    [
        (noise("L"), {"format": "JPEG"}, "image_grey"),
        (noise("L").convert("RGB"), {"format": "JPEG"}, "image_grey"),
        (Image.new("RGB", (40, 40), (200, 200, 200)), {"format": "JPEG"}, "image_grey"),
        (noise(), {"format": "PNG"}, "image_not_jpeg"),
        (noise(), {"format": "GIF"}, "image_not_jpeg"),
        (noise(), {"format": "WEBP"}, "image_not_jpeg"),
        (noise(size=(100, 101)), {"format": "JPEG"}, "image_too_large"),
    ],
)
def test_what_is_no_colour_jpeg_within_the_limits_has_its_reason(tmp_path, image, options, expected):
    path = saved(tmp_path / "a.jpg", image, **options)
    assert reason(path, ImageRules(max_pixels=10_000)) == expected


@pytest.mark.parametrize(("spread", "grey"), [(0, True), (8, True), (20, False)])
def test_a_little_colour_is_grey_still(tmp_path, spread, grey):
    path = saved(tmp_path / "a.jpg", Image.new("RGB", (64, 64), (120, 120, 120 + spread)), quality=100, subsampling=0)
    if grey:
        assert reason(path) == "image_grey"
    else:
        inspect(path, RULES)


def test_one_coloured_corner_makes_a_picture_coloured(tmp_path):
    image = noise("L", (64, 64)).convert("RGB")
    image.paste((255, 0, 0), (0, 0, 16, 16))
    inspect(saved(tmp_path / "a.jpg", image, quality=95), RULES)


def test_grey_is_kept_where_the_rules_allow_it(tmp_path):
    path = saved(tmp_path / "a.jpg", noise("L"))
    assert inspect(path, ImageRules(allow_grey=True))[1].mode == "L"


def test_limits_are_inclusive(tmp_path):
    path = saved(tmp_path / "a.jpg", noise(size=(100, 100)))
    size = path.stat().st_size
    inspect(path, ImageRules(max_pixels=10_000, max_bytes=size))
    assert reason(path, ImageRules(max_pixels=9_999)) == "image_too_large"
    assert reason(path, ImageRules(max_bytes=size - 1)) == "image_too_large"


def test_a_header_that_claims_billions_of_pixels_is_too_large(tmp_path):
    data = bytearray(saved(tmp_path / "a.jpg", noise()).read_bytes())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    (tmp_path / "a.jpg").write_bytes(data)
    assert reason(tmp_path / "a.jpg") == "image_too_large"


@pytest.mark.parametrize(
    ("cut", "expected"),
    [(lambda data: b"", "image_empty"), (lambda data: data[: len(data) // 2], "image_broken"),
     (lambda data: data[:-200], "image_broken"), (lambda data: data[:2], "image_not_jpeg"),
     (lambda data: b"<html>" + data, "image_not_jpeg")],
)  # fmt: skip
def test_a_damaged_file_has_its_reason(tmp_path, cut, expected):
    path = saved(tmp_path / "a.jpg", noise())
    path.write_bytes(cut(path.read_bytes()))
    assert reason(path) == expected


def jpeg_bytes():
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 3
    noise().save(buffer, "JPEG", exif=exif, icc_profile=b"x" * 50)
    return buffer.getvalue()


WHOLE = jpeg_bytes()


@pytest.mark.filterwarnings("ignore")
@given(st.integers(0, 10**9), st.integers(1, 8), st.booleans())
def test_any_damage_is_a_fault_with_a_reason_or_none_at_all(tmp_path_factory, seed, changes, cut):
    rng = random.Random(seed)
    data = bytearray(WHOLE)
    for _ in range(changes):
        data[rng.randrange(len(data) if rng.random() < 0.5 else 400)] = rng.randrange(256)
    path = tmp_path_factory.getbasetemp() / "damaged.jpg"
    path.write_bytes(data[: rng.randrange(len(data))] if cut else data)
    with contextlib.suppress(ImageFault):
        assert inspect(path, ImageRules(max_pixels=1_000_000))[0] == path.read_bytes()


# the store


def test_a_picture_is_stored_once_under_its_hash(tmp_path):
    first, second = picture(tmp_path / "in" / "a.jpg", 1), picture(tmp_path / "in" / "b.jpg", 1)
    one = store(tmp_path / "out", first, RULES)
    target = image_path(tmp_path / "out", one.image_sha256)
    assert target == tmp_path / "out" / "images" / one.image_sha256[:2] / f"{one.image_sha256}.jpg"
    written = target.stat().st_mtime_ns
    assert store(tmp_path / "out", second, RULES) == one
    assert target.stat().st_mtime_ns == written
    assert target.read_bytes() == first.read_bytes()
    assert [p for p in (tmp_path / "out").rglob("*") if p.is_file()] == [target]


def test_what_is_refused_is_not_stored(tmp_path):
    path = saved(tmp_path / "a.jpg", noise("L"))
    with pytest.raises(ImageFault):
        store(tmp_path / "out", path, RULES)
    assert not (tmp_path / "out").exists()
