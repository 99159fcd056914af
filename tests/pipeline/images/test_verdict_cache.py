"""A picture the validator has seen is not seen again, unless by other rules or because it may fare better."""

from pathlib import Path

import pytest

from m3h.pipeline.images import verdict_cache
from m3h.pipeline.images.store import StoredImage
from m3h.pipeline.images.verdict_cache import judge
from m3h.pipeline.rules import ImageRules
from m3h.schemas.errors import ImageFault
from tests.pipeline.fakes import picture

STORED = StoredImage("ab" * 32, 3, 96, 64, "RGB", "0" * 16, "keypoints")


class Counting:
    """A validator that answers what it is told to."""

    def __init__(self, answer: StoredImage | ImageFault) -> None:
        self.answer, self.asked = answer, 0

    def inspect(self, data: bytes) -> StoredImage:
        self.asked += 1
        if isinstance(self.answer, ImageFault):
            raise self.answer
        return self.answer


@pytest.fixture
def validator(monkeypatch: pytest.MonkeyPatch) -> Counting:
    """What `judge` asks."""
    counting = Counting(STORED)
    monkeypatch.setattr(verdict_cache, "validator_of", lambda _: counting)
    return counting


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (STORED, 1),
        (ImageFault("image_broken", "no end"), 1),
        (ImageFault("image_decoder_timeout", "20 s"), 3),
        (ImageFault("image_decoder_crash", ""), 3),
    ],
)
def test_a_verdict_is_kept_unless_another_try_may_do_better(
    tmp_path: Path, validator: Counting, answer: StoredImage | ImageFault, asked: int
) -> None:
    validator.answer = answer
    for _ in range(3):
        if isinstance(answer, StoredImage):
            assert judge(b"abc", ImageRules(), tmp_path) == answer
            continue
        with pytest.raises(ImageFault) as caught:
            judge(b"abc", ImageRules(), tmp_path)
        assert (caught.value.reason, caught.value.detail) == (answer.reason, answer.detail)
    assert validator.asked == asked


def test_other_rules_other_bytes_and_a_verdict_that_was_cut_short_ask_again(
    tmp_path: Path, validator: Counting
) -> None:
    judge(b"abc", ImageRules(), tmp_path)
    judge(b"abd", ImageRules(), tmp_path)
    judge(b"abc", ImageRules(allow_grey=True), tmp_path)
    assert validator.asked == 3
    for path in tmp_path.rglob("*.json"):
        path.write_bytes(path.read_bytes()[:10])
    assert judge(b"abc", ImageRules(), tmp_path) == STORED
    assert validator.asked == 4


def test_what_the_gate_really_says_comes_back_as_it_was(tmp_path: Path) -> None:
    data = picture(tmp_path / "p.jpg", seed=1).read_bytes()
    first = judge(data, ImageRules(), tmp_path / "judged")
    assert judge(data, ImageRules(), tmp_path / "judged") == first
    assert first.bytes == len(data)


def test_a_verdict_with_features_of_another_version_is_asked_for_again(
    tmp_path: Path, validator: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(b"abc", ImageRules(), tmp_path)
    monkeypatch.setattr(verdict_cache, "FEATURES_VERSION", verdict_cache.FEATURES_VERSION + 1)
    verdict_cache._of_rules.cache_clear()
    judge(b"abc", ImageRules(), tmp_path)
    verdict_cache._of_rules.cache_clear()  # what was cached under the other version
    assert validator.asked == 2
