"""What speaks for a label in a post beside its likeness to other posts: whether and where the label stands there.

Axes: c candidates of a post, n labels, f clues.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from model.metrics import Phrase, stem, stem_phrase

CLUES = (
    "score",  # of `Recall`
    "root",  # of its absolute value, with its sign
    "frequency",  # log of (0.3 + the training posts with this keyphrase, the post itself left out)
    "unseen",  # none is left
    "one word",
    "two words",
    "three words",
    "more words",
    "ocr",  # its stems stand in the image's words
    "text",  # and in the text
    "exact",  # so do its words as they are
    "first",  # the text begins with it
    "last",
    "place",  # 0 at the text's begin, towards 1
    "after a mark",  # of punctuation, or a special token
    "before a mark",
    "commonest",  # weight of the label's most frequent word in `Grams`
    "rarest",
)
"""Names of the columns, in order; from "exact" on, zero where the label does not stand in the text."""


class Labels:
    """The labels, as they are looked up in a post. weigh: the weight of a word in `Grams`."""

    def __init__(self, labels: Sequence[str], weigh: Callable[[str], float]) -> None:
        phrases = [stem_phrase(label) for label in labels]
        self.lengths = np.array([len(phrase) for phrase in phrases])
        weights = [[weigh(word) for word in label.split()] for label in labels]
        self.rarity_n2 = np.array([[min(words), max(words)] for words in weights])
        self.exact = {tuple(label.split()): i for i, label in enumerate(labels)}
        self.by_stems: dict[Phrase, list[int]] = defaultdict(list)
        for i, phrase in enumerate(phrases):
            if i:  # 0 is `<unk>`
                self.by_stems[phrase].append(i)

    def look(
        self, tokens: Sequence[str], ocr: Sequence[str], score_n: np.ndarray, seen_n: np.ndarray, best: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """(c,) ids, rising, and (c, f) clues of the labels that stand in the post, and of the `best` by `score_n`.

        tokens, ocr: the words of the text, and of its image. seen_n: how many training posts have each label, this
        one left out.
        """
        stems, read = [stem(token) for token in tokens], [stem(word) for word in ocr]
        places = {i: place for place, run in self._runs(stems) for i in self.by_stems.get(run, ())}
        in_ocr = {i for _, run in self._runs(read) for i in self.by_stems.get(run, ())}
        exact = {self.exact[run] for _, run in self._runs(tokens) if run in self.exact}
        ids = np.array(sorted({*places, *in_ocr, *_highest(score_n, best)}), np.int64)
        standing = np.array([_standing(i, places, i in exact, int(self.lengths[i]), stems) for i in ids])
        columns = [score_n[ids], np.sign(score_n[ids]) * np.sqrt(np.abs(score_n[ids]))]
        columns += [np.log(seen_n[ids] + 0.3), seen_n[ids] == 0]
        columns += [np.minimum(self.lengths[ids], 4) == length for length in (1, 2, 3, 4)]
        columns += [[i in in_ocr for i in ids], *standing.T]
        columns += list(self.rarity_n2[ids].T * standing[:, 0])
        return ids, np.stack(columns, 1).astype(np.float32)

    def _runs(self, words: Sequence[str]) -> Iterator[tuple[int, Phrase]]:
        """Where each run of words begins, the last first, so that of equal ones the first is what is kept."""
        longest = int(self.lengths.max())
        for place in reversed(range(len(words))):
            for end in range(place + 1, min(place + longest, len(words)) + 1):
                yield place, tuple(words[place:end])


def _highest(score_n: np.ndarray, best: int) -> list[int]:
    """Ids of the highest scores but for that of `<unk>`, in no order."""
    known_n = score_n[1:]
    if best >= len(known_n):
        return list(range(1, len(score_n)))
    return [int(i) + 1 for i in np.argpartition(-known_n, best)[:best]]


def _standing(i: int, places: dict[int, int], exact: bool, length: int, stems: Sequence[str]) -> list[float]:
    """CLUES from "text" to "before a mark"."""
    if i not in places:
        return [0.0] * 7
    place, end = places[i], places[i] + length
    after = place > 0 and not stems[place - 1].isalpha()
    before = end < len(stems) and not stems[end].isalpha()
    return [1.0, exact, place == 0, end == len(stems), place / len(stems), after, before]
