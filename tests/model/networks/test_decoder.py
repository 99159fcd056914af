"""The pointer decoder: Eqs. (7)-(11)."""

import pytest
import torch

from m3h.model.decoding.beam_search import token_candidates
from m3h.model.networks.classifier import Aggregation, LabelSlots, ReleasedAggregation, best_labels, label_table
from m3h.model.networks.decoder import EPSILON, Decoder, Memory, StepOutput
from m3h.model.networks.encoder import Bank
from m3h.schemas.vocab import WORD_SPECIALS, Vocabulary

V, OOV, D, E, B, L, T = 13, 3, 6, 4, 5, 7, 3


def decoder(shares: tuple[float, float] = (0.5, 0.5)) -> Decoder:
    torch.manual_seed(1)
    return Decoder(V, E, D, dropout=0.0, copy_shares=shares)


def step(module: Decoder, aggregate: bool, length: int = L, seed: int = 0) -> tuple[StepOutput, Memory, torch.Tensor]:
    """Random posts, the last two source positions padding, some words repeated and some outside the vocabulary."""
    torch.manual_seed(seed)
    mask_bl = torch.arange(length).expand(B, length) < length - 2
    copy_bl = torch.randint(5, V + OOV, (B, length)) * mask_bl
    labels = None
    if aggregate:
        words = torch.cat([copy_bl[:, :1].clamp(max=V - 1), torch.randint(5, V, (B, 3)), torch.zeros(B, 1).long()], 1)
        labels = LabelSlots(words, torch.randn(B, 5).masked_fill(words == 0, -torch.inf).softmax(-1))
    memory = module.build_memory(Bank(torch.randn(B, length, D), mask_bl), copy_bl, torch.randn(B, D), labels=labels)
    u_bte = torch.randn(B, T, E)
    output = module.step_outputs(u_bte, module.gru_states(u_bte, torch.randn(B, D)), memory)
    return output, memory, copy_bl


@pytest.mark.parametrize("aggregate", [False, True])
def test_the_mixture_is_a_distribution(aggregate: bool) -> None:
    module = decoder()
    output, memory, _ = step(module, aggregate)
    p = module.distribution(output, memory, OOV)
    assert (p >= 0).all()
    torch.testing.assert_close(p.sum(-1), torch.ones(B, T))


def test_the_released_mixture_sums_to_more_than_one() -> None:
    module = decoder(shares=(1.0, 1.0))
    output, memory, _ = step(module, aggregate=True)
    torch.testing.assert_close(module.distribution(output, memory, OOV).sum(-1), 2 - output.switch_bt)


@pytest.mark.parametrize("aggregate", [False, True])
def test_a_target_s_likelihood_is_that_of_the_whole_distribution(aggregate: bool) -> None:
    module = decoder()
    output, memory, copy_bl = step(module, aggregate)
    target_bt = torch.stack([copy_bl[:, 0], torch.randint(5, V, (B,)), copy_bl[:, 1]], 1)
    mask_bt = torch.rand(B, T) < 0.8
    p = module.distribution(output, memory, OOV).gather(-1, target_bt[..., None]).squeeze(-1)[mask_bt]
    log_p = module.log_likelihood(output, memory, target_bt, mask_bt=mask_bt)
    torch.testing.assert_close(log_p, (p + EPSILON).log())


def test_a_word_outside_the_vocabulary_has_its_attention_s_chance() -> None:
    module = decoder()
    output, memory, copy_bl = step(module, aggregate=False)
    p = module.distribution(output, memory, OOV)
    mass_bt = (output.alpha_btl * (copy_bl == V)[:, None]).sum(-1)
    torch.testing.assert_close(p[..., V], (1 - output.switch_bt) * mass_bt)
    assert (copy_bl == V).any()


@pytest.mark.parametrize("aggregate", [False, True])
@pytest.mark.parametrize("beam", [1, 4, 20])
def test_candidates_hold_the_best_words_with_their_chances(aggregate: bool, beam: int) -> None:
    module = decoder()
    output, memory, _ = step(module, aggregate)
    log_p = (module.distribution(output, memory, OOV) + EPSILON).log()
    words, found = token_candidates(module.vocabulary(output.hidden_btd), output, memory, beam=beam)
    k = min(beam, V)
    torch.testing.assert_close(found.topk(k, -1).values, log_p.topk(k, -1).values)
    real = found.isfinite()
    torch.testing.assert_close(found[real], log_p.gather(-1, words)[real])
    for b in range(B):
        for t in range(T):
            offered = words[b, t][real[b, t]].tolist()
            assert len(offered) == len(set(offered))


def test_source_padding_changes_no_probability() -> None:
    module = decoder()
    torch.manual_seed(3)
    memory_bld, copy_bl = torch.randn(B, L, D), torch.randint(5, V, (B, L))
    u_bte, state, mask = torch.randn(B, T, E), torch.randn(B, D), torch.ones(B, L, dtype=torch.bool)
    p = []
    for padding in (0, 4):
        padded = Bank(
            torch.cat([memory_bld, torch.full((B, padding, D), 5.0)], 1),
            torch.cat([mask, torch.zeros(B, padding, dtype=torch.bool)], 1),
        )
        copies = torch.cat([copy_bl, torch.zeros(B, padding, dtype=torch.long)], 1)
        memory = module.build_memory(padded, copies)
        p.append(module.distribution(module.step_outputs(u_bte, module.gru_states(u_bte, state), memory), memory, 0))
    torch.testing.assert_close(p[0], p[1])


def test_beta_by_hand() -> None:
    words = Vocabulary([*WORD_SPECIALS, "new", "music", "kca"])
    table = label_table(["<unk>", "new music", "kca", "unseen kca"], words)
    assert table.tolist() == [[3, 0], [5, 6], [7, 0], [3, 7]]
    logit = torch.tensor([[9.0, 1.0, 2.0, 0.0]])  # `<unk>` is never offered, however likely
    slots = Aggregation(table, k=2)(logit)
    assert slots.words_bj.tolist() == [[7, 0, 5, 6]]
    e1, e2 = torch.tensor(1.0).exp(), torch.tensor(2.0).exp()
    total = e2 + 2 * e1  # a label of two words counts twice
    torch.testing.assert_close(
        slots.beta_bj, torch.stack([e2 / total, torch.tensor(0.0), e1 / total, e1 / total])[None]
    )


def test_the_released_labels_may_be_unknown_and_pass_no_gradient_on() -> None:
    aggregation = ReleasedAggregation(torch.tensor([[3, 0], [5, 6], [7, 0]]), 2, word_width=4, d=6)
    logit = torch.tensor([[9.0, 1.0, 2.0]], requires_grad=True)
    slots = aggregation(logit)
    assert slots.words_bj.tolist() == [[3, 0, 7, 0]]
    assert not slots.beta_bj.requires_grad
    assert sum(w.numel() for w in aggregation.parameters()) == 2 * 6 + 4 + 1


def test_the_released_step_written_out() -> None:
    torch.manual_seed(2)
    module = Decoder(V, E, D, dropout=0.0, copy_shares=(1.0, 1.0), released=True)
    _, memory, _ = step(module, aggregate=False)
    u_bte, s_btd = torch.randn(B, T, E), torch.randn(B, T, D)
    output = module.step_outputs(u_bte, s_btd, memory)
    assert module.context is not None
    assert module.switch is not None
    assert memory.c_fuse_bd is not None
    read = output.alpha_btl @ memory.bank.memory_bld
    c = module.context(torch.cat([read, s_btd], -1)) + memory.c_fuse_bd[:, None]
    torch.testing.assert_close(output.hidden_btd, module.hidden[0](torch.cat([s_btd, c], -1)))
    torch.testing.assert_close(output.switch_bt, module.switch(torch.cat([u_bte, s_btd, c], -1)).squeeze(-1).sigmoid())


def test_a_decoder_without_a_pointer_learns_unknown_words_as_unknown() -> None:
    module = Decoder(V, E, D, dropout=0.0, copy_shares=None)
    output, memory, _ = step(module, aggregate=False)
    p = module.distribution(output, memory, OOV)
    torch.testing.assert_close(p.sum(-1), torch.ones(B, T))
    assert (p[..., V:] == 0).all()
    target_bt = torch.tensor([[V + 1, 7, V]] * B)
    log_p = module.log_likelihood(output, memory, target_bt, mask_bt=target_bt > 0)
    as_unknown = module.log_likelihood(output, memory, target_bt.masked_fill(target_bt >= V, 3), mask_bt=target_bt > 0)
    torch.testing.assert_close(log_p, as_unknown)


def test_every_step_sees_the_topics() -> None:
    torch.manual_seed(0)
    module = Decoder(V, E, D, dropout=0.0, topics=3)
    bank = Bank(torch.randn(2, L, D), torch.ones(2, L, dtype=torch.bool))
    copy_bl, theta = torch.randint(5, V, (2, L)), torch.rand(2, 3)
    outputs = []
    for mixture in (theta, theta.flip(1)):
        memory = module.build_memory(bank, copy_bl, theta_bk=mixture)
        u_bte = module.gru_inputs(torch.ones(2, T, E), memory)
        assert torch.equal(u_bte[..., E:], mixture[:, None].expand(2, T, 3))
        s_btd = torch.ones(2, T, D)
        outputs.append(module.step_outputs(u_bte, s_btd, memory))
    assert not torch.allclose(outputs[0].alpha_btl, outputs[1].alpha_btl)
    assert not torch.allclose(outputs[0].switch_bt, outputs[1].switch_bt)


def test_the_best_labels_are_never_unknown() -> None:
    values, ids = best_labels(torch.tensor([[5.0, 1.0, 3.0]]), 9)
    assert ids.tolist() == [[2, 1]]
    assert values.tolist() == [[3.0, 1.0]]
