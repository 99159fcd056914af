"""Beam search with ten beams, system `released` at its real size, against a plain batched search.

The plain one decodes all beams of all posts together, over the whole distribution of words, until every post is done,
as the code of the authors does. Random weights, surer of themselves than fresh ones (benchmarks.model_speed), one
thread. Loading and a first search are no work. What must be equal: the scores of each post's phrases; and the phrases,
but for those whose scores are equal.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from benchmarks.harness.case import Case, Side, WrongAnswer
from benchmarks.harness.work import Answer, Work

if TYPE_CHECKING:
    from m3h.model.data.batch import Batch
    from m3h.model.networks.unified import KeyphraseModel

BATCH = 16
Found = list[tuple[float, tuple[int, ...]]]
"""Scores and words of phrases, best first."""
SAME = 1e-4
"""Scores nearer than this are equal, and their phrases may change places."""
Search = Callable[["KeyphraseModel", "Batch"], list[Found]]


def _searched(work: Work, search: Search) -> Answer:
    import numpy as np
    import torch

    from benchmarks.model_speed import random_data, sharp_model
    from m3h.model.data.encoding import batches_by_length

    torch.set_num_threads(1)
    number = -(-work.number // BATCH) * BATCH
    data, model = random_data(number, np.random.default_rng(0)), sharp_model()
    batches = list(batches_by_length(data.source.lengths(), BATCH))
    with torch.inference_mode():
        search(model, data.posts_batch(batches[0][:1]))
        work.begin()
        found = {}
        for rows in batches:
            phrases = search(model, data.posts_batch(rows))
            found.update({str(row): words for row, words in zip(rows.tolist(), phrases, strict=True)})
    return {"phrases": found}


def ours(work: Work) -> Answer:
    """As `predict` searches."""
    from benchmarks.model_speed import OPTIONS, phrases
    from m3h.model.decoding.beam_search import beam_search

    def search(model: "KeyphraseModel", posts: "Batch") -> list[Found]:
        found = beam_search(model, posts, OPTIONS)
        score_bn = found.score_bn.sort(descending=True, stable=True).values[:, : OPTIONS.n_best].tolist()
        return [list(zip(scores, phrases(found, b), strict=True)) for b, scores in enumerate(score_bn)]

    return _searched(work, search)


def plain(work: Work) -> Answer:
    """All beams together, the whole distribution, no post leaves early."""
    return _searched(work, batched)


def batched(model: "KeyphraseModel", posts: "Batch") -> list[Found]:
    """The best phrases of each post."""
    import torch

    from benchmarks.model_speed import OOV, OPTIONS
    from m3h.model.data.batch import BOS_ID, EOS_ID
    from m3h.model.decoding.beam_search import UNFINISHED_PENALTY
    from m3h.model.networks.decoder import EPSILON

    encoding = model(posts)
    start_bd = encoding.decoder_start()[1]
    b, k = len(start_bd), OPTIONS.beam
    repeated = torch.arange(b).repeat_interleave(k)
    memory, state_hd = model.build_memory(posts, encoding).select(repeated), start_bd[repeated]
    words_hv, sum_bk = torch.full((b * k, 1), BOS_ID), torch.full((b, k), -torch.inf)
    sum_bk[:, 0] = 0
    kept: list[Found] = [[] for _ in range(b)]
    done = [False] * b
    for step in range(1, OPTIONS.max_steps + 1):
        u_hte = model.generator.gru_inputs(model.embed(words_hv[:, -1:]), memory)
        s_htd = model.generator.gru_states(u_hte, state_hd)
        p_hx = model.generator.distribution(model.generator.step_outputs(u_hte, s_htd, memory), memory, OOV)[:, 0]
        total_bx = (sum_bk[..., None] + (p_hx + EPSILON).log().view(b, k, -1)).flatten(1)
        sum_bk, index_bk = total_bx.topk(k)
        parent_h = (index_bk // p_hx.size(1) + torch.arange(b)[:, None] * k).flatten()
        words_hv = torch.cat([words_hv[parent_h], (index_bk % p_hx.size(1)).view(-1, 1)], 1)
        state_hd = s_htd[parent_h, 0]
        ended_bk = (words_hv[:, -1] == EOS_ID).view(b, k) & sum_bk.isfinite()
        for post in [post for post in range(b) if not done[post]]:
            rows = ended_bk[post].nonzero().flatten().tolist()
            kept[post] += [(float(sum_bk[post, i]) / step, tuple(words_hv[post * k + i, 1:].tolist())) for i in rows]
            finished = bool(ended_bk[post, 0]) and len(kept[post]) >= OPTIONS.n_best
            done[post] = finished or bool(ended_bk[post].all())
            if done[post] or step == OPTIONS.max_steps:
                left = [i for i in range(k) if i not in rows and sum_bk[post, i].isfinite()]
                worth = [float(sum_bk[post, i]) / OPTIONS.max_steps - UNFINISHED_PENALTY for i in left]
                texts = [tuple(words_hv[post * k + i, 1:].tolist()) for i in left]
                kept[post] += list(zip(worth, texts, strict=True))
        if all(done):
            break
        sum_bk = sum_bk.masked_fill(ended_bk, -torch.inf)
    return [sorted(rows, key=lambda row: -row[0])[: OPTIONS.n_best] for rows in kept]


def compare(answers: Mapping[str, Answer]) -> str:
    """Scores must be equal; a phrase may be missing or elsewhere only where another one is as good."""
    mine, theirs = (answer["phrases"] for answer in answers.values())
    pairs = [pair for post in mine for pair in zip(mine[post], theirs[post], strict=True)]
    apart = [abs(a - b) / max(1.0, abs(a)) for (a, _), (b, _) in pairs]
    if max(apart) > SAME:
        raise WrongAnswer(f"scores differ by {max(apart):.1e} of the score")
    same = sum([words for _, words in mine[post]] == [words for _, words in theirs[post]] for post in mine)
    return f"the phrases of {same} of {len(mine)} posts are equal, all scores within {max(apart):.0e}."


CASE = Case(
    name="search",
    title="Beam search, ten beams: a plain batched search",
    things="posts",
    number=64,
    sides=(
        Side("m3h", "benchmarks.cases.search:ours", peer=False),
        Side("plain batched search", "benchmarks.cases.search:plain", peer=False),
    ),
    compare=compare,
    bound="the product with the 45,006 words of the vocabulary, for every hypothesis and step.",
    env={"OMP_NUM_THREADS": "1"},
)
