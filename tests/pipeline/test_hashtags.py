"""Hashtags to keyphrases, the mapping file, and the word statistics behind them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.hashtags import Keyphrases, Segmenter, mapping_table, read_mapping
from pipeline.readers.record import normal_hashtags
from pipeline.statistics import read_counts, statistics_files, statistics_identity
from schemas.errors import UsageError


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


def test_the_table_lists_the_most_frequent_hashtag_first():
    pairs = [("b", "b"), ("got", "game of thrones"), ("a", "a"), ("got", "game of thrones")]
    assert mapping_table(pairs) == "# hashtag\tkeyphrase\tposts\ngot\tgame of thrones\t2\na\ta\t1\nb\tb\t1\n"


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=6), max_size=8))
def test_the_table_a_build_writes_can_be_given_back(tmp_path_factory, segmenter, raw):
    path = tmp_path_factory.getbasetemp() / "m.tsv"
    tags = normal_hashtags(raw)
    keyphrase = Keyphrases({}, segmenter)
    path.write_bytes(mapping_table((tag, keyphrase(tag)) for tag in tags).encode())
    again = Keyphrases(read_mapping(path), segmenter)
    assert [again(tag) for tag in tags] == [" ".join(keyphrase(tag).split()) for tag in tags]


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
    assert statistics_identity(None).startswith("wordsegment ")
