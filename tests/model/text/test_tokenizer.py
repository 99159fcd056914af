"""Raw texts, without the pipeline's tools."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.model.text.tokenizer import tokenize


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("So excited!", ["so", "excited", "!"]),
        ("Look at #StormHour tonight #wx #storm", ["look", "at", "stormhour", "tonight"]),
        ("@kca 12,000 fans https://t.co/x", ["<mention>", "<number>", "fans", "<url>"]),
        ("don\u2019t mail me@home.org, isn\u2019t", ["don't", "mail", "me", "home", "org"]),
        ("a_b \u2028 caf\u00e9", ["a", "b", "caf\u00e9"]),
        ("#only #tags", []),
        ("", []),
    ],
)
def test_texts_by_hand(text: str, tokens: list[str]) -> None:
    assert tokenize(text, {"!", "don't"}) == tokens


def test_the_mark_that_the_vocabulary_knows_is_used() -> None:
    assert tokenize("hi @you", {"<user>"}) == ["hi", "<user>"]
    assert tokenize("hi @you", {"<user>", "<mention>"}) == ["hi", "<mention>"]


@given(st.text())
def test_tokens_are_never_empty_and_hold_no_space(text: str) -> None:
    assert all(token and not any(c.isspace() for c in token) for token in tokenize(text, {"!"}))
