"""The systems of the paper's Table 2, by name, and the released code's. A new one is one entry here."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from model.config import Config
from schemas.errors import UsageError, unknown_name

MODALITIES = ("text", "vision", "attributes")
INPUTS = ("text", "ocr", "vision", "objects", "attributes")
Fusion = Literal["max", "avg", "m3h", "stacked", "alternating", "bilinear", "topics"]
FUSES = {
    None: {"text"},
    "max": set(MODALITIES),
    "avg": set(MODALITIES),
    "m3h": set(MODALITIES),
    "stacked": {"text", "vision"},
    "alternating": {"text", "vision"},
    "bilinear": {"text", "vision"},
    "topics": {"text"},
}
"""What each way to make c_fuse has a part for."""
COMPARES = {"text", "attributes"}
"""What posts are likened by, where labels are ranked by the training posts."""
NEEDS_VISION = ("stacked", "alternating", "bilinear")


@dataclass(frozen=True)
class System:
    """One row. inputs: of INPUTS. fusion: how c_fuse is made, or None: without it; `max` and `avg` pool.

    copies: the generator has a pointer to the text. aggregates: and, in a second phase, to the words of the
    classifier's best labels. topics: with a neural topic model. recalls: the classifier does not see c_fuse, but ranks
    labels by the training posts (`Evidence`). ranks: whose list is the system's, or both halves' by `weigh`.
    """

    name: str
    paper_row: str
    inputs: tuple[str, ...]
    description: str
    fusion: Fusion | None = None
    classifies: bool = False
    generates: bool = False
    copies: bool = True
    aggregates: bool = False
    topics: bool = False
    recalls: bool = False
    ranks: Literal["classifier", "generator", "product"] = "classifier"

    @property
    def learns(self) -> bool:
        """Whether there is anything to train."""
        return self.classifies or self.generates


def _classifier(
    name: str, row: str, inputs: str, description: str, fusion: Fusion, topics: bool = False, generates: bool = False
) -> System:
    words = tuple(inputs.split())
    return System(name, row, words, description, fusion, classifies=True, generates=generates, topics=topics)


def _generator(
    name: str,
    row: str,
    inputs: str,
    description: str,
    fusion: Fusion | None = None,
    classifies: bool = False,
    copies: bool = True,
    aggregates: bool = False,
    topics: bool = False,
    recalls: bool = False,
    ranks: Literal["generator", "product"] = "generator",
) -> System:
    words = tuple(inputs.split())
    return System(
        *(name, row, words, description, fusion, classifies, True, copies, aggregates, topics, recalls, ranks)
    )


def _recall(name: str, description: str) -> System:
    return System(name, "ours", tuple(RECALLED.split()), description, classifies=True, recalls=True)


WORDING = "text ocr vision attributes"
RECALLED = "text ocr attributes"

SYSTEMS = {
    system.name: system
    for system in (
        _classifier("cls-vgg-max", "CLS-VGG-MAX", "vision", "labels from the max-pooled VGG grid", "max"),
        _classifier("cls-vgg-avg", "CLS-VGG-AVG", "vision", "labels from the mean of the VGG grid", "avg"),
        _classifier("cls-butd-max", "CLS-BUTD-MAX", "objects", "labels from the max-pooled objects", "max"),
        _classifier("cls-butd-avg", "CLS-BUTD-AVG", "objects", "labels from the mean of the objects", "avg"),
        System("ext-oracle", "EXT-ORACLE", ("text",), "the keyphrases that stand in the text; learns nothing"),
        _classifier("cls-avg", "CLS-AVG", "text", "labels from the mean of the text bank", "avg"),
        _classifier("cls-max", "CLS-MAX", "text", "labels from the max-pooled text bank", "max"),
        _classifier("cls-tmn", "CLS-TMN", "text", "topic memory network (Zeng et al. 2018)", "topics", topics=True),
        _generator("gen-att", "GEN-ATT", "text", "sequence to sequence with attention", copies=False),
        _generator("gen-copy", "GEN-COPY", "text", "sequence to sequence with a pointer to the text"),
        _generator("gen-topic", "GEN-TOPIC", "text", "topic-aware generation (Wang et al. 2019a)", topics=True),
        _classifier("cls-ban", "CLS-BAN", "text vision", "bilinear attention (Kim et al. 2018)", "bilinear"),
        _classifier("cls-img-att", "CLS-IMG-ATT", "text vision", "stacked attention (Yang et al. 2016)", "stacked"),
        _classifier("cls-co-att", "CLS-CO-ATT", "text vision", "co-attention (Zhang et al. 2017)", "alternating"),
        _classifier("cls-m3h", "CLS-M3H-ATT", "text vision", "labels from M3H-Att", "m3h"),
        _classifier("cls-m3h+wording", "+image wording", WORDING, "and from image wordings", "m3h"),
        _classifier("cls-m3h+wording+joint", "+joint-train", WORDING, "beside a generator", "m3h", generates=True),
        _generator("gen-m3h", "GEN-M3H-ATT", "text vision", "a pointer generator that sees M3H-Att's context", "m3h"),
        _generator("gen-m3h+wording", "+image wording", WORDING, "and image wordings", "m3h"),
        _generator("gen-m3h+wording+joint", "+joint-train", WORDING, "beside a classifier", "m3h", True),
        _generator(
            *("gen-cls-m3h", "GEN-CLS-M3H-ATT", WORDING),
            "the full model: generator and classifier on M3H-Att, with the classifier's words aggregated",
            "m3h",
            classifies=True,
            aggregates=True,
        ),
        _generator(
            *("released", "the released code", "text ocr vision"),
            "the code that the paper's authors released: the image asks the text, in two stages",
            "m3h",
            classifies=True,
            aggregates=True,
        ),
        _recall("cls-recall", "labels of similar training posts, by ridge regression"),
        _recall("cls-recall+clues", "and of what stands in the post itself"),
        _generator(
            *("gen-cls-m3h+recall", "ours", WORDING),
            "the full model with cls-recall+clues for its classifier",
            "m3h",
            classifies=True,
            aggregates=True,
            recalls=True,
        ),
        _generator(
            *("gen-cls-m3h+taught", "ours", WORDING),
            "the full model, taught also what cls-recall+clues says of its training posts",
            "m3h",
            classifies=True,
            aggregates=True,
        ),
        _generator(
            *("gen-cls-m3h+taught+product", "ours", WORDING),
            "taught generator and classifier on M3H-Att, joined by the product of what both say of a phrase",
            "m3h",
            classifies=True,
            ranks="product",
        ),
    )
}


def get_system(name: str) -> System:
    """By name; UsageError with the nearest known name."""
    if name not in SYSTEMS:
        raise unknown_name("system", name, SYSTEMS)
    return SYSTEMS[name]


def wanted_inputs(system: System, config: Config) -> list[str]:
    """What the system reads after `add_inputs` and `drop_inputs`, in the order of INPUTS.

    UsageError where it has no part for one of them, or would read two kinds of vision.
    """
    extra = set(config.add_inputs) - set(system.inputs)
    chosen = (set(system.inputs) | extra) - set(config.drop_inputs)
    parts = FUSES[system.fusion] | (COMPARES if system.recalls else set())
    without_part = [name for name in sorted(extra) if _modality(name) not in parts]
    if without_part:
        raise UsageError(f"{system.name} has no part for {', '.join(without_part)}.")
    if "ocr" in chosen and "text" not in chosen:
        raise UsageError(f"{system.name} reads no text, and ocr is read behind it.")
    if {"vision", "objects"} <= chosen:
        raise UsageError(f"{system.name} reads one kind of vision: drop_inputs=[vision] or [objects].")
    return [name for name in INPUTS if name in chosen]


def ranking_of(system: System, config: Config) -> str:
    """Whose list is given, `classifier` or `generator`, or how `merge` or `weigh` joins both.

    UsageError without a part for it.
    """
    how = system.ranks if config.ranking == "system" else config.ranking
    has = {"classifier": system.classifies, "generator": system.generates}
    missing = [part for part in ([how] if how in has else has) if not has[part]]
    if missing and system.learns:
        raise UsageError(f"ranking={how}: {system.name} has no {missing[0]}.")
    return how


def _modality(name: str) -> str:
    return {"ocr": "text", "objects": "vision"}.get(name, name)


def modalities(inputs: Collection[str]) -> list[str]:
    """The banks that inputs fill, in the order of MODALITIES."""
    return [name for name in MODALITIES if name in {_modality(one) for one in inputs}]
