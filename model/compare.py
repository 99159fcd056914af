"""Whether one run is better than another on the same posts, or only lucky.

Paired t-test: over each post's own F1@k, MAP@5 and so on. Bootstrap: posts drawn anew with replacement, from a named
seed; the difference of the whole split's scores, under the definition, with its 95% interval, and how often its sign
is against us.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from model.metrics import averages, clean_predictions, clean_targets, harmonic, judge, values_at
from model.predictions import Record
from schemas.errors import UsageError

COMPARED = (("f1", 1), ("f1", 3), ("f1", 5), ("map", 5), ("ndcg", 5))
SAMPLES = 2_000


def compare(ours: Sequence[Record], theirs: Sequence[Record], definition: str, seed: int = 0) -> dict[str, Any]:
    """Score -> difference (ours less theirs), `t`, `p` of the t-test, `low`, `high`, `p_bootstrap`."""
    if [(r.post_id, r.keyphrases) for r in ours] != [(r.post_id, r.keyphrases) for r in theirs]:
        raise UsageError("the two runs were not scored on the same posts. Name one --dataset for both.")
    if not any(record.keyphrases for record in ours):
        raise UsageError("no post of this split has a keyphrase: there is nothing to compare by.")
    judged = [
        [judge(clean_predictions(r.phrases), clean_targets(r.keyphrases)) for r in records]
        for records in (ours, theirs)
    ]
    told = {}
    for name, k in COMPARED:
        mine, other = (values_at(k, posts, definition) for posts in judged)
        t, p = paired_t(mine[name] - other[name])
        drawn_s = resampled(name, mine, definition, seed) - resampled(name, other, definition, seed)
        low, high = (float(limit) for limit in np.quantile(drawn_s, (0.025, 0.975)))
        sign_changes = 2 * min((drawn_s <= 0).mean(), (drawn_s >= 0).mean())
        told[f"{name}@{k}"] = {
            "difference": averages(mine, definition)[name] - averages(other, definition)[name],
            "t": t,
            "p": p,
            "low": low,
            "high": high,
            "p_bootstrap": float(min(1.0, sign_changes)),
        }
    return told


@lru_cache(maxsize=1)
def draws(posts: int, seed: int) -> np.ndarray:
    """(SAMPLES, posts) the share of each post in samples drawn with replacement."""
    rng = np.random.default_rng(seed)
    share_sn = np.empty((SAMPLES, posts), np.float32)
    for sample_n in share_sn:
        sample_n[:] = np.bincount(rng.integers(0, posts, posts), minlength=posts) / posts
    return share_sn


def resampled(name: str, values: Mapping[str, np.ndarray], definition: str, seed: int) -> np.ndarray:
    """(SAMPLES,) of a score over drawn posts: the same draws for the same seed and number of posts."""
    share_sn = draws(len(values[name]), seed)
    if name != "f1" or definition == "per-post":
        return share_sn @ values[name]
    return harmonic(share_sn @ values["precision"], share_sn @ values["recall"])


def paired_t(difference_n: np.ndarray) -> tuple[float | None, float]:
    """t of the mean difference and its two-sided p. All alike they have no t: p is 0, or 1 if all are 0.

    A single difference tells nothing: p is 1.
    """
    n, mean = len(difference_n), float(difference_n.mean())
    error = float(difference_n.std(ddof=1)) / math.sqrt(n) if n > 1 else 0.0
    if not error > 0:
        return None, 1.0 if mean == 0 or n < 2 else 0.0
    return mean / error, two_sided(mean / error, n - 1)


def two_sided(t: float, degrees: int) -> float:
    """P(|T| >= |t|) of Student's t: with x = sqrt(d) tan(a) its density becomes cos(a)^(d - 1), which is integrated."""
    begin = math.atan(abs(t) / math.sqrt(degrees))
    end = min(math.pi / 2, begin + 12 / math.sqrt(degrees))
    nodes, weights = np.polynomial.legendre.leggauss(200)
    angles = begin + (end - begin) * (nodes + 1) / 2
    area = (end - begin) / 2 * float((weights * np.cos(angles) ** (degrees - 1)).sum())
    scale = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - math.log(math.pi) / 2
    return min(1.0, 2 * math.exp(scale) * area)
