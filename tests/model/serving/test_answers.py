"""The answer to a post whose picture has objects and attributes, read by a reader that knows them."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m3h.model.api import Predictor, load
from m3h.model.config import Config
from m3h.model.runs.experiment import train_run
from m3h.model.serving.answers import answer
from m3h.model.serving.messages import Box, Question
from m3h.schemas.dataset import Dataset
from m3h.schemas.features import ArraySpec, FeatureSpec
from m3h.schemas.posts import RawPost, ReadPost
from tests.model.fakes import ATTRIBUTES, fake_post, write_dataset

OBJECTS = FeatureSpec(
    "butd_objects",
    arrays=(
        *(ArraySpec("features", (3, 8)), ArraySpec("boxes", (3, 4), "float32"), ArraySpec("classes", (3,), "int16")),
        *(ArraySpec("class_scores", (3,), "float32"), ArraySpec("number", (), "int16")),
        ArraySpec("image_size", (2,), "int32"),
    ),
)


def row(seed: int, number: int = 2) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    boxes = np.array([[5, 5, 50, 40], [20, 10, 90, 60], [0, 0, 0, 0]], np.float32)
    return {
        "features": rng.standard_normal((3, 8)).astype(np.float16), "boxes": boxes,
        "classes": np.array([7, 9, -1]), "class_scores": np.array([0.9, 0.5, 0]), "number": np.array(number),
        "image_size": np.array([96, 64]),
    }  # fmt: skip


class KnownPictures:
    """Reads texts by their spaces, and knows the rows of one dataset's pictures by their names."""

    max_bytes = 1000
    notes: Sequence[str] = ("made up",)
    parts: Mapping[str, Mapping[str, Any]] = {}

    def __init__(self, rows: dict[str, dict[str, Any]]) -> None:
        self.rows = rows

    def read(self, posts: Sequence[RawPost]) -> list[ReadPost]:
        return [self._read(post) for post in posts]

    def _read(self, post: RawPost) -> ReadPost:
        if not isinstance(post.picture, bytes):
            return ReadPost(post.text.split(), [])
        known = self.rows[post.text.split()[-1]]
        return ReadPost(post.text.split(), [], known, {"ocr": "ocr_timeout"}, post.picture)

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def known() -> dict[str, dict[str, Any]]:
    return {
        f"w{i}": {"butd_objects": row(i, 1 + i % 3), "attributes": {"labels": ["blue", f"boat{i % 2}"]}}
        for i in range(24)
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, known: dict[str, dict[str, Any]]) -> Predictor:
    folder = tmp_path_factory.mktemp("objects")
    posts = [
        fake_post(i, f"calm sea at w{i}", ["calm sea", "harbour"][i % 2 :][:1], "test" if i < 4 else "train", f"w{i}")
        for i in range(24)
    ]
    features = {spec: {name: rows[spec.name] for name, rows in known.items()} for spec in (OBJECTS, ATTRIBUTES)}
    write_dataset(folder / "dataset", posts, features)
    config = Config(
        system="gen-cls-m3h", vision=("butd_objects",), select="last:4", width=16, word_width=8, heads=2, head_width=4,
        batch_size=8, epochs=1, warmup_epochs=1, threads=1,
    )  # fmt: skip
    train_run(config, Dataset(folder / "dataset"), folder / "run", progress=lambda batches, _: batches)
    predictor = load(folder / "run")
    predictor.reader = KnownPictures(known)
    return predictor


def jpeg() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (96, 64), (200, 90, 30)).save(data, "JPEG")
    return data.getvalue()


def test_a_picture_with_fewer_objects_than_others_is_read_as_in_the_dataset(trained: Predictor) -> None:
    posts = trained.run.reader(Dataset(Path(trained.run.metadata.dataset))).split("test")
    texts = [" ".join(tokens) for tokens in posts.tokens]
    assert trained.predict(texts, images=[jpeg()] * len(texts)) == trained.predict_posts(posts)


def test_objects_attributes_and_what_is_missing_are_told(trained: Predictor) -> None:
    found = answer(trained, Question(text="calm sea at w1", image=jpeg(), details=True))
    assert found.objects == [
        Box(name="class 7", left=5, top=5, width=45, height=35, score=0.9),
        Box(name="class 9", left=20, top=10, width=70, height=50, score=0.5),
    ]
    assert [(label.name, label.score) for label in found.labels] == [("blue", None), ("boat1", None)]
    assert found.notes == ["made up", "no ocr: ocr_timeout"]
    assert set(found.without) == {"objects", "attributes"}
    assert [one.title for one in found.heatmaps] == ["objects, all heads", "objects, head 1", "objects, head 2"]
    with Image.open(io.BytesIO(base64.b64decode(found.heatmaps[0].png))) as drawn:
        assert (drawn.format, drawn.width * 64) == ("PNG", drawn.height * 96)
    assert [one.word for one in found.attended] == found.tokens
    assert sum(one.weight for one in found.attended) == pytest.approx(1)


def test_without_details_or_a_picture_there_is_less(trained: Predictor) -> None:
    plain = answer(trained, Question(text="calm sea at w1", image=jpeg()))
    assert (plain.heatmaps, plain.attended, plain.without) == ([], [], {})
    blind = answer(trained, Question(text="calm sea at w1", details=True))
    assert (blind.objects, blind.heatmaps, blind.without, blind.notes) == ([], [], {}, ["made up"])
    assert len(blind.keyphrases) == len(plain.keyphrases) > 0
