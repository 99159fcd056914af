"""What the training posts say of a post's labels before anything is learned by descent: `Recall`'s scores, and clues.

The evidence of a training post is that of the others alone, so that what learns from it learns how far each kind can be
trusted in posts never seen.

Axes: p posts, n labels, m candidates of all posts, B batch, C candidates, f clues.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model.checkpoint import load_tensors, save_tensors
from model.clues import CLUES, Labels
from model.data import Posts
from model.grams import Grams
from model.ragged import Ragged
from model.recall import Recall
from schemas.files import publish_json, read_json
from schemas.vocab import Vocabulary


@dataclass(frozen=True)
class Evidence:
    """Of posts. score_pn: of `Recall`. candidates: the labels that have clues. clue_mf: these, one row a candidate."""

    score_pn: np.ndarray
    candidates: Ragged
    clue_mf: np.ndarray

    def within(self, pair_post: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The labels of post-keyphrase pairs, 0 for one that is no candidate of its post: nothing is learned of it."""
        places, counts = self.candidates.places(pair_post), self.candidates.lengths()[pair_post]
        hits = self.candidates.values[places] == np.repeat(labels, counts)
        found = np.zeros(len(labels), bool)
        found[np.repeat(np.arange(len(labels)), counts)[hits]] = True
        return np.where(found, labels, 0)

    def batch(self, rows_b: np.ndarray) -> dict[str, np.ndarray]:
        """The fields of a `Batch` that hold it."""
        candidate_bc, mask_bc = self.candidates.padded(rows_b)
        clue_bcf = np.zeros((*candidate_bc.shape, len(CLUES)), np.float32)
        clue_bcf[mask_bc] = self.clue_mf[self.candidates.places(rows_b)]
        return {
            "score_bn": self.score_pn[rows_b],
            "candidate_bc": candidate_bc,
            "candidate_mask_bc": mask_bc,
            "clue_bcf": clue_bcf,
        }


class Experience:
    """What is kept of the training posts.

    seen_n: how many have each label. best: candidates by score alone. attributes: whether those of the images are read
    behind the words.
    """

    def __init__(self, recall: Recall, labels: Vocabulary, seen_n: np.ndarray, best: int, attributes: bool) -> None:
        self.recall, self.seen_n, self.best, self.attributes = recall, seen_n, best, attributes
        self.labels = Labels(labels.words, recall.grams.weight)

    @classmethod
    def learn(
        cls,
        posts: Posts,
        sources: Sequence[Sequence[str]],
        labels: Vocabulary,
        penalty: float,
        best: int,
        attributes: bool,
        kinds: Sequence[str],
    ) -> tuple["Experience", Evidence]:
        """And the evidence of these posts, each by the others.

        sources: the words of each as the model reads them. kinds: what texts are compared by, see `Grams`.
        """
        ids = [sorted(set(labels.encode(phrases))) for phrases in posts.keyphrases]
        read = with_attributes(posts, sources, attributes)
        recall, left_out_pn = Recall.learn(read, ids, len(labels), penalty, kinds)
        seen_n = np.bincount([i for post in ids for i in post], minlength=len(labels))
        experience = cls(recall, labels, seen_n, best, attributes)
        return experience, experience._look(posts, left_out_pn, ids)

    def evidence(self, posts: Posts, sources: Sequence[Sequence[str]]) -> Evidence:
        """Of posts that are not remembered."""
        read = with_attributes(posts, sources, self.attributes)
        return self._look(posts, self.recall.scores(read), [[]] * len(posts))

    def _look(self, posts: Posts, score_pn: Tensor, own: Sequence[Sequence[int]]) -> Evidence:
        """own: labels of each post that are counted in `seen_n`."""
        scores_pn, found, clues = score_pn.numpy(), [], [np.zeros((0, len(CLUES)), np.float32)]
        for tokens, ocr, score_n, mine in zip(posts.tokens, posts.ocr, scores_pn, own, strict=True):
            seen_n = self.seen_n.copy()
            seen_n[mine] -= 1
            ids, clue_cf = self.labels.look(tokens, ocr, score_n, seen_n, self.best)
            found.append(ids.tolist())
            clues.append(clue_cf)
        return Evidence(scores_pn, Ragged.of(found), np.concatenate(clues))

    def write(self, folder: Path) -> None:
        """experience.safetensors and grams.json."""
        grams = self.recall.grams
        publish_json(
            folder / "grams.json", {"grams": grams.grams, "idf": grams.idf, "most": grams.most, "kinds": grams.kinds}
        )
        seen = {"seen": torch.from_numpy(self.seen_n)}
        save_tensors(folder / "experience.safetensors", {**self.recall.as_tensors(), **seen})

    @classmethod
    def read(cls, folder: Path, labels: Vocabulary, best: int, attributes: bool) -> "Experience":
        """Inverse of `write`."""
        tensors = load_tensors(folder / "experience.safetensors")
        recall = Recall.from_tensors(Grams(**read_json(folder / "grams.json")), tensors)
        return cls(recall, labels, tensors["seen"].numpy(), best, attributes)


def with_attributes(posts: Posts, sources: Sequence[Sequence[str]], read: bool) -> Sequence[Sequence[str]]:
    """The sources, and if they are read the attributes behind them, so written that they are no words of the text."""
    if not read:
        return sources
    return [[*s, *(f"@{label}" for label in labels)] for s, labels in zip(sources, posts.attributes, strict=True)]
