"""A system's parts, sized by the configuration and the vocabularies, put together."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import torch
from torch import nn

from model.attention import M3HAttention
from model.baselines import AlternatingAttention, BilinearAttention, PooledFusion, StackedAttention
from model.classifier import Aggregation, Classifier, ReleasedAggregation
from model.config import Config
from model.decoder import Decoder
from model.encoder import AttributeEncoder, TextEncoder, VisionEncoder, WordBank
from model.ranker import Ranker
from model.systems import NEEDS_VISION, System, get_system, modalities, ranking_of
from model.topics import NeuralTopicModel, TopicMemory
from model.unified import KeyphraseModel
from schemas.errors import UsageError
from schemas.vocab import WORD_SPECIALS

CHANNELS = {"vision": 512, "objects": 2048}
"""Width of a cell of VGG-16's grid, and of an object of bottom-up attention."""


@dataclass(frozen=True)
class Sizes:
    """Of the vocabularies, specials included, of the longest label in words, and of a grid cell or object."""

    words: int
    labels: int
    attributes: int
    channels: int = 512
    label_words: int = 9


PAPER_SIZES = Sizes(words=45_006, labels=4_262, attributes=1_002)
"""The released data: 45,001 words, 4,261 keyphrases and 1,000 attributes with our specials."""


def build_model(
    config: Config, sizes: Sizes, inputs: Collection[str], label_words_nw: torch.Tensor | None = None
) -> KeyphraseModel:
    """A model with fresh weights from torch's random state; UsageError where an input it cannot be without is missing.

    label_words_nw: of `label_table`, for aggregation.
    """
    system = get_system(config.system)
    if not system.learns:
        return KeyphraseModel(0, 0, None)
    if config.taught and system.recalls:
        raise UsageError(
            f"taught: {system.name} has its labels by the training posts already; there is nothing to teach."
        )
    ranker = Ranker(config.clue_width, config.dropout) if system.recalls else None
    if system.recalls and not system.generates:
        return KeyphraseModel(0, 0, None, ranker=ranker)
    seen = modalities(inputs)
    _check(system, seen, config)
    topics = _topic_model(config, sizes) if system.topics else None
    e, d = config.word_width, config.width
    return KeyphraseModel(
        sizes.words,
        e,
        _text(system, config) if "text" in seen else None,
        VisionEncoder(sizes.channels, d) if "vision" in seen else None,
        AttributeEncoder(sizes.attributes, e, d) if "attributes" in seen else None,
        _fusion(system, config, seen),
        _classifier(config, sizes) if system.classifies and not system.recalls else None,
        _decoder(system, config, sizes) if system.generates else None,
        _aggregation(config, sizes, label_words_nw) if system.aggregates else None,
        config.embedding_dropout,
        topics,
        TopicMemory(topics.counted, e, d, config.dropout) if topics and system.fusion == "topics" else None,
        ranker,
    )


def _check(system: System, seen: list[str], config: Config) -> None:
    ranking_of(system, config)
    needs = [name for name in modalities(system.inputs) if name == "text" or system.fusion in NEEDS_VISION]
    missing = [name for name in needs or modalities(system.inputs) if name not in seen]
    if missing:
        raise UsageError(
            f"{system.name} cannot be without {', '.join(missing)}: build that feature, or take another system."
        )


def _text(system: System, config: Config) -> TextEncoder | WordBank:
    if system.fusion == "topics":
        return WordBank()
    backward_first = config.decoder == "released"
    return TextEncoder(config.word_width, config.width, config.encoder_layers, config.dropout, backward_first)


def _topic_model(config: Config, sizes: Sizes) -> NeuralTopicModel:
    skipped = min(config.topic_stop_words, sizes.words // 10)
    first = min(len(WORD_SPECIALS) + skipped, sizes.words - 1)
    return NeuralTopicModel(first, min(config.topic_words, sizes.words - first), config.topics, config.topic_width)


def _fusion(system: System, config: Config, seen: list[str]) -> nn.Module | None:
    d, how = config.width, system.fusion
    if how == "max" or how == "avg":
        return PooledFusion(dict.fromkeys(seen, how), d)
    if how == "stacked":
        return StackedAttention(config.text_pool, config.hops, d)
    if how == "alternating":
        return AlternatingAttention(d)
    if how == "bilinear":
        return BilinearAttention(config.glimpses, d, config.dropout)
    return _m3h(config, seen) if how == "m3h" else None


def _m3h(config: Config, seen: list[str]) -> M3HAttention:
    pools = {"text": config.text_pool, "vision": config.vision_pool, "attributes": config.attribute_pool}
    return M3HAttention(
        {name: pools[name] for name in seen},
        {"text": config.text_layers, "vision": config.vision_layers, "attributes": config.attribute_layers},
        *(config.width, config.heads, config.head_width, config.dropout),
        config.pairs,
        config.attention == "released",
    )


def _classifier(config: Config, sizes: Sizes) -> Classifier:
    return Classifier(config.width, sizes.labels, config.classifier_layers, config.dropout)


def _decoder(system: System, config: Config, sizes: Sizes) -> Decoder:
    shares = (1.0, 1.0) if config.aggregation == "released" else (config.copy_share, 1 - config.copy_share)
    topics = config.topics if system.topics else 0
    return Decoder(
        *(sizes.words, config.word_width, config.width, config.dropout, shares),
        *(system.copies, topics, config.decoder == "released"),
    )


def _aggregation(config: Config, sizes: Sizes, label_words_nw: torch.Tensor | None) -> Aggregation:
    table_nw = label_words_nw
    if table_nw is None:
        table_nw = torch.zeros(sizes.labels, sizes.label_words, dtype=torch.long)
    if config.aggregation == "released":
        return ReleasedAggregation(table_nw, config.top_labels, config.word_width, config.width)
    return Aggregation(table_nw, config.top_labels)


@dataclass(frozen=True)
class Parameters:
    """Trained numbers. first: of the only phase, or of the one before aggregation. second: of the one with it, or 0."""

    first: int
    second: int


def count_parameters(system: System, sizes: Sizes = PAPER_SIZES) -> Parameters:
    """Of a system with its default configuration, these vocabularies and every input it reads."""
    if not system.learns:
        return Parameters(0, 0)
    config = Config(system=system.name)
    channels = [CHANNELS[name] for name in system.inputs if name in CHANNELS]
    with torch.device("meta"):
        model = build_model(config, replace(sizes, channels=channels[0] if channels else 0), system.inputs)
    first = sum(weights.numel() for name, weights in model.named_parameters() if not name.startswith("aggregation."))
    if not system.aggregates:
        return Parameters(first, 0)
    model.start_second_phase(config.second_phase)
    return Parameters(first, sum(weights.numel() for weights in model.parameters() if weights.requires_grad))
