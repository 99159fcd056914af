"""Damaged pictures, real bombs and pictures of real tweets through the validator: each ends in exactly one class."""

import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import psutil
import pytest

from m3h.pipeline.images.jpeg import REASONS, examine
from m3h.pipeline.images.validator import Validator
from m3h.pipeline.rules import ImageRules
from m3h.schemas.errors import ImageFault
from tests.pipeline.corpus import coloured, damaged, flipped, saved, sound
from tests.pipeline.helpers import helpers
from tests.pipeline.images.bombs import claiming, many_scans, plain

SMALL = ImageRules(max_pixels=1_000_000)
KEPT = "kept"


def classes(validator: Validator, pictures: Iterable[bytes]) -> list[str]:
    """What became of each picture: KEPT, or the reason why not. Whatever else the validator raises, fails the test."""
    found = []
    for data in pictures:
        try:
            validator.inspect(data)
            found.append(KEPT)
        except ImageFault as fault:
            found.append(fault.reason)
    return found


def examined(data: bytes, rules: ImageRules) -> str:
    try:
        examine(data, rules.max_pixels, rules.allow_grey)
    except ImageFault as fault:
        return fault.reason
    return KEPT


def test_of_the_sound_ones_the_gate_keeps_what_every_decoder_reads() -> None:
    with Validator(SMALL) as validator:
        assert Counter(classes(validator, sound())) == {KEPT: 7, "image_unsupported": 6, "image_grey": 1}


@pytest.mark.filterwarnings("ignore")
def test_three_hundred_damaged_pictures_end_in_one_class_each_and_harm_nobody() -> None:
    others = helpers()
    pictures = list(damaged(300))
    with Validator(SMALL) as validator:
        validator.inspect(plain())
        (helper,) = ours = helpers(since=others)
        found = classes(validator, pictures)
        assert helpers(since=others) == ours, "a helper died"
        assert helper.memory_info().rss < 300 * 2**20
    assert set(found) <= {KEPT, *REASONS}
    assert found == [examined(data, SMALL) for data in pictures]
    seen = {KEPT, "image_truncated", "image_broken", "image_not_jpeg", "image_unsupported", "image_grey"}
    assert seen <= set(found), "the corpus misses a class"


@pytest.mark.slow
def test_thousands_of_flipped_and_mangled_pictures_harm_nobody() -> None:
    whole = saved(coloured(size=(640, 480)), quality=90)
    large = saved(coloured(size=(640, 480), seed=3), progressive=True)
    others = helpers()
    before = psutil.Process().memory_info().rss
    with Validator(SMALL) as validator:
        validator.inspect(plain())
        (helper,) = ours = helpers(since=others)
        found = classes(validator, damaged(2000, seed=1, damages=(flipped,)))
        found += classes(validator, damaged(1000, seed=2))
        found += classes(validator, (data for base in (whole, large) for data in _flipped_copies(base, 100)))
        assert helpers(since=others) == ours, "a helper died"
        assert helper.memory_info().rss < 300 * 2**20
    assert psutil.Process().memory_info().rss - before < 100 * 2**20
    assert len(found) == 3200
    assert set(found) <= {KEPT, *REASONS}


def _flipped_copies(base: bytes, number: int) -> Iterable[bytes]:
    return (flipped(random.Random(seed), bytearray(base)) for seed in range(number))


@pytest.mark.slow
def test_bombs_among_pictures_cost_themselves_alone() -> None:
    """Real work: each bomb would take gigabytes or minutes."""
    rules = ImageRules(timeout_seconds=3, max_pixels=10**9)
    good = plain()
    bombs = {
        "scans": many_scans(3000, 200_000),
        "pixels": claiming(good, 30_000, 30_000),
        "header": claiming(good, 65_000, 65_000),
        "coefficients": claiming(plain(progressive=True), 20_000, 20_000),
    }
    with Validator(rules, memory=300 * 2**20) as validator:
        found = classes(validator, [data for bomb in bombs.values() for data in (good, bomb)])
        peak = max(helper.memory_info().rss for helper in helpers()) if helpers() else 0
    assert found[::2] == [KEPT] * len(bombs)
    assert dict(zip(bombs, found[1::2], strict=True)) == {
        "scans": "image_decoder_timeout",
        "pixels": "image_decoder_memory",
        "header": "image_too_large",
        "coefficients": "image_decoder_memory",
    }
    assert peak < 500 * 2**20


@pytest.mark.slow
def test_pictures_of_real_tweets_and_of_coco(m3h_data: Path) -> None:
    """Seven are PNGs. The grey ones have no colour at all; photographs of fog have specks of it."""
    others = helpers()
    real: list[bytes] = []
    with Validator(ImageRules()) as validator:
        for folder, expected in (
            ("images_social", {KEPT: 280, "image_not_jpeg": 7, "image_grey": 4}),
            ("captions_coco", {KEPT: 50, "image_grey": 1}),
        ):
            pictures = [path.read_bytes() for path in sorted((m3h_data / folder / "images").iterdir())]
            assert Counter(classes(validator, pictures)) == expected
            real += pictures
        ours = helpers(since=others)
        assert len(ours) == 1
        found = classes(validator, (flipped(random.Random(seed), bytearray(data)) for seed, data in enumerate(real)))
        assert helpers(since=others) == ours, "a helper died"
    assert set(found) <= {KEPT, *REASONS}
