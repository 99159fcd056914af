"""Posts encoded once into flat arrays, and batches gathered from them.

Axes: B batch, L source, T target, G grid, c channels, A attributes.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from m3h.model.data.batch import EOS_ID, Batch, Pairs
from m3h.model.data.evidence import Evidence
from m3h.model.data.posts import Posts, Vocabularies
from m3h.model.data.ragged import Ragged
from m3h.model.data.soft_labels import SoftLabels
from m3h.schemas.vocab import SEP, UNK, Vocabulary
from m3h.schemas.wording import wording

POOL_BATCHES = 32
"""Batches whose rows are sorted by length together. Little padding is needed, and the order stays random."""


@dataclass(frozen=True)
class Encoded:
    """All posts of a split as ids.

    sources: the words of each post as the model reads them. oov: for each post the words outside the vocabulary that
    can still be copied, in order of first appearance. pair_post, labels, targets: one entry a post-keyphrase pair. With
    soft labels, `targets` continues with one entry a soft label. distillation_weight: the share of soft labels in what
    is learned, 0 to 1.
    """

    posts: Posts
    sources: list[list[str]]
    oov: list[list[str]]
    source: Ragged
    copy: Ragged
    attributes: Ragged
    pair_post: np.ndarray
    labels: np.ndarray
    targets: Ragged
    grid: Tensor | None = None
    grid_row: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    reads_attributes: bool = False
    reads_alt: bool = False
    device: str = "cpu"
    evidence: Evidence | None = None
    soft_labels: SoftLabels | None = None
    distillation_weight: float = 0.0

    def with_evidence(self, evidence: Evidence) -> "Encoded":
        """The same posts with their evidence. A label that is no candidate of its post becomes an unknown one."""
        return replace(self, evidence=evidence, labels=evidence.mask_missing_labels(self.pair_post, self.labels))

    def with_soft_labels(self, soft_labels: SoftLabels, vocabularies: Vocabularies, weight: float) -> "Encoded":
        """The same posts, to be learned partly from soft labels.

        A classifier learns the keyphrase and the soft labels in one step. A generator learns one phrase a step: the
        keyphrase of the pair, or a soft label.

        Args:
            soft_labels: of these posts.
            vocabularies: those that encoded the posts.
            weight: the share of soft labels, 0 to 1.
        """
        words, labels = vocabularies.words, vocabularies.labels.words
        posts = zip(soft_labels.label_pk.tolist(), self.oov, strict=True)
        targets = Ragged.from_rows([target_ids(labels[i], words, oov) for ids, oov in posts for i in ids])
        return replace(self, targets=self.targets.concat(targets), soft_labels=soft_labels, distillation_weight=weight)

    def part_ends(self, rows_b: np.ndarray) -> Tensor:
        """(B, 2) where the text of each source ends, and where the image's description does; OCR words follow."""
        text_b = [len(self.posts.tokens[row]) for row in rows_b]
        alt_b = [len(self.posts.alt[row]) if self.reads_alt else 0 for row in rows_b]
        ends = [(text, text + (1 + alt if alt else 0)) for text, alt in zip(text_b, alt_b, strict=True)]
        return torch.tensor(ends, device=self.device)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def posts_batch(self, rows_b: np.ndarray) -> Batch:
        """These posts, without targets."""
        return Batch(rows_b, **self._source(rows_b))

    def pairs_batch(self, pairs_b: np.ndarray) -> Pairs:
        """These post-keyphrase pairs. Which generator targets are soft labels is drawn from torch's random state."""
        rows_b, soft = self.pair_post[pairs_b], self.soft_labels
        batch, target_b, soft_arrays = self.posts_batch(rows_b), pairs_b, []
        if soft:
            is_soft_b = torch.rand(len(rows_b)).numpy() < self.distillation_weight
            soft_target_b = len(self.labels) + rows_b * soft.label_pk.shape[1] + soft.sample(rows_b)
            target_b = np.where(is_soft_b, soft_target_b, pairs_b)
            soft_arrays = [soft.label_pk[rows_b], self.distillation_weight * soft.probability_pk[rows_b]]
        return Pairs(batch, *map(self._tensor, (*self.targets.padded(target_b), self.labels[pairs_b], *soft_arrays)))

    def _source(self, rows_b: np.ndarray) -> dict[str, Tensor]:
        source_bl, mask_bl = self.source.padded(rows_b)
        arrays = {"source_bl": source_bl, "copy_bl": self.copy.padded(rows_b)[0], "mask_bl": mask_bl}
        if self.reads_attributes:
            arrays["attributes_ba"], arrays["attribute_mask_ba"] = self.attributes.padded(rows_b)
        if self.evidence is not None:
            arrays |= self.evidence.batch(rows_b)
        tensors = {name: self._tensor(array) for name, array in arrays.items()}
        if self.grid is not None:
            image_b = torch.from_numpy(self.grid_row[rows_b]).to(self.grid.device)
            grid_bgc = self.grid[image_b.clamp_min(0)].to(self.device)
            tensors["grid_bgc"] = grid_bgc
            tensors["grid_mask_bg"] = self._grid_mask(image_b, grid_bgc.shape[1]).to(self.device)
        return tensors

    def _grid_mask(self, image_b: Tensor, cells: int) -> Tensor:
        """(B, G) bool: the real cells or objects of each image; none where there is no image."""
        has_image_b1 = (image_b >= 0)[:, None]
        if self.posts.number is None:
            return has_image_b1.expand(-1, cells)
        number = self.posts.number.to(image_b.device)
        return has_image_b1 & (torch.arange(cells, device=image_b.device) < number[image_b.clamp_min(0)][:, None])


def encode(
    posts: Posts,
    vocabularies: Vocabularies,
    max_source: int | None = None,
    *,
    max_oov: int = 15,
    inputs: Sequence[str] = (),
    channels: int = 512,
    device: str = "cpu",
) -> Encoded:
    """Ids of every post and of every post-keyphrase pair.

    Args:
        posts: what is encoded.
        vocabularies: of the training posts.
        max_source: the most tokens of a source (text, `<sep>`, description and OCR words together); None for all.
        max_oov: the most words of a post outside the vocabulary that can be copied.
        inputs: what is read besides the text: any of alt, ocr, vision, objects, attributes.
        channels: width of a grid cell, used where `posts` have no grid.
        device: where the batches go.
    """
    words = vocabularies.words
    sources = build_sources(posts, words, max_source, inputs=inputs)
    oov = [list(dict.fromkeys(w for w in source if w not in words))[:max_oov] for source in sources]
    pairs = [(i, phrase) for i, phrases in enumerate(posts.keyphrases) for phrase in phrases]

    return Encoded(
        posts=posts,
        sources=sources,
        oov=oov,
        source=Ragged.from_rows([words.encode(source) for source in sources]),
        copy=Ragged.from_rows([extended_ids(source, words, own) for source, own in zip(sources, oov, strict=True)]),
        attributes=Ragged.from_rows([vocabularies.attributes.encode(labels) for labels in posts.attributes]),
        pair_post=np.array([post for post, _ in pairs], np.int64),
        labels=np.array(vocabularies.labels.encode(phrase for _, phrase in pairs), np.int64),
        targets=Ragged.from_rows([target_ids(phrase, words, oov[post]) for post, phrase in pairs]),
        grid=_grid(posts, channels) if {"vision", "objects"} & set(inputs) else None,
        grid_row=np.array(posts.image, np.int64),
        reads_attributes="attributes" in inputs,
        reads_alt="alt" in inputs,
        device=device,
    )


def extended_ids(tokens: Sequence[str], words: Vocabulary, oov: Sequence[str]) -> list[int]:
    """Ids of tokens, including those of words outside the vocabulary.

    Args:
        tokens: of a source or a phrase.
        words: the vocabulary.
        oov: the post's own words outside the vocabulary. They have ids from the vocabulary's size on; a token that is
            in neither has the id of `<unk>`.
    """
    own = {word: len(words) + i for i, word in enumerate(oov)}
    return [own.get(token, known) for token, known in zip(tokens, words.encode(tokens), strict=True)]


def target_ids(phrase: str, words: Vocabulary, oov: Sequence[str]) -> list[int]:
    """The generator's target for a phrase: its extended ids and `<eos>`.

    Args:
        phrase: words separated by spaces.
        words: the vocabulary.
        oov: the post's own words, as in `extended_ids`.
    """
    return [*extended_ids(phrase.split(), words, oov), EOS_ID]


def _grid(posts: Posts, channels: int) -> Tensor:
    """(images, G, c), or one cell that no post points to."""
    return torch.zeros(1, 1, channels) if posts.grid is None else posts.grid


def build_sources(posts: Posts, words: Vocabulary, max_source: int | None, *, inputs: Sequence[str]) -> list[list[str]]:
    """The words of every post as the text encoder reads them.

    Args:
        posts: the posts.
        words: the vocabulary.
        max_source: the most tokens of a source; None for all.
        inputs: OCR words are read if `ocr` is among them, and descriptions if `alt` is.
    """
    readings = posts.ocr if "ocr" in inputs else [[]] * len(posts)
    alts = posts.alt if "alt" in inputs else [[]] * len(posts)
    return [
        build_source(tokens, reading, words, alt=alt, max_source=max_source)
        for tokens, reading, alt in zip(posts.tokens, readings, alts, strict=True)
    ]


def build_source(
    tokens: Sequence[str],
    reading: Sequence[str],
    vocabulary: Container[str],
    *,
    max_source: int | None,
    alt: Sequence[str] = (),
) -> list[str]:
    """The text, and after `<sep>` the words of the image that are in the vocabulary (§3.1).

    A description of the image comes between them, after a `<sep>` of its own. People wrote it, so all its words are
    read, as those of the text are.

    Args:
        tokens: of the text.
        reading: OCR words of the image.
        vocabulary: the words of the training posts.
        max_source: the most tokens of the source; None for all.
        alt: words of the image's description.
    """
    words = wording(reading, vocabulary)
    source = [token for part in (tokens, alt, words) if part or part is tokens for token in (SEP, *part)][1:]
    return source[:max_source] or [UNK]


def batches_by_length(lengths: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Batches of row numbers, the longest rows first, so that each batch needs little padding."""
    order = np.argsort(-lengths, kind="stable")
    for start in range(0, len(order), size):
        yield order[start : start + size]


def shuffled_batches(lengths: np.ndarray, size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """All rows once, in random batches of rows of similar length, in random order.

    Args:
        lengths: the length of every row.
        size: rows a batch; the last batch may have fewer.
        rng: where the order comes from.
    """
    order = rng.permutation(len(lengths))
    batches: list[np.ndarray] = []
    for start in range(0, len(order), size * POOL_BATCHES):
        pool = order[start : start + size * POOL_BATCHES]
        batches += [pool[rows] for rows in batches_by_length(lengths[pool], size)]
    return [batches[i] for i in rng.permutation(len(batches))]
