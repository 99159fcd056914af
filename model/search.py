"""Beam search for keyphrases, all posts and all beams at once.

Axes: B posts still searched, K beams, T words so far, C candidates of a beam, S slots, L source, d model, N kept.

Each step the `beam` best continuations of a post's live hypotheses are taken; those that end in `<eos>` are finished
and have no children. A post is done when its best continuation ends and `n_best` have finished, or after `max_steps`;
it then leaves the batch, so that its list never depends on its neighbours. A score is the sum of log P of the words and
`<eos>`, over their number to the power `length_power`.

As the released code does it (`released`): posts leave a batch together, when all are done, and go on finding until
then, so that a list depends on its neighbours; a copied word outside the vocabulary is read back as `<eos>`, not as
`<unk>`; and where fewer than `n_best` have finished, the best unfinished ones are ranked among them as if they had.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from model.batches import BOS_ID, EOS_ID, Batch
from model.decoder import EPSILON, Emission, Memory
from model.unified import KeyphraseModel

UNFINISHED = 1e6
"""Taken from the score of a hypothesis without `<eos>`: it only fills up a list that is too short."""


@dataclass(frozen=True)
class Rules:
    """beam: hypotheses kept a step. max_steps: words and `<eos>` together. The rest as above."""

    beam: int
    n_best: int
    max_steps: int
    length_power: float = 1.0
    released: bool = False


@dataclass(frozen=True)
class Found:
    """What was kept of each post, in no order. N: max_steps x beam places.

    words_bnt: extended ids, padded with `<eos>`. place_bnt: the source position with the highest attention at each.
    sum_bn: log P of the whole, -inf where a place is empty or a hypothesis unfinished. score_bn: what to rank by, -inf
    where a place is empty.
    """

    words_bnt: Tensor
    place_bnt: Tensor
    sum_bn: Tensor
    score_bn: Tensor

    @classmethod
    def nothing(cls, posts: int, rules: Rules, like: Tensor) -> "Found":
        """Empty places, on the device and of the precision of `like`."""
        places = rules.beam * rules.max_steps
        words_bnt = torch.full((posts, places, rules.max_steps), EOS_ID, device=like.device)
        none_bn = like.new_full((posts, places), -torch.inf)
        return cls(words_bnt, torch.zeros_like(words_bnt), none_bn, none_bn.clone())


@dataclass(frozen=True)
class Beams:
    """Hypotheses of the posts still searched. sum_bk: their log P, -inf where there is none."""

    words_bkt: Tensor
    place_bkt: Tensor
    sum_bk: Tensor
    state_bkd: Tensor

    def take(self, rows: Tensor) -> "Beams":
        """Those of these posts."""
        return Beams(self.words_bkt[rows], self.place_bkt[rows], self.sum_bk[rows], self.state_bkd[rows])

    def ends_bk(self) -> Tensor:
        """(B, K) bool: finished by this step."""
        return (self.words_bkt[..., -1] == EOS_ID) & self.sum_bk.isfinite()

    def without(self, ends_bk: Tensor) -> "Beams":
        """The finished ones taken out, so that they have no children."""
        return Beams(self.words_bkt, self.place_bkt, self.sum_bk.masked_fill(ends_bk, -torch.inf), self.state_bkd)


@torch.inference_mode()
def search(model: KeyphraseModel, batch: Batch, rules: Rules) -> Found:
    """The finished hypotheses of each post, and the best unfinished ones behind them."""
    encoding = model(batch)
    memory, state_bd = model.remember(batch, encoding), encoding.start()[1]
    found = Found.nothing(len(state_bd), rules, state_bd)
    rows_b = torch.arange(len(state_bd), device=state_bd.device)
    done_b = torch.zeros_like(rows_b, dtype=torch.bool)
    none_bkt = found.words_bnt[:, :1, :0]
    beams = Beams(none_bkt, none_bkt, state_bd.new_zeros(len(state_bd), 1), state_bd[:, None])  # one empty hypothesis
    for step in range(rules.max_steps):
        beams = _advance(model, memory, beams, rules)
        ends_bk = beams.ends_bk()
        left = beams.without(ends_bk)
        enough_b = _finish(found, rows_b, step, beams, ends_bk, rules) >= rules.n_best
        done_b = done_b | (ends_bk[:, 0] & enough_b) | ~left.sum_bk.isfinite().any(1)
        if step == rules.max_steps - 1:
            done_b = torch.ones_like(done_b)
        leaves_b = done_b.all().expand_as(done_b) if rules.released else done_b
        _fill(found, rows_b[leaves_b], step, left.take(leaves_b), rules)
        if leaves_b.all():
            break
        if leaves_b.any():
            stays_b = ~leaves_b
            rows_b, done_b, memory, left = rows_b[stays_b], done_b[stays_b], memory.take(stays_b), left.take(stays_b)
        beams = left
    return found


def _advance(model: KeyphraseModel, memory: Memory, beams: Beams, rules: Rules) -> Beams:
    """The `beam` best continuations of each post, best first."""
    posts, width, steps = beams.words_bkt.shape
    last_bk = beams.words_bkt[..., -1] if steps else beams.words_bkt.new_full((posts, width), BOS_ID)
    if rules.released:
        last_bk = last_bk.masked_fill(last_bk >= model.generator.vocabulary.out_features, EOS_ID)
    u_bke = model.generator.inputs(model.embed(last_bk), memory)
    states = model.generator.states(u_bke.flatten(0, 1)[:, None], beams.state_bkd.flatten(0, 1))
    s_bkd = states.view(posts, width, -1)
    emission = model.generator.emit(u_bke, s_bkd, memory)
    words_bkc, log_p_bkc = candidates(model.generator.vocabulary(emission.hidden_btd), emission, memory, rules.beam)

    total_bn = (beams.sum_bk[..., None] + log_p_bkc).flatten(1)
    best = total_bn.topk(min(rules.beam, total_bn.size(1)), -1)
    parent_bk = best.indices // words_bkc.size(-1)
    word_bk = words_bkc.flatten(1).gather(1, best.indices)
    place_bk = emission.alpha_btl.argmax(-1).gather(1, parent_bk)
    return Beams(
        torch.cat([_of_parents(beams.words_bkt, parent_bk), word_bk[..., None]], -1),
        torch.cat([_of_parents(beams.place_bkt, parent_bk), place_bk[..., None]], -1),
        best.values,
        _of_parents(s_bkd, parent_bk),
    )


def _of_parents(values_bkx: Tensor, parent_bk: Tensor) -> Tensor:
    return values_bkx.gather(1, parent_bk[..., None].expand(-1, -1, values_bkx.size(-1)))


def candidates(logits_bkv: Tensor, emission: Emission, memory: Memory, beam: int) -> tuple[Tensor, Tensor]:
    """(B, K, C) words and their log P by Eq. (11), among them the `beam` most likely of each beam.

    A word that stands in no slot has its chance from the vocabulary alone, so the best of those are the best logits:
    beside them only the slots need a look, and the distribution over V and the copied words is never written out.
    `logits_bkv` is used up: its memory serves for the sum of the softmax.
    """
    slot_bs = memory.slot_bs
    same_bss = slot_bs[:, :, None] == slot_bs[:, None]
    repeated_bs = same_bss.tril(-1).any(-1)
    slot_bks = slot_bs[:, None].expand(emission.weight_bts.shape)
    known_bks = slot_bks < logits_bkv.size(-1)
    slot_logit_bks = logits_bkv.gather(-1, slot_bks * known_bks)
    top = logits_bkv.topk(min(beam, logits_bkv.size(-1)), -1)
    best_bk1 = top.values[..., :1]
    norm_bk1 = best_bk1 + logits_bkv.sub_(best_bk1).exp_().sum(-1, keepdim=True).log()

    switch_bk1 = emission.switch_bt[..., None]
    in_slot_bkc = (top.indices[..., None] == slot_bs[:, None, None]).any(-1)
    top_bkc = switch_bk1 * (top.values - norm_bk1).exp()
    generate_bks = (slot_logit_bks - norm_bk1).exp() * known_bks
    copied_bks = emission.weight_bts @ same_bss.to(emission.weight_bts.dtype)
    p_bks = switch_bk1 * generate_bks + (1 - switch_bk1) * copied_bks
    told_bkc = torch.cat([in_slot_bkc, repeated_bs[:, None].expand(slot_bks.shape)], -1)  # by another candidate
    log_p_bkc = (torch.cat([top_bkc, p_bks], -1) + EPSILON).log()
    return torch.cat([top.indices, slot_bks], -1), log_p_bkc.masked_fill(told_bkc, -torch.inf)


def _finish(found: Found, rows_b: Tensor, step: int, beams: Beams, ends_bk: Tensor, rules: Rules) -> Tensor:
    """Keep what ended by this step; (B,) how many have ended of each post."""
    sum_bk = beams.sum_bk.masked_fill(~ends_bk, -torch.inf)
    places = slice(step * rules.beam, step * rules.beam + sum_bk.size(1))
    found.words_bnt[rows_b, places, : step + 1] = beams.words_bkt
    found.place_bnt[rows_b, places, : step + 1] = beams.place_bkt
    found.sum_bn[rows_b, places] = sum_bk
    found.score_bn[rows_b, places] = sum_bk / (step + 1) ** rules.length_power
    return found.sum_bn[rows_b].isfinite().sum(1)


def _fill(found: Found, rows_b: Tensor, step: int, left: Beams, rules: Rules) -> None:
    """Keep the unfinished hypotheses of posts that leave: behind the finished ones, or as the released code does."""
    score_bk = left.sum_bk / (step + 1) ** rules.length_power
    if rules.released:
        missing_b = rules.n_best - found.sum_bn[rows_b].isfinite().sum(1)
        score_bk = score_bk.masked_fill(score_bk.isfinite().cumsum(1) > missing_b[:, None], -torch.inf)
    else:
        score_bk = score_bk - UNFINISHED
    places = slice(step * rules.beam, step * rules.beam + score_bk.size(1))
    found.score_bn[rows_b, places] = torch.maximum(found.score_bn[rows_b, places], score_bk)
