"""The memory banks: the text encoder against torch's own packed sequences."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from m3h.model.networks.encoder import Bank, TextEncoder, WordStates, gather_positions


def packed_twin(encoder: TextEncoder, width: int, d: int, layers: int) -> nn.GRU:
    """torch's bidirectional GRU with the encoder's weights."""
    gru = nn.GRU(width, d // 2, layers, batch_first=True, bidirectional=True)
    for i, layer in enumerate(encoder.layers):
        for suffix, part in (("", layer.forward_gru), ("_reverse", layer.backward_gru)):  # type: ignore[union-attr]
            for name, weight in part.named_parameters():
                gru.get_parameter(f"{name.removesuffix('0')}{i}{suffix}").data = weight.data
    return gru


@pytest.mark.parametrize("layers", [1, 2, 3])
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_the_encoder_gives_what_a_packed_gru_gives(layers: int, lengths: list[int]) -> None:
    torch.manual_seed(0)
    encoder = TextEncoder(5, 8, layers, dropout=0.0)
    words_ble = torch.randn(len(lengths), max(lengths), 5)
    mask_bl = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    bank, state_bd = encoder(words_ble, mask_bl)
    packed = pack_padded_sequence(words_ble, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    states, last = packed_twin(encoder, 5, 8, layers)(packed)
    torch.testing.assert_close(bank.memory_bld, pad_packed_sequence(states, batch_first=True)[0])
    torch.testing.assert_close(state_bd, torch.cat([last[-2], last[-1]], -1))


def test_the_released_state_begins_with_the_backward_direction() -> None:
    torch.manual_seed(0)
    paper, released = TextEncoder(5, 8, 2, dropout=0.0), TextEncoder(5, 8, 2, dropout=0.0, backward_first=True)
    released.load_state_dict(paper.state_dict())
    words, mask = torch.randn(3, 4, 5), torch.ones(3, 4, dtype=torch.bool)
    torch.testing.assert_close(released(words, mask)[1], paper(words, mask)[1].roll(4, -1))


def test_positions_are_gathered_row_by_row() -> None:
    x = torch.arange(4.0)[None, :, None]
    assert gather_positions(x, torch.tensor([[2, 1, 0, 3]])).flatten().tolist() == [2.0, 1.0, 0.0, 3.0]


def test_the_state_of_a_word_is_the_mean_of_its_pieces_by_hand() -> None:
    states = WordStates(2, 2, dropout=0.0)
    with torch.no_grad():
        states.W_w.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 10.0]]))
    piece_bpc = torch.tensor([[[9.0, 9.0], [1.0, 1.0], [3.0, 5.0], [4.0, 4.0], [7.0, 7.0], [8.0, 8.0]]]).half()
    word_bp = torch.tensor([[-1, 0, 0, 2, 3, 1]])  # the first is of no word, the fifth of a word cut off
    mask_bp = torch.tensor([[True, True, True, True, True, False]])
    output_ble = states(Bank(piece_bpc, mask_bp), word_bp, 3)
    torch.testing.assert_close(output_ble, torch.tensor([[[2.0, 30.0], [0.0, 0.0], [4.0, 40.0]]]))
