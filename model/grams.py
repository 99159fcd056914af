"""A text as words, pairs of neighbours, stems and pieces of words, the rarer the weightier (TF-IDF).

Stems and pieces are what is left of words that no training text has: `storms` is like `storm`, `mufcfan` like `mufc`.

Axes: n texts, f grams.
"""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from model.metrics import stem

PIECE = 4
"""Letters of a piece."""


def _words(source: Sequence[str]) -> list[str]:
    return list(source)


def _pairs(source: Sequence[str]) -> list[str]:
    return [f"{a} {b}" for a, b in pairwise(source)]


def _stems(source: Sequence[str]) -> list[str]:
    return [f"~{stem(word)}" for word in source]


def _pieces(source: Sequence[str]) -> list[str]:
    marked = [f"^{word}$" for word in source]
    return [f"={word[i : i + PIECE]}" for word in marked for i in range(max(1, len(word) - PIECE + 1))]


KINDS = {"words": _words, "pairs": _pairs, "stems": _stems, "pieces": _pieces}
"""What a text can be taken as. Pairs have a space between them, stems and pieces a mark before them."""


def grams_of(source: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """All of these kinds; pieces overlap, and know where a word begins and ends."""
    return [gram for kind in kinds for gram in KINDS[kind](source)]


class Grams:
    """The grams of the training texts and their weights, log((1 + n) / (1 + texts with it)) + 1.

    most: the weight of a gram that no text has. kinds: of KINDS.
    """

    def __init__(self, grams: Sequence[str], idf: Sequence[float], most: float, kinds: Sequence[str]) -> None:
        self.grams, self.idf, self.most, self.kinds = list(grams), list(idf), most, tuple(kinds)
        self.index = {gram: i for i, gram in enumerate(self.grams)}

    @classmethod
    def learn(cls, sources: Sequence[Sequence[str]], kinds: Sequence[str]) -> "Grams":
        """In order of first appearance."""
        texts = Counter(gram for source in sources for gram in dict.fromkeys(grams_of(source, kinds)))
        most = math.log(1 + len(sources)) + 1
        return cls(list(texts), [most - math.log(1 + count) for count in texts.values()], most, kinds)

    def weight(self, gram: str) -> float:
        """Of any gram; one that no text has weighs the most."""
        return self.idf[self.index[gram]] if gram in self.index else self.most

    def __len__(self) -> int:
        return len(self.grams)

    def rows(self, sources: Sequence[Sequence[str]]) -> Tensor:
        """(n, f) sparse: (1 + log of the times it stands there) x its weight, each row of length one or empty."""
        rows, columns, values = [], [], []
        for row, source in enumerate(sources):
            counts = Counter(i for gram in grams_of(source, self.kinds) if (i := self.index.get(gram)) is not None)
            weights = [(1 + math.log(count)) * self.idf[i] for i, count in counts.items()]
            length = math.hypot(*weights)
            found = sorted(zip(counts, weights, strict=True))
            rows += [row] * len(found)
            columns += [i for i, _ in found]
            values += [weight / length for _, weight in found]
        return sparse(torch.tensor([rows, columns]), torch.tensor(values), (len(sources), len(self)))


def sparse(places_2m: Tensor, values_m: Tensor, shape: tuple[int, int]) -> Tensor:
    """A sparse matrix from (2, m) rows and columns, sorted by both, and their values."""
    with torch.sparse.check_sparse_tensor_invariants():
        return torch.sparse_coo_tensor(places_2m.long(), values_m.float(), shape, is_coalesced=True)
