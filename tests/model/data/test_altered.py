"""Inputs taken away, exchanged among posts, or replaced by noise."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from m3h.model.data.altered import WAYS, alter, other_posts
from m3h.model.data.pictures import Cells, Pictures
from m3h.model.data.posts import Posts

NAMES = ("text", "alt", "ocr", "attributes", "vision", "caption", "scenes")


def posts() -> Posts:
    """Four posts; the first two show picture 0, the third picture 2, and the last one none that is known."""
    feature_rgc = torch.tensor([[[1.0, 10.0], [3.0, 30.0]], [[5.0, 50.0], [0.0, 0.0]]])
    cells = Cells(feature_rgc, torch.tensor([2, 1]), np.array([0, -1, 1]))
    pictures = Pictures({"vision": cells}, {"caption": [["a"], ["b"], ["c"]]}, {"scenes": [["x"], ["y"], ["z"]]})
    words = [["one"], ["two", "deux"], ["three"], ["four"]]
    ids, phrases = list("abcd"), [["storm"], ["kca"], ["sea"], ["sun"]]
    return Posts(ids, words, phrases, [["read"], [], ["it"], []], [["man"]] * 4, [0, 0, 2, -1], [[], ["seen"], [], []],
                 pictures)  # fmt: skip


def contents(found: Posts, name: str) -> list[object]:
    """What each post has of an input."""
    if name == "vision":
        if name not in found.pictures.cells:
            return [[]] * len(found)
        cells, mask = found.pictures.cells[name].of(np.array(found.image))
        return [cell[real].tolist() for cell, real in zip(cells, mask, strict=True)]
    if name in ("text", "alt"):
        return [*(found.tokens if name == "text" else found.alt)]
    return [*(found.labels_of(name) if name in ("attributes", "scenes") else found.words_of(name))]


@given(st.integers(2, 50), st.integers(0, 9))
def test_every_post_gets_what_another_one_has_and_each_is_given_once(n: int, seed: int) -> None:
    other_n = other_posts(n, np.random.default_rng(seed))
    assert sorted(other_n) == list(range(n))
    assert not (other_n == np.arange(n)).any()


def test_a_single_post_has_only_itself() -> None:
    assert other_posts(1, np.random.default_rng(0)).tolist() == [0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", WAYS)
def test_one_input_is_altered_and_all_others_stay(name: str, way: str) -> None:
    before, after = posts(), alter(posts(), {way: [name]})
    assert (after.ids, after.keyphrases) == (before.ids, before.keyphrases)
    assert [other for other in NAMES if contents(after, other) != contents(before, other)] in ([name], [])
    lengths = [len(of) for of in contents(before, name)]
    if way == "without":
        assert contents(after, name) == [[]] * 4
    elif way == "noise":
        assert [len(of) for of in contents(after, name)] == lengths
    else:
        assert Counter(map(str, contents(after, name))) == Counter(map(str, contents(before, name)))
    again = alter(posts(), {way: [name]})
    assert [contents(again, other) for other in NAMES] == [contents(after, other) for other in NAMES]


def test_words_of_noise_are_drawn_from_those_of_all_posts() -> None:
    drawn = {word for row in alter(posts(), {"noise": ["text"]}).tokens for word in row}
    assert drawn <= {"one", "two", "deux", "three", "four"}


def test_noise_has_the_mean_and_the_deviation_of_each_channel() -> None:
    rows, n = torch.tensor([[[2.0, -7.0]], [[6.0, -7.5]]]), 4_000
    pictures = Pictures({"vision": Cells(rows, None, np.arange(2))})
    many = Posts([""] * n, [[]] * n, [[]] * n, [[]] * n, [[]] * n, [i % 2 for i in range(n)], pictures=pictures)
    noise = alter(many, {"noise": ["vision"]})
    found_nc = noise.pictures.cells["vision"].of(np.array(noise.image)).values[:, 0]
    torch.testing.assert_close(found_nc.mean(0), torch.tensor([4.0, -7.25]), atol=0.15, rtol=0)
    torch.testing.assert_close(found_nc.std(0), torch.tensor([2.0, 0.25]), atol=0.1, rtol=0)


def test_several_inputs_are_altered_together() -> None:
    after = alter(posts(), {"without": ["ocr", "vision"], "shuffle": ["text"]})
    assert contents(after, "ocr") == contents(after, "vision") == [[]] * 4
    assert sorted(after.tokens) == sorted(posts().tokens)
    assert after.tokens != posts().tokens
