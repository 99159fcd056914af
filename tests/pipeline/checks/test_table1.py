"""`stats`: figures worked out by hand."""

from typing import Any

import pytest

from m3h.pipeline.checks.table1 import is_present, wordings


def post(image: str, *keyphrases: str) -> dict[str, Any]:
    return {"image_sha256": image, "tokens": ["look"], "keyphrases": list(keyphrases)}


def reading(*tokens: str) -> dict[str, Any]:
    return {"text": " ".join(tokens), "tokens": list(tokens)}


def test_figures_on_words_in_pictures_by_hand() -> None:
    posts = [
        post("whole", "cats", "storm hour"),  # a keyphrase stands there as it is
        post("parts", "storm hour"),  # both of its words, but not side by side
        post("stem", "storms"),  # another form of a word is another word
        post("none", "game"),
        post("unknown", "game"),  # text, but no word that is known
        post("empty", "game"),
        post("lost", "game"),  # no row
    ]
    readings = {
        "whole": reading("the", "storm", "hour", "is"),
        "parts": reading("hour", "of", "storm"),
        "stem": reading("storm"),
        "none": reading("the", "of", "is", "storm", "hour", "the"),
        "unknown": reading("xqz"),
        "empty": reading(),
    }
    assert wordings(posts, readings, {"the", "of", "is", "storm", "hour", "game"}) == {
        "with_text_pct": pytest.approx(100 * 5 / 7),
        "in_vocab_pct": pytest.approx(100 * 4 / 7),
        "median_tokens": 3.5,  # of 4, 3, 1, 6
        "keyphrase_word_pct": 50.0,
        "keyphrase_pct": 25.0,
    }


def test_no_posts_have_no_words_and_no_shares() -> None:
    assert set(wordings([], {}, set()).values()) == {0.0}


def test_presence_in_the_source_is_of_stems() -> None:
    assert is_present(["storm", "hours"], ["stormy", "storms", "hour"])
    assert not is_present(["storm", "hour"], ["hour", "storm"])
