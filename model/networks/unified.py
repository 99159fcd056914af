"""Classifier and generator on the same banks; Eq. (11) joins them.

Axes: B batch, L source, T target, N real target words, n labels, e word width, d model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from m3h.model.data.batch import BOS_ID, UNK_ID, Batch, Pairs
from m3h.model.networks.classifier import Aggregation, Classifier
from m3h.model.networks.decoder import Decoder, Memory
from m3h.model.networks.encoder import (
    AttributeEncoder,
    Bank,
    TextEncoder,
    VisionEncoder,
    WordBank,
    WordStates,
    init_embedding,
    merge_banks,
)
from m3h.model.networks.label_names import NameClassifier
from m3h.model.networks.ranker import Ranker
from m3h.model.networks.topics import NeuralTopicModel, TopicMemory, Topics
from m3h.model.systems import TEXT_ENCODER


@dataclass(frozen=True)
class Encoding:
    """A batch of encoded posts. A part that the system lacks is None.

    text: the text bank. state_bd: the initial state of the decoder. logit_bn: of labels.
    """

    text: Bank | None
    state_bd: Tensor | None
    c_fuse_bd: Tensor | None
    logit_bn: Tensor | None
    topics: Topics | None

    def decoder_start(self) -> tuple[Bank, Tensor]:
        """The text bank and the initial state of the decoder; TypeError where nothing encodes text."""
        if self.text is None or self.state_bd is None:
            raise TypeError("this system has no text encoder for a decoder to start from.")
        return self.text, self.state_bd

    def label_logits(self) -> Tensor:
        """(B, n); TypeError in a system without a classifier."""
        if self.logit_bn is None:
            raise TypeError("this system has no classifier.")
        return self.logit_bn


@dataclass(frozen=True)
class Modules:
    """The modules of a system; None for each one that it lacks.

    further: banks of further features of pictures, see `systems.bank_names`. merged: of these banks, the modality of
    those that the fusion reads as one with others. fusion: banks by name -> c_fuse. topic_memory: makes c_fuse from the
    text and its topics instead. aggregation: words of labels that the decoder can copy.
    """

    text: TextEncoder | WordBank | None = None
    word_states: WordStates | None = None
    vision: VisionEncoder | None = None
    attributes: AttributeEncoder | None = None
    further: Mapping[str, VisionEncoder | AttributeEncoder] = field(default_factory=dict)
    merged: Mapping[str, str] = field(default_factory=dict)
    fusion: nn.Module | None = None
    classifier: Classifier | NameClassifier | None = None
    decoder: Decoder | None = None
    aggregation: Aggregation | None = None
    topics: NeuralTopicModel | None = None
    topic_memory: TopicMemory | None = None
    ranker: Ranker | None = None


class KeyphraseModel(nn.Module):
    """Any system of Table 2, from its modules. At least one of classifier, decoder and ranker is given.

    words: size of the vocabulary. Aggregation is used only while `aggregate` is True (the second phase of §3.4).
    """

    embedding: nn.Embedding
    """Absent in a system that reads no text."""

    def __init__(self, words: int, word_width: int, modules: Modules, *, embedding_dropout: float = 0.0) -> None:
        super().__init__()
        if modules.text is not None:
            self.embedding = nn.Embedding(words, word_width, padding_idx=0)
            init_embedding(self.embedding)
        self.embedding_dropout = embedding_dropout
        self.text, self.vision, self.attributes = modules.text, modules.vision, modules.attributes
        self.further, self.further_names = nn.ModuleList(modules.further.values()), tuple(modules.further)
        self.merged = modules.merged
        self.word_states = modules.word_states
        self.topics, self.topic_memory, self.fusion = modules.topics, modules.topic_memory, modules.fusion
        self.classifier, self.decoder, self.aggregation = modules.classifier, modules.decoder, modules.aggregation
        self.ranker = modules.ranker
        self.aggregate = False

    def embed(self, words: Tensor) -> Tensor:
        """Word ids of any shape -> embeddings (*, e). Copied words outside the vocabulary are read as `<unk>`."""
        u: Tensor = self.embedding(words.masked_fill(words >= self.embedding.num_embeddings, UNK_ID))
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
            c_fuse_bd = self.fusion(merge_banks(banks, self.merged)) if self.fusion else None
        logit_bn = self._classify(c_fuse_bd, batch)
        if self.ranker:
            evidence = (batch.score_bn, batch.candidate_bc, batch.candidate_mask_bc)
            logit_bn = self.ranker(*evidence, feature_bcf=batch.label_feature_bcf)
        return Encoding(banks.get("text"), state_bd, c_fuse_bd, logit_bn, topics)

    def _classify(self, c_fuse_bd: Tensor | None, batch: Batch) -> Tensor | None:
        if isinstance(self.classifier, NameClassifier):
            states = Bank(*batch.pictures[TEXT_ENCODER])
            logit_bn: Tensor = self.classifier(c_fuse_bd, states, word_bl=batch.word_bp, span_bk3=batch.span_bk3)
            return logit_bn
        return self.classifier(c_fuse_bd) if self.classifier else None

    def _banks(self, batch: Batch) -> tuple[dict[str, Bank], Tensor | None]:
        banks, state_bd = {}, None
        if self.text:
            u_ble = self.embed(batch.source_bl)
            if self.word_states is not None and batch.word_bp is not None:
                pieces = Bank(*batch.pictures[TEXT_ENCODER])
                u_ble = u_ble + self.word_states(pieces, batch.word_bp, u_ble.size(1))
            banks["text"], state_bd = self.text(u_ble, batch.mask_bl)
        for name, encoder in self.picture_encoders().items():
            if name in batch.pictures:
                banks[name] = encoder(*batch.pictures[name])
        return banks, state_bd

    def picture_encoders(self) -> dict[str, VisionEncoder | AttributeEncoder]:
        """Bank -> its encoder, for all that is read of pictures."""
        encoders = {"vision": self.vision, "attributes": self.attributes}
        further = dict(zip(self.further_names, self.further, strict=True))
        return {name: encoder for name, encoder in {**encoders, **further}.items() if encoder is not None}  # type: ignore[misc]

    def start_second_phase(self, style: str) -> None:
        """Aggregate from now on. style: `paper` trains everything further, `released` only the decoder."""
        self.aggregate = self.aggregation is not None
        if style == "released":
            trained = ("decoder.", "aggregation.")
            for name, weights in self.named_parameters():
                weights.requires_grad_(name.startswith(trained))

    @property
    def generator(self) -> Decoder:
        """The decoder; TypeError in a system that only classifies."""
        if self.decoder is None:
            raise TypeError("this system has no decoder: it only classifies.")
        return self.decoder

    def build_memory(self, batch: Batch, encoding: Encoding) -> Memory:
        """The memory that the decoder reads at every step."""
        labels = self.aggregation(encoding.logit_bn) if self.aggregate and self.aggregation else None
        theta_bk = encoding.topics.theta_bk if encoding.topics else None
        text, _ = encoding.decoder_start()
        return self.generator.build_memory(text, batch.copy_bl, encoding.c_fuse_bd, labels=labels, theta_bk=theta_bk)

    def log_likelihood(self, pairs: Pairs, encoding: Encoding) -> Tensor:
        """(N,) log P of every real target word, given the words before it."""
        memory, (_, state_bd) = self.build_memory(pairs.batch, encoding), encoding.decoder_start()
        return self.target_log_likelihood(memory, state_bd, pairs.target_bt, mask_bt=pairs.target_mask_bt)

    def target_log_likelihood(self, memory: Memory, state_bd: Tensor, target_bt: Tensor, *, mask_bt: Tensor) -> Tensor:
        """(N,) log P of every real word of these targets, given the words before it.

        Args:
            memory: one row a target.
            state_bd: (B, d) initial states of the decoder.
            target_bt: (B, T) extended ids.
            mask_bt: (B, T) bool, True = real.
        """
        words_bt = F.pad(target_bt[:, :-1], (1, 0), value=BOS_ID)
        u_bte = self.generator.gru_inputs(self.embed(words_bt), memory)
        output = self.generator.step_outputs(u_bte, self.generator.gru_states(u_bte, state_bd), memory)
        return self.generator.log_likelihood(output, memory, target_bt, mask_bt=mask_bt)
