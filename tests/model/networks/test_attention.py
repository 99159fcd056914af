"""M3H-Att and the additive attention, by hand and by law."""

import math

import pytest
import torch
from torch import Tensor, nn

from m3h.model.networks.attention import (
    AdditiveAttention,
    AttentionSize,
    CoAttention,
    DeviationNorm,
    M3HAttention,
    MultiHeadAttention,
)
from m3h.model.networks.encoder import Bank

ALL_REAL = torch.ones(1, 2, dtype=torch.bool)
LAYERS = {"text": 4, "vision": 1, "attributes": 1}
POOLS = {"text": "max", "vision": "avg", "attributes": "max"}


def bank(posts: int, length: int, d: int, real: int | None = None) -> Bank:
    mask_bl = torch.arange(length).expand(posts, length) < (length if real is None else real)
    return Bank(torch.randn(posts, length, d), mask_bl)


def one_head_identity() -> MultiHeadAttention:
    attention = MultiHeadAttention(AttentionSize(2, 1, 2, 0.0))
    for weight in attention.parameters():
        weight.data = torch.eye(2)
    return attention


def test_eq3_by_hand() -> None:
    query = torch.tensor([[math.sqrt(2) * math.log(3), 0.0]])
    memory = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])  # weights 3/4, 1/4
    out = one_head_identity()(query, Bank(memory, ALL_REAL))
    torch.testing.assert_close(out, torch.tensor([[0.75, 0.25]]))


@pytest.mark.parametrize("released", [False, True])
def test_eqs_3_to_5_equal_projecting_the_whole_memory(released: bool) -> None:
    torch.manual_seed(0)
    attention = MultiHeadAttention(AttentionSize(6, 3, 4, 0.0, released=released))
    query_bd, memory = torch.randn(5, 6), bank(5, 7, 6, real=4)
    q_bhk, k_blhk, v_blhk = (
        linear(x).unflatten(-1, (3, 4))
        for linear, x in (
            (attention.W_Q, query_bd),
            (attention.W_K, memory.memory_bld),
            (attention.W_V, memory.memory_bld),
        )
    )
    score_bhl = torch.einsum("bhk,blhk->bhl", q_bhk, k_blhk) / math.sqrt(4)
    alpha_bhl = score_bhl.masked_fill(~memory.mask_bl[:, None], -math.inf).softmax(-1)
    heads_bhk = torch.einsum("bhl,blhk->bhk", alpha_bhl, v_blhk)
    torch.testing.assert_close(attention(query_bd, memory), attention.W_O(heads_bhk.flatten(1)))


def test_each_head_s_weights_sum_to_one() -> None:
    weights = MultiHeadAttention(AttentionSize(6, 3, 4, 0.0)).weights(torch.randn(5, 6), bank(5, 7, 6, real=4))
    torch.testing.assert_close(weights.sum(-1), torch.ones(5, 3))
    assert (weights[..., 4:] == 0).all()


@pytest.mark.parametrize(
    "module", [MultiHeadAttention(AttentionSize(6, 2, 4, 0.1)), CoAttention(4, AttentionSize(6, 2, 4, 0.1))]
)
def test_padding_changes_nothing(module: nn.Module) -> None:
    module.eval()
    short = bank(3, 4, 6)
    padded = Bank(torch.cat([short.memory_bld, torch.full((3, 2, 6), 9.0)], 1), torch.arange(6).expand(3, 6) < 4)
    query = torch.randn(3, 6)
    torch.testing.assert_close(module(query, short), module(query, padded))


@pytest.mark.parametrize(
    "module", [MultiHeadAttention(AttentionSize(6, 2, 4, 0.0)), CoAttention(1, AttentionSize(6, 2, 4, 0.0))]
)
def test_an_empty_memory_gives_zeros_and_finite_gradients(module: nn.Module) -> None:
    empty = Bank(torch.randn(2, 3, 6, requires_grad=True), torch.tensor([[False] * 3, [True] * 3]))
    out = module(torch.randn(2, 6), empty)
    assert (out[0] == 0).all()
    assert (out[1] != 0).any()
    out.sum().backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in module.parameters())
    assert empty.memory_bld.grad is not None
    assert empty.memory_bld.grad.isfinite().all()


def test_the_stack_asks_again_with_its_own_answer() -> None:
    stack = CoAttention(3, AttentionSize(6, 2, 4, 0.0))
    query, memory = torch.randn(2, 6), bank(2, 5, 6)
    expected = query
    for layer in stack.layers:
        expected = layer(expected, memory)
    torch.testing.assert_close(stack(query, memory), expected)


@pytest.mark.parametrize(
    ("modalities", "pairs"),
    [
        (("text", "vision", "attributes"), 4),
        (("text", "vision"), 2),
        (("text", "attributes"), 2),
        (("text",), 1),
    ],
)
def test_every_pair_of_modalities_is_attended(modalities: tuple[str, ...], pairs: int) -> None:
    m3h = M3HAttention({name: POOLS[name] for name in modalities}, LAYERS, AttentionSize(6, 2, 4))
    assert len(m3h.attend) == pairs
    assert m3h({name: bank(3, 5, 6) for name in modalities}).shape == (3, 6)


def test_c_fuse_is_the_fused_sum_of_the_pairs() -> None:
    m3h = M3HAttention({"text": "max", "vision": "avg"}, LAYERS, AttentionSize(6, 2, 4))
    banks = {"text": bank(3, 5, 6, real=4), "vision": bank(3, 7, 6)}
    text_q, vision_q = banks["text"].memory_bld[:, :4].amax(1), banks["vision"].memory_bld.mean(1)
    total = m3h.attend["vision_to_text"](vision_q, banks["text"]) + m3h.attend["text_to_vision"](
        text_q, banks["vision"]
    )
    torch.testing.assert_close(m3h(banks), m3h.W_fuse(total))
    assert len(m3h.attend["vision_to_text"].layers) == 4
    assert len(m3h.attend["text_to_vision"].layers) == 1


def test_gated_fusion_begins_with_the_text_alone_and_adds_each_pair_by_its_gate() -> None:
    m3h = M3HAttention({"text": "max", "vision": "avg"}, LAYERS, AttentionSize(6, 2, 4), gated=True)
    assert m3h.pairs == [("vision", "text"), ("text", "vision"), ("text", "text")]
    assert m3h.gate_pd is not None
    banks, others = ({"text": text, "vision": bank(3, 7, 6)} for text in [bank(3, 5, 6)] for _ in range(2))
    text_q, vision_q = banks["text"].memory_bld.amax(1), banks["vision"].memory_bld.mean(1)
    alone = m3h.attend["text_to_text"](text_q, banks["text"])
    torch.testing.assert_close(m3h(banks), m3h.W_fuse(alone))
    assert torch.equal(m3h(banks), m3h({**others, "text": banks["text"]}))
    m3h.gate_pd.data[1, 2] = 0.5
    seen = m3h.attend["text_to_vision"](text_q, banks["vision"]) * torch.tensor([0, 0, 0.5, 0, 0, 0])
    torch.testing.assert_close(m3h(banks), m3h.W_fuse(alone + seen))
    m3h.gate_pd.data[0] = 1.0
    asked = m3h.attend["vision_to_text"](vision_q, banks["text"])
    torch.testing.assert_close(m3h(banks), m3h.W_fuse(alone + seen + asked))


def test_gates_are_only_where_text_has_something_beside_it() -> None:
    alone = M3HAttention({"text": "max"}, LAYERS, AttentionSize(6, 2, 4), gated=True)
    assert alone.gate_pd is None
    assert alone.pairs == [("text", "text")]


def test_a_missing_image_s_cells_do_not_matter() -> None:
    m3h = M3HAttention(POOLS, LAYERS, AttentionSize(6, 2, 4))
    text, attributes, nothing = bank(2, 5, 6), bank(2, 5, 6), torch.zeros(2, 7, dtype=torch.bool)
    out = [
        m3h({"text": text, "attributes": attributes, "vision": Bank(torch.randn(2, 7, 6), nothing)}) for _ in range(2)
    ]
    torch.testing.assert_close(out[0], out[1], rtol=0, atol=0)


@pytest.mark.parametrize(("how", "expected"), [("max", [[2.0, 5.0], [0.0, 0.0]]), ("avg", [[1.5, 4.0], [0.0, 0.0]])])
def test_pooling_sees_what_is_real(how: str, expected: list) -> None:
    memory = torch.tensor([[[1.0, 5.0], [2.0, 3.0], [9.0, 9.0]]]).expand(2, 3, 2)
    mask = torch.tensor([[True, True, False], [False, False, False]])
    torch.testing.assert_close(Bank(memory, mask).pooled(how), torch.tensor(expected))


def test_the_released_norm_by_hand() -> None:
    norm = DeviationNorm(3)
    out = norm(torch.tensor([[1.0, 2.0, 6.0]]))  # mean 3, squared deviations 4 + 1 + 9 = 14, over two, root 7 ** 0.5
    torch.testing.assert_close(out, torch.tensor([[-2.0, -1.0, 3.0]]) / (math.sqrt(7) + 1e-6))


def test_only_the_pairs_that_are_wanted_are_attended() -> None:
    pairs = [("vision", "text"), ("text", "attributes")]
    m3h = M3HAttention(POOLS, LAYERS, AttentionSize(6, 2, 4), pairs=pairs)
    assert list(m3h.attend) == ["vision_to_text", "text_to_attributes"]


def test_the_released_attention_is_the_image_s_question_to_the_text() -> None:
    m3h = M3HAttention(
        POOLS,
        {"text": 1, "vision": 1, "attributes": 1},
        AttentionSize(6, 2, 4, released=True),
        pairs=[("vision", "text")],
    )
    banks = {"text": bank(3, 5, 6, real=4), "vision": bank(3, 7, 6)}
    expected = m3h.attend["vision_to_text"](banks["vision"].memory_bld.mean(1), banks["text"])
    torch.testing.assert_close(m3h(banks), expected)


def additive(W_s: Tensor, W_m: Tensor, v: Tensor) -> AdditiveAttention:
    attention = AdditiveAttention(2)
    attention.W_s.weight.data, attention.W_m.weight.data, attention.v.weight.data = W_s, W_m, v
    attention.W_s.bias.data.zero_()
    return attention


def test_eqs_8_and_9_by_hand() -> None:
    attention = additive(torch.eye(2), torch.eye(2), torch.tensor([[1.0, 0.0]]))
    query = torch.zeros(1, 1, 2)
    memory = torch.tensor([[[math.atanh(0.5), 7.0], [math.atanh(-0.5), 7.0]]])  # scores 0.5 and -0.5
    alpha = attention(query, attention.keys(memory), ALL_REAL)
    first = 1 / (1 + math.exp(-1))
    torch.testing.assert_close(alpha, torch.tensor([[[first, 1 - first]]]))
