"""Scores without leaks: of the posts that share no text and no picture with the training posts.

Posts share a text if they say the same words, links and mentions aside. They share a picture if it has the same bytes,
or if the dataset has both posts in one group, which near copies of a text or of a picture bring about.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from m3h.model.config import Config
from m3h.model.data.posts import ALL
from m3h.model.runs.run import RunMetadata, is_own_dataset, read_description
from m3h.model.scoring.predictions import Record
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import M3hError
from m3h.schemas.posts import text_key

logger = logging.getLogger(__name__)
_COLUMNS = ["post_id", "tokens", "image_sha256", "group"]


def unseen_records(folder: Path, dataset_folder: Path | None, records: Sequence[Record]) -> list[Record] | None:
    """The records of posts that share nothing with training; None, with a warning, where that cannot be known.

    Args:
        folder: the run that predicted them.
        dataset_folder: where the posts are; None for the dataset that the run was trained on.
        records: its predictions.
    """
    try:
        config, metadata = read_description(folder)
        unseen = unseen_posts(config, metadata, dataset_folder)
    except M3hError as error:
        logger.warning(f"no scores of posts that share nothing with training: {error}")
        return None
    return [record for record in records if record.post_id in unseen]


def unseen_posts(config: Config, metadata: RunMetadata, dataset_folder: Path | None) -> set[str]:
    """The ids of all posts of a dataset that share nothing with the training posts of a run.

    Raises UsageError: a dataset is not there. Raises IntegrityError: a file of it is damaged.

    Args:
        config: of the run.
        metadata: of the run.
        dataset_folder: where the posts are; None for the dataset that the run was trained on.
    """
    posts = Dataset(dataset_folder or metadata.dataset)
    is_own = is_own_dataset(metadata, dataset_folder)
    training = posts if is_own else Dataset(metadata.dataset)
    learned = training.posts if config.train_split == ALL else training.split(config.train_split)
    seen = {trait for row in learned.select(_COLUMNS).to_pylist() for trait in _traits(row, is_own)}
    return {row["post_id"] for row in posts.posts.select(_COLUMNS).to_pylist() if seen.isdisjoint(_traits(row, is_own))}


def _traits(row: dict[str, Any], has_groups: bool) -> Iterator[tuple[str, str]]:
    """What a post may share with others. has_groups: groups of one dataset can be compared."""
    traits = {
        "text": text_key(row["tokens"]),
        "image": row["image_sha256"],
        "group": row["group"] if has_groups else "",
    }
    return ((name, value) for name, value in traits.items() if value)
