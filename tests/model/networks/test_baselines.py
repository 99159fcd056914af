"""What the systems compared with compute, against their equations written out."""

import pytest
import torch
from torch import nn

from m3h.model.networks.baselines import (
    AdditiveGlimpse,
    AlternatingAttention,
    BilinearAttention,
    BilinearGlimpse,
    PooledFusion,
    StackedAttention,
)
from m3h.model.networks.encoder import Bank

D = 6


def bank(posts: int, length: int, real: int, seed: int) -> Bank:
    torch.manual_seed(seed)
    return Bank(torch.randn(posts, length, D), torch.arange(length).expand(posts, length) < real)


BANKS = {"text": bank(3, 5, 4, 0), "vision": bank(3, 4, 4, 1)}


def blind(banks: dict[str, Bank]) -> dict[str, Bank]:
    vision = banks["vision"]
    return {**banks, "vision": Bank(vision.memory_bld, torch.zeros_like(vision.mask_bl))}


def test_pooled_fusion_by_hand() -> None:
    fusion = PooledFusion({"text": "max"}, 2)
    fusion.W_fuse.weight.data = torch.eye(2)
    fusion.W_fuse.bias.data.zero_()
    memory = torch.tensor([[[1.0, 5.0], [2.0, 3.0]]])
    torch.testing.assert_close(fusion({"text": Bank(memory, torch.ones(1, 2).bool())}), torch.tensor([[2.0, 5.0]]))


def literal_glimpse(look: AdditiveGlimpse, query_d: torch.Tensor, memory_ld: torch.Tensor) -> torch.Tensor:
    attention = look.attention
    score = [attention.v(torch.tanh(attention.W_s(query_d) + attention.W_m(m_d))) for m_d in memory_ld]
    return torch.cat(score).softmax(0) @ memory_ld


def test_stacked_attention_asks_again_with_what_it_saw() -> None:
    fusion = StackedAttention("max", hops=2, d=D)
    out = fusion(BANKS)
    for b in range(3):
        u = BANKS["text"].memory_bld[b, :4].amax(0)
        for look in fusion.hops:
            u = u + literal_glimpse(look, u, BANKS["vision"].memory_bld[b])
        torch.testing.assert_close(out[b], u)
    torch.testing.assert_close(fusion(blind(BANKS)), BANKS["text"].pooled("max"))


def test_alternating_attention_looks_then_reads() -> None:
    fusion = AlternatingAttention(D)
    out = fusion(BANKS)
    for b in range(3):
        text = BANKS["text"].memory_bld[b, :4]
        seen = literal_glimpse(fusion.attend_vision, text.mean(0), BANKS["vision"].memory_bld[b])
        read = literal_glimpse(fusion.attend_text, seen, text)
        torch.testing.assert_close(out[b], fusion.W_fuse(torch.cat([read, seen])))


def test_a_bilinear_map_is_a_distribution_over_real_pairs() -> None:
    weights_blg = BilinearGlimpse(D, 0.0).weights(BANKS["text"].memory_bld, BANKS["text"], BANKS["vision"])
    torch.testing.assert_close(weights_blg.flatten(1).sum(-1), torch.ones(3))
    assert (weights_blg[:, 4:] == 0).all()


def test_bilinear_attention_pair_by_pair() -> None:
    fusion = BilinearAttention(glimpses=2, d=D, dropout=0.0)
    out = fusion(BANKS)
    for b in range(3):
        f, cells = BANKS["text"].memory_bld[b, :4], BANKS["vision"].memory_bld[b]
        for glimpse in fusion.glimpses:
            assert isinstance(glimpse, BilinearGlimpse)
            score = torch.stack([torch.cat([glimpse.p(glimpse.U(x) * glimpse.V(y)) for y in cells]) for x in f])
            alpha = score.flatten().softmax(0).view_as(score)
            joint = sum(
                alpha[i, j] * glimpse.U_joint(f[i]) * glimpse.V_joint(cells[j]) for i in range(4) for j in range(4)
            )
            f = f + glimpse.P(joint)
        torch.testing.assert_close(out[b], f.sum(0))
    real = BANKS["text"].mask_bl[..., None]
    torch.testing.assert_close(fusion(blind(BANKS)), (BANKS["text"].memory_bld * real).sum(1))


@pytest.mark.parametrize(
    "fusion", [StackedAttention("max", 2, D), AlternatingAttention(D), BilinearAttention(2, D, 0.1)]
)
def test_gradients_are_finite_without_an_image(fusion: nn.Module) -> None:
    fusion(blind(BANKS)).sum().backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in fusion.parameters())
