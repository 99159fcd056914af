"""Builds the model of a system, sized by the configuration and the vocabularies."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from m3h.model.config import Config
from m3h.model.data.evidence import n_features
from m3h.model.networks.attention import AttentionSize, M3HAttention
from m3h.model.networks.baselines import AlternatingAttention, BilinearAttention, PooledFusion, StackedAttention
from m3h.model.networks.classifier import Aggregation, Classifier, ReleasedAggregation
from m3h.model.networks.decoder import Decoder
from m3h.model.networks.encoder import AttributeEncoder, TextEncoder, VisionEncoder, WordBank, WordStates
from m3h.model.networks.label_names import NameClassifier
from m3h.model.networks.ranker import Ranker
from m3h.model.networks.topics import NeuralTopicModel, TopicMemory
from m3h.model.networks.unified import KeyphraseModel, Modules
from m3h.model.systems import (
    INPUTS,
    MODALITIES,
    NEEDS_VISION,
    TEXT_ENCODER,
    Modality,
    System,
    bank_names,
    get_system,
    resolve_ranking,
)
from m3h.schemas.errors import UsageError
from m3h.schemas.vocab import WORD_SPECIALS


@dataclass(frozen=True)
class Sizes:
    """Sizes of the vocabularies with their specials, and words of the longest label.

    attributes: input with labels -> size of its vocabulary. channels: input with pictures -> width of a cell.
    """

    words: int
    labels: int
    attributes: Mapping[str, int] = field(default_factory=dict)
    channels: Mapping[str, int] = field(default_factory=dict)
    label_words: int = 9

    @property
    def kinds(self) -> dict[str, Modality]:
        """The modality of every input that is no text."""
        return {**dict.fromkeys(self.channels, "vision"), **dict.fromkeys(self.attributes, "attributes")}


PAPER_SIZES = Sizes(45_006, 4_262, {"attributes": 1_002}, {"vision": 512, "objects": 2048})
"""The released data: 45,001 words, 4,261 keyphrases and 1,000 attributes, with our specials. Cells of VGG-16's
grid, and objects of bottom-up attention.
"""


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
    if config.phrase_candidates and system.uses_training_index and system.generates:
        raise UsageError(
            f"text_phrases: the generator of {system.name} copies phrases of the text itself. "
            "Set it to 0, or take m3h-best."
        )
    ranker = _ranker(config) if system.uses_training_index else None
    if system.uses_training_index and not system.generates:
        return KeyphraseModel(0, 0, Modules(ranker=ranker))
    banks = _banks(inputs, sizes)
    present = [kind for kind in MODALITIES if kind in banks]
    _check_inputs(system, present, config)
    topics = _topic_model(config, sizes) if system.topics else None
    e, d = config.word_width, config.width
    text = _text(system, config) if "text" in present else None
    encoders = _picture_encoders(inputs, config, sizes)
    modules = Modules(
        text=text,
        word_states=_word_states(config, sizes),
        vision=encoders.pop("vision", None),  # type: ignore[arg-type]
        attributes=encoders.pop("attributes", None),  # type: ignore[arg-type]
        further=encoders,
        merged={} if system.fusion == "m3h" else banks,
        fusion=_fusion(system, config, banks),
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


def _ranker(config: Config) -> Ranker:
    phrases = config.phrase_candidates > 0
    features = n_features(config.label_features == "all", config.tunes_sentences, phrases=phrases)
    return Ranker(config.label_feature_width, config.dropout, features)


def _banks(inputs: Collection[str], sizes: Sizes) -> dict[str, Modality]:
    """Bank -> its modality, in the order of MODALITIES and then of the inputs."""
    kinds = sizes.kinds
    banks: dict[str, Modality] = {bank: kinds[name] for name, bank in bank_names(inputs, kinds).items()}
    text: dict[str, Modality] = {"text": "text"} if "text" in inputs else {}
    return {**text, **dict(sorted(banks.items(), key=lambda bank: MODALITIES.index(bank[1])))}


def _picture_encoders(
    inputs: Collection[str], config: Config, sizes: Sizes
) -> dict[str, VisionEncoder | AttributeEncoder]:
    """Bank -> its encoder. The order is that of `_banks`."""
    names = {bank: name for name, bank in bank_names(inputs, sizes.kinds).items()}
    encoders: dict[str, VisionEncoder | AttributeEncoder] = {}
    for bank, kind in _banks(inputs, sizes).items():
        if kind == "vision":
            channels = sizes.channels[names[bank]]
            encoders[bank] = VisionEncoder(channels, config.width, standardize=config.standardize_vision)
        elif kind == "attributes":
            encoders[bank] = AttributeEncoder(sizes.attributes[names[bank]], config.word_width, config.width)
    return encoders


def _check_inputs(system: System, present: Sequence[str], config: Config) -> None:
    resolve_ranking(system, config)
    usual = [kind for kind in MODALITIES if kind in {INPUTS[name] for name in system.inputs}]
    needed = [name for name in usual if name == "text" or system.fusion in NEEDS_VISION]
    missing = [name for name in needed or usual if name not in present]
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


def _word_states(config: Config, sizes: Sizes) -> WordStates | None:
    if not config.word_states:
        return None
    if TEXT_ENCODER not in sizes.channels:
        raise UsageError("word_states needs a sentence encoder: add --set text_encoder=minilm.")
    return WordStates(sizes.channels[TEXT_ENCODER], config.word_width, dropout=config.dropout)


def _topic_model(config: Config, sizes: Sizes) -> NeuralTopicModel:
    skipped = min(config.topic_stop_words, sizes.words // 10)
    first = min(len(WORD_SPECIALS) + skipped, sizes.words - 1)
    counted = min(config.topic_words, sizes.words - first)
    return NeuralTopicModel(first, counted, config.topics, width=config.topic_width)


def _fusion(system: System, config: Config, banks: Mapping[str, Modality]) -> nn.Module | None:
    d, fusion = config.width, system.fusion
    if fusion == "max" or fusion == "avg":
        return PooledFusion({kind: fusion for kind in MODALITIES if kind in banks.values()}, d)
    if fusion == "stacked":
        return StackedAttention(config.text_pool, config.hops, d)
    if fusion == "alternating":
        return AlternatingAttention(d)
    if fusion == "bilinear":
        return BilinearAttention(config.glimpses, d, config.dropout)
    return _m3h(config, banks) if fusion == "m3h" else None


def _m3h(config: Config, banks: Mapping[str, Modality]) -> M3HAttention:
    pools = {"text": config.text_pool, "vision": config.vision_pool, "attributes": config.attribute_pool}
    layers = {"text": config.text_layers, "vision": config.vision_layers, "attributes": config.attribute_layers}
    size = AttentionSize(
        config.width, config.heads, config.head_width, config.dropout, released=config.attention == "released"
    )
    kinds = [pair.split("_to_") for pair in config.pairs]
    return M3HAttention(
        {bank: pools[kind] for bank, kind in banks.items()},
        {bank: layers[kind] for bank, kind in banks.items()},
        size,
        pairs=[(q, m) for q_kind, m_kind in kinds for q in _of(q_kind, banks) for m in _of(m_kind, banks)],
        gated=config.fusion == "gated" and "vision" in banks.values(),
    )


def _of(kind: str, banks: Mapping[str, Modality]) -> list[str]:
    return [bank for bank, modality in banks.items() if modality == kind]


def _classifier(config: Config, sizes: Sizes) -> Classifier | NameClassifier:
    if config.classifier == "names":
        if TEXT_ENCODER not in sizes.channels:
            raise UsageError("classifier=names needs a sentence encoder: add --set text_encoder=minilm.")
        v, pointer = sizes.channels[TEXT_ENCODER], config.label_pointer
        return NameClassifier(config.width, sizes.labels, v, dropout=config.dropout, pointer=pointer)
    if config.label_pointer:
        raise UsageError("label_pointer is a part of another classifier: add --set classifier=names.")
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


class _Undrawn(TorchFunctionMode):
    """No first values are drawn. On the device `meta` there are none, but to draw them torch imports its compiler."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", "") == "torch.nn.init" or func in (Tensor.normal_, Tensor.uniform_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def count_parameters(system: System, sizes: Sizes = PAPER_SIZES) -> Parameters:
    """The trained parameters of a system with its default configuration and all of its inputs."""
    if not system.trainable:
        return Parameters(0, 0)
    config = Config(system=system.name)
    with torch.device("meta"), _Undrawn():
        model = build_model(config, sizes, system.inputs)
    first = sum(weights.numel() for name, weights in model.named_parameters() if not name.startswith("aggregation."))
    if not system.aggregates:
        return Parameters(first, 0)
    model.start_second_phase(config.second_phase)
    return Parameters(first, sum(weights.numel() for weights in model.parameters() if weights.requires_grad))
