"""Where labels stand in texts."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from m3h.model.data.label_spans import LabelSpans
from m3h.model.text.stemming import stem_phrase
from m3h.schemas.vocab import LABEL_SPECIALS, Vocabulary

WORDS = st.sampled_from(("rain", "rains", "of", "game", "games", "throne"))


def vocabulary(*names: str) -> Vocabulary:
    return Vocabulary([*LABEL_SPECIALS, *names])


def test_each_label_counts_once_where_it_is_first() -> None:
    labels = vocabulary("game of thrones", "game", "rain", "games")
    texts = [["the", "Games", "of", "throne", ",", "a", "game"], ["sun"], ["rain"]]
    spans_bk3 = LabelSpans.find(texts, labels).batch(np.array([2, 0, 1]))
    assert spans_bk3.tolist() == [
        [[3, 0, 1], [0, 0, 0], [0, 0, 0]],
        [[2, 1, 2], [4, 1, 2], [1, 1, 4]],
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
    ]


def test_where_no_label_stands_there_is_no_span() -> None:
    spans = LabelSpans.find([["sun"], []], vocabulary("rain"))
    assert spans.batch(np.array([0, 1])).shape == (2, 0, 3)
    assert LabelSpans.find([["<unk>"]], vocabulary()).batch(np.array([0])).shape == (1, 0, 3)
    assert spans.batch(np.array([], np.int64)).shape == (0, 0, 3)


@given(
    st.lists(st.lists(WORDS, max_size=6), min_size=1, max_size=4),
    st.sets(st.lists(WORDS, min_size=1, max_size=3).map(" ".join)),
)
def test_a_span_has_the_stems_of_its_label_and_every_present_label_has_one(
    texts: list[list[str]], names: set[str]
) -> None:
    labels = vocabulary(*sorted(names))
    spans_bk3 = LabelSpans.find(texts, labels).batch(np.arange(len(texts)))
    for text, spans in zip(texts, spans_bk3.tolist(), strict=True):
        found = {label: (start, end) for label, start, end in spans if label}
        for label, (start, end) in found.items():
            assert stem_phrase(" ".join(text[start:end])) == stem_phrase(labels.words[label])
        stems = f" {' '.join(stem_phrase(' '.join(text)))} "
        present = {labels.index[name] for name in names if f" {' '.join(stem_phrase(name))} " in stems}
        assert set(found) == present
