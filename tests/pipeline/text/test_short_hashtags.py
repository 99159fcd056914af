"""Hashtags that are abbreviations, plurals of them, ordinals, or one longer word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.text.hashtags import telling_writings
from m3h.pipeline.text.segmenter import Segmenter


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter()


@pytest.mark.parametrize("hashtag", ["AI", "LLMs", "ISIS", "ASMR", "GPUs", "IIT", "TVs", "NYCs", "awe", "whoa"])
def test_an_abbreviation_and_its_plural_are_one_word(segmenter, hashtag):
    assert segmenter(hashtag) == hashtag.lower()
    assert segmenter(hashtag.lower()) == hashtag.lower()


@pytest.mark.parametrize(
    ("hashtag", "expected"),
    [
        ("LLMsInProduction", "llms in production"),
        ("WeLoveGPUs", "we love gpus"),
        ("CEOsLeave", "ceos leave"),
        ("VoteForUs", "vote for us"),
        ("BBCNews", "bbc news"),
        ("NYSkyline", "ny skyline"),
        ("AIart", "ai art"),
        ("aiforgood", "ai for good"),
        ("AmIAJoke", "am i a joke"),
        ("AGoodDay", "a good day"),
        ("NYCmarathon", "nyc marathon"),
        ("feb14th", "feb 14th"),
        ("34thStreet", "34th street"),
        ("the1stday", "the 1st day"),
        ("top10things", "top 10 things"),
        ("seething", "seething"),
        ("instagram", "instagram"),
        ("gameofthrones", "game of thrones"),
        ("goodmorning", "good morning"),
    ],
)
def test_words_in_a_hashtag_end_where_they_should(segmenter, hashtag, expected):
    assert segmenter(hashtag) == expected


def test_how_an_abbreviation_is_usually_written_tells_its_plural():
    assert telling_writings("our #LLMs and #GPUs, no #ISIS") == {("llms", "LLMs"), ("gpus", "GPUs")}


@given(st.text("abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=2))
def test_two_letters_are_never_parted(segmenter, letters):
    assert segmenter(letters) == segmenter(letters.upper()) == letters


@given(st.text(st.sampled_from("ABab1s"), min_size=1, max_size=6))
def test_the_certainty_of_what_is_chosen_is_that_of_the_best_way(segmenter, hashtag):
    assert segmenter.certainty(hashtag.lower(), segmenter(hashtag.lower())) >= 0.5
