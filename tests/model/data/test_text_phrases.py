"""The phrases of a text, by hand and by property."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from m3h.model.data.text_phrases import LONGEST, TextPhrases
from m3h.model.text.stemming import stem


def found(text: str, read: int | None = None) -> list[str]:
    tokens = text.split()
    phrases = TextPhrases.find([tokens], [len(tokens) if read is None else read])
    return [" ".join(tokens[start:end]) for start, end in phrases.spans[0]]


def test_phrases_by_hand() -> None:
    assert found("storm hour now") == ["storm", "storm hour", "storm hour now", "hour", "hour now", "now"]
    assert found("to <mention> , covid-19 !") == ["to", "covid-19"]
    assert found("@user rocks") == ["rocks"]
    assert found("") == found("! ?") == []


def test_of_phrases_that_are_equal_after_stemming_the_first_counts() -> None:
    assert found("storms | storm") == ["storms"]


def test_words_that_are_not_read_are_in_no_phrase() -> None:
    assert found("storm hour now", read=2) == ["storm", "storm hour", "hour"]
    assert found("storm", read=0) == []


def test_keyphrases_among_phrases_and_batches_by_hand() -> None:
    texts = [["storm", "hours"], ["now"], []]
    phrases = TextPhrases.find(texts, [2, 1, 0], [["storm hour", "hours", "not here"], [], ["now"]])
    assert [one.tolist() for one in phrases.right] == [[False, True, True], [False], []]
    assert phrases.shares(np.array([1, 0])).tolist() == [[1, 0, 0, 0], [0, 0, 0.5, 0.5]]
    assert phrases.shares(np.array([2])).tolist() == [[1]]
    span_bk2, mask_bk = phrases.batch(np.array([2, 0]))
    assert span_bk2.tolist() == [[[0, 0]] * 3, [[0, 1], [0, 2], [1, 2]]]
    assert mask_bk.tolist() == [[False] * 3, [True] * 3]
    assert phrases.batch(np.array([2]))[0].shape == (1, 0, 2)


TOKENS = st.lists(st.sampled_from(["storm", "storms", "now", "5", "!", "<url>", "@me", "…", "ärger"]), max_size=9)


@given(TOKENS)
def test_every_run_of_words_is_a_phrase_once(text: list[str]) -> None:
    phrases = TextPhrases.find([text], [len(text)])
    is_word = [token not in ("!", "<url>", "@me", "…") for token in text]
    runs = {
        tuple(map(stem, text[i:j]))
        for i in range(len(text))
        for j in range(i + 1, min(i + LONGEST, len(text)) + 1)
        if all(is_word[i:j])
    }
    found = [tuple(map(stem, text[i:j])) for i, j in phrases.spans[0]]
    assert len(found) == len(runs)
    assert set(found) == runs
