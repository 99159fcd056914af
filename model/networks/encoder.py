"""Memory banks, Eqs. (1)-(2). Axes: B batch, L memory, e word width, d model, c channels, u units of one direction."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Bank:
    """The memory of one modality. memory_bld: (B, L, d). mask_bl: (B, L) bool, True = real; a row may be empty."""

    memory_bld: Tensor
    mask_bl: Tensor

    def pooled(self, pool: str) -> Tensor:
        """(B, d): the `max` or `avg` over the real positions; zeros for an empty row."""
        if pool == "avg":
            total_bd = (self.memory_bld * self.mask_bl[..., None]).sum(1)
            return total_bd / self.mask_bl.sum(1, keepdim=True).clamp_min(1)
        top_bd = self.memory_bld.masked_fill(~self.mask_bl[..., None], -torch.inf).amax(1)
        return top_bd.masked_fill(~self.mask_bl.any(1, keepdim=True), 0.0)


class BiGRU(nn.Module):
    """One bidirectional GRU layer with `units` units a direction.

    The backward GRU reads each text reversed within its own length, so that padding comes last in both directions. The
    results are those of a packed sequence, in four fifths of its time on a CPU.
    """

    def __init__(self, width: int, units: int) -> None:
        super().__init__()
        self.forward_gru, self.backward_gru = (nn.GRU(width, units, batch_first=True) for _ in range(2))

    def forward(self, x_blw: Tensor, reverse_bl: Tensor) -> Tensor:
        """(B, L, w), and (B, L) the positions that reverse each text -> (B, L, 2 u). Padding is not masked."""
        forward_blu = self.forward_gru(x_blw)[0]
        reversed_blu = self.backward_gru(gather_positions(x_blw, reverse_bl))[0]
        return torch.cat([forward_blu, gather_positions(reversed_blu, reverse_bl)], -1)


def gather_positions(x_blw: Tensor, position_bl: Tensor) -> Tensor:
    """The vectors of each row at the positions `position_bl`."""
    return x_blw.gather(1, position_bl[..., None].expand(-1, -1, x_blw.size(-1)))


class TextEncoder(nn.Module):
    """Bidirectional GRU over word embeddings; Eq. (1). The two directions have d/2 units each.

    backward_first: the final state begins with the backward direction, as in the released code.
    """

    def __init__(self, word_width: int, d: int, layers: int, *, dropout: float, backward_first: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(BiGRU(d if i else word_width, d // 2) for i in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.backward_first = backward_first

    def forward(self, words_ble: Tensor, mask_bl: Tensor) -> tuple[Bank, Tensor]:
        """(B, L, e), (B, L) with no empty row -> the text bank, and (B, d) the two final states of the last layer."""
        position_l = torch.arange(mask_bl.size(1), device=mask_bl.device)
        last_b1 = mask_bl.sum(1, keepdim=True) - 1
        reverse_bl = torch.where(mask_bl, last_b1 - position_l, position_l)
        x_blw = words_ble
        for i, layer in enumerate(self.layers):
            x_blw = layer(self.dropout(x_blw) if i else x_blw, reverse_bl)
        memory_bld = x_blw * mask_bl[..., None]
        units = memory_bld.size(-1) // 2
        forward_bu, backward_bu = gather_positions(memory_bld, last_b1)[:, 0, :units], memory_bld[:, 0, units:]
        final_states = (backward_bu, forward_bu) if self.backward_first else (forward_bu, backward_bu)
        return Bank(memory_bld, mask_bl), torch.cat(final_states, -1)


class WordStates(nn.Module):
    """What a sentence encoder says of each word in its text, projected to the width of embeddings.

    The state of a word is the mean of the states of its pieces. A word without pieces, such as one of OCR, has zeros.
    """

    def __init__(self, channels: int, word_width: int, *, dropout: float) -> None:
        super().__init__()
        self.W_w = nn.Linear(channels, word_width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, pieces: Bank, word_bp: Tensor, length: int) -> Tensor:
        """(B, length, e), to be added to the embeddings.

        Args:
            pieces: (B, P, c) states in any precision.
            word_bp: (B, P) the position of the word that each piece is of; -1, or beyond `length`: of none.
            length: L, positions of a source.
        """
        state_bpc = pieces.memory_bld.to(self.W_w.weight.dtype)
        known_bp = pieces.mask_bl & (word_bp >= 0) & (word_bp < length)
        slot_bp = torch.where(known_bp, word_bp, length)  # the last slot is of no word
        total_blc = state_bpc.new_zeros(len(state_bpc), length + 1, state_bpc.size(-1))
        total_blc = total_blc.scatter_add(1, slot_bp[..., None].expand_as(state_bpc), state_bpc)[:, :length]
        count_bl = state_bpc.new_zeros(len(state_bpc), length + 1)
        count_bl = count_bl.scatter_add(1, slot_bp, known_bp.to(count_bl.dtype))[:, :length]
        output_ble: Tensor = self.W_w(self.dropout(total_blc / count_bl.clamp_min(1)[..., None]))
        return output_ble


class WordBank(nn.Module):
    """The word embeddings themselves, for a system that reads them without a recurrent network."""

    def forward(self, words_ble: Tensor, mask_bl: Tensor) -> tuple[Bank, None]:
        """(B, L, e), (B, L) -> the text bank, of width e, and no decoder state."""
        return Bank(words_ble, mask_bl), None


class VisionEncoder(nn.Module):
    """Each grid cell or object, projected to the width of the model; Eq. (2).

    standardize: every channel less its mean, over its deviation, both of the cells of the training posts. The paper
    does not. Features after a ReLU have a large mean that is the same in all pictures; W_v then says mostly that.
    """

    mean_c: Tensor
    deviation_c: Tensor

    def __init__(self, channels: int, d: int, *, standardize: bool = False) -> None:
        super().__init__()
        self.W_v = nn.Linear(channels, d)
        self.standardize = standardize
        if standardize:
            self.register_buffer("mean_c", torch.zeros(channels))
            self.register_buffer("deviation_c", torch.ones(channels))

    def fit(self, mean_c: Tensor, deviation_c: Tensor) -> None:
        """Set the mean and the deviation of each channel."""
        self.mean_c.copy_(mean_c)
        self.deviation_c.copy_(deviation_c)

    def forward(self, grid_bgc: Tensor, mask_bg: Tensor) -> Bank:
        """(B, G, c) in any precision, (B, G) -> the vision bank."""
        x_bgc = grid_bgc.to(self.W_v.weight.dtype)
        if self.standardize:
            x_bgc = (x_bgc - self.mean_c) / self.deviation_c
        return Bank(self.W_v(x_bgc), mask_bg)


class AttributeEncoder(nn.Module):
    """The embedding of each attribute, projected to the width of the model."""

    def __init__(self, attributes: int, word_width: int, d: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(attributes, word_width, padding_idx=0)
        self.W_a = nn.Linear(word_width, d)
        init_embedding(self.embedding)

    def forward(self, attributes_ba: Tensor, mask_ba: Tensor) -> Bank:
        """(B, A) ids, (B, A) -> the attribute bank."""
        return Bank(self.W_a(self.embedding(attributes_ba)), mask_ba)


def merge_banks(banks: Mapping[str, Bank], kinds: Mapping[str, str]) -> dict[str, Bank]:
    """One bank a modality, with the positions of all its banks. kinds: bank -> modality, where it has another name."""
    groups: dict[str, list[Bank]] = {}
    for name, bank in banks.items():
        groups.setdefault(kinds.get(name, name), []).append(bank)
    return {
        kind: group[0]
        if len(group) == 1
        else Bank(torch.cat([bank.memory_bld for bank in group], 1), torch.cat([bank.mask_bl for bank in group], 1))
        for kind, group in groups.items()
    }


def init_embedding(embedding: nn.Embedding) -> None:
    """N(0, 0.1), zeros for padding. This is the scale of pretrained word vectors, ten times below torch's default."""
    nn.init.normal_(embedding.weight, std=0.1)
    with torch.no_grad():
        embedding.weight[0].zero_()
