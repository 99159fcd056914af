"""Phrases as the metrics compare them: Porter-stemmed words."""

from functools import lru_cache

from m3h.schemas.programs import import_alone

_STEMMER = import_alone("nltk.stem.porter").PorterStemmer()


Phrase = tuple[str, ...]


@lru_cache(maxsize=1 << 18)
def stem(word: str) -> str:
    """Lower-cased Porter stem. Special tokens such as `<number>` stay as they are."""
    return str(_STEMMER.stem(word.lower()))


def stem_phrase(phrase: str) -> Phrase:
    """The stems of a phrase's words. Words are separated by single spaces."""
    return tuple(stem(word) for word in phrase.split(" "))


def is_present(phrase: Phrase, stemmed_source: str) -> bool:
    """Whether the source contains the phrase as whole words.

    stemmed_source: its stems, joined by spaces, with a space before the first and after the last.
    """
    return f" {' '.join(phrase)} " in stemmed_source
