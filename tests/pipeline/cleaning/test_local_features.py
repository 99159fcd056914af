"""Pictures by their keypoints: copies are found, flat pictures and shared words are not."""

import random

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, maximum_filter

from m3h.pipeline.cleaning.candidates import near_pairs
from m3h.pipeline.cleaning.local_features import (
    _SCALES,
    FEATURE,
    MOST,
    PictureLikeness,
    _blurred,
    _grey,
    _peaks,
    agreeing,
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


def test_peaks_are_those_of_a_filter_of_three_by_three_by_three() -> None:
    contrast_khw = np.random.default_rng(5).random((8, 30, 40), dtype=np.float32).round(1)  # many are equal
    contrast_khw[:, ::3, ::3] *= 2
    peak = (contrast_khw == maximum_filter(contrast_khw, size=3, mode="constant")) & (contrast_khw > 0.01)
    peak[[0, -1]] = peak[:, [0, -1]] = peak[:, :, [0, -1]] = False
    expected = np.argwhere(peak)
    strongest = np.argsort(-contrast_khw[peak], kind="stable")[:MOST]
    assert np.array_equal(np.stack(_peaks(contrast_khw), axis=1), expected[strongest])


def test_smooth_scales_from_a_smaller_picture_are_those_of_the_whole() -> None:
    grey_hw = _grey(scene(4))
    for blurred_hw, scale in zip(_blurred(grey_hw), _SCALES, strict=True):
        whole_hw = gaussian_filter(grey_hw, scale, mode="nearest")
        assert np.abs(blurred_hw - whole_hw)[48:-48, 48:-48].max() < 0.02  # edges that went on are blurred there


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


def shown(number: int, image: str) -> Post:
    return Post(str(number), "", tokens=(f"t{number}",), image_sha256=image, position=number)


def test_near_pictures_go_where_that_is_asked_for_and_name_the_first_post() -> None:
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
        kept, dropped = both | Dedup(CleanRules(drop_near_images=True))
        assert_that(kept | "ids" >> beam.Map(lambda p: p.post_id), equal_to(["1", "3"]), "kept")
        why = dropped | "all" >> beam.Flatten() | "why" >> beam.Map(lambda d: (d.record_id, d.reason, d.detail))
        assert_that(why, equal_to([("2", "near_duplicate_image", "1")]), "dropped")
