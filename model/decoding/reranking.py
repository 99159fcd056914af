"""A log-linear model ranks every phrase that either part proposes, as n-best lists are reranked.

    score(phrase) = sum over the features f of w_f x_f
    P(phrase) = exp score(phrase) / sum over the phrases of the post of exp score

`rescoring` has one weight for all phrases. Here the generator counts differently for phrases that stand in the text, a
phrase that is no label has a fitted cost, and training texts say how often a phrase that stands in one is the post's
keyphrase. `training.reranker` fits the weights w.

Axes: M phrases of a post, f features.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from m3h.model.data.posts import Posts
from m3h.model.decoding.rank_fusion import Candidate
from m3h.model.decoding.rescoring import MIN_PROBABILITY, Probabilities
from m3h.model.ranking.occurrences import Occurrences, key
from m3h.model.text.stemming import Phrase, is_present, stem, stem_phrase
from m3h.schemas.errors import IntegrityError
from m3h.schemas.files import publish_json, read_json, validating
from m3h.schemas.vocab import Vocabulary

FEATURES = (
    "label",  # log P of the label, at least log MIN_PROBABILITY, and that for a phrase that is no label
    "no label",  # 1 for a phrase that is no label
    "generator",  # log P by the generator over the number of words and <eos>
    "in text",  # 1 for a phrase that stands in the text, after stemming
    "generator, in text",  # log P by the generator, of such a phrase
    "keyphrase share",  # of such a phrase: log of the share of training texts with it that have it as a keyphrase
    "words",  # their number
)
"""The columns, in order. Those of phrases in the text are zero for others."""
SHARE_PRIOR, SHARE_WEIGHT = 0.5, 2.0
"""Of the share: so many further texts, and with so many of them as keyphrase."""
LARGEST = 1e100
"""The largest weight that is read: a sum with it stays finite."""
RERANKER_FILE = "reranker.json"


@dataclass(frozen=True)
class Reranker:
    """weights: of each of FEATURES. occurrences: of words and labels in training texts, see `phrase_occurrences`."""

    weights: Mapping[str, float]
    occurrences: Occurrences

    def rank(self, scored: Mapping[str, Probabilities], tokens: Sequence[str]) -> list[Candidate]:
        """The phrases of one post with P(phrase), best first.

        Args:
            scored: what both parts say of each phrase.
            tokens: of the text.
        """
        if not scored:
            return []
        score_m = features(scored, tokens, self.occurrences) @ np.array([self.weights[name] for name in FEATURES])
        p_m = np.exp(score_m - score_m.max())
        pairs = zip(scored, (p_m / p_m.sum()).tolist(), strict=True)
        return sorted(pairs, key=lambda pair: -pair[1])

    def write(self, folder: Path) -> None:
        """Write it into a run folder."""
        publish_json(folder / RERANKER_FILE, {"weights": dict(self.weights), **vars(self.occurrences)})

    @classmethod
    def read(cls, folder: Path) -> "Reranker | None":
        """That of a run folder; None where the run has none.

        Raises:
            IntegrityError: the file is damaged, has other features, or a weight or a count is none that training gives.
        """
        if not (folder / RERANKER_FILE).exists():
            return None
        with validating(folder / RERANKER_FILE) as path:
            stored = read_json(path)
            weights = {str(name): float(weight) for name, weight in stored["weights"].items()}
            occurrences = Occurrences.from_json(stored)
            if set(weights) != set(FEATURES) or not all(abs(weight) <= LARGEST for weight in weights.values()):
                raise IntegrityError(f"{path}: expected finite weights of {FEATURES}, found {weights}. Train again.")
        return cls(weights, occurrences)


def features(scored: Mapping[str, Probabilities], tokens: Sequence[str], occurrences: Occurrences) -> np.ndarray:
    """(M, f) FEATURES of the phrases of one post; arguments as in `Reranker.rank`."""
    text = f" {' '.join(map(stem, tokens))} "
    rows = [_features(phrase, *of_parts, text=text, occurrences=occurrences) for phrase, of_parts in scored.items()]
    return np.array(rows, np.float64).reshape(-1, len(FEATURES))


def _features(
    phrase: str, generator_p: float, label_p: float, *, text: str, occurrences: Occurrences
) -> tuple[float, ...]:
    stems, words = stem_phrase(phrase), phrase.count(" ") + 1
    generator = math.log(max(generator_p, MIN_PROBABILITY))
    label, no_label = math.log(max(label_p, MIN_PROBABILITY)), float(not label_p)
    if not is_present(stems, text):
        return label, no_label, generator / (words + 1), 0.0, 0.0, 0.0, words
    share = math.log(_keyphrase_share(stems, occurrences))
    return label, no_label, generator / (words + 1), 1.0, generator, share, words


def _keyphrase_share(phrase: Phrase, occurrences: Occurrences) -> float:
    name = key("label", *phrase)
    seen = occurrences.seen[name] or (occurrences.seen[key("word", *phrase)] if len(phrase) == 1 else 0)
    return (occurrences.marked[name] + SHARE_PRIOR) / (seen + SHARE_WEIGHT)


def phrase_occurrences(posts: Posts, labels: Vocabulary) -> Occurrences:
    """In how many texts of these training posts each word and each label stands, and as a keyphrase of the post."""
    known, seen, marked = {stem_phrase(label) for label in labels.words}, Counter[str](), Counter[str]()
    wanted = ("label: ", "word: ")
    for tokens, keyphrases in zip(posts.tokens, posts.keyphrases, strict=True):
        of_post = Occurrences.of(tokens, [*map(stem, tokens)], map(stem_phrase, keyphrases), known)
        seen.update({name: n for name, n in of_post.seen.items() if name.startswith(wanted)})
        marked.update({name: n for name, n in of_post.marked.items() if name.startswith(wanted[:1])})
    return Occurrences(seen, marked)
