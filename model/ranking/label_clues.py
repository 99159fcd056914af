"""Clues to a label in a post: how near its name is in meaning, and what its words did in other texts.

They are features beyond those of `label_features`.

Axes: p posts, n labels, c candidate labels of a post, v numbers of a name's vector, g clues.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from m3h.model.ranking.occurrences import Occurrences, key, neighbours_of
from m3h.model.ranking.tuned_scores import FoundPhrases
from m3h.model.text.stemming import Phrase, stem, stem_phrase

LABEL_CLUES = (
    "log rank",  # log(1 + rank by the score of `KernelRidge`), 0 for the best label
    "text cosine",  # of the text and the label's name, by the sentence encoder
    "text log rank",  # log(1 + rank by this cosine)
    "meaning cosine",  # of the name that the regression expects, and the label's name
    "meaning log rank",
    "nearest",  # similarity of the most similar other training post that has the label, as `KernelRidge` compares posts
    "log texts",  # log(1 + training posts whose text has the label, the post itself left out)
    "keyphrase share",  # of these, the share in which it is a keyphrase
    "largest word share",  # the same of its words, for that word with the largest share
    "smallest word share",
    "log share after word",  # log of how often the token before it had a keyphrase after it
    "log share before word",  # log of how often the token after it had a keyphrase before it
    "words in text",  # share of its words that the text has, weighted by idf
    "words in ocr",  # share of its words that the image's words have
    "acronym",  # the first letters of its words are a word of the text
    "one token",  # its words, written as one, are a word of the text
    "log keyphrase words",  # log(1 + other training posts with the rarest of its words in a keyphrase)
    "letters",  # of its name
)
"""Names of the columns, in order. From "log texts" to "log share before word" they are zero where the label does not
occur in the text."""
TUNED_CLUES = (
    "tuned log probability",  # of the label, by the tuned sentence encoder
    "tuned probability",
    "tuned log rank",  # log(1 + rank by it)
    "tuned meaning",  # its score by what the text means
    "tuned meaning log probability",  # by this score alone
    "tuned bonus",  # because it stands in the text, and for the words that stand there
)
"""Names of further columns, where the sentence encoder is tuned."""
IN_TEXT = (LABEL_CLUES.index("log texts"), LABEL_CLUES.index("words in text"))
MEANING = ("text", "meaning")
SHORT = 1e-3
"""Below this length the direction of a vector is rounding."""


def centred(vector_nv: Tensor) -> Tensor:
    """(n, v) vectors less their mean, of length one. Names of labels have much in common."""
    return F.normalize(vector_nv - vector_nv.mean(0), dim=-1)


@dataclass(frozen=True)
class PostClues:
    """What is known of one post.

    tokens, ocr: its words, of the text and of the image. score_n, cosines: `KernelRidge`'s scores of all labels, and
    by the names of MEANING their cosines. nearest_n: similarity of the nearest other post with each label. own: what a
    training post added to the counts; it is left out again. tuned: scores of all labels by the tuned encoder, by what
    the text means and as bonuses of labels in it; None where none is tuned. phrases: of the text, where it scores them.
    """

    tokens: Sequence[str]
    ocr: Sequence[str]
    score_n: np.ndarray
    cosines: Mapping[str, np.ndarray]
    nearest_n: np.ndarray
    own: Occurrences = field(default_factory=Occurrences)
    tuned: tuple[np.ndarray, np.ndarray] | None = None
    phrases: FoundPhrases | None = None


class ClueMatcher:
    """Computes LABEL_CLUES of labels. idf: gives the idf of a word. occurrences: of the training posts."""

    def __init__(self, labels: Sequence[str], idf: Callable[[str], float], occurrences: Occurrences) -> None:
        self.idf, self.occurrences = idf, occurrences
        self.phrases = [stem_phrase(label) for label in labels]
        self.words = [label.split(" ") for label in labels]
        self.idfs = [[idf(word) for word in words] for words in self.words]

    def features(self, post: PostClues, ids: np.ndarray) -> np.ndarray:
        """(c, g) features of the candidates `ids`."""
        columns = [_log_rank(post.score_n, ids)]
        for name in MEANING:
            cosine_n = post.cosines.get(name)
            zeros = np.zeros(len(ids))
            columns += [zeros, zeros] if cosine_n is None else [cosine_n[ids], _log_rank(cosine_n, ids)]
        columns.append(post.nearest_n[ids])
        return np.concatenate([np.stack(columns, 1), self.word_features(post, ids.tolist())], 1).astype(np.float32)

    def word_features(self, post: PostClues, ids: Iterable[int]) -> np.ndarray:
        """(c, g) the features from "log texts" on, which need nothing but the words of post and label."""
        known = _Known(post)
        return np.array([self._words(known, i) for i in ids], np.float64).reshape(-1, len(LABEL_CLUES) - IN_TEXT[0])

    def _words(self, known: "_Known", i: int) -> list[float]:
        """Label i's features from "log texts" on."""
        phrase, words, idfs, own = self.phrases[i], self.words[i], self.idfs[i], known.post.own
        start = known.find(phrase)
        in_text = [0.0] * (IN_TEXT[1] - IN_TEXT[0]) if start is None else self._in_text(known, phrase, start)
        weights = [weight for weight, word in zip(idfs, phrase, strict=True) if word in known.stems]
        counts = self.occurrences.marked, own.marked
        kept = [counts[0][name] - counts[1][name] for name in (key("keyphrase word", word) for word in phrase)]
        several = len(words) > 1
        return [
            *in_text,
            sum(weights) / sum(idfs),
            sum(word in known.ocr_stems for word in phrase) / len(phrase),
            several and "".join(word[:1] for word in words) in known.words,
            several and "".join(words) in known.words,
            math.log1p(min(kept)),
            sum(map(len, words)),
        ]

    def _in_text(self, known: "_Known", phrase: Phrase, start: int) -> list[float]:
        own, label = known.post.own, key("label", *phrase)
        shares = [self.occurrences.share(key("word", w), own, prior=0.3, weight=3.0) for w in phrase]
        neighbours = neighbours_of(known.post.tokens, start, start + len(phrase))
        return [
            math.log1p(self.occurrences.seen[label] - own.seen[label]),
            self.occurrences.share(label, own, prior=0.1, weight=1.0),
            max(shares),
            min(shares),
            *(math.log(self.occurrences.share(name, own, prior=0.5, weight=10.0)) for name in neighbours),
        ]


def tuned_features(tuned: tuple[np.ndarray, np.ndarray] | None, ids: np.ndarray) -> np.ndarray:
    """(c, t) TUNED_CLUES of the candidates `ids`; zeros where no encoder is tuned. tuned: of `PostClues`."""
    if tuned is None:
        return np.zeros((len(ids), len(TUNED_CLUES)), np.float32)
    meaning_n, bonus_n = tuned
    log_p_n = _log_softmax(meaning_n + bonus_n)
    columns = (log_p_n, np.exp(log_p_n), meaning_n, _log_softmax(meaning_n), bonus_n)
    log_p_c, p_c, *others = (column_n[ids] for column_n in columns)
    return np.stack([log_p_c, p_c, _log_rank(log_p_n, ids), *others], 1).astype(np.float32)


def _log_softmax(value_n: np.ndarray) -> np.ndarray:
    shifted_n: np.ndarray = value_n - value_n.max()
    log_p_n: np.ndarray = shifted_n - np.log(np.exp(shifted_n).sum())
    return log_p_n


class _Known:
    """The words of a post as sets, computed once for all candidates."""

    def __init__(self, post: PostClues) -> None:
        self.post = post
        self.sequence = [stem(token) for token in post.tokens]
        self.stems, self.words = set(self.sequence), set(post.tokens)
        self.ocr_stems = {stem(word) for word in post.ocr}

    def find(self, phrase: Phrase) -> int | None:
        """Where the stems of a label first stand in the text."""
        if not self.stems.issuperset(phrase):
            return None
        starts = range(len(self.sequence) - len(phrase) + 1)
        return next((i for i in starts if tuple(self.sequence[i : i + len(phrase)]) == phrase), None)


def _log_rank(value_n: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """(c,) log(1 + the number of labels with a larger value)."""
    ascending_n = np.sort(value_n)
    log_rank_c: np.ndarray = np.log1p(len(value_n) - np.searchsorted(ascending_n, value_n[ids], side="right"))
    return log_rank_c


class Nearest:
    """Finds the most similar training post with each label.

    post_m, label_m: row and label of every post-label pair of the training posts.
    """

    def __init__(self, post_m: np.ndarray, label_m: np.ndarray, n_labels: int) -> None:
        self.post_m, self.label_m, self.n_labels = post_m, label_m, n_labels
        order = np.argsort(label_m, kind="stable")
        self._posts = post_m[order]
        self._labels, self._starts = np.unique(label_m[order], return_index=True)

    def similarities(self, similarity_p: np.ndarray, but: int | None = None) -> np.ndarray:
        """(n,) the largest similarity to a training post with each label; 0 where no post has it.

        Args:
            similarity_p: to every training post.
            but: the row of a training post that is left out.
        """
        kept_p = similarity_p
        if but is not None:
            kept_p = similarity_p.copy()
            kept_p[but] = 0.0
        found_n = np.zeros(self.n_labels, np.float32)
        if len(self._starts):
            found_n[self._labels] = np.maximum.reduceat(kept_p[self._posts], self._starts)
        return found_n


def cosines(vector_pv: Tensor, name_nv: Tensor) -> np.ndarray:
    """(p, n) cosines of posts and names of labels; towards zero for a vector shorter than SHORT.

    name_nv: of length one.
    """
    product: np.ndarray = (F.normalize(vector_pv, dim=-1, eps=SHORT) @ name_nv.mT).numpy()
    return product


def mean_names(labels: Sequence[Sequence[int]], name_nv: Tensor) -> Tensor:
    """(p, v) the mean vector of each post's labels; zeros for a post without."""
    rows = [name_nv[list(ids)].mean(0) if len(ids) else torch.zeros(name_nv.size(1)) for ids in labels]
    return torch.stack(rows) if rows else torch.zeros(0, name_nv.size(1))
