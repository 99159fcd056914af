"""Keyphrase metrics on stemmed phrases, under three definitions that the literature mixes up.

For one post let n predictions and T targets be left after cleaning, r_i in {0, 1} tell whether prediction i is a
target, and m_i = r_1 + ... + r_i. Then, at k:

cmkp       P = m_k / min(k, n), R = m_k / T, MAP = (1/T) sum_{i<=k} r_i m_i / i; F1 is the harmonic mean of the mean P
           and the mean R over posts (the original release).
fixed-k    the same with P = m_k / k.
per-post   P = m_k / k, MAP = (1/min(k, n)) sum_{i<=min(k,n)} m_i / i, and F1 is the mean over posts of each post's own
           harmonic mean of P and R (papers after 2020).

NDCG is the same in all: gains r_i / log2(i + 1), divided by those of the same r sorted. 0/0 is 0 everywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from nltk.stem.porter import PorterStemmer

from schemas.errors import unknown_name
from schemas.vocab import UNK

AT = (1, 3, 5)
DEFINITIONS = ("cmkp", "per-post", "fixed-k")
_UNWANTED = {UNK, ",", "."}
_STEMMER = PorterStemmer()

Phrase = tuple[str, ...]
Scores = dict[str, float]


@lru_cache(maxsize=1 << 18)
def stem(word: str) -> str:
    """Lower-cased Porter stem; `<number>` and its like stay as they are."""
    return str(_STEMMER.stem(word.lower()))


def stem_phrase(phrase: str) -> Phrase:
    """The stems of a phrase's words, which single spaces separate."""
    return tuple(stem(word) for word in phrase.split(" "))


def clean_predictions(phrases: Sequence[str]) -> list[Phrase]:
    """Stemmed, distinct, without phrases that hold `<unk>`, a comma or a full stop as a word."""
    unique = _first_of_each([stem_phrase(phrase) for phrase in phrases])
    return [phrase for phrase in unique if _UNWANTED.isdisjoint(phrase)]


def clean_targets(phrases: Sequence[str]) -> list[Phrase]:
    """Stemmed and distinct."""
    return _first_of_each([stem_phrase(phrase) for phrase in phrases])


def _first_of_each(phrases: Sequence[Phrase]) -> list[Phrase]:
    firsts: dict[str, Phrase] = {}
    for phrase in phrases:
        firsts.setdefault("_".join(phrase), phrase)
    return list(firsts.values())


def is_present(phrase: Phrase, stemmed_source: str) -> bool:
    """Whether the phrase stands in the source word by word. stemmed_source: stems joined and enclosed by spaces."""
    return f" {' '.join(phrase)} " in stemmed_source


@dataclass(frozen=True)
class Post:
    """One post as the metrics see it. r: of the kept predictions, in order. targets: how many are left (T)."""

    r: tuple[bool, ...]
    targets: int


def judge(predictions: Sequence[Phrase], targets: Sequence[Phrase]) -> Post:
    """Compare cleaned predictions with cleaned targets."""
    wanted = {" ".join(phrase) for phrase in targets}
    return Post(tuple(" ".join(phrase) in wanted for phrase in predictions), len(targets))


def corpus_scores(posts: Sequence[Post], definition: str = "cmkp") -> Scores:
    """`precision@k`, `recall@k`, `f1@k`, `map@k`, `ndcg@k` for k of AT over the posts that have a target."""
    if definition not in DEFINITIONS:
        raise unknown_name("definition", definition, DEFINITIONS)
    return corpus_averages({k: values_at(k, posts, definition) for k in AT}, definition)


def corpus_averages(values: Mapping[int, Mapping[str, np.ndarray]], definition: str) -> Scores:
    """Of `values_at` every k: `precision@k` and so on, over these posts."""
    return {f"{name}@{k}": mean for k in values for name, mean in averages(values[k], definition).items()}


def values_at(k: int, posts: Sequence[Post], definition: str) -> dict[str, np.ndarray]:
    """(posts with a target,) of each post's own precision, recall, f1, map and ndcg at k."""
    scored = [post for post in posts if post.targets]
    r_nk = np.array([[*post.r[:k], *[False] * (k - len(post.r))] for post in scored], np.float64).reshape(-1, k)
    kept_n = np.array([len(post.r) for post in scored], np.float64)
    hits_n = np.array([sum(post.r) for post in scored], np.float64)
    targets_n = np.array([post.targets for post in scored], np.float64)
    ranks_k = np.arange(1, k + 1)
    matches_nk = r_nk.cumsum(1)
    shown_n = np.minimum(k, kept_n)
    precision_n = _ratio(matches_nk[:, -1], shown_n) if definition == "cmkp" else matches_nk[:, -1] / k
    recall_n = _ratio(matches_nk[:, -1], targets_n)
    if definition == "per-post":
        listed_nk = ranks_k <= shown_n[:, None]
        map_n = _ratio((matches_nk / ranks_k * listed_nk).sum(1), shown_n)
    else:
        map_n = _ratio((r_nk * matches_nk / ranks_k).sum(1), targets_n)
    gains_k = 1 / np.log2(ranks_k + 1)
    ideal_n = (gains_k * (ranks_k <= hits_n[:, None])).sum(1)
    ndcg_n = _ratio((r_nk * gains_k).sum(1), ideal_n)
    f1_n = harmonic(precision_n, recall_n)
    return {"precision": precision_n, "recall": recall_n, "f1": f1_n, "map": map_n, "ndcg": ndcg_n}


def averages(values: Mapping[str, np.ndarray], definition: str) -> Scores:
    """Means over posts; but for `per-post`, F1 is the harmonic mean of the mean precision and the mean recall."""
    means = {name: _mean(values_n) for name, values_n in values.items()}
    if definition != "per-post":
        means["f1"] = float(harmonic(np.array(means["precision"]), np.array(means["recall"])))
    return means


def _mean(values_n: np.ndarray) -> float:
    return float(values_n.mean()) if values_n.size else 0.0


def _ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    return np.divide(over, under, out=np.zeros_like(over, dtype=np.float64), where=under > 0)


def harmonic(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """F1, zero where both are."""
    return _ratio(2 * precision * recall, precision + recall)


def score(
    predictions: Sequence[Sequence[str]],
    targets: Sequence[Sequence[str]],
    sources: Sequence[Sequence[str]] | None = None,
    definition: str = "cmkp",
) -> dict[str, Scores]:
    """Scores of aligned posts: `all`, and with the sources' tokens also `present` and `absent`.

    A keyphrase is present where its stems stand contiguously in the source's. `present` is over the posts with a
    present target, and looks at their present predictions alone; `absent` likewise.
    """
    cleaned = [
        (clean_predictions(found), clean_targets(wanted)) for found, wanted in zip(predictions, targets, strict=True)
    ]
    scores = {"all": corpus_scores([judge(*pair) for pair in cleaned], definition)}
    if sources is None:
        return scores
    texts = [f" {' '.join(stem(token) for token in source)} " for source in sources]
    for name, wanted_presence in (("present", True), ("absent", False)):
        posts = []
        for (found, wanted), text in zip(cleaned, texts, strict=True):
            kept = [[p for p in phrases if is_present(p, text) is wanted_presence] for phrases in (found, wanted)]
            posts.append(judge(*kept))
        scores[name] = corpus_scores(posts, definition)
    return scores
