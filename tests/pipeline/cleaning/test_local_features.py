"""Pictures by their keypoints: copies are found, flat pictures and shared words are not."""

import random

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from PIL import Image, ImageDraw

from m3h.pipeline.cleaning.candidates import near_pairs
from m3h.pipeline.cleaning.local_features import (
    FEATURE,
    MOST,
    SIDE,
    PictureLikeness,
    _between,
    agreeing,
    is_current,
    local_features,
    read_features,
)
from m3h.pipeline.rules import CleanRules
from m3h.pipeline.stages.dedup import Dedup
from m3h.schemas.posts import Post
from tests.pipeline.edits import PICTURE_EDITS

LIKENESS = PictureLikeness(5)


def scene(seed: int, size: tuple[int, int] = (400, 300)) -> Image.Image:
    """Sixty discs and boxes of random colours."""
    rng = random.Random(seed)
    picture = Image.new("RGB", size, "grey")
    draw = ImageDraw.Draw(picture)
    for _ in range(60):
        x, y, w, h = rng.randrange(size[0]), rng.randrange(size[1]), rng.randrange(8, 70), rng.randrange(8, 70)
        shape = rng.choice((draw.ellipse, draw.rectangle))
        shape((x, y, x + w, y + h), fill=(rng.randrange(256), rng.randrange(256), rng.randrange(256)))
    return picture


@pytest.mark.parametrize("edit", list(PICTURE_EDITS))
def test_an_edited_picture_is_near_its_original_alone(edit: str) -> None:
    rng = random.Random(7)
    pictures = {f"{i:016x}": scene(i) for i in range(6)}
    edited = {f"{i + 100:016x}": PICTURE_EDITS[edit](scene(i), rng) for i in range(6)}
    found = near_pairs({name: local_features(picture) for name, picture in {**pictures, **edited}.items()}, LIKENESS)
    assert sorted(found) == [(f"{i:016x}", f"{i + 100:016x}") for i in range(6)]


@pytest.mark.parametrize("colour", ["black", "white", "teal"])
def test_a_flat_picture_has_no_places_and_is_near_none(colour: str) -> None:
    flat = local_features(Image.new("RGB", (300, 200), colour))
    assert flat == ""
    assert near_pairs({"0" * 16: flat, "1" * 16: flat}, LIKENESS) == []


def test_a_gradient_joins_nothing() -> None:
    ramp = np.linspace(0, 255, 256, dtype=np.uint8)
    names = {"0" * 16: np.tile(ramp, (256, 1)), "1" * 16: np.tile(ramp[:, None], (1, 256))}
    pictures = {name: local_features(Image.fromarray(pixels).convert("RGB")) for name, pixels in names.items()}
    assert near_pairs(pictures, LIKENESS) == []


def test_a_word_that_two_pictures_show_does_not_make_them_near() -> None:
    one, other = scene(1), scene(2)
    for picture in (one, other):
        draw = ImageDraw.Draw(picture)
        draw.rectangle((20, 20, 110, 50), fill="black")
        draw.text((28, 26), "BREAKING NEWS", fill="white")
    assert near_pairs({"0" * 16: local_features(one), "1" * 16: local_features(other)}, LIKENESS) == []


def test_features_are_the_same_every_time_and_bounded() -> None:
    text = local_features(scene(3))
    assert text == local_features(scene(3))
    assert 5 <= len(read_features(text)) <= MOST
    assert local_features(scene(3, size=(9, 2000))) == local_features(scene(3, size=(9, 2000)))


def disc(x: int, y: int, radius: int, size: int) -> Image.Image:
    """White on black, not far from others that differ in size."""
    picture = Image.new("L", (size, size * 3 // 4))
    ImageDraw.Draw(picture).ellipse((x - radius, y - radius, x + radius, y + radius), fill="white")
    return picture


def test_a_disc_is_found_in_its_middle_whatever_the_size_of_the_picture() -> None:
    for times in (1, 2, 5):
        places = read_features(local_features(disc(100 * times, 60 * times, 12 * times, SIDE * times)))
        x, y, scale = (float(places[name][0]) for name in ("x", "y", "scale"))
        assert (x, y) == pytest.approx((100, 60), abs=0.6)
        assert scale == pytest.approx(12 / 2**0.5 / 2**0.25, rel=0.25)  # a disc of r is a blob of r / sqrt(2)


def test_between_pixels_by_hand() -> None:
    levels_khw = np.array([[[0, 1], [2, 3], [4, 5]], [[0, 10], [20, 30], [40, 50]]], dtype=np.float32)
    rows, columns = np.array([[0.5, -3.0], [1.5, 9.0]]), np.array([[0.25], [1.0]])
    found = _between(levels_khw, np.array([0, 1]), rows, columns)
    assert found.tolist() == [[[1.25], [0.25]], [[40.0], [50.0]]]


def test_features_of_two_versions_are_never_near() -> None:
    text = local_features(scene(3))
    mark, _, array = text.partition(":")
    older = f"{int(mark) - 1}:{array}"
    names = ("0" * 16, "1" * 16)
    for unmarked in (older, array):  # the first version had no mark
        assert near_pairs(dict(zip(names, (unmarked, unmarked), strict=True)), LIKENESS) == [names]
        assert near_pairs(dict(zip(names, (text, unmarked), strict=True)), LIKENESS) == []
        assert not is_current(unmarked)
    assert is_current(text)
    assert is_current(local_features(Image.new("RGB", (300, 200))))


def features(*keypoints: tuple[float, float, float, int]) -> np.ndarray:
    return np.array(list(keypoints), dtype=FEATURE)


def test_places_agree_under_one_shift_and_one_scale_by_hand() -> None:
    first, second, third = 0, 0xFFFFF, 0xFFFFF << 20  # twenty signs differ and more
    one = features((10, 10, 4, first), (90, 10, 4, second), (10, 90, 4, third))
    other = features((25, 5, 2, first), (65, 5, 2, second), (25, 45, 2, third))  # x/2 + 20, y/2
    assert not agreeing(one, other, 3)  # 40 pixels are too small a part
    larger = other.copy()
    larger["x"], larger["y"], larger["scale"] = larger["x"] * 3, larger["y"] * 3, larger["scale"] * 3
    assert agreeing(one, larger, 3)
    assert not agreeing(one, larger, 4)
    larger["y"][2] += 30
    assert not agreeing(one, larger, 3)


def test_a_frame_around_something_else_is_no_copy_unless_it_moved() -> None:
    corners = [(8, 8), (240, 8), (8, 180), (240, 180), (120, 8)]
    frame = [(x, y, 4, 0xFFFFF << (8 * i)) for i, (x, y) in enumerate(corners)]

    def framed(number: int, seed: int, moved: float = 0) -> np.ndarray:
        signs = np.random.default_rng(seed).integers(0, 1 << 63, number)
        inside = [(60 + 20 * i, 90, 4, int(bits)) for i, bits in enumerate(signs)]
        return features(*((x + moved, *rest) for x, *rest in [*frame, *inside]))

    assert agreeing(framed(7, seed=1), framed(7, seed=2), 5)  # 5 of 12 are 0.42
    assert not agreeing(framed(8, seed=1), framed(8, seed=2), 5)  # 5 of 13 are 0.38
    assert agreeing(framed(8, seed=1), framed(8, seed=2, moved=10), 5)  # of what was cropped, much is not there


def shown(number: int, image: str) -> Post:
    return Post(str(number), "", tokens=(f"t{number}",), image_sha256=image, position=number)


@pytest.mark.parametrize("in_rounds", [False, True])
def test_near_pictures_go_where_that_is_asked_for_and_name_the_first_post(in_rounds: bool) -> None:
    rng = random.Random(1)
    pictures = [
        ("a" * 64, local_features(scene(1))),
        ("b" * 64, local_features(PICTURE_EDITS["cropped"](scene(1), rng))),
        ("c" * 64, local_features(scene(2))),
        ("d" * 64, local_features(PICTURE_EDITS["cropped"](scene(2), rng))),  # no post shows it
    ]
    posts = [shown(1, "a" * 64), shown(2, "b" * 64), shown(3, "c" * 64)]
    with test_pipeline.TestPipeline(runner=FnApiRunner()) as root:
        both = (root | beam.Create(posts), root | "pictures" >> beam.Create(pictures))
        kept, dropped = both | Dedup(CleanRules(drop_near_images=True), in_rounds)
        assert_that(kept | "ids" >> beam.Map(lambda p: p.post_id), equal_to(["1", "3"]), "kept")
        why = dropped | "all" >> beam.Flatten() | "why" >> beam.Map(lambda d: (d.record_id, d.reason, d.detail))
        assert_that(why, equal_to([("2", "near_duplicate_image", "1")]), "dropped")
