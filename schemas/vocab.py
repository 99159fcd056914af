"""Vocabularies of tokens and of labels. They are counted on the training split only and stored as JSON."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from m3h.schemas.errors import IntegrityError
from m3h.schemas.files import publish_json, read_json

PAD, BOS, EOS, UNK, SEP = "<pad>", "<bos>", "<eos>", "<unk>", "<sep>"
WORD_SPECIALS = (PAD, BOS, EOS, UNK, SEP)
LABEL_SPECIALS = (UNK,)


class Vocabulary:
    """An ordered list of distinct strings and its inverse. Unknown strings map to the index of `<unk>`."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self.index = {word: i for i, word in enumerate(self.words)}
        if len(self.index) != len(self.words):
            raise IntegrityError("a vocabulary holds the same word twice.")
        self.unk = self.index[UNK]

    @classmethod
    def count(
        cls, tokens: Iterable[str], specials: Sequence[str] = WORD_SPECIALS, size: int | None = None
    ) -> "Vocabulary":
        """A vocabulary of the most frequent tokens. Ties are ordered by first appearance.

        Args:
            tokens: Every occurrence.
            specials: Strings that come first, whether they occur or not.
            size: Number of tokens beside the specials. None for all.
        """
        counts = Counter(tokens)
        for special in specials:
            counts.pop(special, None)
        return cls([*specials, *(word for word, _ in counts.most_common(size))])

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.index

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """The indices of tokens. Unknown tokens get the index of `<unk>`."""
        return [self.index.get(token, self.unk) for token in tokens]

    def write(self, path: Path) -> None:
        """Write it as a JSON list, in order."""
        publish_json(path, self.words)

    @classmethod
    def read(cls, path: Path) -> "Vocabulary":
        """Read what `write` wrote.

        Raises:
            IntegrityError: The file is no JSON list of strings, lacks `<unk>`, or holds a word twice.
        """
        words = read_json(path)
        if not isinstance(words, list) or UNK not in words or not all(isinstance(word, str) for word in words):
            raise IntegrityError(f"{path}: expected a JSON list of strings with {UNK} among them.")
        return cls(words)
