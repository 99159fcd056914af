"""Words found one by one are those that ekphrasis finds in the whole text."""

import re
import string
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from m3h.pipeline.text.social_words import SocialWords
from m3h.pipeline.text.word_statistics import word_statistics

PIECES = (
    *("so", "goood", "sooooo", "HEYYY", "can't", "I'm", "y'all", "won't", "xD", ":-)", "( o o )", "^ ^", "; ;"),
    *("(", ")", "<3", "12", "Jan", "May 5 - 2012", "5 pm", "5:30", "$5m", "10%", "+1 555 123 4567", "U.S.A."),
    *("f**k", "*wow*", "?!?!", "...", "<url>", "<mention>", "<number>", "a@b.com", "@you", "www.a.b", "http://a.bc"),
    *("&nbsp;", "&#40;", "é", "日本", "ps4", "a_b", "a-b", "<hashtag>", "<allcaps>", "</hashtag>"),
    *(" ", " ", " ", "  ", "\n", "\t", "\xa0", ",", "'"),
)  # fmt: skip


@cache
def ours() -> SocialWords:
    return SocialWords(word_statistics(None))


@cache
def ekphrasis() -> Any:
    from ekphrasis.classes import preprocessor, spellcorrect
    from ekphrasis.classes.tokenizer import SocialTokenizer

    statistics = word_statistics(None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spellcorrect, "read_stats", lambda corpus, n: {"none": 1})
        processor = preprocessor.TextPreProcessor(
            normalize=["url", "email", "phone", "user", "time", "date", "percent", "money", "number"],
            annotate={"elongated", "repeated"},
            unpack_contractions=True,
            tokenizer=SocialTokenizer(lowercase=True).tokenize,
        )
    corrector = processor.spell_corrector
    corrector.WORDS, corrector.N = statistics, statistics.total
    corrector.known = lambda words: sorted({word for word in words if word in statistics})
    return processor.pre_process_doc


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_words_one_by_one_are_those_of_the_whole_text(text: str) -> None:
    assert ours()(text) == ekphrasis()(text)


def test_a_word_is_looked_at_once_however_many_texts_have_it(tmp_path: Path) -> None:
    (tmp_path / "counts_1grams.txt").write_text("night\t5\n")
    (tmp_path / "counts_2grams.txt").write_text("a\tb\t1\n")
    words = SocialWords(word_statistics(tmp_path))
    looked_at: list[str] = []
    tokenize = words._tokenize
    words._tokenize = lambda text: looked_at.append(text) or tokenize(text)
    for text in ("what, a night!", "a night! it, was", "what, a night! it, was"):
        assert words(text) == [word for part in text.split() for word in re.findall(r"\w+|\W", part)]
    assert sorted(looked_at) == ["it,", "night!", "what,"]  # and letters alone need no look


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from(string.ascii_letters), min_size=1, max_size=12))
@example("XD")
@example("xP")
@example("Goood")
def test_letters_alone_are_the_word_that_ekphrasis_finds(letters: str) -> None:
    assert ours()(letters) == ekphrasis()(letters)
