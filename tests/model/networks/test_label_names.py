"""Labels scored by the meaning of their names, by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from m3h.model.config import Config
from m3h.model.networks.encoder import Bank
from m3h.model.networks.factory import PAPER_SIZES, Sizes, build_model
from m3h.model.networks.label_names import INITIAL_BONUS, INITIAL_SCALE, NameClassifier
from m3h.schemas.errors import UsageError

ALL_REAL = torch.tensor([[True, True]])


def classifier(name_nv: list[list[float]]) -> NameClassifier:
    """Of labels `<unk>` and those with these vectors; d is 3."""
    made = NameClassifier(3, len(name_nv) + 1, 2, dropout=0.0)
    made.fit(torch.tensor([[9.0, 9.0], *name_nv]))
    return made.eval()


def test_at_first_a_logit_is_the_scaled_cosine_of_the_mean_state_and_the_centred_name() -> None:
    made = classifier([[3.0, 1.0], [1.0, 1.0], [2.0, 4.0]])  # the mean is (2, 2): (1, -1), (-1, -1), (0, 2) are left
    states = Bank(torch.tensor([[[0.0, 1.0], [2.0, 1.0]]]), ALL_REAL)  # the mean state is (1, 1)
    logit_bn = made(torch.tensor([[5.0, 6.0, 7.0]]), states)  # c_fuse has no weight yet
    expected = INITIAL_SCALE * torch.tensor([[0.0, 0.0, -1.0, 1 / math.sqrt(2)]])
    torch.testing.assert_close(logit_bn, expected)


def test_the_context_moves_the_query_once_it_has_weights() -> None:
    made = classifier([[1.0, 0.0], [-1.0, 0.0]])
    with torch.no_grad():
        made.W_c.weight[0, 0] = 1.0
    nothing = Bank(torch.zeros(1, 2, 2), ~ALL_REAL)
    logit_bn = made(torch.tensor([[-2.0, 0.0, 0.0]]), nothing)
    torch.testing.assert_close(logit_bn, INITIAL_SCALE * torch.tensor([[0.0, -1.0, 1.0]]))


@given(st.integers(0, 3), st.integers(0, 2**16))
def test_padding_and_the_precision_of_the_states_change_nothing(padding: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    made = classifier([[3.0, 1.0], [1.0, 1.0], [2.0, 4.0]])
    state_blv = torch.randn(1, 2, 2, generator=generator).half()
    c_fuse_bd = torch.zeros(1, 3)
    padded = torch.cat([state_blv, torch.full((1, padding, 2), 7.0).half()], 1)
    mask_bl = torch.cat([ALL_REAL, torch.zeros(1, padding, dtype=torch.bool)], 1)
    whole = made(c_fuse_bd, Bank(state_blv.float(), ALL_REAL))
    torch.testing.assert_close(made(c_fuse_bd, Bank(padded, mask_bl)), whole)


def test_without_a_sentence_encoder_it_is_refused() -> None:
    config = Config(system="gen-cls-m3h", classifier="names")
    with pytest.raises(UsageError, match="classifier=names needs a sentence encoder: add --set text_encoder=minilm"):
        build_model(config, PAPER_SIZES, ["text"])
    with pytest.raises(UsageError, match="word_states needs a sentence encoder"):
        build_model(Config(system="gen-cls-m3h", word_states=True), PAPER_SIZES, ["text"])


def test_no_label_has_weights_of_its_own_but_one() -> None:
    config = Config(system="gen-cls-m3h", classifier="names", text_encoder="minilm")
    of = {}
    for labels in (10, 11):
        sizes = Sizes(20, labels, {}, {"text_encoder": 384})
        model = build_model(config, sizes, ["text", "text_encoder"])
        of[labels] = sum(weights.numel() for weights in model.classifier.parameters())  # type: ignore[union-attr]
    assert of[11] - of[10] == 1
    assert of[10] == 384 * 384 + 384 + 300 * 384 + 1 + 10


def test_a_label_in_the_text_has_the_bonus_of_its_own_words() -> None:
    made = NameClassifier(3, 4, 2, dropout=0.0, pointer=True).eval()
    made.fit(torch.tensor([[0.0, 0.0], [3.0, 1.0], [1.0, 1.0], [2.0, 4.0]]))
    assert made.pointer is not None
    states = Bank(torch.tensor([[[9.0, 9.0], [1.0, 0.0], [3.0, 0.0], [0.0, 5.0]]]), torch.ones(1, 4, dtype=torch.bool))
    word_bl = torch.tensor([[-1, 0, 0, 1]])
    span_bk3 = torch.tensor([[[2, 0, 1], [3, 0, 2], [0, 0, 0]]])
    c_fuse_bd = torch.zeros(1, 3)
    without = made(c_fuse_bd, states)
    first = made(c_fuse_bd, states, word_bl=word_bl, span_bk3=span_bk3)
    torch.testing.assert_close(first - without, torch.tensor([[0.0, 0.0, INITIAL_BONUS, INITIAL_BONUS]]))

    with torch.no_grad():  # the first hidden unit reads the first number of the words' mean state, and counts tenfold
        made.pointer.hidden[0].weight.zero_()  # type: ignore[union-attr]
        made.pointer.hidden[0].bias.zero_()  # type: ignore[union-attr]
        made.pointer.hidden[0].weight[0, 0] = 1.0  # type: ignore[index]
        made.pointer.output.weight[0, 0] = 10.0
    learned = made(c_fuse_bd, states, word_bl=word_bl, span_bk3=span_bk3)
    expected = torch.tensor([[0.0, 0.0, INITIAL_BONUS + 10 * 2, INITIAL_BONUS + 10 * 4 / 3]])  # means 2 and 4 / 3
    torch.testing.assert_close(learned - without, expected)


def test_where_no_label_stands_in_a_text_the_pointer_changes_nothing() -> None:
    made = NameClassifier(3, 3, 2, dropout=0.0, pointer=True).eval()
    states, c_fuse_bd = Bank(torch.randn(1, 2, 2), ALL_REAL), torch.randn(1, 3)
    word_bl, none = torch.tensor([[0, 1]]), torch.zeros(1, 0, 3, dtype=torch.long)
    torch.testing.assert_close(made(c_fuse_bd, states, word_bl=word_bl, span_bk3=none), made(c_fuse_bd, states))
    with pytest.raises(UsageError, match="label_pointer is a part of another classifier"):
        build_model(Config(system="gen-cls-m3h", label_pointer=True), PAPER_SIZES, ["text"])
