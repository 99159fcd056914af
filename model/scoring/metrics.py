"""Keyphrase metrics on stemmed phrases, under the definitions in use.

For one post, let n predictions and T targets be left after cleaning. r_i in {0, 1} says whether prediction i is a
target, and m_i = r_1 + ... + r_i. Then, at k:

cmkp       P = m_k / min(k, n), R = m_k / T, MAP = (1/T) sum_{i<=k} r_i m_i / i; F1 is the harmonic mean of the mean P
           and the mean R over posts (the original release).
fixed-k    the same with P = m_k / k.
per-post   P = m_k / k, MAP = (1/min(k, n)) sum_{i<=min(k,n)} m_i / i, and F1 is the mean over posts of each post's own
           harmonic mean of P and R (papers after 2020).
aimkp      as per-post, but nothing is cleaned away: a repeated prediction takes up a place and counts once, and T
           counts repeated targets (released code of AimKP, AAAI 2026: metrics.py).

Besides numbers, k may be M, all predictions of the post (Chan et al., ACL 2019), or O, as many as it has targets (Yuan
et al., ACL 2020). NDCG is the same in all: gains r_i / log2(i + 1), divided by those of the same r sorted. 0/0 is 0
everywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from m3h.model.scoring.definitions import DEFINITIONS, MEANS_OF_POSTS
from m3h.model.text.stemming import Phrase, is_present, stem, stem_phrase
from m3h.schemas.errors import unknown_name
from m3h.schemas.vocab import UNK

CUTOFFS = (1, 3, 5)
LENGTHS = ("O", "M")
"""Cutoffs that each post has its own of: how many targets it has, how many predictions."""

Cutoff = int | str
_UNWANTED = {UNK, ",", "."}

Scores = dict[str, float]


def clean_predictions(phrases: Sequence[str]) -> list[Phrase]:
    """Stemmed and distinct, without phrases that have `<unk>`, a comma or a full stop as a word."""
    unique = _distinct([stem_phrase(phrase) for phrase in phrases])
    return [phrase for phrase in unique if _UNWANTED.isdisjoint(phrase)]


def clean_targets(phrases: Sequence[str]) -> list[Phrase]:
    """Stemmed and distinct."""
    return _distinct([stem_phrase(phrase) for phrase in phrases])


def _distinct(phrases: Sequence[Phrase]) -> list[Phrase]:
    firsts: dict[str, Phrase] = {}
    for phrase in phrases:
        firsts.setdefault("_".join(phrase), phrase)
    return list(firsts.values())


@dataclass(frozen=True)
class MatchedPost:
    """The predictions of a post compared with its targets. r: as above, in order. targets: how many are left (T).

    Under `aimkp`, r is false where a prediction repeats an earlier one.
    """

    r: tuple[bool, ...]
    targets: int


def match(predictions: Sequence[Phrase], targets: Sequence[Phrase]) -> MatchedPost:
    """Compare cleaned predictions with cleaned targets."""
    gold = {" ".join(phrase) for phrase in targets}
    return MatchedPost(tuple(" ".join(phrase) in gold for phrase in predictions), len(targets))


def match_phrases(predictions: Sequence[str], targets: Sequence[str], definition: str) -> MatchedPost:
    """Clean and compare all phrases of a post, by one of DEFINITIONS."""
    return _match(*_cleaned(predictions, targets, definition), definition)


def _cleaned(predictions: Sequence[str], targets: Sequence[str], definition: str) -> tuple[list[Phrase], list[Phrase]]:
    if definition == "aimkp":
        return [stem_phrase(phrase) for phrase in predictions], [stem_phrase(phrase) for phrase in targets]
    return clean_predictions(predictions), clean_targets(targets)


def _match(predictions: Sequence[Phrase], targets: Sequence[Phrase], definition: str) -> MatchedPost:
    matched = match(predictions, targets)
    if definition != "aimkp":
        return matched
    seen: set[Phrase] = set()
    hits = []
    for phrase, hit in zip(predictions, matched.r, strict=True):
        hits.append(hit and phrase not in seen)
        seen.add(phrase)
    return MatchedPost(tuple(hits), matched.targets)


def corpus_scores(posts: Sequence[MatchedPost], definition: str = "cmkp") -> Scores:
    """Scores over the posts that have a target.

    `precision@k`, `recall@k`, `f1@k`, `map@k`, `ndcg@k` for k in CUTOFFS, and the first three of them for k in LENGTHS.

    Raises UsageError: no such definition.
    """
    if definition not in DEFINITIONS:
        raise unknown_name("definition", definition, DEFINITIONS)
    return corpus_averages(values_by_cutoff(posts, definition), definition)


def values_by_cutoff(posts: Sequence[MatchedPost], definition: str) -> dict[Cutoff, dict[str, np.ndarray]]:
    """`per_post_values` for each k of CUTOFFS and of LENGTHS, with the scores that `corpus_scores` names."""
    scored = [post for post in posts if post.targets]
    values: dict[Cutoff, dict[str, np.ndarray]] = {k: per_post_values(k, scored, definition) for k in CUTOFFS}
    return values | {k: _values_of_length(k, scored, definition) for k in LENGTHS}


def _values_of_length(name: str, posts: Sequence[MatchedPost], definition: str) -> dict[str, np.ndarray]:
    """Precision, recall and F1 of each post at its own cutoff. Lists may be long, so that no matrix is made of them."""
    kept_n, targets_n = _counts(posts)
    cutoff_n = kept_n if name == "M" else targets_n
    hits_n = np.array([sum(post.r[:k]) for post, k in zip(posts, cutoff_n.tolist(), strict=True)], np.float64)
    precision_n = _ratio(hits_n, np.minimum(cutoff_n, kept_n) if definition == "cmkp" else cutoff_n)
    recall_n = _ratio(hits_n, targets_n)
    return {"precision": precision_n, "recall": recall_n, "f1": harmonic_mean(precision_n, recall_n)}


def _counts(posts: Sequence[MatchedPost]) -> tuple[np.ndarray, np.ndarray]:
    """(n,) predictions and (n,) targets of each post."""
    return np.array([len(post.r) for post in posts], np.int64), np.array([post.targets for post in posts], np.int64)


def corpus_averages(values: Mapping[Cutoff, Mapping[str, np.ndarray]], definition: str) -> Scores:
    """`precision@k` and so on over these posts. values: as `values_by_cutoff`."""
    return {f"{name}@{k}": mean for k in values for name, mean in averages(values[k], definition).items()}


def per_post_values(k: int, posts: Sequence[MatchedPost], definition: str) -> dict[str, np.ndarray]:
    """Name -> (n,) precision, recall, f1, map and ndcg at k of each post that has a target.

    Args:
        k: the cutoff.
        posts: of one split.
        definition: one of DEFINITIONS.
    """
    scored = [post for post in posts if post.targets]
    r_nk = np.array([[*post.r[:k], *[False] * (k - len(post.r))] for post in scored], np.float64).reshape(-1, k)
    kept_n, targets_n = _counts(scored)
    hits_n = np.array([sum(post.r) for post in scored], np.float64)
    ranks_k = np.arange(1, k + 1)
    matches_nk = r_nk.cumsum(1)
    shown_n = np.minimum(k, kept_n)
    precision_n = _ratio(matches_nk[:, -1], shown_n) if definition == "cmkp" else matches_nk[:, -1] / k
    recall_n = _ratio(matches_nk[:, -1], targets_n)
    if definition in MEANS_OF_POSTS:
        listed_nk = ranks_k <= shown_n[:, None]
        map_n = _ratio((matches_nk / ranks_k * listed_nk).sum(1), shown_n)
    else:
        map_n = _ratio((r_nk * matches_nk / ranks_k).sum(1), targets_n)
    gains_k = 1 / np.log2(ranks_k + 1)
    ideal_n = (gains_k * (ranks_k <= hits_n[:, None])).sum(1)
    ndcg_n = _ratio((r_nk * gains_k).sum(1), ideal_n)
    f1_n = harmonic_mean(precision_n, recall_n)
    return {"precision": precision_n, "recall": recall_n, "f1": f1_n, "map": map_n, "ndcg": ndcg_n}


def averages(values: Mapping[str, np.ndarray], definition: str) -> Scores:
    """Means over posts. F1 is the harmonic mean of the mean precision and recall, except under MEANS_OF_POSTS."""
    means = {name: _mean(values_n) for name, values_n in values.items()}
    if definition not in MEANS_OF_POSTS:
        means["f1"] = float(harmonic_mean(np.array(means["precision"]), np.array(means["recall"])))
    return means


def _mean(values_n: np.ndarray) -> float:
    return float(values_n.mean()) if values_n.size else 0.0


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    zeros = np.zeros_like(numerator, dtype=np.float64)
    ratio: np.ndarray = np.divide(numerator, denominator, out=zeros, where=denominator > 0)
    return ratio


def harmonic_mean(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """F1; zero where both are zero."""
    return _ratio(2 * precision * recall, precision + recall)


def score(
    predictions: Sequence[Sequence[str]],
    targets: Sequence[Sequence[str]],
    sources: Sequence[Sequence[str]] | None = None,
    *,
    definition: str = "cmkp",
) -> dict[str, Scores]:
    """Scores of `all` phrases, and with sources also of `present` and `absent` ones.

    A keyphrase is present if its stems occur contiguously among the stems of the source. `present` is over the posts
    with a present target and counts only their present predictions; `absent` likewise.

    Raises UsageError: no such definition.

    Args:
        predictions: phrases of each post, best first.
        targets: gold keyphrases of each post.
        sources: tokens of each post, or None.
        definition: one of DEFINITIONS.
    """
    matched = match_posts(predictions, targets, sources, definition)
    return {name: corpus_scores(posts, definition) for name, posts in matched.items()}


def match_posts(
    predictions: Sequence[Sequence[str]],
    targets: Sequence[Sequence[str]],
    sources: Sequence[Sequence[str]] | None = None,
    definition: str = "cmkp",
) -> dict[str, list[MatchedPost]]:
    """Posts matched by `all` phrases, and with sources also by `present` and `absent` ones; arguments as in `score`."""
    cleaned = [_cleaned(predicted, gold, definition) for predicted, gold in zip(predictions, targets, strict=True)]
    matched = {"all": [_match(*pair, definition) for pair in cleaned]}
    if sources is None:
        return matched
    texts = [f" {' '.join(stem(token) for token in source)} " for source in sources]
    for name, presence in (("present", True), ("absent", False)):
        matched[name] = []
        for pair, text in zip(cleaned, texts, strict=True):
            predicted, gold = (
                [phrase for phrase in phrases if is_present(phrase, text) is presence] for phrases in pair
            )
            matched[name].append(_match(predicted, gold, definition))
    return matched
