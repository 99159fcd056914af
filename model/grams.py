"""A text as the words and pairs of neighbours in it, each weighing more the fewer texts have it (TF-IDF).

Axes: n texts, f grams.
"""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor


def grams_of(source: Sequence[str]) -> list[str]:
    """Words, and pairs of neighbours with a space between them."""
    return [*source, *(f"{a} {b}" for a, b in pairwise(source))]


class Grams:
    """The grams of the training texts and their weights, log((1 + n) / (1 + texts with it)) + 1.

    most: the weight of a gram that no text has.
    """

    def __init__(self, grams: Sequence[str], idf: Sequence[float], most: float) -> None:
        self.grams, self.idf, self.most = list(grams), list(idf), most
        self.index = {gram: i for i, gram in enumerate(self.grams)}

    @classmethod
    def learn(cls, sources: Sequence[Sequence[str]]) -> "Grams":
        """In order of first appearance."""
        texts = Counter(gram for source in sources for gram in dict.fromkeys(grams_of(source)))
        most = math.log(1 + len(sources)) + 1
        return cls(list(texts), [most - math.log(1 + count) for count in texts.values()], most)

    def weight(self, gram: str) -> float:
        """Of any gram; one that no text has weighs the most."""
        return self.idf[self.index[gram]] if gram in self.index else self.most

    def __len__(self) -> int:
        return len(self.grams)

    def rows(self, sources: Sequence[Sequence[str]]) -> Tensor:
        """(n, f) sparse: (1 + log of the times it stands there) x its weight, each row of length one or empty."""
        rows, columns, values = [], [], []
        for row, source in enumerate(sources):
            counts = Counter(i for gram in grams_of(source) if (i := self.index.get(gram)) is not None)
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
