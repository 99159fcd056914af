"""How each predicted keyphrase of one post came about: at every decoding step, what each source adds, Eq. (11).

Axes: N phrases, T steps, L source, P parts of a source.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from m3h.model.data.encoding import Encoded, target_ids
from m3h.model.data.ragged import Ragged
from m3h.model.decoding.attribution import CLASSIFIER, GENERATED, attributions, forced_steps, word_contributions
from m3h.model.decoding.predict import RankedPhrase, predict
from m3h.model.runs.run import Run
from m3h.schemas.vocab import EOS


@dataclass(frozen=True)
class Step:
    """One step of the generator.

    word: that is written, `<eos>` at the last step. probability: of it. generate: p_t, the probability to generate.
    shares: source -> its share of `probability`; they sum to 1, or to 0 where the word is impossible. The sources are
    `generated`, the parts of the source, and `classifier`, the words of its best labels. pointer: attention on each
    word of the source, which sums to 1.
    """

    word: str
    probability: float
    generate: float
    shares: dict[str, float]
    pointer: list[float]


@dataclass(frozen=True)
class PhraseSteps:
    """A predicted phrase, where it comes from, and its steps; none in a system that only classifies."""

    phrase: str
    score: float
    attribution: str
    steps: list[Step]


@torch.inference_mode()
def phrase_steps(run: Run, encoded: Encoded) -> list[PhraseSteps]:
    """The predicted keyphrases of one post, best first.

    Args:
        run: a trained run.
        encoded: the only post.
    """
    (ranked,) = predict(run.model, encoded, run.vocabularies, config=run.config, reranker=run.reranker)
    (found,) = attributions(run.model, encoded, run.vocabularies, config=run.config, ranked=[ranked])
    steps = _steps(run, encoded, ranked) if run.model.decoder is not None and ranked else [[] for _ in ranked]
    return [
        PhraseSteps(phrase.phrase, phrase.score, attribution, own)
        for phrase, attribution, own in zip(ranked, found, steps, strict=True)
    ]


def _steps(run: Run, encoded: Encoded, ranked: Sequence[RankedPhrase]) -> list[list[Step]]:
    model, (oov,) = run.model, encoded.oov
    rows = np.zeros(len(ranked), np.int64)
    targets = Ragged.from_rows([target_ids(phrase.phrase, run.vocabularies.words, oov) for phrase in ranked])
    batch = encoded.posts_batch(rows)
    target_nt = torch.from_numpy(targets.padded(np.arange(len(ranked)))[0]).to(batch.source_bl.device)
    parts_ntp = word_contributions(model, batch, target_nt, end_bp=encoded.part_ends(rows))
    output, _ = forced_steps(model, batch, target_nt)
    p_nt = parts_ntp.sum(-1)
    share_ntp = parts_ntp / p_nt.clamp_min(1e-12)[..., None]
    sources, length = (GENERATED, *encoded.parts, CLASSIFIER), len(encoded.sources[0])
    values = [t.tolist() for t in (p_nt, output.switch_bt, share_ntp, output.alpha_btl[..., :length])]
    return [
        [
            Step(word, p[n][t], switch[n][t], dict(zip(sources, share[n][t], strict=True)), alpha[n][t])
            for t, word in enumerate([*phrase.phrase.split(), EOS])
        ]
        for n, phrase in enumerate(ranked)
        for p, switch, share, alpha in [values]
    ]
