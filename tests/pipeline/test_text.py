"""Texts to tokens, worked out by hand, and laws for any text."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rules import TextRules
from pipeline.text import MENTION, NUMBER, URL, Tokenizer, without_trailing_hashtags
from schemas.posts import Post
from tests.commands import environment


@pytest.fixture(scope="session")
def tokenizer():
    return Tokenizer(TextRules())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("HELLO World", "hello world"),
        ("Loving the new season #GameOfThrones #GoT", "loving the new season"),
        ("what a #GameOfThrones finale tonight", "what a game of thrones finale tonight"),
        ("foo #a #b https://t.co/x", "foo <url>"),
        ("foo #a #b https://t.co/x !! 😀", "foo <url>"),
        ("foo #a https://t.co/x #b http://t.co/y", "foo <url> <url>"),
        ("foo #a#b#c", "foo"),
        ("foo #a, #b.", "foo"),
        ("#only #tags", ""),
        ("#日本 in the middle", "日本 in the middle"),
        ("＃full width here", "full width here"),
        ("word#tag in it", "word in it"),
        ("a #2020 year", "a <number> year"),
        ("@bob hi @al_ice!", "<mention> hi <mention>"),
        ("see http://t.co/abc and https://x.org/a?b=c", "see <url> and <url>"),
        ("win 5,000 or 3.5 or 50% at 12:30", "win <number> or <number> or <number> at <number>"),
        ("the 1st and 22nd", "the <number> and <number>"),
        ("it's bob's dog, John’s too", "it bob dog john too"),
        ("can't won't we're", "can not will not we are"),
        ("Tom &amp; Jerry &amp;amp; Co &lt; all", "tom jerry co all"),
        ("so happy 😀😀 :) yay ❤️", "so happy yay"),
        ("soooo cooool", "so cool"),
        ("no....way!!! what??", "no way what"),
        ("héllo naïve Straße", "héllo naïve straße"),
        ("c3po r2d2 a_b", ""),
        ("<url> <mention> <number>", "<url> <mention> <number>"),
        ("<hashtag>foo</hashtag>", "foo"),
        ("line\nbreak\ttab", "line break tab"),
    ],
)
def test_tokens_of_a_text(tokenizer, text, expected):
    assert tokenizer.tokens(text) == expected.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b #c #d", "a b"),
        ("a #b c", "a #b c"),
        ("a #b http://x #c", "a http://x"),
        ("a #b http://x c", "a #b http://x c"),
        ("http://x http://y #a", "http://x http://y"),
        ("a — #b !", "a"),
        ("#a", ""),
        ("a #b-c", "a #b-c"),
    ],
)
def test_what_a_text_is_without_its_trailing_hashtags(text, expected):
    assert without_trailing_hashtags(text) == expected


SIGNS = st.sampled_from(["#", "'s", "1", "½", "İ", "<", ">", " ", "\n", "$", ":)", "😀", "&amp;", "&#35;"])
PIECES = SIGNS | st.sampled_from(["#Tag", "@me", "http://t.co/x", "<number>", "aaa"])


@given(st.text(max_size=60) | st.lists(PIECES | st.text(max_size=3), max_size=25).map("".join))
def test_any_text_gives_only_words_and_the_three_tags(tokenizer, text):
    tokens = tokenizer.tokens(text)
    assert all(token.isalpha() or token in (URL, MENTION, NUMBER) for token in tokens)
    assert all(token == token.lower() for token in tokens)
    assert tokenizer.tokens(text) == tokens


@given(st.lists(st.sampled_from(["word", "http://t.co/x", "!"]), max_size=6), st.lists(st.sampled_from(["#a", "#Bc"])))
def test_hashtags_at_the_end_leave_no_trace(tokenizer, words, tags):
    assert tokenizer.tokens(" ".join([*words, *tags])) == tokenizer.tokens(" ".join(words))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#" * 5000, []),
        ("#abc" * 5000, []),
        ("#abc" * 5000 + " end", None),
        ("#" + "ab" * 4000 + " word", ["ab" * 4000, "word"]),
        ("1" * 10_000, [NUMBER]),
        ("a" * 20_000, ["a"]),
        ("".join(c * 3 for c in "abcdefghijklmnopqrstuvwxyz") * 10, None),
        ("aAaAaAaA".join("bcdefghij") * 9, None),
        ("." * 10_000, []),
        ("<" * 10_000, []),
        ("😀" * 10_000, []),
        ("@a" * 5000, None),
        ("http://" * 1500, None),
        ("a's" * 3000, None),
        ("a." * 5000, None),
    ],
    ids=lambda value: f"{value[:6]}..." if isinstance(value, str) else "",
)
def test_a_hostile_text_comes_to_an_end(tokenizer, text, expected):
    tokens = tokenizer.tokens(text)
    assert expected is None or tokens == expected


def test_reading_a_post_gives_distinct_keyphrases_in_order(tokenizer):
    post = Post("1", "we watch #GameOfThrones live #nfl", hashtags=("gameofthrones", "nfl", "game_of_thrones"))
    read = tokenizer.read(post)
    assert read.tokens == ("we", "watch", "game", "of", "thrones", "live")
    assert read.keyphrases == ("game of thrones", "nfl")
    assert read.having(tokens=(), keyphrases=()) == post


def test_a_mapping_decides_both_keyphrase_and_middle_words(tmp_path):
    (tmp_path / "m.tsv").write_text("GoT\tGame of Thrones\n")
    tokenizer = Tokenizer(TextRules(hashtag_map=tmp_path / "m.tsv"))
    read = tokenizer.read(Post("1", "my #GoT night", hashtags=("got",)))
    assert (read.tokens, read.keyphrases) == (("my", "game", "of", "thrones", "night"), ("game of thrones",))


def test_of_equally_frequent_candidates_the_hash_seed_does_not_choose(tmp_path):
    (tmp_path / "counts_1grams.txt").write_text("god\t5\ngood\t5\nfal\t7\nfall\t7\nsun\t3\nsunn\t3\n")
    (tmp_path / "counts_2grams.txt").write_text("a\tb\t1\n")
    code = """
import sys
from pathlib import Path
from pipeline.rules import TextRules
from pipeline.text import Tokenizer
print(Tokenizer(TextRules(word_statistics=Path(sys.argv[1]))).tokens("goood falll sunnn"))
"""
    found = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            env={**environment(), "PYTHONHASHSEED": str(seed)}, capture_output=True, check=True,
        ).stdout
        for seed in range(5)
    }  # fmt: skip
    assert len(found) == 1, found
