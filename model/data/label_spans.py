"""Where labels stand in texts, word for word after stemming: what a classifier can point to."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from m3h.model.data.ragged import Ragged
from m3h.model.text.stemming import stem
from m3h.schemas.vocab import Vocabulary

SPAN = 3
"""Numbers of a span: label, first word, and the word after its last."""


@dataclass(frozen=True)
class LabelSpans:
    """The spans of each post, each SPAN numbers, one after the other. A label counts once a post, where it is first."""

    numbers: Ragged

    @classmethod
    def find(cls, texts: Sequence[Sequence[str]], labels: Vocabulary) -> "LabelSpans":
        """The spans of all labels but `<unk>`, label 0. Of labels that are equal after stemming all count."""
        known: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for label, name in enumerate(labels.words):
            if label:
                known[tuple(map(stem, name.split()))].append(label)
        longest = max(map(len, known), default=0)
        rows = []
        for text in texts:
            stems = [stem(token) for token in text]
            spans: dict[int, tuple[int, int, int]] = {}
            for start in range(len(stems)):
                for end in range(start + 1, min(start + longest, len(stems)) + 1):
                    for label in known.get(tuple(stems[start:end]), ()):
                        spans.setdefault(label, (label, start, end))
            rows.append([number for span in spans.values() for number in span])
        return cls(Ragged.from_rows(rows))

    def batch(self, rows_b: np.ndarray) -> np.ndarray:
        """(B, K, 3): the spans of these posts; zeros where a post has fewer. K may be zero."""
        numbers_bm, mask_bm = self.numbers.padded(rows_b)
        width = mask_bm.sum(1).max(initial=0)
        spans_bk3: np.ndarray = numbers_bm[:, :width].reshape(len(rows_b), width // SPAN, SPAN)
        return spans_bk3
