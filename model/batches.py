"""Posts encoded once into flat arrays, and batches gathered from them.

Axes: B batch, L source, T target, G grid, c channels, A attributes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from model.data import Posts, Vocabularies
from model.evidence import Evidence
from model.lessons import Lessons
from model.ragged import Ragged
from schemas.vocab import EOS, PAD, SEP, UNK, WORD_SPECIALS, Vocabulary
from schemas.wording import wording

PAD_ID, EOS_ID, UNK_ID = (WORD_SPECIALS.index(word) for word in (PAD, EOS, UNK))
BOS_ID = WORD_SPECIALS.index("<bos>")
POOL = 32
"""Batches whose members are sorted by length together, so that little padding is needed yet order stays random."""


@dataclass(frozen=True)
class Batch:
    """Tensors of B posts.

    rows_b: the posts' rows in `Encoded`. source_bl: word ids; copy_bl: the same with a post's own ids, from the
    vocabulary's size on, for the words it does not hold. grid_bgc: (B, 49, 512) float16 and attributes_ba: ids, each
    with its mask, None where the system does not read it. score_bn, candidate_bc and clue_bcf: of `Evidence`, or None.
    """

    rows_b: np.ndarray
    source_bl: Tensor
    copy_bl: Tensor
    mask_bl: Tensor
    grid_bgc: Tensor | None = None
    grid_mask_bg: Tensor | None = None
    attributes_ba: Tensor | None = None
    attribute_mask_ba: Tensor | None = None
    score_bn: Tensor | None = None
    candidate_bc: Tensor | None = None
    candidate_mask_bc: Tensor | None = None
    clue_bcf: Tensor | None = None


@dataclass(frozen=True)
class Pairs:
    """B post-keyphrase pairs. target_bt: extended ids, `<eos>` behind the last word. label_b: 0 for an unknown one.

    suggested_bk: labels that are learned beside it, share_bk: how much of the classification each is; or None.
    """

    batch: Batch
    target_bt: Tensor
    target_mask_bt: Tensor
    label_b: Tensor
    suggested_bk: Tensor | None = None
    share_bk: Tensor | None = None


@dataclass(frozen=True)
class Encoded:
    """All posts of a split as ids.

    sources: the words of each post as the model reads them. oov: of each post, its words outside the vocabulary that
    can still be copied, in order of first appearance. pair_post, labels, targets: one entry a post-keyphrase pair; of
    posts that are taught, targets go on with one entry a suggestion. lessons: theirs, or None; taught: their share.
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
    device: str = "cpu"
    evidence: Evidence | None = None
    lessons: Lessons | None = None
    taught: float = 0.0

    def with_evidence(self, evidence: Evidence) -> "Encoded":
        """Beside them what the training posts say; a label that is no candidate of its post becomes an unknown one."""
        return replace(self, evidence=evidence, labels=evidence.within(self.pair_post, self.labels))

    def with_lessons(self, lessons: Lessons, vocabularies: Vocabularies, taught: float) -> "Encoded":
        """A share `taught` of what is learned of a pair is what `lessons` suggest for its post.

        A classifier learns both at once; a generator writes now the pair's own keyphrase, now a suggested label.
        """
        words, labels = vocabularies.words, vocabularies.labels.words
        posts = zip(lessons.label_pk.tolist(), self.oov, strict=True)
        suggested = Ragged.of([target_of(labels[i], words, oov) for ids, oov in posts for i in ids])
        return replace(self, targets=self.targets.then(suggested), lessons=lessons, taught=taught)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def posts_batch(self, rows_b: np.ndarray) -> Batch:
        """These posts, without targets."""
        return Batch(rows_b, **self._source(rows_b))

    def pairs_batch(self, pairs_b: np.ndarray) -> Pairs:
        """These post-keyphrase pairs; what a generator is taught in their place is drawn from torch's random state."""
        rows_b, lessons = self.pair_post[pairs_b], self.lessons
        batch, target_b, suggested = self.posts_batch(rows_b), pairs_b, []
        if lessons:
            is_taught_b = torch.rand(len(rows_b)).numpy() < self.taught
            suggestion_b = len(self.labels) + rows_b * lessons.label_pk.shape[1] + lessons.choice(rows_b)
            target_b = np.where(is_taught_b, suggestion_b, pairs_b)
            suggested = [lessons.label_pk[rows_b], self.taught * lessons.chance_pk[rows_b]]
        return Pairs(batch, *map(self._tensor, (*self.targets.padded(target_b), self.labels[pairs_b], *suggested)))

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
            tensors["grid_mask_bg"] = self._real(image_b, grid_bgc.shape[1]).to(self.device)
        return tensors

    def _real(self, image_b: Tensor, cells: int) -> Tensor:
        """(B, G): which cells or objects an image has; none where there is no image."""
        seen_b1 = (image_b >= 0)[:, None]
        if self.posts.number is None:
            return seen_b1.expand(-1, cells)
        number = self.posts.number.to(image_b.device)
        return seen_b1 & (torch.arange(cells, device=image_b.device) < number[image_b.clamp_min(0)][:, None])


def encode(
    posts: Posts,
    vocabularies: Vocabularies,
    max_source: int | None = None,
    max_oov: int = 15,
    inputs: Sequence[str] = (),
    channels: int = 512,
    device: str = "cpu",
) -> Encoded:
    """Ids of every post and of every post-keyphrase pair.

    inputs: of ocr, vision, objects, attributes, what is read; channels: the grid's, needed where `posts` have none.
    """
    words = vocabularies.words
    sources = sources_of(posts, words, max_source, inputs)
    oov = [list(dict.fromkeys(w for w in source if w not in words))[:max_oov] for source in sources]
    pairs = [(i, phrase) for i, phrases in enumerate(posts.keyphrases) for phrase in phrases]

    return Encoded(
        posts=posts,
        sources=sources,
        oov=oov,
        source=Ragged.of([words.encode(source) for source in sources]),
        copy=Ragged.of([extended(source, words, own) for source, own in zip(sources, oov, strict=True)]),
        attributes=Ragged.of([vocabularies.attributes.encode(labels) for labels in posts.attributes]),
        pair_post=np.array([post for post, _ in pairs], np.int64),
        labels=np.array(vocabularies.labels.encode(phrase for _, phrase in pairs), np.int64),
        targets=Ragged.of([target_of(phrase, words, oov[post]) for post, phrase in pairs]),
        grid=_grid(posts, channels) if {"vision", "objects"} & set(inputs) else None,
        grid_row=np.array(posts.image, np.int64),
        reads_attributes="attributes" in inputs,
        device=device,
    )


def extended(tokens: Sequence[str], words: Vocabulary, oov: Sequence[str]) -> list[int]:
    """Ids of the vocabulary and, from its size on, of a post's own words `oov`; `<unk>` for what is in neither."""
    own = {word: len(words) + i for i, word in enumerate(oov)}
    return [own.get(token, known) for token, known in zip(tokens, words.encode(tokens), strict=True)]


def target_of(phrase: str, words: Vocabulary, oov: Sequence[str]) -> list[int]:
    """What a generator writes for a phrase of that post."""
    return [*extended(phrase.split(), words, oov), EOS_ID]


def _grid(posts: Posts, channels: int) -> Tensor:
    """(images, G, c), or one cell that no post points to."""
    return torch.zeros(1, 1, channels) if posts.grid is None else posts.grid


def sources_of(posts: Posts, words: Vocabulary, max_source: int | None, inputs: Sequence[str]) -> list[list[str]]:
    """The words of every post as the text encoder reads them."""
    readings = posts.ocr if "ocr" in inputs else [[]] * len(posts)
    return [source_words(t, r, words, max_source) for t, r in zip(posts.tokens, readings, strict=True)]


def source_words(
    tokens: Sequence[str], reading: Sequence[str], vocabulary: object, max_source: int | None
) -> list[str]:
    """What the text encoder reads: the text, and after `<sep>` the image's words that the vocabulary holds (§3.1)."""
    words = wording(reading, vocabulary)  # type: ignore[arg-type]
    source = [*tokens, SEP, *words] if words else list(tokens)
    return source[:max_source] or [UNK]


def by_length(lengths: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Batches of rows, longest first, so that each is padded little."""
    order = np.argsort(-lengths, kind="stable")
    for start in range(0, len(order), size):
        yield order[start : start + size]


def shuffled(lengths: np.ndarray, size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """All rows in random batches of similar length, in random order."""
    order = rng.permutation(len(lengths))
    batches: list[np.ndarray] = []
    for start in range(0, len(order), size * POOL):
        pool = order[start : start + size * POOL]
        batches += [pool[rows] for rows in by_length(lengths[pool], size)]
    return [batches[i] for i in rng.permutation(len(batches))]
