"""Hashtags to keyphrases, the mapping file, and the word statistics behind them."""

import itertools
import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.segmentation import gold, ours, plain_ekphrasis, right
from m3h.pipeline.readers.record import normal_hashtags
from m3h.pipeline.text.hashtags import (
    Keyphrases,
    mapping_table,
    pairs_of,
    read_mapping,
    stated_certainty,
    telling_writings,
)
from m3h.pipeline.text.segmenter import Segmenter
from m3h.pipeline.text.word_statistics import read_counts, statistics_files, statistics_identity, word_statistics
from m3h.schemas.errors import UsageError


@pytest.fixture(scope="session")
def segmenter():
    return Segmenter()


@pytest.mark.parametrize(
    ("hashtag", "expected"),
    [
        ("gameofthrones", "game of thrones"),
        ("GameOfThrones", "game of thrones"),
        ("blacklivesmatter", "black lives matter"),
        ("throwbackthursday", "throwback thursday"),
        ("photo_of_the_day", "photo of the day"),
        ("cwc19", "cwc 19"),
        ("brexit", "brexit"),
        ("funrun2", "fun run 2"),
        ("ps4", "ps4"),
        ("xboxe3", "xbox e3"),
        ("covid19", "covid 19"),
        ("BBCNews", "bbc news"),
        ("iPhone", "iphone"),
        ("euro2016final", "euro 2016 final"),
        ("2020", "2020"),
        ("nyc", "nyc"),
        ("日本", "日本"),
        ("___", "___"),
        ("😀", "😀"),
        ("a" * 101, "a" * 101),  # longer than any hashtag of words: left whole
    ],
)
def test_a_hashtag_falls_into_words(segmenter, hashtag, expected):
    assert segmenter(hashtag) == expected


@given(st.text(st.sampled_from("abetns_1é"), min_size=1, max_size=12))
def test_segmenting_keeps_every_letter_and_digit(segmenter, hashtag):
    letters = hashtag.replace("_", "")
    assert segmenter(hashtag).replace(" ", "") == (letters or hashtag)


def test_the_mapping_overrides_the_segmenter_in_any_case(segmenter):
    keyphrase = Keyphrases({"got": "game of thrones"}, segmenter)
    assert [keyphrase(tag) for tag in ("#GoT", "got", "GOT", "nyc")] == ["game of thrones"] * 3 + ["nyc"]


def test_a_mapping_file_may_hold_comments_more_columns_and_untidy_phrases(tmp_path):
    path = tmp_path / "m.tsv"
    path.write_text("# hashtag\tkeyphrase\n\n#GoT\t Game  of Thrones \t17\nnyc\tnew york city\n", encoding="utf-8")
    assert read_mapping(path) == {"got": "game of thrones", "nyc": "new york city"}


@pytest.mark.parametrize("line", ["got", "got\t", "\tgame of thrones", "got game"])
def test_a_bad_line_is_named_with_its_file_and_number(tmp_path, line):
    path = tmp_path / "m.tsv"
    path.write_text(f"nyc\tnew york\n{line}\n")
    with pytest.raises(UsageError) as caught:
        read_mapping(path)
    assert str(caught.value) == f"{path}, line 2: expected a hashtag, a tab and a keyphrase, got {line!r}."


@pytest.mark.parametrize("data", [None, b"\xff\xfe"])
def test_an_unreadable_mapping_is_wrong_use(tmp_path, data):
    if data:
        (tmp_path / "m.tsv").write_bytes(data)
    with pytest.raises(UsageError, match=r"text\.hashtag_map .*m\.tsv"):
        read_mapping(tmp_path / "m.tsv")


def test_the_table_lists_first_what_is_likely_wrong_in_most_posts():
    pairs = [("b", "b"), ("got", "game of thrones"), ("a", "a"), ("got", "game of thrones"), ("brexit", "br exit")]
    sure = {"b": 1.0, "a": 1.0, "got": 0.75, "brexit": 0.25}
    assert mapping_table(pairs, lambda hashtag, _: sure[hashtag]).splitlines() == [
        "# hashtag\tkeyphrase\tposts\tcertainty",
        "brexit\tbr exit\t1\t0.250",  # 0.75 posts
        "got\tgame of thrones\t2\t0.750",  # 0.5 posts
        "a\ta\t1\t1.000",
        "b\tb\t1\t1.000",
    ]


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=6), max_size=8), st.randoms())
def test_the_table_a_build_writes_can_be_given_back_and_knows_no_order(tmp_path_factory, segmenter, raw, random):
    path = tmp_path_factory.getbasetemp() / "m.tsv"
    tags = normal_hashtags(raw)
    keyphrase = Keyphrases({}, segmenter)
    pairs = [(tag, keyphrase(tag)) for tag in tags]
    path.write_bytes(mapping_table(pairs, segmenter.certainty).encode())
    again = Keyphrases(read_mapping(path), segmenter)
    assert [again(tag) for tag in tags] == [" ".join(keyphrase(tag).split()) for tag in tags]
    random.shuffle(pairs)
    assert mapping_table(pairs, segmenter.certainty).encode() == path.read_bytes()


def test_a_table_keeps_the_certainty_it_states_when_it_is_written_again(tmp_path):
    path = tmp_path / "m.tsv"
    path.write_text("got\tgame of thrones\t7\t0.400\nnyc\tnyc\n", encoding="utf-8")
    stated = stated_certainty(path)
    assert [stated("got", "game of thrones"), stated("nyc", "nyc"), stated("got", "got")] == [0.4, 1.0, 1.0]


def test_one_hashtag_with_two_keyphrases_is_refused(tmp_path):
    path = tmp_path / "m.tsv"
    path.write_text("GoT\tgame of thrones\ngot\tgame of  thrones\n#got\tgot\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"m\.tsv, line 3: #got is 'got' here and 'game of thrones' above"):
        read_mapping(path)


@pytest.mark.parametrize(
    ("hashtags", "keyphrases", "pairs"),
    [
        (("got", "nyc"), ("game of thrones", "new york"), [("got", "game of thrones"), ("nyc", "new york")]),
        (("ab_c", "abc", "x"), ("ab c", "x y"), [("ab_c", "ab c"), ("abc", "ab c"), ("x", "x y")]),
    ],
)
def test_a_posts_hashtags_find_their_keyphrases_again(hashtags, keyphrases, pairs):
    assert pairs_of(hashtags, keyphrases, {"x": "x y"}) == pairs


def test_writings_that_tell_where_words_begin_have_capitals_inside_and_are_not_shouted():
    assert telling_writings("#LoveIsland #loveisland #NYC #Paris #iPhone #x_Y #LoveIsLand http://x.org/#NoTag") == {
        ("loveisland", "LoveIsland"), ("loveisland", "LoveIsLand"), ("iphone", "iPhone"), ("x_y", "x_Y"),
    }  # fmt: skip


def test_how_a_hashtag_is_usually_written_decides_between_even_ways(segmenter):
    keyphrase = Keyphrases({"got": "game of thrones"}, segmenter)
    assert keyphrase("avengersendgame") == "avengers endgame"
    assert keyphrase("avengersendgame", {"avengersendgame": "AvengersEndGame"}) == "avengers end game"
    assert keyphrase("photography", {"photography": "PhotoGraphy"}) == "photography"  # capitals alone do not decide
    assert keyphrase("got", {"got": "GoT"}) == "game of thrones"


# how sure a segmentation is


def test_certainty_is_of_the_keyphrase_against_the_best_other_way(segmenter):
    assert segmenter.certainty("gameofthrones", "game of thrones") > 0.99
    assert segmenter.certainty("gameofthrones", "gameofthrones") < 0.01
    assert segmenter.certainty("a", "a") == segmenter.certainty("___", "___") == 1
    assert segmenter.certainty("got", "game of thrones") == 0
    both = [segmenter.certainty("foobar", "foo bar"), segmenter.certainty("foobar", "foobar")]
    assert sum(both) == pytest.approx(1)  # its two best ways


@given(st.text(st.sampled_from("abetns_1é"), min_size=1, max_size=12))
def test_what_the_segmenter_chooses_is_at_least_as_sure_as_any_other(segmenter, hashtag):
    assert segmenter.certainty(hashtag, segmenter(hashtag)) >= 0.5 or "_" in hashtag
    assert 0 <= segmenter.certainty(hashtag, hashtag.replace("_", "")) <= 1


def all_ways(segmenter, part):
    """Every way to part a hashtag, best first, by the same sums as the search and no search."""
    letters, boundaries, ways = part.lower(), segmenter._boundaries(part), []
    for cuts in itertools.product((False, True), repeat=len(letters) - 1):
        places = [0, *(place for place, cut in enumerate(cuts, start=1) if cut), len(letters)]
        words, score = (), 0.0
        for start, stop in itertools.pairwise(places):
            word = letters[start:stop]
            score = score + segmenter._behind(word, words[-1] if words else "") + boundaries[stop]
            words = (*words, word)
        ways.append((score + segmenter._undivided(letters, words), words))
    return sorted((way for way in ways if way[0] > -math.inf), reverse=True)


@given(st.text(st.sampled_from("aeinstorTHE1é"), min_size=1, max_size=9), st.integers(1, 3))
@example("aIart", 3)
@example("thisisit", 2)
@example("1990s", 3)
def test_the_search_leaves_out_no_way_that_is_among_the_best(segmenter, part, keep):
    assert segmenter._best(part, keep) == all_ways(segmenter, part)[:keep]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "total", "plain", "found"),
    [
        ("stan_small.csv", 1108, 906, 1009),
        ("stan_large_dev.csv", 2518, 1993, 2236),
        ("stan_large_test.csv", 9447, 7582, 8433),
        ("test_stanford_gold.tsv", 1281, 969, 1077),
    ],
)
def test_more_hashtags_fall_into_their_right_words_than_with_ekphrasis_alone(m3h_data, name, total, plain, found):
    hashtags = gold(m3h_data / "hashtag_segmentation" / name)
    assert (len(hashtags), right(plain_ekphrasis(), hashtags), right(ours(), hashtags)) == (total, plain, found)


# word statistics


def test_counts_are_read_by_word_and_by_pair(tmp_path):
    path = tmp_path / "counts.txt"
    path.write_text("the\t23\nof the\t7\n<S>\tthe\t5\n", encoding="utf-8")
    assert read_counts(path) == {"the": 23, "of_the": 7, "<S>_the": 5}


@pytest.mark.parametrize("line", ["the", "the 23", "the\t", "the\tmany", "the\t-1", "the\t²", ""])
def test_a_bad_count_is_named_with_its_file_and_line(tmp_path, line):
    path = tmp_path / "counts.txt"
    path.write_text(f"of\t1\n{line}\n", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_counts(path)
    assert str(caught.value) == f"{path}, line 2: expected words, a tab and a count, got {line!r}."


@pytest.fixture
def own(tmp_path):
    (tmp_path / "counts_1grams.txt").write_text("foo\t1000\nbar\t1000\nfoobar\t1\n")
    (tmp_path / "counts_2grams.txt").write_text("foo\tbar\t500\n")
    return tmp_path


def test_own_statistics_decide_how_a_hashtag_falls_apart(own):
    assert Segmenter(own)("foobar") == "foo bar"


def test_a_word_in_pairs_has_the_most_that_it_has_behind_any_other(own):
    (own / "counts_2grams.txt").write_text("foo\tbar\t500\nfoobar\tbar\t1\nbar\tfoo\t250\nunknown\tbar\t9\n")
    statistics = word_statistics(own)
    assert statistics.in_pairs("bar") == (True, 1.0)  # behind the one `foobar`
    assert statistics.in_pairs("foo") == (True, 0.25)
    assert statistics.in_pairs("foobar") == (True, 0.0)
    assert statistics.in_pairs("unknown") == (False, 0.0)  # it has no count, so no pair of it says anything


@given(
    st.sampled_from(["the", "of", "new", "york", "i", "a", "b2b"]), st.sampled_from(["the", "of", "new", "city", "i"])
)
def test_no_word_is_more_probable_behind_another_than_it_can_be(segmenter, word, before):
    scores = segmenter._words[word]
    assert segmenter._behind(word, before) <= scores.most
    assert scores.varies or segmenter._behind(word, before) == scores.alone
    assert segmenter._words[before].tells or segmenter._behind(word, before) == scores.alone


def test_a_missing_file_of_own_statistics_is_named(own):
    (own / "counts_2grams.txt").unlink()
    with pytest.raises(UsageError, match=r"expected counts_2grams\.txt in it, there is none"):
        statistics_files(own)


def test_the_identity_names_the_statistics_and_changes_with_their_bytes(tmp_path, own):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("counts_1grams.txt", "counts_2grams.txt"):
        (other / name).write_bytes((own / name).read_bytes() + b"baz\t1\n")
    assert statistics_identity(own).startswith(own.name)
    assert statistics_identity(own).split()[-1] != statistics_identity(other).split()[-1]
    assert re.fullmatch(r"wordsegment [\d.]+, wordfreq [\d.]+ sha256:[0-9a-f]{16}", statistics_identity(None))
