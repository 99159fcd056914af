"""Features of a label in a post: its score, its frequency, and whether and where it occurs in the post.

Axes: c candidate labels of a post, n labels, f label features.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np

from m3h.model.text.stemming import Phrase, stem, stem_phrase

LABEL_FEATURES = (
    "score",  # of `KernelRidge`
    "signed sqrt score",  # sign(score) x sqrt(|score|)
    "log frequency",  # log(0.3 + training posts with this keyphrase, the post itself left out)
    "unseen",  # no other training post has it
    "one word",
    "two words",
    "three words",
    "more words",
    "in ocr",  # its stems occur in the image's words
    "in text",  # its stems occur in the text
    "exact",  # its words occur in the text unstemmed
    "at start",  # the text begins with it
    "at end",
    "relative position",  # 0 at the start of the text, towards 1
    "after non-word",  # the token before it is punctuation or a special token
    "before non-word",
    "min idf",  # the idf of its most frequent word, see `TfidfVectorizer`
    "max idf",  # the idf of its rarest word
)
"""Names of the columns, in order. From "exact" on, a column is zero where the label does not occur in the text."""


class LabelMatcher:
    """Finds labels in posts and computes their features. idf: gives the idf of a word."""

    def __init__(self, labels: Sequence[str], idf: Callable[[str], float]) -> None:
        phrases = [stem_phrase(label) for label in labels]
        self.lengths = np.array([len(phrase) for phrase in phrases])
        word_idfs = [[idf(word) for word in label.split()] for label in labels]
        self.idf_range_n2 = np.array([[min(idfs), max(idfs)] for idfs in word_idfs])
        self.exact = {tuple(label.split()): i for i, label in enumerate(labels)}
        self.by_stems: dict[Phrase, list[int]] = defaultdict(list)
        for i, phrase in enumerate(phrases):
            if i:  # 0 is `<unk>`
                self.by_stems[phrase].append(i)

    def features(
        self,
        tokens: Sequence[str],
        ocr: Sequence[str],
        score_n: np.ndarray,
        *,
        count_n: np.ndarray,
        top: int,
        also: Collection[int] = (),
        known: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(c,) candidate ids in ascending order, and (c, f) their features.

        Candidates are the labels that occur in the post, the `top` labels by score, and those of `also`.

        Args:
            tokens: the words of the text.
            ocr: the words of its image.
            score_n: (n,) scores of `KernelRidge`.
            count_n: (n,) how many training posts have each label, this post left out.
            top: how many labels are candidates by score alone.
            also: ids of further candidates.
            known: only labels that another training post has, if there is any among them.
        """
        stems, ocr_stems = [stem(token) for token in tokens], [stem(word) for word in ocr]
        positions = {i: start for start, span in self._spans(stems) for i in self.by_stems.get(span, ())}
        in_ocr = {i for _, span in self._spans(ocr_stems) for i in self.by_stems.get(span, ())}
        exact = {self.exact[span] for _, span in self._spans(tokens) if span in self.exact}
        ids = np.array(sorted({*positions, *in_ocr, *top_ids(score_n, top), *also}), np.int64)
        if known and np.any(count_n[ids]):
            ids = ids[count_n[ids] > 0]
        in_text = np.array(
            [_text_features(positions.get(i), i in exact, int(self.lengths[i]), stems=stems) for i in ids]
        )
        columns = [score_n[ids], np.sign(score_n[ids]) * np.sqrt(np.abs(score_n[ids]))]
        columns += [np.log(count_n[ids] + 0.3), count_n[ids] == 0]
        columns += [np.minimum(self.lengths[ids], 4) == length for length in (1, 2, 3, 4)]
        columns += [[i in in_ocr for i in ids], *in_text.T]
        columns += list(self.idf_range_n2[ids].T * in_text[:, 0])
        return ids, np.stack(columns, 1).astype(np.float32)

    def _spans(self, words: Sequence[str]) -> Iterator[tuple[int, Phrase]]:
        """Start and words of every span that may be a label. The last start comes first: a dict keeps the first one."""
        longest = int(self.lengths.max())
        for start in reversed(range(len(words))):
            for end in range(start + 1, min(start + longest, len(words)) + 1):
                yield start, tuple(words[start:end])


def top_ids(score_n: np.ndarray, top: int) -> list[int]:
    """Ids of the highest scores, in no order, without `<unk>`."""
    known_n = score_n[1:]
    if top >= len(known_n):
        return list(range(1, len(score_n)))
    return [int(i) + 1 for i in np.argpartition(-known_n, top)[:top]]


def _text_features(start: int | None, exact: bool, length: int, *, stems: Sequence[str]) -> list[float]:
    """LABEL_FEATURES from "in text" to "before non-word". start: where the label occurs in the text, or None."""
    if start is None:
        return [0.0] * 7
    end = start + length
    after = start > 0 and not stems[start - 1].isalpha()
    before = end < len(stems) and not stems[end].isalpha()
    return [1.0, exact, start == 0, end == len(stems), start / len(stems), after, before]
