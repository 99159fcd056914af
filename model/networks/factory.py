"""Builds the model of a system, sized by the configuration and the vocabularies."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import torch
from torch import nn

from m3h.model.config import Config
from m3h.model.networks.attention import AttentionSize, M3HAttention
from m3h.model.networks.baselines import AlternatingAttention, BilinearAttention, PooledFusion, StackedAttention
from m3h.model.networks.classifier import Aggregation, Classifier, ReleasedAggregation
from m3h.model.networks.decoder import Decoder
from m3h.model.networks.encoder import AttributeEncoder, TextEncoder, VisionEncoder, WordBank
from m3h.model.networks.ranker import Ranker
from m3h.model.networks.topics import NeuralTopicModel, TopicMemory
from m3h.model.networks.unified import KeyphraseModel, Modules
from m3h.model.systems import NEEDS_VISION, System, get_system, modalities, resolve_ranking
from m3h.schemas.errors import UsageError
from m3h.schemas.vocab import WORD_SPECIALS

CHANNELS = {"vision": 512, "objects": 2048}
"""Width of a cell of VGG-16's grid, and of an object of bottom-up attention."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of the vocabularies with their specials, words of the longest label, width of a grid cell or object."""

    words: int
    labels: int
    attributes: int
    channels: int = 512
    label_words: int = 9


PAPER_SIZES = Sizes(words=45_006, labels=4_262, attributes=1_002)
"""The released data: 45,001 words, 4,261 keyphrases and 1,000 attributes, with our specials."""


def build_model(
    config: Config, sizes: Sizes, inputs: Collection[str], *, label_words_nw: torch.Tensor | None = None
) -> KeyphraseModel:
    """A model with new weights, drawn from torch's random state.

    Args:
        config: names the system.
        sizes: of the vocabularies and features.
        inputs: what the model reads.
        label_words_nw: from `label_table`, for aggregation; None counts parameters without it.

    Raises:
        UsageError: an input that the system needs is missing, or the configuration does not fit the system.
    """
    system = get_system(config.system)
    if not system.trainable:
        return KeyphraseModel(0, 0, Modules())
    if config.distillation_weight and system.uses_training_index:
        raise UsageError(
            f"distillation_weight: {system.name} already ranks labels by the training posts. "
            "Set it to 0, or take another system."
        )
    ranker = Ranker(config.label_feature_width, config.dropout) if system.uses_training_index else None
    if system.uses_training_index and not system.generates:
        return KeyphraseModel(0, 0, Modules(ranker=ranker))
    present = modalities(inputs)
    _check_inputs(system, present, config)
    topics = _topic_model(config, sizes) if system.topics else None
    e, d = config.word_width, config.width
    modules = Modules(
        text=_text(system, config) if "text" in present else None,
        vision=VisionEncoder(sizes.channels, d) if "vision" in present else None,
        attributes=AttributeEncoder(sizes.attributes, e, d) if "attributes" in present else None,
        fusion=_fusion(system, config, present),
        classifier=_classifier(config, sizes) if system.classifies and not system.uses_training_index else None,
        decoder=_decoder(system, config, sizes) if system.generates else None,
        aggregation=_aggregation(config, sizes, label_words_nw) if system.aggregates else None,
        topics=topics,
        topic_memory=TopicMemory(topics.counted, e, d, dropout=config.dropout)
        if topics and system.fusion == "topics"
        else None,
        ranker=ranker,
    )
    return KeyphraseModel(sizes.words, e, modules, embedding_dropout=config.embedding_dropout)


def _check_inputs(system: System, present: list[str], config: Config) -> None:
    resolve_ranking(system, config)
    needed = [name for name in modalities(system.inputs) if name == "text" or system.fusion in NEEDS_VISION]
    missing = [name for name in needed or modalities(system.inputs) if name not in present]
    if missing:
        raise UsageError(
            f"{system.name} cannot be without {', '.join(missing)}: build that feature, or take another system."
        )


def _text(system: System, config: Config) -> TextEncoder | WordBank:
    if system.fusion == "topics":
        return WordBank()
    return TextEncoder(
        config.word_width,
        config.width,
        config.encoder_layers,
        dropout=config.dropout,
        backward_first=config.decoder == "released",
    )


def _topic_model(config: Config, sizes: Sizes) -> NeuralTopicModel:
    skipped = min(config.topic_stop_words, sizes.words // 10)
    first = min(len(WORD_SPECIALS) + skipped, sizes.words - 1)
    counted = min(config.topic_words, sizes.words - first)
    return NeuralTopicModel(first, counted, config.topics, width=config.topic_width)


def _fusion(system: System, config: Config, present: list[str]) -> nn.Module | None:
    d, fusion = config.width, system.fusion
    if fusion == "max" or fusion == "avg":
        return PooledFusion(dict.fromkeys(present, fusion), d)
    if fusion == "stacked":
        return StackedAttention(config.text_pool, config.hops, d)
    if fusion == "alternating":
        return AlternatingAttention(d)
    if fusion == "bilinear":
        return BilinearAttention(config.glimpses, d, config.dropout)
    return _m3h(config, present) if fusion == "m3h" else None


def _m3h(config: Config, present: list[str]) -> M3HAttention:
    pools = {"text": config.text_pool, "vision": config.vision_pool, "attributes": config.attribute_pool}
    layers = {"text": config.text_layers, "vision": config.vision_layers, "attributes": config.attribute_layers}
    size = AttentionSize(
        config.width, config.heads, config.head_width, config.dropout, released=config.attention == "released"
    )
    return M3HAttention({name: pools[name] for name in present}, layers, size, pairs=config.pairs)


def _classifier(config: Config, sizes: Sizes) -> Classifier:
    return Classifier(config.width, sizes.labels, config.classifier_layers, dropout=config.dropout)


def _decoder(system: System, config: Config, sizes: Sizes) -> Decoder:
    shares = (1.0, 1.0) if config.aggregation == "released" else (config.copy_share, 1 - config.copy_share)
    return Decoder(
        sizes.words,
        config.word_width,
        config.width,
        dropout=config.dropout,
        copy_shares=shares if system.copies else None,
        topics=config.topics if system.topics else 0,
        released=config.decoder == "released",
    )


def _aggregation(config: Config, sizes: Sizes, label_words_nw: torch.Tensor | None) -> Aggregation:
    table_nw = label_words_nw
    if table_nw is None:
        table_nw = torch.zeros(sizes.labels, sizes.label_words, dtype=torch.long)
    if config.aggregation == "released":
        return ReleasedAggregation(table_nw, config.top_labels, config.word_width, d=config.width)
    return Aggregation(table_nw, config.top_labels)


@dataclass(frozen=True)
class Parameters:
    """Trained parameters. first: in the only phase, or before aggregation. second: with aggregation, or 0."""

    first: int
    second: int


def count_parameters(system: System, sizes: Sizes = PAPER_SIZES) -> Parameters:
    """The trained parameters of a system with its default configuration and all of its inputs."""
    if not system.trainable:
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
