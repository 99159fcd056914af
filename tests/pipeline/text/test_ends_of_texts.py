"""What a text ends with: masks before hashtags, links cut short, and words that are half a number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.rules import TextRules
from m3h.pipeline.text.pii import mask
from m3h.pipeline.text.tokenizer import TAGS, Tokenizer, cut_hashtag


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(TextRules())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("still waiting for @someone. #patience", "still waiting for <mention>"),
        ("(@someone) #patience", "<mention>"),
        ("@someone's #patience", "<mention> s"),
        ("ask me@mail.com! #help", "ask"),
        ("ring +44 20 7946 0958. #help #now", "ring <number>"),
        ("from <user>. #help", "from <mention>"),
        ("so good #cake https://twitter.com/someone/status/12", "so good <url>"),
        ("so good #cake <url> #tea", "so good <url>"),
        ("<url> #cake is good", "<url> cake is good"),
    ],
)
def test_a_mask_before_the_last_hashtags_stays_a_mask(tokenizer, text, expected):
    assert tokenizer.tokens(text) == expected.split()


MASKED = st.sampled_from(["@someone", "me@mail.com", "(212) 555-0123", "https://x.com/someone", "word", "<url>"])
ENDS = st.sampled_from([".", "!", ")", "", "…", " -"])


@given(st.lists(st.tuples(MASKED, ENDS).map("".join), max_size=5).map(" ".join))
def test_hashtags_behind_what_is_masked_leave_no_trace(tokenizer, text):
    tokens = tokenizer.tokens(f"{text} #cake #tea")
    assert tokens == tokenizer.tokens(mask(text))
    assert set(tokens) <= {"word", *TAGS}


@pytest.mark.parametrize("cut", ["h", "ht", "htt", "http", "https", "https:", "https:/", "https://", "https://t.c"])
@pytest.mark.parametrize("behind", ["…", "… ", "… https://t.co/ab"])
def test_a_link_is_one_wherever_a_retweet_cuts_it(tokenizer, cut, behind):
    links = ["<url>"] * (1 + behind.count("https"))
    assert tokenizer.tokens(f"RT @bob: look at this {cut}{behind}") == ["rt", "<mention>", "look", "at", "this", *links]


@pytest.mark.parametrize("text", ["look at this ht...", "look at this https://t...", "look at this http..."])
def test_three_dots_cut_a_link_too(tokenizer, text):
    assert tokenizer.tokens(text) == ["look", "at", "this", "<url>"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("oh h... well", "oh h well"),
        ("she said ah…", "she said ah"),
        ("h… is for ham", "h is for ham"),
    ],
)
def test_other_words_before_dots_are_no_links(tokenizer, text, expected):
    assert tokenizer.tokens(text) == expected.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a 16GB card, 1,000kg and 2.5 km", "a <number> gb card <number> kg and <number> km"),
        ("3D at 60fps", "<number> d at <number> fps"),
        ("130M people at 5pm", "<number> m people at <number>"),
        ("2x4 6ft4 r2d2 ps4 a1b", ""),
        ("$5m and 20%off", "<number> and <number> off"),
        ("it's w/o a D/L", "it s w o a d l"),
        ("who's who, M&M's", "who s who m m s"),
    ],
)
def test_numbers_part_from_their_units_and_signs_part_words(tokenizer, text, expected):
    assert tokenizer.tokens(text) == expected.split()


def test_links_without_end_behind_a_cut_come_to_an_end(tokenizer):
    text = "word … " + "https://" * 1000 + " word"
    assert cut_hashtag(text) == ""
    assert tokenizer.tokens(text)[-1] == "word"
