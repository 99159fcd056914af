"""The attributes that a head predicts: the most frequent nouns and adjectives of the captions, or the user's list."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from m3h.schemas.errors import UsageError
from m3h.schemas.programs import import_alone

WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)+|[^\W\d_]{2,}")
"""At least two letters, or groups of letters with hyphens between them."""

STOP_WORDS = frozenset(
    """
    able another anything available back background bit body bottom bunch close close-up closeup corner couple
    day different edge end everything few first foreground front full half image item kind last left little
    lot main many middle more most much multiple next nothing number object other others own pair part photo
    photograph picture piece place position right row same scene second section set several shot side single
    someone something sort such thing top type up various very view way whole
    """.split()  # noqa: SIM905
)
"""Words for positions, numbers or the picture itself. They do not describe what the picture shows."""

stem = lru_cache(maxsize=None)(import_alone("nltk.stem.porter").PorterStemmer().stem)


def words_of(caption: str) -> list[str]:
    """All words of a caption, in lower case."""
    return WORD.findall(caption.lower())


@dataclass(frozen=True)
class AttributeVocabulary:
    """Distinct words with distinct Porter stems. Word i is label i."""

    words: tuple[str, ...]

    @classmethod
    def count(cls, pictures: Iterable[Sequence[str]], size: int, min_images: int) -> "AttributeVocabulary":
        """The stems that the most pictures have, each in its most frequent form. Ties are sorted alphabetically.

        Args:
            pictures: for each picture the nouns and adjectives of its captions.
            size: most words.
            min_images: fewest pictures that have a stem.
        """
        image_counts: Counter[str] = Counter()
        forms: dict[str, Counter[str]] = defaultdict(Counter)
        for words in pictures:
            candidates = [word for word in words if WORD.fullmatch(word) and word not in STOP_WORDS]
            for word in candidates:
                forms[stem(word)][word] += 1
            image_counts.update({stem(word) for word in candidates})
        kept = sorted((-number, root) for root, number in image_counts.items() if number >= min_images)[:size]
        return cls(tuple(min(forms[root].items(), key=lambda item: (-item[1], item[0]))[0] for _, root in kept))

    @classmethod
    def read(cls, path: Path) -> "AttributeVocabulary":
        """The user's list: one word per line, or a JSON list. UsageError names the first invalid entry."""
        try:
            text = path.read_text(encoding="utf-8")
            entries = json.loads(text) if text.lstrip().startswith("[") else text.split("\n")
        except OSError as error:
            raise UsageError(f"--vocabulary {path}: {error.strerror}.") from error
        except ValueError as error:
            raise UsageError(f"--vocabulary {path}: expected one word per line or a JSON list ({error}).") from error
        words = [(i, entry) for i, entry in enumerate(entries, 1) if not isinstance(entry, str) or entry.strip()]
        stems: dict[str, str] = {}
        for i, entry in words:
            if not isinstance(entry, str) or not WORD.fullmatch(entry.strip().lower()):
                raise UsageError(f"--vocabulary {path}: entry {i}: expected one word of letters, got {entry!r}.")
            word = entry.strip().lower()
            if stem(word) in stems:
                raise UsageError(
                    f"--vocabulary {path}: entry {i}: '{word}' and '{stems[stem(word)]}' have the same stem."
                )
            stems[stem(word)] = word
        if not stems:
            raise UsageError(f"--vocabulary {path}: expected words, found none.")
        return cls(tuple(stems.values()))

    def labels(self, words: Iterable[str]) -> list[int]:
        """The labels of the attributes that occur in `words`, sorted."""
        return sorted({self._index[stem(word)] for word in words if stem(word) in self._index})

    @cached_property
    def _index(self) -> dict[str, int]:
        return {stem(word): i for i, word in enumerate(self.words)}
