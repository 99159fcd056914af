"""Classifier and generator on one set of banks; Eq. (11) joins them.

Axes: B batch, L source, T target, N real target words, n labels, e word width, d model.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.batches import BOS_ID, UNK_ID, Batch, Pairs
from model.classifier import Aggregation, Classifier
from model.decoder import Decoder, Memory
from model.encoder import AttributeEncoder, Bank, TextEncoder, VisionEncoder, init_embedding


@dataclass(frozen=True)
class Encoding:
    """A batch of posts, understood. state_bd: the decoder's first. logit_bn: of labels; (B, 0) without classifier."""

    text: Bank
    state_bd: Tensor
    c_fuse_bd: Tensor | None
    logit_bn: Tensor


class KeyphraseModel(nn.Module):
    """Any system of Table 2, from the parts given to it.

    fusion: from banks by modality to c_fuse, or None for text alone. classifier, decoder: at least one of the two.
    aggregation: the labels' words for the decoder to copy; used only while `aggregate` is True (§3.4's second phase).
    """

    def __init__(
        self,
        words: int,
        word_width: int,
        text: TextEncoder,
        vision: VisionEncoder | None = None,
        attributes: AttributeEncoder | None = None,
        fusion: nn.Module | None = None,
        classifier: Classifier | None = None,
        decoder: Decoder | None = None,
        aggregation: Aggregation | None = None,
        embedding_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, word_width, padding_idx=0)
        init_embedding(self.embedding)
        self.embedding_dropout = embedding_dropout
        self.text, self.vision, self.attributes = text, vision, attributes
        self.fusion, self.classifier, self.decoder, self.aggregation = fusion, classifier, decoder, aggregation
        self.aggregate = False

    def embed(self, words: Tensor) -> Tensor:
        """Word ids of any shape -> embeddings (*, e); copied words outside the vocabulary are read as `<unk>`."""
        u = self.embedding(words.masked_fill(words >= self.embedding.num_embeddings, UNK_ID))
        kept = F.dropout(torch.ones_like(u[..., :1]), self.embedding_dropout, self.training)
        return u * kept if self.embedding_dropout else u

    def forward(self, batch: Batch) -> Encoding:
        """Banks, c_fuse and label logits of a batch."""
        text, state_bd = self.text(self.embed(batch.source_bl), batch.mask_bl)
        c_fuse_bd = self.fusion(self._banks(text, batch)) if self.fusion else None
        logit_bn = self.classifier(c_fuse_bd) if self.classifier else state_bd[:, :0]
        return Encoding(text, state_bd, c_fuse_bd, logit_bn)

    def _banks(self, text: Bank, batch: Batch) -> dict[str, Bank]:
        banks = {"text": text}
        if self.vision and batch.grid_bgc is not None and batch.grid_mask_bg is not None:
            banks["vision"] = self.vision(batch.grid_bgc, batch.grid_mask_bg)
        if self.attributes and batch.attributes_ba is not None and batch.attribute_mask_ba is not None:
            banks["attributes"] = self.attributes(batch.attributes_ba, batch.attribute_mask_ba)
        return banks

    @property
    def generator(self) -> Decoder:
        """The decoder; TypeError in a system that only classifies."""
        if self.decoder is None:
            raise TypeError("this system has no decoder: it only classifies.")
        return self.decoder

    def remember(self, batch: Batch, encoding: Encoding) -> Memory:
        """What the decoder reads while it writes."""
        labels = self.aggregation(encoding.logit_bn) if self.aggregate and self.aggregation else None
        return self.generator.remember(encoding.text, batch.copy_bl, encoding.c_fuse_bd, labels)

    def log_likelihood(self, pairs: Pairs, encoding: Encoding) -> Tensor:
        """(N,) log P of every real target word, each given those before it."""
        memory = self.remember(pairs.batch, encoding)
        u_bte = self.embed(F.pad(pairs.target_bt[:, :-1], (1, 0), value=BOS_ID))
        s_btd = self.generator.states(u_bte, encoding.state_bd)
        emission = self.generator.emit(u_bte, s_btd, memory)
        return self.generator.log_likelihood(emission, memory, pairs.target_bt, pairs.target_mask_bt)
