"""Posts encoded once into flat arrays, and batches gathered from them.

Axes: B batch, L source, T target, P parts of a source.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from m3h.model.data.batch import EOS_ID, Batch, Masked, Pairs
from m3h.model.data.evidence import Evidence
from m3h.model.data.inputs import ALT
from m3h.model.data.label_spans import LabelSpans
from m3h.model.data.pictures import Cells, no_cells
from m3h.model.data.posts import Posts, Vocabularies
from m3h.model.data.ragged import Ragged
from m3h.model.data.sentences import Pieces
from m3h.model.data.soft_labels import SoftLabels
from m3h.model.systems import INPUTS, TEXT_ENCODER, bank_names
from m3h.schemas.vocab import SEP, UNK, Vocabulary
from m3h.schemas.wording import wording

POOL_BATCHES = 32
"""Batches whose rows are sorted by length together. Little padding is needed, and the order stays random."""


@dataclass(frozen=True)
class Encoded:
    """All posts of a split as ids.

    sources: the words of each post as the model reads them. parts: where these words come from: text, alt, ocr and
    further features, in this order. lengths_p: for each post the words of each part. cells, labels_of: bank -> what it
    is made of, see `systems.bank_names`; cells of pictures, or ids of their labels. oov: for each post the words
    outside the vocabulary that can still be copied, in order of first appearance. pair_post, labels, targets: one entry
    a post-keyphrase pair; ids of labels from their number on are phrases of the text, see `Evidence`. With soft labels,
    `targets` continues with one entry a soft label. distillation_weight: the share of soft labels in what is learned, 0
    to 1.
    """

    posts: Posts
    sources: list[list[str]]
    oov: list[list[str]]
    source: Ragged
    copy: Ragged
    pair_post: np.ndarray
    labels: np.ndarray
    targets: Ragged
    cells: Mapping[str, Cells] = field(default_factory=dict)
    labels_of: Mapping[str, Ragged] = field(default_factory=dict)
    parts: tuple[str, ...] = ("text",)
    lengths_p: Sequence[Sequence[int]] = ()
    device: str = "cpu"
    evidence: Evidence | None = None
    label_spans: LabelSpans | None = None
    soft_labels: SoftLabels | None = None
    distillation_weight: float = 0.0

    def with_evidence(self, evidence: Evidence) -> "Encoded":
        """The same posts with their evidence. A label that is no candidate of its post becomes an unknown one."""
        keyphrases = [phrase for of_post in self.posts.keyphrases for phrase in of_post]
        labels = evidence.target_ids(self.pair_post, keyphrases, self.labels)
        return replace(self, evidence=evidence, labels=labels)

    def with_label_spans(self, labels: Vocabulary) -> "Encoded":
        """The same posts, where it is known which of the labels stand in their texts."""
        return replace(self, label_spans=LabelSpans.find(self.posts.tokens, labels))

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
        """(B, P - 1) where each of `parts` ends in the source, but for the last one."""
        ends = [_ends(self.lengths_p[row])[:-1] for row in rows_b]
        return torch.tensor(ends, device=self.device)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def posts_batch(self, rows_b: np.ndarray) -> Batch:
        """These posts, without targets."""
        spans = None if self.label_spans is None else self._tensor(self.label_spans.batch(rows_b))
        batch = Batch(rows_b, **self._source(rows_b), pictures=self._pictures(rows_b))
        return replace(batch, word_bp=self._words(rows_b), span_bk3=spans)

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
        if self.evidence is not None:
            arrays |= self.evidence.batch(rows_b)
        return {name: self._tensor(array) for name, array in arrays.items()}

    def _words(self, rows_b: np.ndarray) -> Tensor | None:
        pieces = self.cells.get(TEXT_ENCODER)
        if not isinstance(pieces, Pieces) or pieces.word_s is None:
            return None
        return self._tensor(pieces.words_of(self.posts.numbers(TEXT_ENCODER)[rows_b]))

    def _pictures(self, rows_b: np.ndarray) -> dict[str, Masked]:
        found = {bank: cells.of(self.posts.numbers(bank)[rows_b], self.device) for bank, cells in self.cells.items()}
        return found | {bank: Masked(*map(self._tensor, ids.padded(rows_b))) for bank, ids in self.labels_of.items()}


def _ends(lengths_p: Sequence[int]) -> list[int]:
    """Where each part ends: each but the first, if it has a word, comes after a `<sep>`."""
    ends = list(lengths_p[:1])
    for length in lengths_p[1:]:
        ends.append(ends[-1] + (length + 1 if length else 0))
    return ends


def encode(
    posts: Posts,
    vocabularies: Vocabularies,
    max_source: int | None = None,
    *,
    max_oov: int = 15,
    inputs: Sequence[str] = (),
    channels: Mapping[str, int] | None = None,
    device: str = "cpu",
) -> Encoded:
    """Ids of every post and of every post-keyphrase pair.

    Args:
        posts: what is encoded.
        vocabularies: of the training posts.
        max_source: the most tokens of a source (text, `<sep>`, description and OCR words together); None for all.
        max_oov: the most words of a post outside the vocabulary that can be copied.
        inputs: what is read besides the text: alt, ocr, vision, objects, attributes, and further features.
        channels: image feature -> width of a cell, for those that `posts` lack.
        device: where the batches go.
    """
    words = vocabularies.words
    parts = source_parts(posts, words, inputs)
    sources = [join_parts(texts, max_source) for texts in zip(*parts.values(), strict=True)]
    cells = {**{name: no_cells(width) for name, width in (channels or {}).items()}, **posts.cells}
    cells = {name: cells[name] for name in inputs if name in cells}
    labels_of = {name: vocabulary for name, vocabulary in vocabularies.of_pictures.items() if name in inputs}
    banks = bank_names(inputs, {**dict.fromkeys(cells, "vision"), **dict.fromkeys(labels_of, "attributes")})
    oov = [list(dict.fromkeys(w for w in source if w not in words))[:max_oov] for source in sources]
    pairs = [(i, phrase) for i, phrases in enumerate(posts.keyphrases) for phrase in phrases]

    return Encoded(
        posts=posts,
        sources=sources,
        oov=oov,
        source=Ragged.from_rows([words.encode(source) for source in sources]),
        copy=Ragged.from_rows([extended_ids(source, words, own) for source, own in zip(sources, oov, strict=True)]),
        pair_post=np.array([post for post, _ in pairs], np.int64),
        labels=np.array(vocabularies.labels.encode(phrase for _, phrase in pairs), np.int64),
        targets=Ragged.from_rows([target_ids(phrase, words, oov[post]) for post, phrase in pairs]),
        cells={banks[name]: found for name, found in cells.items()},
        labels_of={
            banks[name]: Ragged.from_rows([vocabulary.encode(labels) for labels in posts.labels_of(name)])
            for name, vocabulary in labels_of.items()
        },
        parts=tuple(parts),
        lengths_p=[tuple(map(len, texts)) for texts in zip(*parts.values(), strict=True)],
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


def build_sources(posts: Posts, words: Vocabulary, max_source: int | None, *, inputs: Sequence[str]) -> list[list[str]]:
    """The words of every post as the text encoder reads them.

    Args:
        posts: the posts.
        words: the vocabulary.
        max_source: the most tokens of a source; None for all.
        inputs: what is read besides the text, as in `encode`.
    """
    parts = source_parts(posts, words, inputs)
    return [join_parts(texts, max_source) for texts in zip(*parts.values(), strict=True)]


def source_parts(posts: Posts, vocabulary: Container[str], inputs: Sequence[str]) -> dict[str, list[list[str]]]:
    """Part of a source -> its words in every post (§3.1): text, alt, ocr, and further features with words.

    People wrote the description of an image, so all its words are read, as those of the text are. Of OCR words and of
    further features those are read that are in the vocabulary, and of OCR words none where they are noise.
    """
    further = [name for name in inputs if name in posts.pictures.words and name not in INPUTS]
    none: list[list[str]] = [[]] * len(posts)
    return {
        "text": posts.tokens,
        ALT: posts.alt if ALT in inputs else none,
        "ocr": [wording(words, vocabulary) for words in posts.ocr] if "ocr" in inputs else none,
        **{name: [[w for w in words if w in vocabulary] for words in posts.words_of(name)] for name in further},
    }


def join_parts(parts: Sequence[Sequence[str]], max_source: int | None) -> list[str]:
    """A source: the text, and every further part that has a word after a `<sep>` of its own.

    Args:
        parts: of one post, the text first.
        max_source: the most tokens of the source; None for all.
    """
    text, *further = parts
    source = [*text, *(token for part in further if part for token in (SEP, *part))]
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
