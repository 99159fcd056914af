"""Posts that a reader read just now, in the form in which a dataset's posts are encoded."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from m3h.model.data.inputs import ALT, LABELS, TOKENS
from m3h.model.data.pictures import Cells, Pictures, no_cells
from m3h.model.data.posts import Posts
from m3h.model.systems import TEXT_ENCODER, Modality, feature_name
from m3h.schemas.posts import ReadPost


def posts_of(
    read: Sequence[ReadPost], inputs: Sequence[str], *, kinds: Mapping[str, Modality], channels: Mapping[str, int]
) -> Posts:
    """These posts without keyphrases. Each has a picture of its own; one without any features is as a post without it.

    Args:
        read: as the reader gives them.
        inputs: of a run.
        kinds: the modality of each input that is no text.
        channels: the width of a cell of each image feature among them.
    """
    n = len(read)
    features = [name for name in inputs if name not in ("text", ALT, TEXT_ENCODER)]
    rows = {name: [post.rows.get(feature_name(name)) for post in read] for name in features}
    vision = {name: _cells(rows[name], channels[name]) for name in rows if kinds.get(name) == "vision"}
    labels = {name: _lists(of, LABELS) for name, of in rows.items() if kinds.get(name) == "attributes"}
    words = {name: _lists(of, TOKENS) for name, of in rows.items() if name not in {*vision, *labels}}
    empty: list[list[str]] = [[]] * n
    return Posts(
        ids=[f"text-{i}" for i in range(1, n + 1)],
        tokens=[post.tokens for post in read],
        keyphrases=empty,
        ocr=words.pop("ocr", empty),
        attributes=labels.pop("attributes", empty),
        image=[i if post.rows else -1 for i, post in enumerate(read)],
        alt=[post.alt_tokens for post in read] if ALT in inputs else [],
        pictures=Pictures(vision, words=words, labels=labels),
    )


def _lists(rows: Sequence[Mapping[str, Any] | None], column: str) -> list[list[str]]:
    return [list(row[column] or []) if row else [] for row in rows]


def _cells(rows: Sequence[Mapping[str, Any] | None], channels: int) -> Cells:
    """The vectors of an image feature, see `pictures.read_cells`."""
    known = [row for row in rows if row]
    if not known:
        return no_cells(channels)
    features = np.stack([np.asarray(row["features"]) for row in known])
    number = np.stack([np.asarray(row["number"]) for row in known]) if "number" in known[0] else None
    place = np.cumsum([bool(row) for row in rows]) - 1
    return Cells(
        torch.from_numpy(features[:, None] if features.ndim == 2 else features),
        None if number is None else torch.from_numpy(number),
        np.where([bool(row) for row in rows], place, -1),
    )
