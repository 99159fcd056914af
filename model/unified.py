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
from model.encoder import AttributeEncoder, Bank, TextEncoder, VisionEncoder, WordBank, init_embedding
from model.ranker import Ranker
from model.topics import NeuralTopicModel, TopicMemory, Topics


@dataclass(frozen=True)
class Encoding:
    """A batch of posts, understood. Each part is None in a system that has none.

    text: the text bank. state_bd: the decoder's first. logit_bn: of labels.
    """

    text: Bank | None
    state_bd: Tensor | None
    c_fuse_bd: Tensor | None
    logit_bn: Tensor | None
    topics: Topics | None

    def start(self) -> tuple[Bank, Tensor]:
        """What a decoder begins with: the text bank and its first state; TypeError where nothing encodes text."""
        if self.text is None or self.state_bd is None:
            raise TypeError("this system has no text encoder for a decoder to begin with.")
        return self.text, self.state_bd


class KeyphraseModel(nn.Module):
    """Any system of Table 2, from the parts given to it.

    words: of the vocabulary. fusion: from banks by modality to c_fuse, or None where the decoder sees the text alone.
    topic_memory: makes c_fuse from the text and its topics instead. classifier, decoder, ranker: at least one of them.
    aggregation: the labels' words for the decoder to copy; used only while `aggregate` is True (§3.4's second phase).
    """

    embedding: nn.Embedding
    """Absent in a system that reads no text."""

    def __init__(
        self,
        words: int,
        word_width: int,
        text: TextEncoder | WordBank | None,
        vision: VisionEncoder | None = None,
        attributes: AttributeEncoder | None = None,
        fusion: nn.Module | None = None,
        classifier: Classifier | None = None,
        decoder: Decoder | None = None,
        aggregation: Aggregation | None = None,
        embedding_dropout: float = 0.0,
        topics: NeuralTopicModel | None = None,
        topic_memory: TopicMemory | None = None,
        ranker: Ranker | None = None,
    ) -> None:
        super().__init__()
        if text is not None:
            self.embedding = nn.Embedding(words, word_width, padding_idx=0)
            init_embedding(self.embedding)
        self.embedding_dropout = embedding_dropout
        self.text, self.vision, self.attributes = text, vision, attributes
        self.topics, self.topic_memory, self.fusion = topics, topic_memory, fusion
        self.classifier, self.decoder, self.aggregation = classifier, decoder, aggregation
        self.ranker = ranker
        self.aggregate = False

    def embed(self, words: Tensor) -> Tensor:
        """Word ids of any shape -> embeddings (*, e); copied words outside the vocabulary are read as `<unk>`."""
        u = self.embedding(words.masked_fill(words >= self.embedding.num_embeddings, UNK_ID))
        if not self.embedding_dropout:
            return u
        return u * F.dropout(torch.ones_like(u[..., :1]), self.embedding_dropout, self.training)

    def forward(self, batch: Batch) -> Encoding:
        """Banks, topics, c_fuse and label logits of a batch."""
        banks, state_bd = self._banks(batch)
        topics = self.topics(batch.source_bl, batch.mask_bl) if self.topics else None
        if self.topic_memory:
            c_fuse_bd = self.topic_memory(banks["text"], topics)
        else:
            c_fuse_bd = self.fusion(banks) if self.fusion else None
        logit_bn = self.classifier(c_fuse_bd) if self.classifier else None
        if self.ranker:
            logit_bn = self.ranker(batch.score_bn, batch.candidate_bc, batch.candidate_mask_bc, batch.clue_bcf)
        return Encoding(banks.get("text"), state_bd, c_fuse_bd, logit_bn, topics)

    def _banks(self, batch: Batch) -> tuple[dict[str, Bank], Tensor | None]:
        banks, state_bd = {}, None
        if self.text:
            banks["text"], state_bd = self.text(self.embed(batch.source_bl), batch.mask_bl)
        if self.vision and batch.grid_bgc is not None and batch.grid_mask_bg is not None:
            banks["vision"] = self.vision(batch.grid_bgc, batch.grid_mask_bg)
        if self.attributes and batch.attributes_ba is not None and batch.attribute_mask_ba is not None:
            banks["attributes"] = self.attributes(batch.attributes_ba, batch.attribute_mask_ba)
        return banks, state_bd

    def start_second_phase(self, style: str) -> None:
        """Aggregate from now on. style: `paper`, all goes on learning; `released`, only the decoder does."""
        self.aggregate = self.aggregation is not None
        if style == "released":
            learning = ("decoder.", "aggregation.")
            for name, weights in self.named_parameters():
                weights.requires_grad_(name.startswith(learning))

    @property
    def generator(self) -> Decoder:
        """The decoder; TypeError in a system that only classifies."""
        if self.decoder is None:
            raise TypeError("this system has no decoder: it only classifies.")
        return self.decoder

    def remember(self, batch: Batch, encoding: Encoding) -> Memory:
        """What the decoder reads while it writes."""
        labels = self.aggregation(encoding.logit_bn) if self.aggregate and self.aggregation else None
        theta_bk = encoding.topics.theta_bk if encoding.topics else None
        return self.generator.remember(encoding.start()[0], batch.copy_bl, encoding.c_fuse_bd, labels, theta_bk)

    def log_likelihood(self, pairs: Pairs, encoding: Encoding) -> Tensor:
        """(N,) log P of every real target word, each given those before it."""
        memory = self.remember(pairs.batch, encoding)
        return self.follow(memory, encoding.start()[1], pairs.target_bt, pairs.target_mask_bt)

    def follow(self, memory: Memory, state_bd: Tensor, target_bt: Tensor, mask_bt: Tensor) -> Tensor:
        """(N,) log P of every real word of these targets, one a post of `memory`, each given those before it."""
        words_bt = F.pad(target_bt[:, :-1], (1, 0), value=BOS_ID)
        u_bte = self.generator.inputs(self.embed(words_bt), memory)
        emission = self.generator.emit(u_bte, self.generator.states(u_bte, state_bd), memory)
        return self.generator.log_likelihood(emission, memory, target_bt, mask_bt)
