"""Phrases of texts, word for word: what may be a keyphrase although no training post has it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from m3h.model.text.stemming import Phrase, stem, stem_phrase

LONGEST = 4
"""Words of the longest phrase. One keyphrase of a hundred that stand in their texts is longer."""


@dataclass(frozen=True)
class TextPhrases:
    """The phrases of each text; of those that are equal after stemming the first.

    spans: (k, 2) of each text, a phrase's first word and the word after its last. right: (k,) bool of each text, which
    of them are keyphrases of the post after stemming; empty where nobody asked. The stems are not held: of 43,000
    posts they take 0.2 GB.
    """

    spans: Sequence[np.ndarray]
    right: Sequence[np.ndarray] = ()

    @classmethod
    def find(
        cls,
        texts: Sequence[Sequence[str]],
        words_read: Sequence[int],
        keyphrases: Sequence[Sequence[str]] | None = None,
    ) -> "TextPhrases":
        """All runs of up to LONGEST words with a letter or a digit each, mentions and special tokens left out.

        Args:
            texts: the tokens of each.
            words_read: how many tokens of each are read.
            keyphrases: of each post, to be found among the phrases.
        """
        spans, right = [], []
        for row, (text, count) in enumerate(zip(texts, words_read, strict=True)):
            phrases = _phrases(text[:count])
            spans.append(np.array(list(phrases.values()), np.int64).reshape(-1, 2))
            if keyphrases is not None:
                gold = set(map(stem_phrase, keyphrases[row]))
                right.append(np.array([phrase in gold for phrase in phrases], bool))
        return cls(spans, right)

    def shares(self, rows_b: np.ndarray) -> np.ndarray:
        """(B, 1 + K) float32, the keyphrases among the phrases of each text, alike; the first where there is none."""
        width = max((len(self.spans[row]) for row in rows_b), default=0)
        share_bk = np.zeros((len(rows_b), 1 + width), np.float32)
        for place, row in enumerate(rows_b):
            right = 1 + np.flatnonzero(self.right[row])
            share_bk[place, right if len(right) else 0] = 1 / max(1, len(right))
        return share_bk

    def batch(self, rows_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B, K, 2) spans of these texts, zeros where a text has fewer, and (B, K) bool, True = real. K may be zero."""
        width = max((len(self.spans[row]) for row in rows_b), default=0)
        span_bk2, mask_bk = np.zeros((len(rows_b), width, 2), np.int64), np.zeros((len(rows_b), width), bool)
        for place, row in enumerate(rows_b):
            count = len(self.spans[row])
            span_bk2[place, :count], mask_bk[place, :count] = self.spans[row], True
        return span_bk2, mask_bk


def _phrases(text: Sequence[str]) -> dict[Phrase, tuple[int, int]]:
    """Stems -> first word and the word after the last."""
    stems, usable = [stem(token) for token in text], [_is_word(token) for token in text]
    found: dict[Phrase, tuple[int, int]] = {}
    for start in range(len(text)):
        for end in range(start + 1, min(start + LONGEST, len(text)) + 1):
            if not usable[end - 1]:
                break
            found.setdefault(tuple(stems[start:end]), (start, end))
    return found


def _is_word(token: str) -> bool:
    return any(map(str.isalnum, token)) and not token.startswith(("<", "@"))
