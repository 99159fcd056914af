"""One list of phrases from the lists of a classifier and a generator.

`interpolated`     w P(phrase by the generator) + (1 - w) P(label), a missing one counting zero
`reciprocal_rank`  w / rank in the generator's list + (1 - w) / rank in the classifier's, a missing one counting zero
`interleaved`      alternately from both lists, the generator's first

Phrases that are equal after stemming are one phrase. There are two other ways to combine both parts. In the paper, the
generator copies the words of labels (Eq. 11), and its list is the system's. In `rescoring`, both parts score every
phrase.
"""

from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest

from m3h.model.text.stemming import Phrase, stem_phrase

Candidate = tuple[str, float]
"""A phrase and its probability. Lists of candidates are ranked best first."""


def fuse_rankings(
    generated: Sequence[Candidate], classified: Sequence[Candidate], method: str, *, weight: float
) -> list[Candidate]:
    """The fused list, best first. Phrases of equal score keep the order of `interleaved`.

    Each phrase has the score that it is ranked by; for `interleaved`, its probability.

    Args:
        generated: the generator's list.
        classified: the classifier's list.
        method: one of the three above.
        weight: w, the generator's share, 0 to 1.
    """
    order: dict[Phrase, Candidate] = {}
    for phrase, probability in _interleaved(generated, classified):
        order.setdefault(stem_phrase(phrase), (phrase, probability))
    if method == "interleaved":
        return list(order.values())
    fused = dict.fromkeys(order, 0.0)
    for share, candidates in ((weight, generated), (1 - weight, classified)):
        for key, score in _scores(candidates, method).items():
            fused[key] += share * score
    return [(order[key][0], fused[key]) for key in sorted(order, key=lambda key: -fused[key])]


def _interleaved(generated: Sequence[Candidate], classified: Sequence[Candidate]) -> Iterable[Candidate]:
    return filter(None, chain.from_iterable(zip_longest(generated, classified)))


def _scores(candidates: Sequence[Candidate], method: str) -> dict[Phrase, float]:
    scores: dict[Phrase, float] = {}
    for phrase, probability in candidates:
        key = stem_phrase(phrase)
        if method == "reciprocal_rank":
            scores.setdefault(key, 1 / (len(scores) + 1))
        else:
            scores[key] = scores.get(key, 0.0) + probability
    return scores
