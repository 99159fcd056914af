"""From captions to attributes, and how good a ranking of them is: all by hand."""

import json
import sys
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.attributes.captions import CaptionedImage, read_captions
from m3h.pipeline.attributes.metrics import average_precision, mean_average_precision, recall_at
from m3h.pipeline.attributes.tagging import TextBlobTagger
from m3h.pipeline.attributes.vocabulary import AttributeVocabulary, words_of
from m3h.schemas.errors import UsageError

IMAGE = {"id": 7, "file_name": "a.jpg"}
CAPTION = {"id": 1, "image_id": 7, "caption": "a dog"}


def written(tmp_path: Path, value: Any) -> Path:
    path = tmp_path / "captions.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_captions_are_joined_to_their_pictures_and_pictures_without_captions_are_left_out(tmp_path: Path) -> None:
    images = [IMAGE, {"id": 8, "file_name": "b.jpg"}, {"id": 9, "file_name": "sub/c.jpg", "licence": 3}]
    said = [CAPTION, {"image_id": 9, "caption": "sea"}, {"image_id": 7, "caption": "two dogs"}]
    found = read_captions(written(tmp_path, {"images": images, "annotations": said, "info": {}}))
    assert found == [CaptionedImage("a.jpg", ("a dog", "two dogs")), CaptionedImage("sub/c.jpg", ("sea",))]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "expected COCO's captions as JSON, not readable as such"),
        ("[]", "the file: input should be a valid dictionary"),
        ({"images": [IMAGE]}, "captions.json: annotations: field required, got nothing."),
        (
            {"images": [{"id": 7}], "annotations": []},
            "captions.json: images[0].file_name: field required, got nothing.",
        ),
        (
            {"images": [IMAGE], "annotations": [CAPTION, {**CAPTION, "caption": 3}]},
            "captions.json: annotations[1].caption: input should be a valid string, got 3.",
        ),
        (
            {"images": [IMAGE], "annotations": [{**CAPTION, "image_id": 8}]},
            "captions.json: annotations[0].image_id: expected an id of `images`, got 8.",
        ),
        (
            {"images": [IMAGE, {**IMAGE, "file_name": "b.jpg"}], "annotations": [CAPTION]},
            "captions.json: images[1].id: expected one file per id, got 7 for two.",
        ),
        (
            {"images": [{**IMAGE, "file_name": "../a.jpg"}], "annotations": [CAPTION]},
            "captions.json: images[0].file_name: expected a name within the folder of pictures, got '../a.jpg'.",
        ),
        ({"images": [IMAGE], "annotations": []}, "captions.json: expected captions in `annotations`, found none."),
        (
            {"images": [IMAGE], "annotations": [{**CAPTION, "caption": " "}]},
            "captions.json: expected captions in `annotations`, found none.",
        ),
    ],
)
def test_the_error_for_a_broken_captions_file_names_record_and_field(tmp_path: Path, content: Any, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_captions(written(tmp_path, content))
    assert told in str(caught.value)


def test_nouns_and_adjectives_are_taken_from_a_caption() -> None:
    tagger = TextBlobTagger()
    found = tagger.nouns_and_adjectives("Two young women are quickly riding a red bike down the wide street.")
    assert found == ["young", "women", "red", "bike", "wide", "street"]
    assert tagger.identity.startswith("textblob ")


def test_a_missing_tagger_is_a_usage_error_that_names_the_alternative(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textblob.en", None)
    with pytest.raises(UsageError, match="pip install textblob; or name the attributes yourself with --vocabulary"):
        TextBlobTagger()


def test_the_vocabulary_has_the_most_frequent_stems_in_their_most_frequent_form() -> None:
    pictures = [
        ["trees", "tree", "dog", "picture"],
        ["trees", "dog", "dog", "t-shirt"],
        ["trees", "x", "42", "ab1"],
        ["sea", "cat", "sea", "t-shirt"],
    ]
    assert AttributeVocabulary.count(pictures, 10, 1).words == ("trees", "dog", "t-shirt", "cat", "sea")
    assert AttributeVocabulary.count(pictures, 10, 2).words == ("trees", "dog", "t-shirt")
    assert AttributeVocabulary.count(pictures, 2, 1).words == ("trees", "dog")


def test_labels_are_found_by_stem_once_each() -> None:
    vocabulary = AttributeVocabulary(("trees", "dog", "running"))
    assert vocabulary.labels(words_of("A dog runs under a tree; a Tree! Dogs, no cats.")) == [0, 1, 2]
    assert vocabulary.labels(["cat"]) == []


@pytest.mark.parametrize("text", ["dog\n\nred\nT-Shirt\n", '["dog", "red", "t-shirt"]'])
def test_the_users_list_is_used_completely_and_in_order(tmp_path: Path, text: str) -> None:
    (tmp_path / "words").write_text(text)
    assert AttributeVocabulary.read(tmp_path / "words").words == ("dog", "red", "t-shirt")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("dog\nhot dog\n", "entry 2: expected one word of letters, got 'hot dog'."),
        ('["dog", 3]', "entry 2: expected one word of letters, got 3."),
        ("tree\ndog\ntrees\n", "entry 3: 'trees' and 'tree' have the same stem."),
        ("\n", "expected words, found none."),
        ('["dog"', "expected one word per line or a JSON list"),
    ],
)
def test_the_error_for_a_wrong_list_names_the_entry(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "words").write_text(text)
    with pytest.raises(UsageError) as caught:
        AttributeVocabulary.read(tmp_path / "words")
    assert told in str(caught.value)


def test_average_precision_by_hand() -> None:
    gold = np.array([True, False, True, False])
    assert average_precision(np.array([4.0, 3.0, 2.0, 1.0]), gold) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.array([1.0, 2.0, 3.0, 4.0]), gold) == pytest.approx((1 / 2 + 2 / 4) / 2)
    scores, both = np.array([[4.0, 0.0], [3.0, 1.0], [2.0, 0.0], [1.0, 2.0]]), np.array([gold, ~gold]).T
    assert mean_average_precision(scores, both) == pytest.approx(((1 + 2 / 3) / 2 + 1) / 2)
    unseen = np.array([gold, np.zeros(4, bool)]).T
    assert mean_average_precision(scores, unseen) == pytest.approx((1 + 2 / 3) / 2), "an attribute of no picture"


@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=6).filter(lambda x: any(g for _, g in x))
)
def test_equal_scores_count_as_the_mean_over_all_their_orders(pairs: list[tuple[int, bool]]) -> None:
    scores, gold = np.array([s for s, _ in pairs], float), np.array([g for _, g in pairs])
    every = []
    for order in permutations(range(len(pairs))):
        if all(scores[a] >= scores[b] for a, b in pairwise(order)):
            ranks = [i + 1 for i, k in enumerate(order) if gold[k]]
            every.append(np.mean([(n + 1) / rank for n, rank in enumerate(ranks)]))
    assert average_precision(scores, gold) == pytest.approx(np.mean(every))


def test_recall_by_hand() -> None:
    scores = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [0.0, 0.0, 0.0]])
    gold = np.array([[True, False, True], [False, False, False], [False, True, False]])
    assert recall_at(1, scores, gold) == pytest.approx((1 / 2 + 0) / 2), "a picture without attributes does not count"
    assert recall_at(2, scores, gold) == pytest.approx((1 / 2 + 1) / 2)
    assert np.isnan(recall_at(1, scores, gold & False))
