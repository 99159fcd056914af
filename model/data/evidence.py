"""Evidence for a post's labels: scores by kernel ridge regression, and features of the candidate labels.

The evidence of a training post is leave-one-out: it comes from the other training posts alone. A ranker that is trained
on it learns how far to trust each part of the evidence in a post that it has never seen.

Axes: p posts, n labels, m candidates of all posts, B batch, C candidates of a post, f label features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from m3h.model.data.batch import Masked
from m3h.model.data.posts import Posts
from m3h.model.data.ragged import Ragged
from m3h.model.data.tensor_files import load_tensors, save_tensors
from m3h.model.ranking.compared_vectors import ComparedVectors
from m3h.model.ranking.kernel_ridge import KernelRidge
from m3h.model.ranking.label_features import LABEL_FEATURES, LabelMatcher
from m3h.model.ranking.tfidf import TfidfVectorizer
from m3h.schemas.files import publish_json, read_json
from m3h.schemas.vocab import Vocabulary

TFIDF_FILE, TENSOR_FILE = "tfidf.json", "training_index.safetensors"


@dataclass(frozen=True)
class Evidence:
    """Evidence of posts.

    score_pn: scores of `KernelRidge`. candidates: label ids of each post that have features. feature_mf: the features,
    one row a candidate.
    """

    score_pn: np.ndarray
    candidates: Ragged
    feature_mf: np.ndarray

    def mask_missing_labels(self, pair_post: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The labels of post-keyphrase pairs, with 0 for a label that is no candidate of its post."""
        indices, counts = self.candidates.value_indices(pair_post), self.candidates.lengths()[pair_post]
        hits = self.candidates.values[indices] == np.repeat(labels, counts)
        found = np.zeros(len(labels), bool)
        found[np.repeat(np.arange(len(labels)), counts)[hits]] = True
        return np.where(found, labels, 0)

    def batch(self, rows_b: np.ndarray) -> dict[str, np.ndarray]:
        """The fields of a `Batch` that hold the evidence of these posts."""
        candidate_bc, mask_bc = self.candidates.padded(rows_b)
        feature_bcf = np.zeros((*candidate_bc.shape, len(LABEL_FEATURES)), np.float32)
        feature_bcf[mask_bc] = self.feature_mf[self.candidates.value_indices(rows_b)]
        return {
            "score_bn": self.score_pn[rows_b],
            "candidate_bc": candidate_bc,
            "candidate_mask_bc": mask_bc,
            "label_feature_bcf": feature_bcf,
        }


@dataclass(frozen=True)
class IndexOptions:
    """How a training index is built.

    penalty: the ridge penalty. top: how many labels are candidates by score alone. kinds: kinds of terms, see
    `TfidfVectorizer`. labels: inputs whose labels are terms too. weights: inputs whose vectors are compared -> the
    weight of each beside texts.
    """

    penalty: float
    top: int
    kinds: Sequence[str]
    labels: Sequence[str] = ()
    weights: Mapping[str, float] = field(default_factory=dict)


class TrainingIndex:
    """The training posts as they are kept to rank labels.

    labels: the label vocabulary. count_n: how many training posts have each label.
    """

    def __init__(
        self,
        ridge: KernelRidge,
        labels: Vocabulary,
        count_n: np.ndarray,
        *,
        options: IndexOptions,
        pictures: ComparedVectors,
    ) -> None:
        self.ridge, self.count_n, self.options, self.pictures = ridge, count_n, options, pictures
        self.matcher = LabelMatcher(labels.words, ridge.vectorizer.idf_of)

    @classmethod
    def build(
        cls, posts: Posts, sources: Sequence[Sequence[str]], labels: Vocabulary, *, options: IndexOptions
    ) -> tuple["TrainingIndex", Evidence]:
        """The index of these training posts, and their leave-one-out evidence.

        Args:
            posts: the training posts.
            sources: the words of each post as the model reads them.
            labels: the label vocabulary.
            options: how the index is built.
        """
        ids = [sorted(set(labels.encode(phrases))) for phrases in posts.keyphrases]
        tokens = append_labels(posts, sources, options.labels)
        pooled = _pooled(posts, options)
        pictures = ComparedVectors.fit(pooled, options.weights)
        ridge, loo_score_pn = KernelRidge.fit(
            *(tokens, ids, len(labels)),
            penalty=options.penalty,
            kinds=options.kinds,
            vector_nv=pictures.transform(pooled, len(posts)),
        )
        count_n = np.bincount([i for post in ids for i in post], minlength=len(labels))
        index = cls(ridge, labels, count_n, options=options, pictures=pictures)
        return index, index._evidence(posts, loo_score_pn, ids)

    def evidence(self, posts: Posts, sources: Sequence[Sequence[str]]) -> Evidence:
        """Evidence of posts that are not training posts. sources: as in `build`."""
        tokens = append_labels(posts, sources, self.options.labels)
        vector_pv = self.pictures.transform(_pooled(posts, self.options), len(posts))
        return self._evidence(posts, self.ridge.scores(tokens, vector_pv), [[]] * len(posts))

    def _evidence(self, posts: Posts, score_pn: Tensor, own_labels: Sequence[Sequence[int]]) -> Evidence:
        """own_labels: the labels of each post that `count_n` counts; they are left out of it."""
        scores_pn, candidates, features = score_pn.numpy(), [], [np.zeros((0, len(LABEL_FEATURES)), np.float32)]
        for tokens, ocr, score_n, own in zip(posts.tokens, posts.ocr, scores_pn, own_labels, strict=True):
            count_n = self.count_n.copy()
            count_n[own] -= 1
            ids, feature_cf = self.matcher.features(tokens, ocr, score_n, count_n=count_n, top=self.options.top)
            candidates.append(ids.tolist())
            features.append(feature_cf)
        return Evidence(scores_pn, Ragged.from_rows(candidates), np.concatenate(features))

    def write(self, folder: Path) -> None:
        """tfidf.json and training_index.safetensors."""
        tfidf = self.ridge.vectorizer
        stored = {"terms": tfidf.terms, "idf": tfidf.idf, "max_idf": tfidf.max_idf, "kinds": tfidf.kinds}
        publish_json(folder / TFIDF_FILE, stored)
        counts = {"label_counts": torch.from_numpy(self.count_n)}
        save_tensors(folder / TENSOR_FILE, {**self.ridge.as_tensors(), **self.pictures.as_tensors(), **counts})

    @classmethod
    def read(cls, folder: Path, labels: Vocabulary, options: IndexOptions) -> "TrainingIndex":
        """Inverse of `write`.

        Raises IntegrityError: a file is missing or damaged.

        Args:
            folder: the run folder.
            labels: the label vocabulary.
            options: those of `build`.
        """
        tensors = load_tensors(folder / TENSOR_FILE)
        ridge = KernelRidge.from_tensors(TfidfVectorizer(**read_json(folder / TFIDF_FILE)), tensors)
        pictures = ComparedVectors.from_tensors(tensors, options.weights)
        return cls(ridge, labels, tensors["label_counts"].numpy(), options=options, pictures=pictures)


def append_labels(posts: Posts, sources: Sequence[Sequence[str]], names: Sequence[str]) -> list[list[str]]:
    """The sources, each followed by the labels of its image. `@` sets labels apart from words of the text."""
    columns = [posts.labels_of(name) for name in names]
    rows = zip(*columns, strict=True) if columns else [()] * len(posts)
    return [
        [*source, *(f"@{label}" for labels in row for label in labels)]
        for source, row in zip(sources, rows, strict=True)
    ]


def _pooled(posts: Posts, options: IndexOptions) -> dict[str, Masked]:
    """The mean vector of each post, by every input that is compared and read."""
    cells = posts.cells
    return {name: cells[name].pooled(posts.numbers(name)) for name in options.weights if name in cells}
