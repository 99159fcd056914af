"""The systems of the paper's Table 2, the released code's system, and our own. A new system is one entry here."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from m3h.model.config import Config
from m3h.schemas.errors import UsageError, unknown_name

Modality = Literal["text", "vision", "attributes"]
MODALITIES: tuple[Modality, ...] = ("text", "vision", "attributes")
INPUTS: dict[str, Modality] = {
    **{"text": "text", "alt": "text", "ocr": "text"},
    **{"vision": "vision", "objects": "vision", "attributes": "attributes"},
}
"""The inputs of the systems below, in their order, and the modality of each. Any other feature is an input by its own
name: tensors are vision, labels are attributes, and words are text."""
FEATURES = {"ocr": "ocr", "vision": "vgg_grid", "objects": "butd_objects", "attributes": "attributes"}
"""Input with a name of its own -> the feature of the dataset that holds it."""
Fusion = Literal["max", "avg", "m3h", "stacked", "alternating", "bilinear", "topics"]
FUSION_MODALITIES: dict[Fusion | None, set[str]] = {
    None: {"text"},
    "max": set(MODALITIES),
    "avg": set(MODALITIES),
    "m3h": set(MODALITIES),
    "stacked": {"text", "vision"},
    "alternating": {"text", "vision"},
    "bilinear": {"text", "vision"},
    "topics": {"text"},
}
"""Fusion -> the modalities that it can read."""
TEXT_ENCODER = "text_encoder"
"""Input of the states of a sentence encoder, and the name of its bank. It has the pairs of a picture's feature."""
EXPECTED = {"vision": "features with arrays of numbers", "wordings": "features with words or labels"}
"""Field of the configuration -> what it may name."""
NEEDS_VISION = ("stacked", "alternating", "bilinear")


@dataclass(frozen=True)
class System:
    """One row of a table.

    inputs: names of INPUTS. fusion: how c_fuse is made, or None without it; `max` and `avg` pool. copies: the generator
    has a pointer to the text. aggregates: in a second phase the pointer also reaches the words of the classifier's best
    labels. topics: there is a neural topic model. uses_training_index: labels are ranked by `Evidence`, not from
    c_fuse. ranking: whose list the system gives, or `rescored`, see `decoding.rescoring`.
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
    uses_training_index: bool = False
    ranking: Literal["classifier", "generator", "rescored"] = "classifier"

    @property
    def trainable(self) -> bool:
        """Whether there is anything to train."""
        return self.classifies or self.generates


def _classifier(name: str, paper_row: str, inputs: tuple[str, ...], *, fusion: Fusion, description: str) -> System:
    return System(name, paper_row, inputs, description, fusion, classifies=True)


def _generator(name: str, paper_row: str, inputs: tuple[str, ...], *, fusion: Fusion, description: str) -> System:
    return System(name, paper_row, inputs, description, fusion, generates=True, ranking="generator")


def _unified(name: str, paper_row: str, inputs: tuple[str, ...], *, description: str) -> System:
    """A generator and a classifier on M3H-Att, with aggregation."""
    return System(
        *(name, paper_row, inputs, description, "m3h"),
        classifies=True,
        generates=True,
        aggregates=True,
        ranking="generator",
    )


def _kernel_ridge(name: str, description: str) -> System:
    inputs = ("text", "ocr", "attributes")
    return System(name, "ours", inputs, description, classifies=True, uses_training_index=True)


TEXT, VISION, OBJECTS = ("text",), ("vision",), ("objects",)
TEXT_VISION = ("text", "vision")
WORDING = ("text", "ocr", "vision", "attributes")

_VISION_SYSTEMS = (
    _classifier("cls-vgg-max", "CLS-VGG-MAX", VISION, fusion="max", description="labels from the max-pooled VGG grid"),
    _classifier("cls-vgg-avg", "CLS-VGG-AVG", VISION, fusion="avg", description="labels from the mean of the VGG grid"),
    _classifier("cls-butd-max", "CLS-BUTD-MAX", OBJECTS, fusion="max", description="labels from max-pooled objects"),
    _classifier("cls-butd-avg", "CLS-BUTD-AVG", OBJECTS, fusion="avg", description="labels from the mean of objects"),
)
_TEXT_SYSTEMS = (
    System("ext-oracle", "EXT-ORACLE", TEXT, "the gold keyphrases that occur in the text; nothing is trained"),
    _classifier("cls-avg", "CLS-AVG", TEXT, fusion="avg", description="labels from the mean of the text bank"),
    _classifier("cls-max", "CLS-MAX", TEXT, fusion="max", description="labels from the max-pooled text bank"),
    System(
        *("cls-tmn", "CLS-TMN", TEXT, "topic memory network (Zeng et al. 2018)", "topics"),
        classifies=True,
        topics=True,
    ),
    System(
        *("gen-att", "GEN-ATT", TEXT, "sequence to sequence with attention"),
        generates=True,
        copies=False,
        ranking="generator",
    ),
    System(
        *("gen-copy", "GEN-COPY", TEXT, "sequence to sequence with a pointer to the text"),
        generates=True,
        ranking="generator",
    ),
    System(
        *("gen-topic", "GEN-TOPIC", TEXT, "topic-aware generation (Wang et al. 2019a)"),
        generates=True,
        topics=True,
        ranking="generator",
    ),
)
_MULTIMODAL_SYSTEMS = (
    _classifier(
        "cls-ban", "CLS-BAN", TEXT_VISION, fusion="bilinear", description="bilinear attention (Kim et al. 2018)"
    ),
    _classifier(
        *("cls-img-att", "CLS-IMG-ATT", TEXT_VISION),
        fusion="stacked",
        description="stacked attention (Yang et al. 2016)",
    ),
    _classifier(
        *("cls-co-att", "CLS-CO-ATT", TEXT_VISION),
        fusion="alternating",
        description="co-attention (Zhang et al. 2017)",
    ),
    _classifier("cls-m3h", "CLS-M3H-ATT", TEXT_VISION, fusion="m3h", description="labels from M3H-Att"),
    _classifier("cls-m3h+wording", "+image wording", WORDING, fusion="m3h", description="also from image wordings"),
    System(
        *("cls-m3h+wording+joint", "+joint-train", WORDING, "trained together with a generator", "m3h"),
        classifies=True,
        generates=True,
    ),
    _generator("gen-m3h", "GEN-M3H-ATT", TEXT_VISION, fusion="m3h", description="a pointer generator on M3H-Att"),
    _generator("gen-m3h+wording", "+image wording", WORDING, fusion="m3h", description="also on image wordings"),
    System(
        *("gen-m3h+wording+joint", "+joint-train", WORDING, "trained together with a classifier", "m3h"),
        classifies=True,
        generates=True,
        ranking="generator",
    ),
    _unified(
        *("gen-cls-m3h", "GEN-CLS-M3H-ATT", WORDING),
        description="the full model: generator and classifier on M3H-Att, with the classifier's words aggregated",
    ),
    _unified(
        *("released", "the released code", ("text", "ocr", "vision")),
        description="the code that the paper's authors released: the image attends to the text, in two stages",
    ),
)
_OUR_SYSTEMS = (
    _kernel_ridge("cls-krr", "labels of similar training posts, by kernel ridge regression"),
    _kernel_ridge("cls-krr+features", "also by label features: whether and where the label occurs in the post"),
    _kernel_ridge("m3h-best", "also by a sentence encoder, and by what words and labels did in other posts' texts"),
    System(
        *("gen-cls-m3h+krr", "ours", WORDING, "the full model with cls-krr+features as its classifier", "m3h"),
        classifies=True,
        generates=True,
        aggregates=True,
        uses_training_index=True,
        ranking="generator",
    ),
    _unified(
        *("gen-cls-m3h+distilled", "ours", WORDING),
        description="the full model, trained partly on soft labels of cls-krr+features",
    ),
    System(
        *("gen-cls-m3h+distilled+rescored", "ours", WORDING),
        "generator and classifier on M3H-Att, trained partly on soft labels; both score every phrase",
        "m3h",
        classifies=True,
        generates=True,
        ranking="rescored",
    ),
)

SYSTEMS = {system.name: system for system in (*_VISION_SYSTEMS, *_TEXT_SYSTEMS, *_MULTIMODAL_SYSTEMS, *_OUR_SYSTEMS)}


def get_system(name: str) -> System:
    """The system of that name.

    Raises UsageError: there is none. The message gives the nearest name.
    """
    if name not in SYSTEMS:
        raise unknown_name("system", name, SYSTEMS)
    return SYSTEMS[name]


def resolve_inputs(system: System, config: Config, found: Mapping[str, Modality] | None = None) -> list[str]:
    """What the system reads by `vision`, `wordings`, `add_inputs` and `drop_inputs`; first those of INPUTS, in order.

    Raises:
        UsageError: an input is no feature of the dataset or of another kind, or the system cannot read it.

    Args:
        system: whose inputs.
        config: changes them.
        found: further inputs that a dataset has, and their modalities; see `data.inputs.modalities_of`.
    """
    known: dict[str, Modality] = {**INPUTS, **(found or {})}
    encoded = [TEXT_ENCODER] if config.text_encoder else []
    known |= dict.fromkeys(encoded, "vision")
    _check_kinds(config, known)
    own = [name for name in system.inputs if _stays(name, config)]
    extra = [
        input_name(name) for name in (*(config.vision or ()), *(config.wordings or ()), *config.add_inputs, *encoded)
    ]
    dropped = {input_name(name) for name in config.drop_inputs}
    chosen = [name for name in dict.fromkeys((*own, *extra)) if name not in dropped]
    readable = FUSION_MODALITIES[system.fusion] | (set(MODALITIES) if system.uses_training_index else set())
    unreadable = sorted({name for name in extra if name not in system.inputs and known[name] not in readable})
    if unreadable:
        raise UsageError(f"{system.name} has no part for {', '.join(unreadable)}.")
    if "text" not in chosen and (after := [name for name in chosen if known[name] == "text"]):
        raise UsageError(
            f"{system.name} reads no text, and {' and '.join(sorted(after))} words are read after the text."
        )
    return [*(name for name in INPUTS if name in chosen), *(name for name in chosen if name not in INPUTS)]


def _check_kinds(config: Config, known: Mapping[str, Modality]) -> None:
    """UsageError unless all inputs exist, and those of `vision` and `wordings` are of that kind."""
    for name in map(input_name, (*config.add_inputs, *config.drop_inputs)):
        if name not in known:
            raise unknown_name("input", name, known)
    for field, kinds in (("vision", {"vision"}), ("wordings", {"text", "attributes"})):
        wrong = [name for name in map(input_name, getattr(config, field) or ()) if known.get(name) not in kinds]
        if wrong:
            found = f"{wrong[0]} is {known[wrong[0]]}" if wrong[0] in known else f"there is no {wrong[0]}"
            raise UsageError(f"{field}={[*getattr(config, field)]}: expected {EXPECTED[field]}, but {found}.")


def _stays(name: str, config: Config) -> bool:
    """Whether a system's own input is left in place by `vision` and `wordings`."""
    if name == "text":
        return True
    return (config.vision if INPUTS[name] == "vision" else config.wordings) is None


def input_name(name: str) -> str:
    """The input that an input or a feature is named by: `vgg_grid` is `vision`."""
    return next((known for known, feature in FEATURES.items() if feature == name), name)


def feature_name(name: str) -> str:
    """The feature of the dataset that holds an input; inverse of `input_name`."""
    return FEATURES.get(name, name)


def resolve_ranking(system: System, config: Config) -> str:
    """Whose list is given (`classifier` or `generator`), or how both lists are combined.

    Raises:
        UsageError: the system lacks a part that the ranking needs.
    """
    ranking = system.ranking if config.ranking == "system" else config.ranking
    has = {"classifier": system.classifies, "generator": system.generates}
    missing = [part for part in ([ranking] if ranking in has else has) if not has[part]]
    if missing and system.trainable:
        raise UsageError(f"ranking={ranking}: {system.name} has no {missing[0]}.")
    return ranking


def bank_names(inputs: Collection[str], kinds: Mapping[str, Modality]) -> dict[str, str]:
    """Input -> its memory bank, for all that are no text. The first input of a modality has the modality's own bank.

    A further one has a bank by its own name, and so the paper's systems are what they are whichever feature they read.

    Args:
        inputs: in their order.
        kinds: the modality of every input that is no text.
    """
    banks: dict[str, str] = {}
    for name in inputs:
        kind = kinds.get(name)
        if kind is not None:
            banks[name] = name if kind in banks.values() or name == TEXT_ENCODER else kind
    return banks
