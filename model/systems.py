"""The systems of the paper's Table 2, by name. A new one is one entry, made of the shared parts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from model.attention import M3HAttention, PooledFusion
from model.classifier import Aggregation, Classifier
from model.config import Config
from model.decoder import Decoder
from model.encoder import AttributeEncoder, TextEncoder, VisionEncoder
from model.unified import KeyphraseModel
from schemas.errors import UsageError, unknown_name

MODALITIES = ("text", "vision", "attributes")


@dataclass(frozen=True)
class System:
    """One row. inputs: of text, ocr, vision, attributes. fusion: how c_fuse is made, or None: without it.

    A system that generates ranks by its search, any other by its classifier.
    """

    name: str
    paper_row: str
    inputs: tuple[str, ...]
    description: str
    fusion: Literal["pooled", "m3h"] | None = None
    classifies: bool = False
    generates: bool = False

    @property
    def aggregates(self) -> bool:
        """Whether the words of the classifier's best labels can be copied."""
        return self.classifies and self.generates


SYSTEMS = {
    system.name: system
    for system in (
        System("cls-max", "CLS-MAX", ("text",), "label classifier on the max-pooled text", "pooled", classifies=True),
        System("gen-copy", "GEN-COPY", ("text",), "sequence to sequence with a pointer to the text", generates=True),
        System(
            "gen-cls-m3h",
            "GEN-CLS-M3H-ATT",
            ("text", "ocr", "vision", "attributes"),
            "the full model: generator and classifier on M3H-Att, with the classifier's words aggregated",
            "m3h",
            classifies=True,
            generates=True,
        ),
    )
}


def get_system(name: str) -> System:
    """By name; UsageError with the nearest known name."""
    if name not in SYSTEMS:
        raise unknown_name("system", name, SYSTEMS)
    return SYSTEMS[name]


def wanted_inputs(system: System, config: Config) -> list[str]:
    """What the system reads after `add_inputs` and `drop_inputs`, in the order text, ocr, vision, attributes."""
    extra = set(config.add_inputs) - set(system.inputs)
    if system.fusion is None and extra & {"vision", "attributes"}:
        raise UsageError(f"{system.name} reads text and ocr only: it has no part for {', '.join(sorted(extra))}.")
    chosen = (set(system.inputs) | extra) - set(config.drop_inputs)
    return [name for name in ("text", "ocr", "vision", "attributes") if name in chosen]


@dataclass(frozen=True)
class Sizes:
    """Of the vocabularies, specials included, of the longest label in words, and of a grid cell."""

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
    """A model with fresh weights from torch's random state. label_words_nw: of `label_table`, for aggregation."""
    system = get_system(config.system)
    d = config.width
    table_nw = (
        torch.zeros(sizes.labels, sizes.label_words, dtype=torch.long) if label_words_nw is None else label_words_nw
    )
    return KeyphraseModel(
        sizes.words,
        config.word_width,
        TextEncoder(config.word_width, d, config.encoder_layers, config.dropout),
        VisionEncoder(sizes.channels, d) if "vision" in inputs else None,
        AttributeEncoder(sizes.attributes, config.word_width, d) if "attributes" in inputs else None,
        _fusion(system, config, [name for name in MODALITIES if name in inputs]),
        Classifier(d, sizes.labels, config.classifier_layers, config.dropout) if system.classifies else None,
        _decoder(config, sizes) if system.generates else None,
        Aggregation(table_nw, config.top_labels) if system.aggregates else None,
        config.embedding_dropout,
    )


def _fusion(system: System, config: Config, modalities: Sequence[str]) -> nn.Module | None:
    how = {"text": config.text_pool, "vision": config.vision_pool, "attributes": config.attribute_pool}
    pools = {name: how[name] for name in modalities}
    if system.fusion == "pooled":
        return PooledFusion(dict.fromkeys(modalities, "max"), config.width)
    if system.fusion is None:
        return None
    layers = {"text": config.text_layers, "vision": config.vision_layers, "attributes": config.attribute_layers}
    return M3HAttention(pools, layers, config.width, config.heads, config.head_width, config.dropout)


def _decoder(config: Config, sizes: Sizes) -> Decoder:
    shares = (1.0, 1.0) if config.aggregation == "released" else (config.copy_share, 1 - config.copy_share)
    return Decoder(sizes.words, config.word_width, config.width, config.dropout, shares)


def parameters_at_paper_size(system: System) -> int:
    """Trainable numbers with the paper's vocabularies and every input the system reads."""
    with torch.device("meta"):
        model = build_model(Config(system=system.name), PAPER_SIZES, system.inputs)
    return sum(weights.numel() for weights in model.parameters())
