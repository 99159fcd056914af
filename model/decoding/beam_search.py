"""Beam search for keyphrases, all posts and all beams at once.

Axes: B posts still searched, K beams, T words so far, C candidates of a beam, S slots, L source, d model, N kept.

Each step keeps the `beam` best continuations of a post's unfinished hypotheses. A hypothesis that ends in `<eos>` is
finished and is not continued. A post is done when its best continuation is finished and `n_best` hypotheses have
finished, or after `max_steps`. It then leaves the batch, so that its list never depends on other posts. A score is the
sum of log P of the words and `<eos>`, divided by their number to the power `length_power`.

The search of the released code (`released`) differs in three ways. Posts leave a batch together, when all of them are
done, and are searched until then; a list therefore depends on the other posts. A copied word outside the vocabulary is
fed back as `<eos>`, not as `<unk>`. Where fewer than `n_best` hypotheses have finished, the best unfinished ones are
ranked among them as if they had.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from m3h.model.data.batch import BOS_ID, EOS_ID, Batch
from m3h.model.networks.decoder import EPSILON, Memory, StepOutput
from m3h.model.networks.unified import KeyphraseModel

UNFINISHED_PENALTY = 1e6
"""Subtracted from the score of a hypothesis without `<eos>`: it only fills up a list that is too short."""


@dataclass(frozen=True)
class SearchOptions:
    """beam: hypotheses kept a step. max_steps: words and `<eos>` together. The others are explained above."""

    beam: int
    n_best: int
    max_steps: int
    length_power: float = 1.0
    released: bool = False


@dataclass(frozen=True)
class Hypotheses:
    """The hypotheses kept for each post, in no order. N is max_steps x beam.

    words_bnt: extended ids, padded with `<eos>`. position_bnt: for each word the source position with the highest
    attention. sum_bn: log P of the hypothesis, -inf where it is missing or unfinished. score_bn: the score to rank by,
    -inf where it is missing.
    """

    words_bnt: Tensor
    position_bnt: Tensor
    sum_bn: Tensor
    score_bn: Tensor

    @classmethod
    def empty(cls, posts: int, options: SearchOptions, like: Tensor) -> "Hypotheses":
        """No hypotheses yet.

        Args:
            posts: how many.
            options: they limit how many hypotheses can be kept.
            like: gives the device and the precision.
        """
        n = options.beam * options.max_steps
        words_bnt = torch.full((posts, n, options.max_steps), EOS_ID, device=like.device)
        missing_bn = like.new_full((posts, n), -torch.inf)
        return cls(words_bnt, torch.zeros_like(words_bnt), missing_bn, missing_bn.clone())


@dataclass(frozen=True)
class Beams:
    """Unfinished hypotheses of the posts still searched. sum_bk: their log P, -inf where there is none."""

    words_bkt: Tensor
    position_bkt: Tensor
    sum_bk: Tensor
    state_bkd: Tensor

    def select(self, rows: Tensor) -> "Beams":
        """The beams of these posts."""
        return Beams(self.words_bkt[rows], self.position_bkt[rows], self.sum_bk[rows], self.state_bkd[rows])

    def finished_bk(self) -> Tensor:
        """(B, K) bool: finished by this step."""
        return (self.words_bkt[..., -1] == EOS_ID) & self.sum_bk.isfinite()

    def without(self, finished_bk: Tensor) -> "Beams":
        """The beams with the finished hypotheses removed, so that they are not continued."""
        sum_bk = self.sum_bk.masked_fill(finished_bk, -torch.inf)
        return Beams(self.words_bkt, self.position_bkt, sum_bk, self.state_bkd)


@torch.inference_mode()
def beam_search(model: KeyphraseModel, batch: Batch, options: SearchOptions) -> Hypotheses:
    """The finished hypotheses of each post, and the best unfinished ones ranked after them.

    Args:
        model: with a generator, in evaluation mode.
        batch: the posts.
        options: how to search.
    """
    encoding = model(batch)
    memory, state_bd = model.build_memory(batch, encoding), encoding.decoder_start()[1]
    kept = Hypotheses.empty(len(state_bd), options, state_bd)
    rows_b = torch.arange(len(state_bd), device=state_bd.device)
    done_b = torch.zeros_like(rows_b, dtype=torch.bool)
    none_bkt = kept.words_bnt[:, :1, :0]
    beams = Beams(none_bkt, none_bkt, state_bd.new_zeros(len(state_bd), 1), state_bd[:, None])  # one empty hypothesis
    for step in range(options.max_steps):
        beams = _advance(model, memory, beams, options=options)
        finished_bk = beams.finished_bk()
        unfinished = beams.without(finished_bk)
        count_b = _keep_finished(kept, rows_b, beams, finished_bk=finished_bk, step=step, options=options)
        done_b = done_b | (finished_bk[:, 0] & (count_b >= options.n_best)) | ~unfinished.sum_bk.isfinite().any(1)
        if step == options.max_steps - 1:
            done_b = torch.ones_like(done_b)
        leaves_b = done_b.all().expand_as(done_b) if options.released else done_b
        _keep_unfinished(kept, rows_b[leaves_b], unfinished.select(leaves_b), step=step, options=options)
        if leaves_b.all():
            break
        if leaves_b.any():
            stays_b = ~leaves_b
            rows_b, done_b, memory = rows_b[stays_b], done_b[stays_b], memory.select(stays_b)
            unfinished = unfinished.select(stays_b)
        beams = unfinished
    return kept


def _advance(model: KeyphraseModel, memory: Memory, beams: Beams, *, options: SearchOptions) -> Beams:
    """The `beam` best continuations of each post, best first."""
    posts, width, steps = beams.words_bkt.shape
    last_bk = beams.words_bkt[..., -1] if steps else beams.words_bkt.new_full((posts, width), BOS_ID)
    if options.released:
        last_bk = last_bk.masked_fill(last_bk >= model.generator.vocabulary.out_features, EOS_ID)
    u_bke = model.generator.gru_inputs(model.embed(last_bk), memory)
    states = model.generator.gru_states(u_bke.flatten(0, 1)[:, None], beams.state_bkd.flatten(0, 1))
    s_bkd = states.view(posts, width, -1)
    output = model.generator.step_outputs(u_bke, s_bkd, memory)
    logits_bkv = model.generator.vocabulary(output.hidden_btd)
    words_bkc, log_p_bkc = token_candidates(logits_bkv, output, memory, beam=options.beam)

    total_bn = (beams.sum_bk[..., None] + log_p_bkc).flatten(1)
    best = total_bn.topk(min(options.beam, total_bn.size(1)), -1)
    parent_bk = best.indices // words_bkc.size(-1)
    word_bk = words_bkc.flatten(1).gather(1, best.indices)
    position_bk = output.alpha_btl.argmax(-1).gather(1, parent_bk)
    return Beams(
        torch.cat([_of_parents(beams.words_bkt, parent_bk), word_bk[..., None]], -1),
        torch.cat([_of_parents(beams.position_bkt, parent_bk), position_bk[..., None]], -1),
        best.values,
        _of_parents(s_bkd, parent_bk),
    )


def _of_parents(values_bkx: Tensor, parent_bk: Tensor) -> Tensor:
    return values_bkx.gather(1, parent_bk[..., None].expand(-1, -1, values_bkx.size(-1)))


def token_candidates(logits_bkv: Tensor, output: StepOutput, memory: Memory, *, beam: int) -> tuple[Tensor, Tensor]:
    """(B, K, C) words and their log P by Eq. (11), among them the `beam` most likely words of each hypothesis.

    A word that is in no slot has its probability from the vocabulary alone, so the best of these words have the best
    logits. Besides them only the words in slots are candidates. The distribution over V and the copied words is never
    written out.

    Args:
        logits_bkv: (B, K, V) of the vocabulary. They are overwritten, to save memory.
        output: of this step.
        memory: of the same posts.
        beam: how many words each hypothesis may need.
    """
    slot_bs = memory.slot_bs
    same_bss = slot_bs[:, :, None] == slot_bs[:, None]
    repeated_bs = same_bss.tril(-1).any(-1)
    slot_bks = slot_bs[:, None].expand(output.weight_bts.shape)
    known_bks = slot_bks < logits_bkv.size(-1)
    slot_logit_bks = logits_bkv.gather(-1, slot_bks * known_bks)
    top = logits_bkv.topk(min(beam, logits_bkv.size(-1)), -1)
    best_bk1 = top.values[..., :1]
    norm_bk1 = best_bk1 + logits_bkv.sub_(best_bk1).exp_().sum(-1, keepdim=True).log()

    switch_bk1 = output.switch_bt[..., None]
    in_slot_bkc = (top.indices[..., None] == slot_bs[:, None, None]).any(-1)
    top_bkc = switch_bk1 * (top.values - norm_bk1).exp()
    generate_bks = (slot_logit_bks - norm_bk1).exp() * known_bks
    copied_bks = output.weight_bts @ same_bss.to(output.weight_bts.dtype)
    p_bks = switch_bk1 * generate_bks + (1 - switch_bk1) * copied_bks
    duplicate_bkc = torch.cat([in_slot_bkc, repeated_bs[:, None].expand(slot_bks.shape)], -1)
    log_p_bkc = (torch.cat([top_bkc, p_bks], -1) + EPSILON).log()
    return torch.cat([top.indices, slot_bks], -1), log_p_bkc.masked_fill(duplicate_bkc, -torch.inf)


def _keep_finished(
    kept: Hypotheses, rows_b: Tensor, beams: Beams, *, finished_bk: Tensor, step: int, options: SearchOptions
) -> Tensor:
    """Keep the hypotheses finished by this step; (B,) how many of each post have finished so far."""
    sum_bk = beams.sum_bk.masked_fill(~finished_bk, -torch.inf)
    columns = slice(step * options.beam, step * options.beam + sum_bk.size(1))
    kept.words_bnt[rows_b, columns, : step + 1] = beams.words_bkt
    kept.position_bnt[rows_b, columns, : step + 1] = beams.position_bkt
    kept.sum_bn[rows_b, columns] = sum_bk
    kept.score_bn[rows_b, columns] = sum_bk / (step + 1) ** options.length_power
    return kept.sum_bn[rows_b].isfinite().sum(1)


def _keep_unfinished(kept: Hypotheses, rows_b: Tensor, unfinished: Beams, *, step: int, options: SearchOptions) -> None:
    """Keep the unfinished hypotheses of posts that leave, after the finished ones or as in the released code."""
    score_bk = unfinished.sum_bk / (step + 1) ** options.length_power
    if options.released:
        missing_b = options.n_best - kept.sum_bn[rows_b].isfinite().sum(1)
        score_bk = score_bk.masked_fill(score_bk.isfinite().cumsum(1) > missing_b[:, None], -torch.inf)
    else:
        score_bk = score_bk - UNFINISHED_PENALTY
    columns = slice(step * options.beam, step * options.beam + score_bk.size(1))
    kept.score_bn[rows_b, columns] = torch.maximum(kept.score_bn[rows_b, columns], score_bk)
