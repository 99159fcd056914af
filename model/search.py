"""Beam search for keyphrases, all posts and all beams at once.

Axes: B posts still searched, K beams, T words so far, C candidates of a beam, S slots, L source, d model, N kept.

Each step the `beam` best continuations of a post's live hypotheses are taken; those that end in `<eos>` are finished
and have no children. A post is done when its best continuation ends and `n_best` have finished, or after `max_steps`;
it then leaves the batch, so that its list never depends on its neighbours. A score is the mean log P of the words and
`<eos>`.
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
class Found:
    """What was kept of each post, in no order. N: max_steps x beam places.

    words_bnt: extended ids, padded with `<eos>`. place_bnt: the source position with the highest attention at each.
    score_bn: mean log P, less UNFINISHED without `<eos>`, -inf where a place is empty.
    """

    words_bnt: Tensor
    place_bnt: Tensor
    score_bn: Tensor

    def __post_init__(self) -> None:
        self.words_bnt.fill_(EOS_ID)
        self.place_bnt.zero_()
        self.score_bn.fill_(-torch.inf)


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
def search(model: KeyphraseModel, batch: Batch, beam: int, n_best: int, max_steps: int) -> Found:
    """The finished hypotheses of each post, and the best unfinished ones behind them."""
    encoding = model(batch)
    memory = model.remember(batch, encoding)
    found, beams = _start(encoding.state_bd, beam, max_steps)
    rows = torch.arange(len(found.score_bn), device=found.score_bn.device)
    for step in range(max_steps):
        beams = _advance(model, memory, beams, beam)
        ends_bk = beams.ends_bk()
        ended_b = (found.score_bn[rows] > -UNFINISHED / 2).sum(1) + ends_bk.sum(1)
        beams_left = beams.without(ends_bk)
        live_b = beams_left.sum_bk.isfinite().any(1) & ~(ends_bk[:, 0] & (ended_b >= n_best))
        if step == max_steps - 1:
            live_b = torch.zeros_like(live_b)
        _keep(found, rows, step, beam, beams, ends_bk, ends_bk | ~live_b[:, None])
        if not live_b.any():
            break
        rows, memory, beams = rows[live_b], memory.take(live_b), beams_left.take(live_b)
    return found


def _start(state_bd: Tensor, beam: int, max_steps: int) -> tuple[Found, Beams]:
    """Nothing found, and one empty hypothesis a post: the first step has no other to expand."""
    posts, places = len(state_bd), beam * max_steps
    words_bnt = torch.empty((posts, places, max_steps), dtype=torch.long, device=state_bd.device)
    found = Found(words_bnt, torch.empty_like(words_bnt), state_bd.new_empty(posts, places))
    none_bkt = words_bnt[:, :1, :0]
    return found, Beams(none_bkt, none_bkt, state_bd.new_zeros(posts, 1), state_bd[:, None])


def _advance(model: KeyphraseModel, memory: Memory, beams: Beams, beam: int) -> Beams:
    """The `beam` best continuations of each post, best first."""
    posts, width, steps = beams.words_bkt.shape
    last_bk = beams.words_bkt[..., -1] if steps else beams.words_bkt.new_full((posts, width), BOS_ID)
    u_bke = model.embed(last_bk)
    states = model.generator.states(u_bke.flatten(0, 1)[:, None], beams.state_bkd.flatten(0, 1))
    s_bkd = states.view(posts, width, -1)
    emission = model.generator.emit(u_bke, s_bkd, memory)
    words_bkc, log_p_bkc = candidates(model.generator.vocabulary(emission.hidden_btd), emission, memory, beam)

    total_bn = (beams.sum_bk[..., None] + log_p_bkc).flatten(1)
    best = total_bn.topk(min(beam, total_bn.size(1)), -1)
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
    """
    slot_bs = memory.slot_bs
    same_bss = slot_bs[:, :, None] == slot_bs[:, None]
    repeated_bs = same_bss.tril(-1).any(-1)
    norm_bk1 = logits_bkv.logsumexp(-1, keepdim=True)
    switch_bk1 = emission.switch_bt[..., None]

    top = logits_bkv.topk(min(beam, logits_bkv.size(-1)), -1)
    in_slot_bkc = (top.indices[..., None] == slot_bs[:, None, None]).any(-1)
    top_bkc = switch_bk1 * (top.values - norm_bk1).exp()

    slot_bks = slot_bs[:, None].expand(emission.weight_bts.shape)
    known_bks = slot_bks < logits_bkv.size(-1)
    generate_bks = (logits_bkv.gather(-1, slot_bks * known_bks) - norm_bk1).exp() * known_bks
    copied_bks = emission.weight_bts @ same_bss.to(emission.weight_bts.dtype)
    p_bks = switch_bk1 * generate_bks + (1 - switch_bk1) * copied_bks
    told_bkc = torch.cat([in_slot_bkc, repeated_bs[:, None].expand(slot_bks.shape)], -1)  # by another candidate
    log_p_bkc = (torch.cat([top_bkc, p_bks], -1) + EPSILON).log()
    return torch.cat([top.indices, slot_bks], -1), log_p_bkc.masked_fill(told_bkc, -torch.inf)


def _keep(found: Found, rows_b: Tensor, step: int, beam: int, beams: Beams, ends_bk: Tensor, keep_bk: Tensor) -> None:
    score_bk = beams.sum_bk / (step + 1) - UNFINISHED * ~ends_bk
    places = slice(step * beam, step * beam + score_bk.size(1))
    found.words_bnt[rows_b, places, : step + 1] = beams.words_bkt
    found.place_bnt[rows_b, places, : step + 1] = beams.place_bkt
    found.score_bn[rows_b, places] = score_bk.masked_fill(~keep_bk, -torch.inf)
