"""Memory banks, Eqs. (1)-(2). Axes: B batch, L memory, e word width, d model, c channels."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


@dataclass(frozen=True)
class Bank:
    """One modality's memory. memory_bld: (B, L, d). mask_bl: (B, L) bool, True = real; a row may be empty."""

    memory_bld: Tensor
    mask_bl: Tensor

    def pooled(self, how: str) -> Tensor:
        """(B, d): the `max` or `avg` over what is real; zeros where nothing is."""
        if how == "avg":
            total_bd = (self.memory_bld * self.mask_bl[..., None]).sum(1)
            return total_bd / self.mask_bl.sum(1, keepdim=True).clamp_min(1)
        top_bd = self.memory_bld.masked_fill(~self.mask_bl[..., None], -torch.inf).amax(1)
        return top_bd.masked_fill(~self.mask_bl.any(1, keepdim=True), 0.0)


class TextEncoder(nn.Module):
    """Bidirectional GRU over word embeddings; Eq. (1). The two directions have d/2 units each."""

    def __init__(self, word_width: int, d: int, layers: int, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.gru = nn.GRU(word_width, d // 2, layers, batch_first=True, bidirectional=True, dropout=between)

    def forward(self, words_ble: Tensor, mask_bl: Tensor) -> tuple[Bank, Tensor]:
        """(B, L, e), (B, L) with no row empty -> the text bank, and (B, d) the last layer's two final states."""
        lengths_b = mask_bl.sum(1).cpu()
        packed = pack_padded_sequence(words_ble, lengths_b, batch_first=True, enforce_sorted=False)
        states, last = self.gru(packed)
        memory_bld, _ = pad_packed_sequence(states, batch_first=True, total_length=mask_bl.size(1))
        return Bank(memory_bld, mask_bl), torch.cat([last[-2], last[-1]], -1)


class VisionEncoder(nn.Module):
    """Each grid cell or object, projected to the model's width; Eq. (2)."""

    def __init__(self, channels: int, d: int) -> None:
        super().__init__()
        self.W_v = nn.Linear(channels, d)

    def forward(self, grid_bgc: Tensor, mask_bg: Tensor) -> Bank:
        """(B, G, c) in any precision, (B, G) -> the vision bank."""
        return Bank(self.W_v(grid_bgc.to(self.W_v.weight.dtype)), mask_bg)


class AttributeEncoder(nn.Module):
    """Each attribute's own embedding, projected to the model's width."""

    def __init__(self, attributes: int, word_width: int, d: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(attributes, word_width, padding_idx=0)
        self.W_a = nn.Linear(word_width, d)
        init_embedding(self.embedding)

    def forward(self, attributes_ba: Tensor, mask_ba: Tensor) -> Bank:
        """(B, A) ids, (B, A) -> the attribute bank."""
        return Bank(self.W_a(self.embedding(attributes_ba)), mask_ba)


def init_embedding(embedding: nn.Embedding) -> None:
    """N(0, 0.1), zeros for padding: the scale of pretrained word vectors, ten times below torch's own."""
    nn.init.normal_(embedding.weight, std=0.1)
    with torch.no_grad():
        embedding.weight[0].zero_()
