"""What a tuned sentence encoder says of phrases of a text, and features of phrases that are no label.

A phrase of the text can be the keyphrase although no other post has it. The best of them are candidates beside the
labels. They have the same features, where those that only posts with the label could give are those of the worst label.

Axes: c candidates of a post, j phrases among them, f features.
"""

import math
from collections.abc import Container, Sequence

import numpy as np

from m3h.model.ranking.label_clues import LABEL_CLUES, TUNED_CLUES, ClueMatcher, PostClues
from m3h.model.ranking.label_features import LABEL_FEATURES, LabelMatcher
from m3h.model.ranking.tuned_scores import FoundPhrases
from m3h.model.text.stemming import Phrase

PHRASE_CLUES = (
    "phrase log probability",  # that it is the phrase of the text that is a keyphrase
    "phrase probability",
    "phrase log rank",  # log(1 + rank by it)
    "no label",  # no other training post has it as a keyphrase
    "no phrase log probability",  # that no phrase of the text is one
)
ABSENT = (-10.0, 0.0, 4.0)
"""The first three clues of a label that is none of the remembered phrases."""
WORST = {
    "tuned log probability": -10.0,
    "tuned meaning": -5.0,
    "tuned meaning log probability": -10.0,
    "keyphrase share": 0.1,
}
"""What a phrase that is no label has in place of zero; 0.1 is `keyphrase share` without any text."""
RANKS = ("log rank", "text log rank", "meaning log rank", "tuned log rank")
"""Clues in which a phrase that is no label is behind all labels."""
COUNTED = ("log texts",)
"""Clues by counts over labels alone. A training post's own keyphrase is among them, so they would tell it."""


def unlabelled(found: FoundPhrases, tokens: Sequence[str], known: Container[Phrase], most: int) -> list[str]:
    """The likeliest phrases that no other training post has as a keyphrase, as the text has them.

    Args:
        found: of the text.
        tokens: of the text.
        known: the stems of labels of other posts.
        most: how many.
    """
    pairs = zip(found.spans, found.stems(tokens), strict=True)
    return [" ".join(tokens[start:end]) for (start, end), phrase in pairs if phrase not in known][:most]


def phrase_columns(found: FoundPhrases, tokens: Sequence[str], candidates: Sequence[Phrase], labels: int) -> np.ndarray:
    """(c, f) PHRASE_CLUES of candidates.

    Args:
        found: of the text.
        tokens: of the text.
        candidates: the stems of the candidates.
        labels: how many of them, the first ones, are labels.
    """
    places = {phrase: place for place, phrase in enumerate(found.stems(tokens))}
    rows = []
    for number, phrase in enumerate(candidates):
        place = places.get(phrase)
        own = ABSENT if place is None else _likelihood(found.log_p[place], place)
        rows.append((*own, number >= labels, found.none))
    return np.array(rows, np.float32).reshape(len(candidates), len(PHRASE_CLUES))


def _likelihood(log_p: float, place: int) -> tuple[float, float, float]:
    return log_p, math.exp(log_p), math.log1p(place)


def unlabelled_features(matcher: ClueMatcher, post: PostClues, phrases: Sequence[str]) -> np.ndarray:
    """(j, f) LABEL_FEATURES, LABEL_CLUES and TUNED_CLUES of phrases of the text that are no label.

    Args:
        matcher: of the labels; what it counted holds for phrases too.
        post: whose text has them.
        phrases: as `unlabelled` gives them.
    """
    names = (*LABEL_FEATURES, *LABEL_CLUES, *TUNED_CLUES)
    feature_jf = np.zeros((len(phrases), len(names)), np.float32)
    if not phrases:
        return feature_jf
    none = np.zeros(len(phrases) + 1)
    own_labels = LabelMatcher(["<unk>", *phrases], matcher.idf)
    _, label_jf = own_labels.features(
        *(post.tokens, post.ocr, none), count_n=none.astype(np.int64), top=0, also=range(1, len(none))
    )
    own_clues = ClueMatcher(list(phrases), matcher.idf, matcher.occurrences)
    clue_jf = own_clues.word_features(post, range(len(phrases)))
    feature_jf[:, : len(LABEL_FEATURES)] = label_jf
    words = len(LABEL_FEATURES) + len(LABEL_CLUES) - clue_jf.shape[1]
    feature_jf[:, words : words + clue_jf.shape[1]] = clue_jf
    columns = {name: names.index(name) for name in (*RANKS, *COUNTED, *WORST)}
    feature_jf[:, [columns[name] for name in COUNTED]] = 0.0
    feature_jf[:, [columns[name] for name in RANKS]] = math.log1p(len(post.score_n))
    for name, value in WORST.items():
        feature_jf[:, columns[name]] = value
    return feature_jf
