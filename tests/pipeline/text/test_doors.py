"""What is left out for speed would have found nothing, and is left out."""

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from m3h.pipeline.text import escapes, links, pii
from m3h.pipeline.text.dates import LONG_AGO, moment

PIECES = (
    *("a", "Z", "word", " ", " ", "\n", "\u3000", "\x1c", ".", "..", "-", "_", "/", ":", "=", ",", "(", ")", "[", "]"),
    *("{", "}", "https://", "http://", "t.co/Ab1", "https://t.co/Ab12", "https://t.co/Ab12?x=1", "x.com"),
    *("x.org/a(b)c", "bit.ly/x", "日本.jp", "www.a.co.uk:80/p", "t.me/joe", "@", "＠", "@bob", "#tag", "$AAPL"),
    *("&amp;", "&#64;", "%40", "\\u0040", "did:plc:", "at://x", "at", " at ", "dot", "a@b.com", "@a@b.social", '"'),
    *('"username": "', "phone: ", "tel=", "+1 212 555 0123", "00", "020 7946 0958", "212-555-0123", "0", "7", "٣"),
    *("’", "\u2212", "\u200b", "ﬀ", "<mention>", "…", "\u202a", "\ufeff", "é"),
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
OPEN = regex.compile("")


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_links_word_by_word_are_those_of_the_whole_text(text: str) -> None:
    assert list(links.links(text)) == list(links._in_word(text, 0, len(text)))


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_nothing_is_masked_behind_a_door_that_stayed_shut(text: str) -> None:
    masked = pii.mask(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pii, "_HARMLESS", regex.compile("(?!)"))
        for module, name in (
            *((pii, name) for name in ("_AT_IN_BRACKETS", "_AT_BEHIND_NAME", "_PERHAPS_PHONE", "_PERHAPS_FIELD")),
        ):
            patch.setattr(module, name, OPEN)
        patch.setattr(escapes, "_perhaps", lambda text: True)
        assert masked == pii.mask(text)


def test_the_grammar_of_links_is_not_asked_about_words_and_short_links(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(links, "_in_word", lambda text, start, end: asked.append(text[start:end]) or iter(()))
    assert list(links.links("Well... no. Look: https://t.co/Ab12 e.g. this")) == [(18, 35)]
    assert list(links.links("see example.org/a")) == []
    assert asked == ["e.g.", "example.org/a"]


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Wed Oct 10 20:19:24 +0000 2018", 1539202764),
        ("Wed Oct 10 20:19:24 +0100 2018", 1539199164),
        ("wed oct 10 20:19:24 +0000 2018", 1539202764),
        ("Thu Feb 30 20:19:24 +0000 2018", LONG_AGO),
        ("Thu Feb 01 24:19:24 +0000 2018", LONG_AGO),
        ("2018-10-10T20:19:24Z", 1539202764),
        ("Wed Oct 10", LONG_AGO),
    ],
)
def test_a_date_is_read_in_every_spelling(date: str, seconds: float) -> None:
    assert moment(date) == seconds
