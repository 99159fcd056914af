"""TF-IDF vectors of texts, over words, word bigrams, word stems and character n-grams.

Stems and character n-grams still match where a training text lacks the word: `storms` matches `storm`, and `mufcfan`
matches `mufc`.

Axes: n texts, f terms.
"""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from m3h.model.text.stemming import stem

CHAR_NGRAM = 4
"""Characters of a character n-gram."""
PART = 1024
"""Texts that become a tensor at one time: as Python's numbers their entries take ten times the memory."""


def _words(tokens: Sequence[str]) -> list[str]:
    return list(tokens)


def _bigrams(tokens: Sequence[str]) -> list[str]:
    return [f"{first} {second}" for first, second in pairwise(tokens)]


def _stems(tokens: Sequence[str]) -> list[str]:
    return [f"~{stem(word)}" for word in tokens]


def _char_ngrams(tokens: Sequence[str]) -> list[str]:
    marked = [f"^{word}$" for word in tokens]
    return [f"={word[i : i + CHAR_NGRAM]}" for word in marked for i in range(max(1, len(word) - CHAR_NGRAM + 1))]


TERM_KINDS = {"words": _words, "bigrams": _bigrams, "stems": _stems, "char_ngrams": _char_ngrams}
"""Name -> how a text becomes terms. Bigrams contain a space; stems begin with `~`, character n-grams with `=`."""


def terms_of(tokens: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """All terms of these kinds. Character n-grams overlap; `^` and `$` mark where a word begins and ends."""
    return [term for kind in kinds for term in TERM_KINDS[kind](tokens)]


class TfidfVectorizer:
    """The terms of the training texts with idf = log((1 + n) / (1 + texts with the term)) + 1.

    max_idf: the idf of a term that no training text has. kinds: names in TERM_KINDS.
    """

    def __init__(self, terms: Sequence[str], idf: Sequence[float], max_idf: float, *, kinds: Sequence[str]) -> None:
        self.terms, self.idf, self.max_idf, self.kinds = list(terms), list(idf), max_idf, tuple(kinds)
        self.index = {term: i for i, term in enumerate(self.terms)}

    @classmethod
    def fit(cls, sources: Sequence[Sequence[str]], kinds: Sequence[str]) -> "TfidfVectorizer":
        """The terms of these texts, in order of first appearance."""
        counts = Counter(term for source in sources for term in dict.fromkeys(terms_of(source, kinds)))
        max_idf = math.log(1 + len(sources)) + 1
        idf = [max_idf - math.log(1 + count) for count in counts.values()]
        return cls(list(counts), idf, max_idf, kinds=kinds)

    def idf_of(self, term: str) -> float:
        """The idf of any term; `max_idf` where no training text has it."""
        return self.idf[self.index[term]] if term in self.index else self.max_idf

    def __len__(self) -> int:
        return len(self.terms)

    def transform(self, sources: Sequence[Sequence[str]]) -> Tensor:
        """(n, f) sparse: (1 + log of the term's count) x idf, each row scaled to length one. A row may be empty."""
        parts = [self._entries(sources[start : start + PART], start) for start in range(0, len(sources), PART)]
        empty = (torch.zeros(2, 0, dtype=torch.long), torch.zeros(0))
        indices, values = zip(*(parts or [empty]), strict=True)
        return sparse_matrix(torch.cat(indices, 1), torch.cat(values), (len(sources), len(self)))

    def _entries(self, sources: Sequence[Sequence[str]], first_row: int) -> tuple[Tensor, Tensor]:
        """(2, m) row and column, and (m,) value of what is not zero in some texts."""
        rows, columns, values = [], [], []
        for row, source in enumerate(sources, first_row):
            counts = Counter(i for term in terms_of(source, self.kinds) if (i := self.index.get(term)) is not None)
            weights = [(1 + math.log(count)) * self.idf[i] for i, count in counts.items()]
            length = math.hypot(*weights)
            entries = sorted(zip(counts, weights, strict=True))
            rows += [row] * len(entries)
            columns += [i for i, _ in entries]
            values += [weight / length for _, weight in entries]
        return torch.tensor([rows, columns], dtype=torch.long), torch.tensor(values)


def sparse_matrix(indices_2m: Tensor, values_m: Tensor, shape: tuple[int, int]) -> Tensor:
    """A coalesced sparse COO matrix.

    Args:
        indices_2m: (2, m) row and column of every entry, sorted by row and then by column.
        values_m: (m,) the entries.
        shape: (rows, columns).
    """
    with torch.sparse.check_sparse_tensor_invariants():  # type: ignore[no-untyped-call]
        return torch.sparse_coo_tensor(indices_2m.long(), values_m.float(), shape, is_coalesced=True)


def rows_of(row_nf: Tensor, rows: slice) -> Tensor:
    """Neighbouring rows of a matrix of `sparse_matrix`, as one."""
    index_2m = row_nf.indices()
    begin, end = torch.searchsorted(index_2m[0].contiguous(), torch.tensor([rows.start, rows.stop])).tolist()
    first_21 = torch.tensor([[rows.start], [0]])
    shape = (rows.stop - rows.start, row_nf.size(1))
    return sparse_matrix(index_2m[:, begin:end] - first_21, row_nf.values()[begin:end], shape)
