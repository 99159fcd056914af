"""Attention of one post as in Figures 6 and 8: a page, PNG files, and the numbers.

What text looks at in a picture is drawn over the picture: a grid, or the detector's boxes. What a picture looks at in
the text is shown as shaded words, and so are attributes and all other memories that have names.

Axes: l layers, h heads, m positions of the memory, n boxes.
"""

import io
import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from m3h.model.data.encoding import Encoded
from m3h.model.data.posts import ALL, Posts
from m3h.model.decoding.attribution import CLASSIFIER, GENERATED
from m3h.model.decoding.predict import Progress, in_silence
from m3h.model.networks.attention import M3HAttention
from m3h.model.runs.run import Run
from m3h.model.study.attention_maps import attention_weights, is_grid, memory_names
from m3h.model.study.decoding_steps import PhraseSteps, phrase_steps
from m3h.model.study.figures import heatmap
from m3h.model.study.overlay import WHOLE, covered, open_picture, overlay, overlay_boxes
from m3h.model.study.pages import shaded, write_page
from m3h.model.systems import TEXT_ENCODER, bank_names, feature_name
from m3h.model.text.stemming import stem_phrase
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import ImageFault, UsageError
from m3h.schemas.files import publish_bytes, publish_json
from m3h.schemas.shards import KEY

logger = logging.getLogger(__name__)
PAGE, PICTURE = "attention.html", "picture.png"
COLOURS = ("#3b6fb6", "#e8602d", "#8a5fb0", "#2f8f6b", "#c9a227", "#7a7f87")
"""Of the sources of a word, in turn."""
CROPPED = " The network saw only the middle of the picture, which is coloured; the rest was cut off."
MOST_POINTED = 3
"""The steps of a phrase for which the page shows where the pointer looks."""
_ARRAYS = ("boxes", "image_size", "number")


@dataclass(frozen=True)
class Memory:
    """What the positions of a memory are.

    side: of their grid. parts: of the fingerprint of its feature. boxes_n4, size: of the detector, in its pixels.
    """

    names: list[str]
    side: int | None = None
    parts: Mapping[str, Any] = field(default_factory=dict)
    boxes_n4: np.ndarray | None = None
    size: tuple[int, int] = (0, 0)

    @property
    def is_drawn(self) -> bool:
        """Whether the weights can be drawn over the picture."""
        return self.side is not None or self.boxes_n4 is not None

    @property
    def is_cropped(self) -> bool:
        """Whether the network saw only the middle of a picture that is no square."""
        return self.side is not None and covered(self.parts, (2, 1)) != WHOLE

    def draw(self, picture: bytes | None, weights_m: np.ndarray) -> bytes:
        """A PNG of the weights over the picture."""
        if self.boxes_n4 is not None:
            return overlay_boxes(picture, self.boxes_n4, weights_m[: len(self.boxes_n4)], size=self.size)
        side = self.side or 1
        region = covered(self.parts, open_picture(picture).size) if picture else WHOLE
        return overlay(picture, weights_m.reshape(side, side), region)

    def strongest(self, weights_m: np.ndarray) -> str:
        """The three largest weights in words."""
        best = np.argsort(-weights_m, kind="stable")[:3]
        shown = ", ".join(f"{self._place(i)} {weights_m[i]:.3f}" for i in best.tolist() if weights_m[i] > 0)
        return shown or "nothing to look at"

    def _place(self, i: int) -> str:
        return f"row {i // self.side + 1}, column {i % self.side + 1}" if self.side else self.names[i] or "(none)"


def draw_attention(run: Run, dataset: Dataset, post_id: str, *, out: Path) -> dict[str, Any]:
    """Write `out`/attention.html, attention.json and PNG files, and return a summary.

    In attention.json, `attention` has for every pair, such as "vision_to_text", the `memory` with a name for each
    position, and the `weights`: layers x heads x positions. The weights of a head sum to one, or to zero if the memory
    is empty. `banks` says which input each bank of pictures holds, `phrases` how each predicted keyphrase came about.
    PAIR-mean.png and PAIR-layer-I-head-J.png lie over the picture; where the memory is words, PAIR.png is a matrix.

    Args:
        run: with multi-head attention.
        dataset: has the post.
        post_id: of the post.
        out: where the files go.

    Raises:
        UsageError: the system has no such attention, there is no such post, or matplotlib is not installed.
        IntegrityError: the picture has other bytes than the dataset says.
    """
    return draw_attentions(run, dataset, {post_id: out})[0]


def draw_attentions(
    run: Run, dataset: Dataset, places: Mapping[str, Path], *, progress: Progress = in_silence
) -> list[dict[str, Any]]:
    """`draw_attention` of several posts. places: id of a post -> where its files go. Raises as that does."""
    if not isinstance(run.model.fusion, M3HAttention):
        raise UsageError(f"{run.config.system} has no multi-head attention between modalities; take gen-cls-m3h.")
    posts = run.reader(dataset).split(ALL)
    if missing := [post_id for post_id in places if post_id not in posts.ids]:
        raise UsageError(f"{dataset.folder}: no post '{missing[0]}'.")
    chosen = list(places.items())
    drawn = []
    for (number,) in progress([np.array([number]) for number in range(len(chosen))], "drawing"):
        post_id, out = chosen[number]
        drawn.append(_draw(run, dataset, posts, post_id=post_id, out=out))
    return drawn


def _draw(run: Run, dataset: Dataset, posts: Posts, *, post_id: str, out: Path) -> dict[str, Any]:
    fusion = cast("M3HAttention", run.model.fusion)
    row = posts.ids.index(post_id)
    posts = posts[row : row + 1]
    image = image_of(dataset, post_id)
    picture, without = readable_picture(dataset, image)
    encoded = run.encode(posts)
    phrases, weights = phrase_steps(run, encoded), attention_weights(run, encoded)
    memories = _memories(run, encoded, dataset, image)
    banks = {bank: name for name, bank in bank_names(run.metadata.inputs, run.metadata.kinds).items()}
    of_pair = {f"{query}_to_{memory}": memory for query, memory in fusion.pairs}
    record = {"post_id": post_id, "tokens": posts.tokens[0], "keyphrases": posts.keyphrases[0]}
    attention = {
        pair: {"memory": memories[of_pair[pair]].names, "weights": weights_lhm.tolist()}
        for pair, weights_lhm in weights.items()
    }
    stored = {"banks": banks, "attention": attention, "phrases": [asdict(phrase) for phrase in phrases]}
    publish_json(out / "attention.json", {**record, "image_sha256": image, **stored})
    pairs = []
    for pair, weights_lhm in weights.items():
        memory = memories[of_pair[pair]]
        if not memory.is_drawn:
            _matrix(out, pair, post_id, weights_lhm=weights_lhm, names=memory.names)
        pairs.append(_pair(out, pair, memory, picture=picture, weights_lhm=weights_lhm, banks=banks))
    pairs.sort(key=lambda pair: not pair["drawn"])  # what lies over the picture comes first
    _write(out, run, encoded, picture=picture, without=without, phrases=_shown(phrases, encoded), pairs=pairs)
    return {**record, "out": str(out), "pairs": list(attention), "page": str(out / PAGE)}


def image_of(dataset: Dataset, post_id: str) -> str:
    """The sha256 of a post's picture. The post is there."""
    return str(dataset.posts[KEY][dataset.posts["post_id"].to_pylist().index(post_id)].as_py() or "")


def readable_picture(dataset: Dataset, image_sha256: str) -> tuple[bytes | None, str]:
    """The bytes of a picture and "", or None and a line that says why there are none. The line is logged too."""
    picture, without = dataset.picture(image_sha256), ""
    if picture is None:
        without = f"{dataset.folder} has features of this picture, not the picture itself: grids are drawn alone."
    else:
        try:
            open_picture(picture, 16)
        except ImageFault as fault:
            picture, without = None, f"{dataset.folder}: picture {image_sha256} cannot be read ({fault}). Run verify."
    if without:
        logger.info(without)
    return picture, without


def _memories(run: Run, encoded: Encoded, dataset: Dataset, image: str) -> dict[str, Memory]:
    """Bank -> what its positions are."""
    memories = {bank: Memory(names) for bank, names in memory_names(run, encoded).items()}
    for name, bank in bank_names(run.metadata.inputs, run.metadata.kinds).items():
        if bank not in encoded.cells or name == TEXT_ENCODER:
            continue
        side, names = is_grid(encoded.cells[bank]), memories[bank].names
        feature = feature_name(name)
        parts = (
            dataset.manifest.features[feature].current_version.parts if side and dataset.has_feature(feature) else {}
        )
        memories[bank] = Memory(names, side, parts) if side else _of_objects(dataset, feature, image, names)
    return memories


def _of_objects(dataset: Dataset, feature: str, image: str, names: list[str]) -> Memory:
    """The objects of a detector, with their boxes where it stores them."""
    if not dataset.has_feature(feature):
        return Memory(names)
    found = dataset.tensors(feature, _ARRAYS)
    if image not in found.rows or set(found.arrays) != set(_ARRAYS):
        return Memory(names)
    boxes, size, number = (found.arrays[name][found.rows[image]] for name in _ARRAYS)
    width, height = (int(side) for side in size)
    if min(width, height) < 1 or not int(number):
        return Memory(names)
    return Memory(names, boxes_n4=boxes[: int(number)].astype(float), size=(width, height))


def _matrix(out: Path, pair: str, post_id: str, *, weights_lhm: np.ndarray, names: list[str]) -> None:
    heads = [f"layer {i + 1} head {j + 1}" for i, j in np.ndindex(weights_lhm.shape[:2])]
    title = pair.replace("_", " ") + f": {post_id}"
    heatmap(out / f"{pair}.png", title, weights_lhm.reshape(len(heads), -1), rows=heads, columns=names)


def _pair(
    out: Path,
    pair: str,
    memory: Memory,
    *,
    picture: bytes | None,
    weights_lhm: np.ndarray,
    banks: Mapping[str, str],
) -> dict[str, Any]:
    """What the page shows of a pair. Writes the PNG files that lie over the picture."""

    def panel(title: str, name: str, weights_m: np.ndarray) -> dict[str, Any]:
        one: dict[str, Any] = {"title": title, "strongest": memory.strongest(weights_m), "file": "", "words": []}
        if not memory.is_drawn:
            return one | {"words": shaded(memory.names, weights_m)}
        file = f"{pair}-{name}.png"
        publish_bytes(out / file, memory.draw(picture, weights_m))
        return one | {"file": file}

    query, _, target = pair.partition("_to_")
    named = {bank: bank if name == bank else f"{bank} ({name})" for bank, name in banks.items()}
    count = int((weights_lhm.max((0, 1)) > 0).sum())  # the others are padding
    return {
        "title": f"{named.get(query, query)} to {named.get(target, target)}",
        "note": f"What {query} looks at in {target}: {count} positions, {1 / max(1, count):.3f} each if equal."
        + (CROPPED if memory.is_cropped else ""),
        "drawn": memory.is_drawn,
        "mean": panel("mean of all heads", "mean", weights_lhm.mean((0, 1))),
        "layers": [
            [panel(f"head {j + 1}", f"layer-{i + 1}-head-{j + 1}", weights_m) for j, weights_m in enumerate(heads)]
            for i, heads in enumerate(weights_lhm)
        ],
    }


def _shown(phrases: Sequence[PhraseSteps], encoded: Encoded) -> list[dict[str, Any]]:
    """The phrases as the page shows them."""
    right = {stem_phrase(phrase) for phrase in encoded.posts.keyphrases[0]}
    return [
        {
            **vars(phrase),
            "right": stem_phrase(phrase.phrase) in right,
            "pointers": [(s.word, shaded(encoded.sources[0], s.pointer)) for s in phrase.steps[:MOST_POINTED]],
        }
        for phrase in phrases
    ]


def _write(
    out: Path,
    run: Run,
    encoded: Encoded,
    *,
    picture: bytes | None,
    without: str,
    phrases: list[dict[str, Any]],
    pairs: list[dict[str, Any]],
) -> None:
    if picture is not None:
        publish_bytes(out / PICTURE, _as_png(picture))
    posts = encoded.posts
    parts = [part for part, length in zip(encoded.parts, encoded.lengths_p[0], strict=True) if length]
    colours = dict(zip((GENERATED, *encoded.parts, CLASSIFIER), itertools.cycle(COLOURS), strict=False))
    facts = [("keyphrases", posts.keyphrases[0]), ("attributes", posts.attributes[0]), ("OCR words", posts.ocr[0])]
    write_page(
        out / PAGE,
        "attention.html.jinja",
        title=f"Attention in post {posts.ids[0]}",
        system=run.config.system,
        run=run.folder.name,
        picture=PICTURE if picture is not None else "",
        without=without,
        text=" ".join(posts.tokens[0]),
        facts=facts,
        colours={name: colours[name] for name in (GENERATED, *parts, CLASSIFIER)},
        phrases=phrases,
        pairs=pairs,
    )


def _as_png(picture: bytes) -> bytes:
    data = io.BytesIO()
    open_picture(picture).save(data, "PNG", optimize=True)
    return data.getvalue()
