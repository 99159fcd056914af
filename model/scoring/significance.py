"""Whether one run is better than another on the same posts, or the difference may be chance.

Paired t-test: over the F1@k, MAP@5 and so on of each post. Bootstrap: posts are resampled with replacement, from a
fixed seed. It gives the 95% interval of the difference of the corpus scores, and twice the share of samples in which
the difference has the other sign.
"""

import math
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from m3h.model.scoring.definitions import MEANS_OF_POSTS
from m3h.model.scoring.metrics import MatchedPost, averages, harmonic_mean, match_posts, per_post_values
from m3h.model.scoring.predictions import Record
from m3h.schemas.errors import UsageError

COMPARED = (("f1", 1), ("f1", 3), ("f1", 5), ("map", 5), ("ndcg", 5))
BOOTSTRAP_SAMPLES = 2_000
_SAMPLES_AT_ONCE = 100


def scipy_stats() -> ModuleType:
    """scipy.stats, which only a comparison needs.

    Raises:
        UsageError: scipy is not installed.
    """
    try:
        from scipy import stats
    except ImportError as error:
        raise UsageError("a comparison of two runs needs scipy: pip install 'm3h[significance]'.") from error
    module: ModuleType = stats
    return module


def compare(run: Sequence[Record], baseline: Sequence[Record], definition: str, *, seed: int = 0) -> dict[str, Any]:
    """`compare_seeds` of two runs.

    Args:
        run: predictions of one run.
        baseline: predictions of the other run on the same posts, in the same order.
        definition: of the scores.
        seed: of the bootstrap.

    Raises:
        UsageError: as in `compare_seeds`.
    """
    return compare_seeds([run], [baseline], definition, seed=seed)


def compare_seeds(
    runs: Sequence[Sequence[Record]], baselines: Sequence[Sequence[Record]], definition: str, *, seed: int = 0
) -> dict[str, Any]:
    """Score -> difference (runs less baselines), `t` and `p` of the t-test, `low`, `high` and `p_bootstrap`.

    A post's score is its mean over the seeds. `present` and `absent` hold the same for keyphrases that are in the text
    and for those that are not, over the posts that have one; each is there only if a post has one.

    Args:
        runs: predictions of one system, of each seed.
        baselines: predictions of the other system on the same posts, in the same order, of each seed.
        definition: of the scores.
        seed: of the bootstrap.

    Raises:
        UsageError: the posts differ, no post has a keyphrase, or scipy is missing.
    """
    if len({tuple((r.post_id, *r.keyphrases) for r in records) for records in (*runs, *baselines)}) > 1:
        raise UsageError("the two runs were not scored on the same posts. Name one --dataset for both.")
    if not any(record.keyphrases for record in runs[0]):
        raise UsageError("no post of this split has a keyphrase: there is nothing to compare by.")
    of_runs, of_baselines = ([matched(records, definition) for records in seeds] for seeds in (runs, baselines))
    compared = {
        name: _compare([of[name] for of in of_runs], [of[name] for of in of_baselines], definition, seed=seed)
        for name in of_runs[0]
        if any(post.targets for post in of_runs[0][name])
    }
    return {**compared.pop("all"), **compared}


def matched(records: Sequence[Record], definition: str) -> dict[str, list[MatchedPost]]:
    """Posts matched by `all`, `present` and `absent` keyphrases."""
    columns = ([r.phrases for r in records], [r.keyphrases for r in records], [r.tokens for r in records])
    return match_posts(*columns, definition)


def _mean_values(k: int, seeds: Sequence[Sequence[MatchedPost]], definition: str) -> dict[str, np.ndarray]:
    """`per_post_values`, each the mean over the seeds."""
    values = [per_post_values(k, posts, definition) for posts in seeds]
    return {name: np.mean([of[name] for of in values], axis=0) for name in values[0]}


def _compare(
    runs: Sequence[Sequence[MatchedPost]], baselines: Sequence[Sequence[MatchedPost]], definition: str, *, seed: int
) -> dict[str, Any]:
    comparison = {}
    for name, k in COMPARED:
        run_values, baseline_values = (_mean_values(k, seeds, definition) for seeds in (runs, baselines))
        t, p = paired_t(run_values[name] - baseline_values[name])
        difference_s = bootstrap_differences(name, run_values, baseline_values, definition=definition, seed=seed)
        low, high = (float(limit) for limit in np.quantile(difference_s, (0.025, 0.975)))
        other_sign = 2 * min((difference_s <= 0).mean(), (difference_s >= 0).mean())
        comparison[f"{name}@{k}"] = {
            "difference": averages(run_values, definition)[name] - averages(baseline_values, definition)[name],
            "t": t,
            "p": p,
            "low": low,
            "high": high,
            "p_bootstrap": float(min(1.0, other_sign)),
        }
    return comparison


def paired_difference(
    run: Sequence[Record], baseline: Sequence[Record], score: tuple[str, int], *, definition: str
) -> tuple[float, float | None]:
    """The difference of a score of all keyphrases, and p of the paired t-test; None for p where scipy is missing.

    Args:
        run: predictions.
        baseline: other predictions for the same posts.
        score: its name and k, such as ("f1", 1).
        definition: of the score.
    """
    name, k = score
    values, others = (
        per_post_values(k, matched(records, definition)["all"], definition) for records in (run, baseline)
    )
    difference = averages(values, definition)[name] - averages(others, definition)[name]
    try:
        return difference, paired_t(values[name] - others[name])[1] if len(values[name]) else None
    except UsageError:
        return difference, None


def bootstrap_differences(
    name: str,
    run: Mapping[str, np.ndarray],
    baseline: Mapping[str, np.ndarray],
    *,
    definition: str,
    seed: int,
) -> np.ndarray:
    """(BOOTSTRAP_SAMPLES,) differences of a corpus score over resampled posts.

    Args:
        name: of the score, such as `f1`.
        run: `per_post_values` of one run.
        baseline: `per_post_values` of the other run on the same posts.
        definition: of the score.
        seed: the same seed and number of posts give the same samples.
    """
    columns = ("precision", "recall") if name == "f1" and definition not in MEANS_OF_POSTS else (name,)

    def corpus_score(means: Sequence[np.ndarray]) -> np.ndarray:
        return harmonic_mean(*means) if len(means) == 2 else means[0]

    def difference(*values: np.ndarray, axis: int = -1) -> np.ndarray:
        means = [np.asarray(column.mean(axis)) for column in values]
        differences: np.ndarray = corpus_score(means[: len(columns)]) - corpus_score(means[len(columns) :])
        return differences

    data = [values[column] for values in (run, baseline) for column in columns]
    if len(data[0]) < 2:  # scipy resamples two posts or more
        return np.full(BOOTSTRAP_SAMPLES, float(difference(*data)))
    result = scipy_stats().bootstrap(
        data,
        difference,
        n_resamples=BOOTSTRAP_SAMPLES,
        batch=_SAMPLES_AT_ONCE,
        vectorized=True,
        paired=True,
        axis=-1,
        method="percentile",
        random_state=np.random.default_rng(seed),
    )
    difference_s: np.ndarray = result.bootstrap_distribution
    return difference_s


def paired_t(difference_n: np.ndarray) -> tuple[float | None, float]:
    """t of the mean difference and its two-sided p. Equal differences have no t; p is then 0, or 1 if all are 0.

    A single difference says nothing: p is 1.
    """
    n, mean = len(difference_n), float(difference_n.mean())
    error = float(difference_n.std(ddof=1)) / math.sqrt(n) if n > 1 else 0.0
    if not error > 0:
        return None, 1.0 if mean == 0 or n < 2 else 0.0
    return mean / error, two_sided(mean / error, n - 1)


def two_sided(t: float, degrees: int) -> float:
    """P(|T| >= |t|) of Student's t with so many degrees of freedom."""
    return float(2 * scipy_stats().t.sf(abs(t), degrees))
