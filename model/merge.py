"""One list of phrases from what a classifier and a generator propose.

`probabilities`  w P(phrase by the generator) + (1 - w) P(label), absent counting zero
`ranks`          w / rank in the generator's list + (1 - w) / rank in the classifier's, absent counting zero
`turns`          by turns from both lists, the generator's first

Phrases that are equal after stemming are one. The paper's way is another: the labels' words are aggregated while the
generator writes (Eq. 11), and its list is the system's. In `weigh` both halves judge every phrase.
"""

from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest

from model.metrics import Phrase, stem_phrase

Candidate = tuple[str, float]
"""A phrase and its probability; lists of them are ranked best first."""


def merge(generated: Sequence[Candidate], classified: Sequence[Candidate], how: str, weight: float) -> list[Candidate]:
    """The merged list, best first; of equal worth, in the order of `turns`. weight: w, the generator's share.

    Beside each phrase what it is ranked by; by turns, its probability.
    """
    order: dict[Phrase, Candidate] = {}
    for phrase, probability in _turns(generated, classified):
        order.setdefault(stem_phrase(phrase), (phrase, probability))
    if how == "turns":
        return list(order.values())
    worth = dict.fromkeys(order, 0.0)
    for share, candidates in ((weight, generated), (1 - weight, classified)):
        for key, value in _values(candidates, how).items():
            worth[key] += share * value
    return [(order[key][0], worth[key]) for key in sorted(order, key=lambda key: -worth[key])]


def _turns(generated: Sequence[Candidate], classified: Sequence[Candidate]) -> Iterable[Candidate]:
    return filter(None, chain.from_iterable(zip_longest(generated, classified)))


def _values(candidates: Sequence[Candidate], how: str) -> dict[Phrase, float]:
    values: dict[Phrase, float] = {}
    for phrase, probability in candidates:
        if how == "ranks":
            values.setdefault(stem_phrase(phrase), 1 / (len(values) + 1))
        else:
            key = stem_phrase(phrase)
            values[key] = values.get(key, 0.0) + probability
    return values
