"""The language of a text: of short and loud ones, of hashtags, and of none at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.cleaning.text_rules import language_verdict
from m3h.pipeline.rules import CleanRules
from m3h.pipeline.text.language import UNDETERMINED, language_of
from m3h.schemas.posts import Dropped, Post


def language(text: str) -> str:
    return language_of(Post("1", text))


@pytest.mark.parametrize(
    "text",
    [
        "WOW THIS CAKE IS REALLY GETTING BAKED #cake",
        "Taxis underwater!! #hurricane #flood #newyork",
        "Nooo way #kitchen #isonfire #help",
        "#HappyBirthday to us @bakery",
        "well hello.. #nofilter #rain_again",
    ],
)
def test_short_and_loud_english_is_english(text):
    assert language(text) == "en"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ein fast schon unglaubliches Bild von gestern #bread #amazing #breakfast #photooftheday", "de"),
        ("UN GÂTEAU PRESQUE AUSSI GRAND QUE LA MAISON #cake #bakery #instafood", "fr"),
        ("Aquí en la cocina hace mucho frío #kitchen #winter", "es"),
    ],
)
def test_english_hashtags_do_not_make_a_sentence_english(text, expected):
    assert language(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "   ", "👀 https://t.co/ab", "@someone @other", "RT @someone: 12:30 !!", "2/2 https://t.co/ab", "x"],
)
def test_a_text_that_says_nothing_has_no_language(text):
    assert language(text) == UNDETERMINED


@given(st.text(st.characters(exclude_categories=["L", "Cn"], max_codepoint=0x2FFF), max_size=40))
def test_no_text_without_letters_has_one(text):
    assert language(text) == UNDETERMINED


def test_a_post_in_no_language_stays_only_where_that_is_asked_for():
    post = Post("1", "@someone 👀", tokens=("<mention>",), source="v1:a", position=1)
    gone = language_verdict(post, CleanRules())
    assert isinstance(gone, Dropped)
    assert (gone.reason, gone.detail) == ("other_language", "und")
    for languages in ((), ("en", "und")):
        kept = language_verdict(post, CleanRules(languages=languages))
        assert isinstance(kept, Post)
        assert kept.lang == "und"
