"""The answer to one post: its keyphrases, what was seen in its picture, where attention lies, what a modality adds."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from m3h.model.api import Keyphrase, Predictor
from m3h.model.data.altered import WITHOUT, alter
from m3h.model.data.encoding import Encoded
from m3h.model.data.posts import Posts
from m3h.model.networks.attention import M3HAttention
from m3h.model.serving.messages import Answer, Box, Heatmap, Label, Phrase, Question, Word
from m3h.model.study.attention_maps import attention_weights, memory_names
from m3h.model.study.overlay import covered, grid_side, open_picture, overlay, overlay_boxes
from m3h.model.systems import TEXT_ENCODER, bank_names, feature_name
from m3h.schemas.features import Row
from m3h.schemas.posts import ReadPost


def answer(predictor: Predictor, question: Question) -> Answer:
    """What a run says of a post.

    Raises:
        UsageError: the picture cannot be used, or the text has no word. The message says why.
    """
    (post,) = predictor.read([question.text], [question.image], [question.alt])
    posts = predictor.posts_of_read([post])
    rows = post.rows.values()
    found = Answer(
        keyphrases=_phrases(predictor, posts),
        tokens=list(post.tokens),
        words=[box for row in rows if "words" in row for box in _words(row)],
        objects=[box for row in rows if "classes" in row for box in _objects(row)],
        labels=[label for row in rows if "labels" in row for label in _labels(row)],
        notes=[*predictor.reader.notes, *(f"no {name}: {reason}" for name, reason in post.lost.items())],
    )
    if not question.details:
        return found
    posts = predictor.run.with_sentences(posts)
    encoded = predictor.run.encode(posts)
    weights = attention_weights(predictor.run, encoded) if isinstance(predictor.run.model.fusion, M3HAttention) else {}
    return found.model_copy(
        update={
            "heatmaps": list(_heatmaps(predictor, post, weights)),
            "attended": _attended(predictor, encoded, weights),
            "without": {
                name: _phrases(predictor, alter(posts, {WITHOUT: [name]})) for name in _removable(predictor, posts)
            },
        }
    )


def _phrases(predictor: Predictor, posts: Posts) -> list[Phrase]:
    (found,) = predictor.predict_posts(posts)
    return [_phrase(keyphrase) for keyphrase in found]


def _phrase(keyphrase: Keyphrase) -> Phrase:
    return Phrase(phrase=keyphrase.phrase, score=keyphrase.score, origin=keyphrase.attribution)


def _words(row: Row) -> Iterator[Box]:
    confidences = row.get("confidences") or [None] * len(row["words"])
    for word, (left, top, width, height), confidence in zip(row["words"], row["boxes"], confidences, strict=True):
        score = None if confidence is None else confidence / 100
        yield Box(name=word, left=left, top=top, width=width, height=height, score=score)


def _objects(row: Row) -> Iterator[Box]:
    number = int(row["number"])
    boxes, classes, scores = (row[name][:number].tolist() for name in ("boxes", "classes", "class_scores"))
    for (left, top, right, bottom), of, score in zip(boxes, classes, scores, strict=True):
        yield Box(name=f"class {of}", left=left, top=top, width=right - left, height=bottom - top, score=score)


def _labels(row: Row) -> Iterator[Label]:
    scores = row.get("scores") or [None] * len(row["labels"])
    for label, score in zip(row["labels"], scores, strict=True):
        yield Label(name=label, score=score)


def _removable(predictor: Predictor, posts: Posts) -> list[str]:
    """The inputs of which this post has something; but the text, without which nothing can be predicted."""
    run, pictures = predictor.run, posts.pictures
    kinds = run.metadata.kinds
    has = {
        name: posts.labels_of(name) if kinds.get(name) == "attributes" else posts.words_of(name)
        for name in run.metadata.inputs
        if name != "text" and kinds.get(name) != "vision"
    }
    seen = {name: bool(cells.of(np.array(posts.image)).mask.any()) for name, cells in pictures.cells.items()}
    return [name for name in run.metadata.inputs if seen.get(name) or any(has.get(name, []))]


def _heatmaps(predictor: Predictor, post: ReadPost, weights: Mapping[str, np.ndarray]) -> Iterator[Heatmap]:
    """The picture under the weights that the text gives it: of all heads of the last layer, and of each."""
    metadata = predictor.run.metadata
    for name, bank in bank_names(metadata.inputs, metadata.kinds).items():
        row, pair = post.rows.get(feature_name(name)), weights.get(f"text_to_{bank}")
        if post.picture is None or row is None or pair is None or name not in metadata.channels:
            continue
        last_hm = pair[-1]
        heads = [("all heads", last_hm.mean(0)), *((f"head {i}", head) for i, head in enumerate(last_hm, start=1))]
        for title, weight_m in heads if len(last_hm) > 1 else heads[:1]:
            if png := _drawn(post.picture, row, weight_m, parts=predictor.reader.parts.get(feature_name(name), {})):
                yield Heatmap(title=f"{name}, {title}", png=base64.b64encode(png).decode("ascii"))


def _drawn(picture: bytes, row: Row, weight_m: np.ndarray, *, parts: Mapping[str, Any]) -> bytes | None:
    """None where the cells have no place in the picture. parts: of the feature's fingerprint."""
    if "boxes" in row:
        number = int(row["number"])
        width, height = map(int, row["image_size"])
        return overlay_boxes(picture, row["boxes"][:number], weight_m[:number], size=(width, height))
    side = grid_side(len(weight_m))
    if side is None:
        return None
    return overlay(picture, weight_m.reshape(side, side), covered(parts, open_picture(picture).size))


def _attended(predictor: Predictor, encoded: Encoded, weights: Mapping[str, np.ndarray]) -> list[Word]:
    """The words that the first bank of the picture looks at, by the mean of the heads of the last layer."""
    metadata = predictor.run.metadata
    banks = bank_names(metadata.inputs, metadata.kinds)
    looking = (weights.get(f"{bank}_to_text") for name, bank in banks.items() if name != TEXT_ENCODER)
    pair = next((found for found in looking if found is not None), None)
    if pair is None:
        return []
    words: Sequence[Any] = memory_names(predictor.run, encoded)["text"]
    return [Word(word=word, weight=weight) for word, weight in zip(words, pair[-1].mean(0).tolist(), strict=False)]
