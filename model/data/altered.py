"""Posts whose inputs are taken away, exchanged or replaced by noise, to see how much of a score each input carries.

An input that is shuffled comes from another post: it is real, but does not belong to the post. One that is noise has
as many words or labels as before, drawn from those of all posts, or normal numbers with the mean and the deviation that
each channel of the picture's cells has in these posts. What is random depends on `SEED` alone.

Axes: n posts, G cells, c channels.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from m3h.model.data.inputs import ALT
from m3h.model.data.pictures import Cells, Pictures
from m3h.model.data.posts import Posts
from m3h.model.systems import TEXT_ENCODER

SEED = 0
WITHOUT, SHUFFLE, NOISE = "without", "shuffle", "noise"
WAYS = (WITHOUT, SHUFFLE, NOISE)
"""What can be done to an input."""
COLUMNS = {"text": "tokens", ALT: "alt", "ocr": "ocr", "attributes": "attributes"}
"""Input that is a column of `Posts` -> its name there."""
Words = list[list[str]]


def alter(posts: Posts, ways: Mapping[str, Collection[str]]) -> Posts:
    """The same posts with other inputs. Ids and keyphrases stay.

    Args:
        posts: of one split.
        ways: one of WAYS -> the inputs, by their names in a run, that it is done to.
    """
    changed = _own_pictures(posts)
    for way in WAYS:
        for name in ways.get(way, ()):
            changed = _altered(changed, name, way)
    return changed


def _own_pictures(posts: Posts) -> Posts:
    """The same posts, each with a picture of its own, so that the features of one can change."""
    n = len(posts)
    image_n = np.array(posts.image, np.int64)
    pictures = posts.pictures
    return replace(
        posts,
        image=list(range(n)),
        pictures=Pictures(
            {name: replace(cells, row_p=cells.rows(image_n)) for name, cells in pictures.cells.items()},
            words={name: posts.words_of(name) for name in pictures.words},
            labels={name: posts.labels_of(name) for name in pictures.labels},
        ),
    )


def _altered(posts: Posts, name: str, way: str) -> Posts:
    """One input altered. The posts have pictures of their own."""
    rng = np.random.default_rng([SEED, *name.encode()])
    if name in COLUMNS:
        changed: dict[str, Any] = {COLUMNS[name]: _altered_words(getattr(posts, COLUMNS[name]), way, rng)}
        return replace(posts, **changed)
    if name == TEXT_ENCODER:
        return _altered_sentences(posts, way, rng)
    pictures = posts.pictures
    cells, words, labels = dict(pictures.cells), dict(pictures.words), dict(pictures.labels)
    for rows in (words, labels):
        if name in rows:
            rows[name] = _altered_words(rows[name], way, rng)
    if name in cells:
        found = _altered_cells(cells.pop(name), way, rng)
        cells |= {name: found} if found else {}
    return replace(posts, pictures=Pictures(cells, words=words, labels=labels))


def _altered_sentences(posts: Posts, way: str, rng: np.random.Generator) -> Posts:
    """Posts with other states of the sentence encoder, which are attached already."""
    number_n = posts.numbers(TEXT_ENCODER)
    if way == WITHOUT or posts.sentences is None:
        return replace(posts, sentence=[-1] * len(posts))
    if way == SHUFFLE:
        return replace(posts, sentence=number_n[other_posts(len(posts), rng)].tolist())
    shape = tuple(posts.sentences.features.shape)
    return replace(posts, sentences=replace(posts.sentences, features=_noise(posts.sentences, number_n, shape, rng)))


def other_posts(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) for each post another one, each once; a single post has only itself."""
    order_n, other_n = rng.permutation(n), np.zeros(n, np.int64)
    other_n[order_n] = np.roll(order_n, 1)
    return other_n


def _altered_words(rows: Sequence[list[str]], way: str, rng: np.random.Generator) -> Words:
    if way == WITHOUT:
        return [[] for _ in rows]
    if way == SHUFFLE:
        return [rows[other] for other in other_posts(len(rows), rng)]
    words = [word for row in rows for word in row]
    return [[words[i] for i in rng.integers(len(words), size=len(row))] if row else [] for row in rows]


def _altered_cells(cells: Cells, way: str, rng: np.random.Generator) -> Cells | None:
    """Cells whose pictures are the posts' own; None where they are taken away."""
    if way == WITHOUT or cells.row_p is None:
        return None
    row_n = cells.row_p
    if way == SHUFFLE:
        return replace(cells, row_p=row_n[other_posts(len(row_n), rng)])
    features = _noise(cells, np.arange(len(row_n)), (len(row_n), *cells.features.shape[1:]), rng)
    number = None if cells.number is None else cells.number.cpu()[torch.from_numpy(row_n).clamp_min(0)]
    return Cells(features, number, np.where(row_n >= 0, np.arange(len(row_n)), -1))


def _noise(cells: Cells, number_n: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator) -> Tensor:
    """Normal numbers of this shape, with the mean and the deviation of each channel in these pictures or posts."""
    mean_c, deviation_c = cells.statistics(number_n)
    normal = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
    return (normal * deviation_c + mean_c).to(cells.dtype)
