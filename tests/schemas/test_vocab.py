"""Vocabularies: counted, frozen, read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.schemas.errors import IntegrityError
from m3h.schemas.vocab import LABEL_SPECIALS, UNK, WORD_SPECIALS, Vocabulary

WORDS = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=4), max_size=30)


def test_frequent_words_come_first_and_ties_by_first_appearance():
    vocabulary = Vocabulary.count(["b", "a", "c", "a", "c", "a", "d"], LABEL_SPECIALS)
    assert vocabulary.words == ["<unk>", "a", "c", "b", "d"]


def test_size_counts_words_beside_the_specials():
    assert Vocabulary.count(["b", "a", "c", "a", "c", "a", "d"], size=2).words == [*WORD_SPECIALS, "a", "c"]


def test_a_special_in_the_text_is_not_counted_twice():
    assert Vocabulary.count(["<sep>", "a", "<sep>", "<unk>"]).words == [*WORD_SPECIALS, "a"]


def test_padding_is_index_0():
    assert Vocabulary.count([]).index["<pad>"] == 0


def test_what_is_not_in_it_is_unknown():
    vocabulary = Vocabulary(["<unk>", "a"])
    assert vocabulary.encode(["a", "z", "<unk>"]) == [1, 0, 0]
    assert ("a" in vocabulary, "z" in vocabulary, len(vocabulary)) == (True, False, 2)


@given(WORDS)
def test_every_counted_word_has_its_own_index_and_comes_back_from_the_file(tmp_path_factory, words):
    path = tmp_path_factory.getbasetemp() / "vocab.json"
    vocabulary = Vocabulary.count(words)
    vocabulary.write(path)
    again = Vocabulary.read(path)
    assert again.words == vocabulary.words
    assert [again.words[i] for i in again.encode(words)] == words
    assert sorted(again.index.values()) == list(range(len(again)))


@pytest.mark.parametrize("content", ['{"a": 1}', '["a"]', f'["{UNK}", 3]', f'["{UNK}", "a", "a"]', "3", "["])
def test_a_file_that_is_no_vocabulary_is_refused(tmp_path, content):
    (tmp_path / "v.json").write_text(content)
    with pytest.raises(IntegrityError):
        Vocabulary.read(tmp_path / "v.json")
