"""Evidence for a post's labels: scores by kernel ridge regression, and features of the candidate labels.

The evidence of a training post is leave-one-out: it comes from the other training posts alone. A ranker that is trained
on it learns how far to trust each part of the evidence in a post that it has never seen.

Axes: p posts, n labels, m candidates of all posts, B batch, C candidates of a post, f label features.
"""

from collections.abc import Callable, Mapping, Sequence
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
from m3h.model.ranking.kernel_ridge import BLOCK, KernelRidge, LeaveOneOut
from m3h.model.ranking.label_clues import (
    LABEL_CLUES,
    TUNED_CLUES,
    ClueMatcher,
    Nearest,
    PostClues,
    centred,
    cosines,
    mean_names,
    tuned_features,
)
from m3h.model.ranking.label_features import LABEL_FEATURES, LabelMatcher, top_ids
from m3h.model.ranking.occurrences import Occurrences, total
from m3h.model.ranking.phrase_clues import PHRASE_CLUES, phrase_columns, unlabelled, unlabelled_features
from m3h.model.ranking.tfidf import TfidfVectorizer
from m3h.model.ranking.tuned_scores import IMPOSSIBLE, TunedScores
from m3h.model.systems import TEXT_ENCODER
from m3h.model.text.stemming import Phrase, stem, stem_phrase
from m3h.schemas.files import publish_json, read_json, validating
from m3h.schemas.vocab import Vocabulary

TFIDF_FILE, TENSOR_FILE, OCCURRENCES_FILE = "tfidf.json", "training_index.safetensors", "occurrences.json"
SCORE = LABEL_FEATURES.index("score")
ROUNDED = 4
"""Decimals of scores that are ranked. Leave-one-out scores are differences, exact to about six."""


@dataclass(frozen=True)
class Evidence:
    """Evidence of posts.

    n_labels: how many labels there are. candidates: label ids of each post that have features. feature_mf: the
    features, one row a candidate; the first one is its score by `KernelRidge`. score_pn: the scores of all labels, or
    None where those of candidates are enough: of 43,000 posts and 4,262 labels they take 0.7 GB. phrases: of each post
    the candidates that are no label, with ids from n_labels on; none of them where empty. most_phrases: of a post.
    """

    n_labels: int
    candidates: Ragged
    feature_mf: np.ndarray
    score_pn: np.ndarray | None = None
    phrases: Sequence[Sequence[str]] = ()
    most_phrases: int = 0

    def phrase(self, row: int, i: int) -> str | None:
        """The phrase of a post's id from n_labels on; None where the post has no such phrase."""
        own = self.phrases[row] if self.phrases else ()
        return own[i - self.n_labels] if i - self.n_labels < len(own) else None

    def target_ids(self, pair_post: np.ndarray, keyphrases: Sequence[str], labels: np.ndarray) -> np.ndarray:
        """The ids of post-keyphrase pairs as candidates of their posts, 0 for a keyphrase that is none.

        Args:
            pair_post: (m,) the post of each pair.
            keyphrases: of each pair.
            labels: (m,) the label of each, 0 for an unknown one.
        """
        found = self._mask_missing_labels(pair_post, labels)
        if any(self.phrases):
            for place in np.flatnonzero(found == 0).tolist():
                own = [stem_phrase(phrase) for phrase in self.phrases[pair_post[place]]]
                wanted = stem_phrase(keyphrases[place])
                found[place] = self.n_labels + own.index(wanted) if wanted in own else 0
        return found

    def _mask_missing_labels(self, pair_post: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The labels of post-keyphrase pairs, with 0 for a label that is no candidate of its post."""
        indices, counts = self.candidates.value_indices(pair_post), self.candidates.lengths()[pair_post]
        hits = self.candidates.values[indices] == np.repeat(labels, counts)
        found = np.zeros(len(labels), bool)
        found[np.repeat(np.arange(len(labels)), counts)[hits]] = True
        return np.where(found, labels, 0)

    def batch(self, rows_b: np.ndarray) -> dict[str, np.ndarray]:
        """The fields of a `Batch` that hold the evidence of these posts."""
        candidate_bc, mask_bc = self.candidates.padded(rows_b)
        feature_bcf = np.zeros((*candidate_bc.shape, self.feature_mf.shape[1]), np.float32)
        feature_bcf[mask_bc] = self.feature_mf[self.candidates.value_indices(rows_b)]
        if self.score_pn is None:
            score_bn = np.zeros((len(rows_b), self.n_labels + self.most_phrases), np.float32)
            score_bn[np.nonzero(mask_bc)[0], candidate_bc[mask_bc]] = feature_bcf[mask_bc, SCORE]
        else:
            score_bn = self.score_pn[rows_b]
        return {
            "score_bn": score_bn,
            "candidate_bc": candidate_bc,
            "candidate_mask_bc": mask_bc,
            "label_feature_bcf": feature_bcf,
        }


@dataclass(frozen=True)
class IndexOptions:
    """How a training index is built.

    penalty: the ridge penalty. top: how many labels are candidates by score alone. kinds: kinds of terms, see
    `TfidfVectorizer`. labels: inputs whose labels are terms too. weights: inputs whose vectors are compared -> the
    weight of each beside texts. clues: whether candidates have LABEL_CLUES too; then they are labels of other
    posts alone, and the best by each cosine of names are among them. tuned: with these, TUNED_CLUES too. phrases: with
    these, so many phrases of a text that are no label at most, and PHRASE_CLUES. all_scores: whether evidence has the
    scores of all labels, not of candidates alone. solver: of `KernelRidge`.
    """

    penalty: float
    top: int
    kinds: Sequence[str]
    labels: Sequence[str] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    clues: bool = False
    tuned: bool = False
    phrases: int = 0
    all_scores: bool = False
    solver: str = "auto"


@dataclass(frozen=True)
class Own:
    """What each training post added to an index, to be left out of its own evidence.

    labels: its label ids. occurrences: gives the counts of a row, none at all without LABEL_CLUES. They are counted
    again rather than held.
    """

    labels: Sequence[Sequence[int]]
    occurrences: Callable[[int], Occurrences]


@dataclass(frozen=True)
class Clues:
    """What LABEL_CLUES need of the training posts.

    occurrences: counts over their texts. nearest: their labels. name_nv: (n, v) vectors of the labels' names, centred;
    of no width without a sentence encoder.
    """

    occurrences: Occurrences
    nearest: Nearest
    name_nv: Tensor

    def as_tensors(self) -> dict[str, Tensor]:
        """Everything but the occurrences."""
        pairs = {"labelled_posts": self.nearest.post_m, "post_labels": self.nearest.label_m}
        names = {"label_names": self.name_nv} if self.name_nv.size(1) else {}
        return {**{name: torch.from_numpy(array) for name, array in pairs.items()}, **names}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], occurrences: Occurrences, n_labels: int) -> "Clues":
        """Inverse of `as_tensors`."""
        nearest = Nearest(tensors["labelled_posts"].numpy(), tensors["post_labels"].numpy(), n_labels)
        return cls(occurrences, nearest, tensors.get("label_names", torch.zeros(n_labels, 0)))


class TrainingIndex:
    """The training posts as they are kept to rank labels.

    labels: the label vocabulary. count_n: how many training posts have each label. clues: None where candidates have no
    LABEL_CLUES.
    """

    def __init__(
        self,
        ridge: KernelRidge,
        labels: Vocabulary,
        count_n: np.ndarray,
        *,
        options: IndexOptions,
        pictures: ComparedVectors,
        clues: Clues | None = None,
    ) -> None:
        self.ridge, self.count_n, self.options, self.pictures = ridge, count_n, options, pictures
        self.matcher, self.clues = LabelMatcher(labels.words, ridge.vectorizer.idf_of), clues
        if clues is not None:
            self.clue_matcher = ClueMatcher(labels.words, ridge.vectorizer.idf_of, clues.occurrences)

    @classmethod
    def build(
        cls,
        posts: Posts,
        sources: Sequence[Sequence[str]],
        labels: Vocabulary,
        *,
        options: IndexOptions,
        name_nv: Tensor | None = None,
        tuned: TunedScores | None = None,
    ) -> tuple["TrainingIndex", Evidence]:
        """The index of these training posts, and their leave-one-out evidence.

        Args:
            posts: the training posts.
            sources: the words of each post as the model reads them.
            labels: the label vocabulary.
            options: how the index is built.
            name_nv: (n, v) vectors of the labels' names by the sentence encoder of the posts, or None.
            tuned: of each training post, what a tuned encoder says that has not seen it; None without one.
        """
        ids = [sorted(set(labels.encode(phrases))) for phrases in posts.keyphrases]
        tokens = append_labels(posts, sources, options.labels)
        pooled = _pooled(posts, options)
        pictures = ComparedVectors.fit(pooled, options.weights)
        centred_nv = torch.zeros(len(labels), 0) if name_nv is None else centred(name_nv)
        ridge, leave_one_out = KernelRidge.fit(
            *(tokens, ids, len(labels)),
            penalty=options.penalty,
            kinds=options.kinds,
            vector_nv=pictures.transform(pooled, len(posts)),
            target_nt=mean_names(ids, centred_nv),
            solver=options.solver,
        )
        count_n = np.bincount([i for post in ids for i in post], minlength=len(labels))
        own = Own(ids, _occurrences(posts, labels) if options.clues else lambda _row: Occurrences())
        counts = total(map(own.occurrences, range(len(posts))))
        clues = Clues(counts, _nearest(ids, len(labels)), centred_nv) if options.clues else None
        index = cls(ridge, labels, count_n, options=options, pictures=pictures, clues=clues)
        return index, index._evidence(posts, tokens, pooled, leave_one_out=leave_one_out, own=own, tuned=tuned)

    def evidence(self, posts: Posts, sources: Sequence[Sequence[str]], tuned: TunedScores | None = None) -> Evidence:
        """Evidence of posts that are not training posts. sources, tuned: as in `build`."""
        tokens = append_labels(posts, sources, self.options.labels)
        return self._evidence(posts, tokens, _pooled(posts, self.options), tuned=tuned)

    def _evidence(
        self,
        posts: Posts,
        tokens: Sequence[Sequence[str]],
        pooled: Mapping[str, Masked],
        *,
        leave_one_out: LeaveOneOut | None = None,
        own: Own | None = None,
        tuned: TunedScores | None = None,
    ) -> Evidence:
        """The evidence of posts, block by block, so that memory stays bounded.

        Args:
            posts: the posts.
            tokens: of each, as `KernelRidge` compares them.
            pooled: their mean vectors.
            leave_one_out: of training posts, what the regression predicts without each.
            own: of training posts, what they added to the index.
            tuned: scores by a tuned encoder.
        """
        n = len(self.count_n)
        vector_pv, text_pv = self.pictures.transform(pooled, len(posts)), self._text_vectors(pooled, len(posts))
        candidates: list[list[int]] = []
        score_pn = np.zeros((len(posts), n), np.float32) if self.options.all_scores else None
        features = _Rows(len(posts) * 2 * self.options.top, self._n_features)
        phrases: list[list[str]] = []
        for start in range(0, len(posts), BLOCK):
            part = slice(start, start + BLOCK)
            if leave_one_out is None:
                similarity_bp = self.ridge.similarity(tokens[part], vector_pv[part])
                found_bt = self._rounded(similarity_bp @ self.ridge.alpha_nl)
            else:
                similarity_bp, found_bt = self.ridge.training_similarity(part), self._rounded(leave_one_out[part])
            score_bn = found_bt[:, :n].numpy()
            if score_pn is not None:
                score_pn[part] = score_bn
            names = self._cosines({"text": text_pv[part], "meaning": found_bt[:, n:]})
            by_tuned = None if tuned is None else [scores_bn.numpy() for scores_bn in tuned.part(part)]
            for number, score_n in enumerate(score_bn):
                row = start + number
                post = PostClues(
                    *(posts.tokens[row], posts.ocr[row], score_n),
                    cosines={name: cosine_bn[number] for name, cosine_bn in names.items()},
                    nearest_n=self._nearest_n(similarity_bp[number].numpy(), row if own else None),
                    own=own.occurrences(row) if own else Occurrences(),
                    tuned=None if by_tuned is None else (by_tuned[0][number], by_tuned[1][number]),
                    phrases=tuned.phrases[row] if tuned is not None and tuned.phrases else None,
                )
                ids, feature_cf, further = self._candidates(post, own.labels[row] if own else ())
                candidates.append(ids.tolist())
                features.append(feature_cf)
                phrases.append(further)
        found, most = (Ragged.from_rows(candidates), features.values), self.options.phrases
        return Evidence(n, *found, score_pn, phrases=phrases, most_phrases=most)

    def _rounded(self, found_bt: Tensor) -> Tensor:
        """What is ranked: a rank among scores that are zero but for rounding would tell a post's own."""
        return found_bt if self.clues is None else found_bt.round(decimals=ROUNDED)

    @property
    def _n_features(self) -> int:
        return n_features(self.options.clues, self.options.tuned, phrases=self.options.phrases > 0)

    def _candidates(self, post: PostClues, own_labels: Sequence[int]) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """(c,) ids and (c, f) features of a post's candidates, and those among them that are no label.

        own_labels: labels that the post has in `count_n`.
        """
        count_n, top = self.count_n.copy(), self.options.top
        count_n[list(own_labels)] -= 1
        best = list(post.cosines.values())
        tuned = post.tuned and (np.where(count_n > 0, post.tuned[0], IMPOSSIBLE), post.tuned[1])
        if tuned is not None:
            best.append(tuned[0] + tuned[1])
        ids, feature_cf = self.matcher.features(
            *(post.tokens, post.ocr, post.score_n),
            count_n=count_n,
            top=top,
            also=[i for value_n in best for i in top_ids(value_n, max(1, top // 4))],
            known=self.clues is not None,
        )
        if self.clues is None:
            return ids, feature_cf, []
        parts = [feature_cf, self.clue_matcher.features(post, ids)]
        feature_cf = np.concatenate([*parts, *([tuned_features(tuned, ids)] if self.options.tuned else [])], 1)
        return self._with_phrases(post, ids, feature_cf, count_n=count_n)

    def _with_phrases(
        self, post: PostClues, ids: np.ndarray, feature_cf: np.ndarray, *, count_n: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """The candidates of `_candidates` with PHRASE_CLUES, and behind them phrases of the text that are no label.

        count_n: how many other training posts have each label.
        """
        if not self.options.phrases:
            return ids, feature_cf, []
        if post.phrases is None:  # the text encoder is left out
            return ids, np.pad(feature_cf, ((0, 0), (0, len(PHRASE_CLUES)))), []
        known = {phrase for phrase in post.phrases.stems(post.tokens) if self._is_known(phrase, count_n)}
        further = unlabelled(post.phrases, post.tokens, known, self.options.phrases)
        stems = [*(self.clue_matcher.phrases[i] for i in ids.tolist()), *map(stem_phrase, further)]
        own_jf = unlabelled_features(self.clue_matcher, post, further)
        column_cf = phrase_columns(post.phrases, post.tokens, stems, len(ids))
        feature_cf = np.concatenate([np.concatenate([feature_cf, own_jf]), column_cf], 1)
        return np.append(ids, len(self.count_n) + np.arange(len(further))), feature_cf, further

    def _is_known(self, phrase: Phrase, count_n: np.ndarray) -> bool:
        return any(count_n[i] > 0 for i in self.matcher.by_stems.get(phrase, ()))

    def _nearest_n(self, similarity_p: np.ndarray, but: int | None) -> np.ndarray:
        return self.clues.nearest.similarities(similarity_p, but) if self.clues else np.zeros(0, np.float32)

    def _text_vectors(self, pooled: Mapping[str, Masked], n: int) -> Tensor:
        """(n, v) mean states of texts less their mean over training posts; zeros where there are none."""
        mean_v = self.pictures.mean_c.get(TEXT_ENCODER)
        if self.clues is None or mean_v is None or TEXT_ENCODER not in pooled:
            return torch.zeros(n, self.clues.name_nv.size(1) if self.clues else 0)
        mean_pv, has_p = pooled[TEXT_ENCODER]
        return (mean_pv - mean_v) * has_p[:, None]

    def _cosines(self, vectors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """Of the vectors by their names: the cosines with the names of all labels; {} without vectors of names."""
        if self.clues is None or not self.clues.name_nv.size(1):
            return {}
        return {name: cosines(vector_bv, self.clues.name_nv) for name, vector_bv in vectors.items()}

    def write(self, folder: Path) -> None:
        """tfidf.json and training_index.safetensors."""
        tfidf = self.ridge.vectorizer
        stored = {"terms": tfidf.terms, "idf": tfidf.idf, "max_idf": tfidf.max_idf, "kinds": tfidf.kinds}
        publish_json(folder / TFIDF_FILE, stored)
        counts = {"label_counts": torch.from_numpy(self.count_n)}
        clues = self.clues.as_tensors() if self.clues else {}
        save_tensors(folder / TENSOR_FILE, {**self.ridge.as_tensors(), **self.pictures.as_tensors(), **counts, **clues})
        if self.clues:
            publish_json(folder / OCCURRENCES_FILE, vars(self.clues.occurrences))

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
        clues = None
        if options.clues:
            with validating(folder / OCCURRENCES_FILE) as path:
                counts = Occurrences.from_json(read_json(path))
            clues = Clues.from_tensors(tensors, counts, len(labels))
        counts_n = tensors["label_counts"].numpy()
        return cls(ridge, labels, counts_n, options=options, pictures=pictures, clues=clues)


class _Rows:
    """Rows of an array one after the other. Those of 43,000 posts take 0.5 GB, and a list of them would be copied.

    likely: how many there are; the memory of more is not used before they come.
    """

    def __init__(self, likely: int, width: int) -> None:
        self._rows, self._count = np.empty((likely, width), np.float32), 0

    def append(self, row_cf: np.ndarray) -> None:
        end = self._count + len(row_cf)
        if end > len(self._rows):
            rows = np.empty((end + len(self._rows) // 2, self._rows.shape[1]), np.float32)
            rows[: self._count] = self.values
            self._rows = rows
        self._rows[self._count : end] = row_cf
        self._count = end

    @property
    def values(self) -> np.ndarray:
        return self._rows[: self._count]


def n_features(clues: bool, tuned: bool = False, *, phrases: bool = False) -> int:
    """How many features a candidate has. clues, tuned, phrases: LABEL_CLUES, TUNED_CLUES, PHRASE_CLUES too."""
    further = ((LABEL_CLUES, clues), (TUNED_CLUES, tuned), (PHRASE_CLUES, phrases))
    return len(LABEL_FEATURES) + sum(len(names) for names, has in further if has)


def _occurrences(posts: Posts, labels: Vocabulary) -> Callable[[int], Occurrences]:
    """What the post of a row adds to the counts."""
    known = {stem_phrase(label) for label in labels.words}

    def of(row: int) -> Occurrences:
        tokens = posts.tokens[row]
        stems = [stem(token) for token in tokens]
        return Occurrences.of(tokens, stems, map(stem_phrase, posts.keyphrases[row]), known)

    return of


def _nearest(labels: Sequence[Sequence[int]], n_labels: int) -> Nearest:
    pairs = [(row, i) for row, ids in enumerate(labels) for i in ids]
    post_m, label_m = np.array(pairs, np.int64).reshape(-1, 2).T
    return Nearest(post_m, label_m, n_labels)


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
