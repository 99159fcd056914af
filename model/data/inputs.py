"""Inputs of a system that are features of a dataset: which there are, and what each holds."""

from collections.abc import Collection, Iterable

from m3h.model.config import Config
from m3h.model.systems import INPUTS, TEXT_ENCODER, Modality, feature_name, input_name
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.files import validating
from m3h.schemas.inside import folder_in
from m3h.schemas.parquet import read_parquet

ALT = "alt"
"""Input that is no feature but a column of the posts: what authors say that their pictures show."""
TOKENS, LABELS = "tokens", "labels"
"""Columns of a table feature that can be read: words, and labels with the best first."""


def available_inputs(dataset: Dataset, wanted: Collection[str]) -> list[str]:
    """The inputs in `wanted` that the dataset has: features, and any description."""
    return [name for name in wanted if _has(dataset, name)]


def _has(dataset: Dataset, name: str) -> bool:
    if name == ALT:
        return _has_alt(dataset)
    return name == TEXT_ENCODER or (name != "text" and dataset.has_feature(feature_name(name)))


def _has_alt(dataset: Dataset) -> bool:
    return any(dataset.posts["alt_tokens"].to_pylist())


def further_modalities(dataset: Dataset, config: Config) -> dict[str, Modality]:
    """The modality of each input that the configuration names and that is not one of INPUTS.

    Raises:
        UsageError: the dataset lacks a feature that `vision` or `wordings` names, or one of its own name; or a feature
            is neither arrays, nor labels, nor words.
    """
    named = dict.fromkeys(map(input_name, (*(config.vision or ()), *(config.wordings or ()))))
    for name in named:
        if name not in ("text", ALT):
            dataset.fingerprint(feature_name(name))
    further = [name for name in map(input_name, (*named, *config.add_inputs)) if name not in INPUTS]
    return modalities_of(dataset, further)


def modalities_of(dataset: Dataset, names: Iterable[str]) -> dict[str, Modality]:
    """The modality of each of these inputs: arrays are vision, labels are attributes, words are text.

    That of INPUTS is known; shards of others are looked at.

    Raises:
        UsageError: the dataset lacks a feature, or it is none of these.
    """
    return {name: INPUTS[name] if name in INPUTS else _modality(dataset, name) for name in names}


def _modality(dataset: Dataset, feature: str) -> Modality:
    shards = dataset.names(f"features/{feature}/{dataset.fingerprint(feature)}/shard-")
    if not shards:
        with validating(folder_in(dataset.folder, f"features/{feature}")):
            columns = list(dataset.described(feature)["spec"]["columns"])
    elif shards[0].endswith(".h5"):
        return "vision"
    else:
        columns = dataset.read(shards[0], lambda path: read_parquet(path).column_names)
    if not columns:
        return "vision"
    if LABELS not in columns and TOKENS not in columns:
        raise UsageError(
            f"{dataset.folder}: {feature} has the columns {', '.join(columns)}; an input has {TOKENS}, {LABELS}, or "
            "arrays of numbers. Name another feature."
        )
    return "attributes" if LABELS in columns else "text"
