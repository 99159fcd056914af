"""Features with names that the trainer has never heard of: read, learned from, attended to, and refused in one line."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from m3h.model.config import Config
from m3h.model.data.inputs import modalities_of
from m3h.model.data.pictures import Cells
from m3h.model.data.posts import Reader
from m3h.model.decoding.predict import phrases, predict
from m3h.model.networks.encoder import VisionEncoder
from m3h.model.ranking.compared_vectors import ComparedVectors
from m3h.model.ranking.kernel_ridge import KernelRidge
from m3h.model.runs.evaluate import Changes, evaluate_run, open_run
from m3h.model.runs.experiment import readable_inputs, train_run
from m3h.model.runs.run import Run, predictions_file
from m3h.model.scoring.predictions import read_records
from m3h.model.study.attention_page import draw_attention
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import IntegrityError, M3hError, UsageError
from m3h.schemas.features import ArraySpec, FeatureSpec
from m3h.schemas.files import publish_json, read_json
from tests.model.fakes import fake_post, write_dataset

GRID = FeatureSpec("vgg_grid", arrays=(ArraySpec("features", (4, 6)),))
COLOUR = FeatureSpec("colour", arrays=(ArraySpec("features", (5,)),))
OBJECTS = FeatureSpec("butd_objects", arrays=(ArraySpec("features", (3, 7)), ArraySpec("number", (), "int16")))
SCENES = FeatureSpec("scenes", columns=(("labels", pa.list_(pa.string())), ("scores", pa.list_(pa.float32()))))
CAPTION = FeatureSpec("caption", columns=(("tokens", pa.list_(pa.string())),))
TABLE = FeatureSpec("faces", columns=(("count", pa.int32()),))
FLAT = FeatureSpec("brightness", arrays=(ArraySpec("features", ()),))
TOPICS = ("storm hour", "flower show", "game night", "new music")
SMALL: dict[str, Any] = {
    **{"word_width": 8, "width": 16, "heads": 2, "head_width": 4, "encoder_layers": 1, "text_layers": 1, "threads": 1},
    **{"batch_size": 16, "epochs": 12, "patience": 12, "learning_rate": 0.01, "dropout": 0.0, "beam": 3, "n_best": 2},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Posts whose topic only `colour` knows: two of its five channels, on a large mean that all pictures share.

    The caption names another topic. The last test post's picture is in no feature.
    """
    rng = np.random.default_rng(0)
    posts, rows = [], {spec: {} for spec in (GRID, COLOUR, OBJECTS, SCENES, CAPTION, TABLE, FLAT)}
    for split, size in (("train", 80), ("valid", 16), ("test", 24)):
        for i in range(size):
            topic, other = rng.integers(len(TOPICS), size=2)
            text = " ".join(rng.choice(["look", "at", "this", "so", "good"], 4))
            post = fake_post(i, text, [TOPICS[topic]], split)
            posts.append(post)
            image = post.image_sha256
            if (split, i) == ("test", 23):
                continue
            colour = 6 + 0.1 * rng.standard_normal(5)
            colour[topic] += 0.6
            rows[COLOUR][image] = {"features": colour.astype(np.float16)}
            rows[GRID][image] = {"features": rng.standard_normal((4, 6)).astype(np.float16)}
            objects = rng.standard_normal((3, 7)).astype(np.float16)
            rows[OBJECTS][image] = {"features": objects, "number": np.int16(i % 4)}
            rows[SCENES][image] = {"labels": [f"scene {other}", "outdoors"], "scores": [0.9, 0.1]}
            rows[CAPTION][image] = {"tokens": ["a", *TOPICS[other].split()]}
            rows[TABLE][image] = {"count": 1}
            rows[FLAT][image] = {"features": np.float16(0.5)}
    return Dataset(write_dataset(tmp_path_factory.mktemp("further") / "data", posts, rows))


def trained(dataset: Dataset, folder: Path, **fields: Any) -> Run:
    train_run(Config(**{**SMALL, **fields}), dataset, folder, progress=lambda batches, title: batches)
    return open_run(folder)


def right(run: Run) -> float:
    """Share of test posts whose first phrase is right."""
    records = read_records(predictions_file(run.folder, "test"))
    return sum(record.phrases[0] == record.keyphrases[0] for record in records) / len(records)


@pytest.fixture(scope="module")
def run(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """M3H-Att on a grid, objects, and a feature of one's own, with labels and words of one's own."""
    inputs = {"vision": ("vgg_grid", "butd_objects", "colour"), "wordings": ("scenes", "caption")}
    folder = tmp_path_factory.mktemp("run")
    return trained(dataset, folder, system="cls-m3h+wording", standardize_vision=True, **inputs)


def test_a_signal_in_a_feature_of_one_s_own_is_learned_and_not_without_it(
    run: Run, dataset: Dataset, tmp_path: Path
) -> None:
    assert run.metadata.inputs == ["text", "vision", "objects", "colour", "scenes", "caption"]
    assert run.metadata.features.keys() == {"vgg_grid", "butd_objects", "scenes", "caption", "colour"}
    assert right(run) > 0.8
    assert right(trained(dataset, tmp_path / "blind", system="cls-m3h", vision=["vgg_grid", "butd_objects"])) < 0.6


def test_every_feature_has_an_encoder_and_its_pairs(run: Run) -> None:
    encoders = run.picture_encoders()
    assert {name: getattr(encoder, "W_v", None) is not None for name, encoder in encoders.items()} == {
        "vision": True, "objects": True, "colour": True, "scenes": False
    }  # fmt: skip
    pairs = {f"{one}_to_text" for one in ("vision", "objects", "colour", "attributes")}
    pairs |= {f"text_to_{one}" for one in ("vision", "objects", "colour", "attributes")}
    assert set(run.model.fusion.attend) == pairs  # type: ignore[union-attr,arg-type]


def test_a_reloaded_run_predicts_the_same(run: Run, dataset: Dataset) -> None:
    posts = run.reader(dataset).split("test")
    found = phrases(predict(run.model, run.encode(posts), run.vocabularies, config=run.config))
    assert found == [record.phrases for record in read_records(predictions_file(run.folder, "test"))]


def test_what_a_picture_lacks_is_masked(run: Run, dataset: Dataset) -> None:
    posts = run.reader(dataset).split("test")
    batch = run.encode(posts).posts_batch(np.arange(len(posts)))
    assert {bank: masked.mask.sum(1).tolist() for bank, masked in batch.pictures.items()} == {
        "vision": [4] * 23 + [0],
        "objects": [i % 4 for i in range(23)] + [0],
        "colour": [1] * 23 + [0],
        "attributes": [2] * 23 + [0],
    }


def test_words_of_one_s_own_follow_the_text_as_far_as_the_vocabulary_knows_them(run: Run, dataset: Dataset) -> None:
    posts = run.reader(dataset).split("test")
    encoded = run.encode(posts)
    assert encoded.parts == ("text", "alt", "ocr", "caption")
    words = posts.words_of("caption")[0][1:]  # "a" is no word of any training text
    assert encoded.sources[0] == [*posts.tokens[0], "<sep>", *words]
    assert encoded.part_ends([0, 23]).tolist() == [[4, 4, 4]] * 2
    assert encoded.sources[23] == posts.tokens[23]


def test_a_run_is_scored_as_if_an_input_were_missing(run: Run) -> None:
    def score(*without: str) -> float:
        scores = evaluate_run(run.folder, None, "test", definition="cmkp", changes=Changes(ways={"without": without}))
        return float(scores["all"]["f1@1"])

    assert score("vgg_grid", "objects") > 0.8
    assert score("colour") < 0.6
    with pytest.raises(
        UsageError, match=r"no input of .* named 'ocr'\. Known: caption, colour, objects, scenes, text, vision"
    ):
        score("ocr")
    assert len(list((run.folder / "predictions").iterdir())) == 2  # of valid and test, and none of these


def test_attention_is_drawn_for_every_pair(run: Run, dataset: Dataset, tmp_path: Path) -> None:
    drawn = draw_attention(run, dataset, "test-00001", out=tmp_path)
    stored = json.loads((tmp_path / "attention.json").read_text())
    assert stored["banks"] == {"vision": "vision", "objects": "objects", "attributes": "scenes", "colour": "colour"}
    memories = {pair: stored["attention"][pair]["memory"] for pair in drawn["pairs"]}
    assert memories["text_to_vision"] == ["0,0", "0,1", "1,0", "1,1"]
    assert memories["text_to_objects"] == ["object 1", "object 2", "object 3"]
    assert memories["text_to_colour"] == ["picture"]
    assert memories["text_to_attributes"][1] == "outdoors"
    weights = np.array(stored["attention"]["text_to_objects"]["weights"])  # one of the three is real
    np.testing.assert_allclose(weights[0], [[1, 0, 0]] * 2, atol=1e-6)


def test_a_run_of_before_features_had_names_is_read_as_it_was(dataset: Dataset, tmp_path: Path) -> None:
    config = {**SMALL, "epochs": 2, "distillation_weight": 0.0, "standardize_vision": False}
    now = trained(dataset, tmp_path / "run", system="gen-cls-m3h+distilled", **config)
    posts = now.reader(dataset).split("test")
    before = predict(now.model, now.encode(posts), now.vocabularies, config=now.config)
    stored = read_json(tmp_path / "run" / "config.json")
    young = ("vision", "wordings", "standardize_vision", "fusion", "picture_weight")
    publish_json(tmp_path / "run" / "config.json", {name: stored[name] for name in stored if name not in young})
    metadata = {**read_json(tmp_path / "run" / "run.json"), "channels": 6}
    del metadata["labels"]
    publish_json(tmp_path / "run" / "run.json", metadata)
    old = open_run(tmp_path / "run")
    assert old.config == now.config
    assert predict(old.model, old.encode(posts), old.vocabularies, config=old.config) == before


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({"vision": ["depth"]}, UsageError, "no feature 'depth'; it has brightness, butd_objects"),
        ({"add_inputs": ["depth"]}, UsageError, "no feature 'depth'"),
        ({"wordings": ["ocr"]}, UsageError, "no feature 'ocr'"),
        ({"vision": ["scenes"]}, UsageError, r"vision=\['scenes'\]: expected features with arrays of numbers"),
        ({"wordings": ["colour"]}, UsageError, "expected features with words or labels, but colour is vision"),
        ({"drop_inputs": ["colour"]}, UsageError, "no input named 'colour'"),
        ({"add_inputs": ["faces"]}, UsageError, "faces has the columns .*count; an input has tokens, labels"),
        ({"vision": ["brightness"]}, IntegrityError, r"expected features of \(images, cells, width\).* found float16"),
        ({"system": "gen-copy", "add_inputs": ["colour"]}, UsageError, "gen-copy has no part for colour"),
    ],
)
def test_a_feature_that_cannot_be_read_is_one_line(
    dataset: Dataset, fields: Mapping[str, Any], error: type[M3hError], says: str
) -> None:
    config = Config(**{"system": "gen-cls-m3h", **fields})
    with pytest.raises(error, match=says) as caught:
        Reader(dataset, readable_inputs(config, dataset))
    assert "\n" not in str(caught.value)


def test_another_fingerprint_is_refused_by_the_feature_s_name(run: Run, dataset: Dataset, tmp_path: Path) -> None:
    row = {"x": {"features": np.zeros(5, np.float16)}}
    posts = [fake_post(1, "look", ["kca"], "test", "x")]
    other = Dataset(write_dataset(tmp_path / "other", posts, {COLOUR: row}, fingerprint="f" * 16))
    with pytest.raises(UsageError, match=r"its colour is ffffffffffffffff, but .* was trained on 0123456789abcdef"):
        run.reader(other)


def test_a_dataset_without_the_feature_is_read_as_if_no_picture_had_it(run: Run, tmp_path: Path) -> None:
    posts = [fake_post(i, "look at this", ["kca"], "test", f"i{i}") for i in range(3)]
    rows = {f"i{i}": {"features": np.ones((4, 6), np.float16)} for i in range(3)}
    bare = Dataset(write_dataset(tmp_path / "bare", posts, {GRID: rows}))
    batch = run.encode(run.reader(bare).split("test")).posts_batch(np.arange(3))
    assert {bank: masked.mask.any(1).tolist() for bank, masked in batch.pictures.items()} == {
        "vision": [True] * 3, **dict.fromkeys(("objects", "colour", "attributes"), [False] * 3)
    }  # fmt: skip


def test_what_a_feature_holds_is_seen_in_its_shards(dataset: Dataset) -> None:
    assert modalities_of(dataset, ["vision", "colour", "scenes", "caption"]) == {
        "vision": "vision", "colour": "vision", "scenes": "attributes", "caption": "text"
    }  # fmt: skip


def test_baselines_look_at_the_cells_of_all_features(dataset: Dataset, tmp_path: Path) -> None:
    run = trained(dataset, tmp_path / "run", system="cls-img-att", vision=["vgg_grid", "colour"], epochs=1)
    posts = run.reader(dataset).split("test")
    run.encode(posts)
    before = run.model(run.encode(posts).posts_batch(np.arange(3))).logit_bn
    colour = posts.pictures.cells["colour"]
    black = replace(colour, features=torch.zeros(colour.features.shape, dtype=colour.dtype))
    posts = replace(posts, pictures=replace(posts.pictures, cells={**posts.pictures.cells, "colour": black}))
    assert not torch.equal(before, run.model(run.encode(posts).posts_batch(np.arange(3))).logit_bn)


def test_similar_pictures_are_compared_where_they_are_read(dataset: Dataset, tmp_path: Path) -> None:
    """The texts say nothing; without the picture the best that is left is the most frequent topic."""
    seeing = trained(dataset, tmp_path / "seeing", system="cls-krr", vision=["colour"], epochs=1)
    assert right(seeing) > 0.8
    posts = seeing.reader(dataset).split("test")
    found = phrases(predict(seeing.model, seeing.encode(posts), seeing.vocabularies, config=seeing.config))
    assert found == [record.phrases for record in read_records(predictions_file(seeing.folder, "test"))]
    assert right(trained(dataset, tmp_path / "blind", system="cls-krr", epochs=1)) < 0.6


def test_statistics_of_real_cells_by_hand() -> None:
    features = torch.tensor([[[1.0, 5.0], [3.0, 5.0]], [[8.0, 5.0], [99.0, 99.0]], [[50.0, 50.0], [50.0, 50.0]]])
    cells = Cells(features, torch.tensor([2, 1, 2]))
    mean, deviation = cells.statistics(np.array([0, 1, -1]))  # of 1, 3 and 8; the third picture is in no post
    torch.testing.assert_close(mean, torch.tensor([4.0, 5.0]))
    spread = (26 / 3) ** 0.5
    torch.testing.assert_close(deviation, torch.tensor([spread, spread / 200]))  # a hundredth of the mean of both
    none_mean, none_deviation = cells.statistics(np.array([-1]))
    assert (none_mean.tolist(), none_deviation.tolist()) == ([0.0, 0.0], [1.0, 1.0])
    encoder = VisionEncoder(2, 2, standardize=True)
    encoder.fit(mean, torch.tensor([2.0, 1.0]))
    encoder.load_state_dict({**encoder.state_dict(), "W_v.weight": torch.eye(2), "W_v.bias": torch.zeros(2)})
    assert encoder(features[:1].half(), torch.ones(1, 2, dtype=torch.bool)).memory_bld.tolist() == [
        [[-1.5, 0.0], [-0.5, 0.0]]
    ]


def test_similarity_of_pictures_by_hand() -> None:
    """Pooled pictures (1, 0), (3, 0) and (2, 3), mean (2, 1); one post has none."""
    pooled = torch.tensor([[1.0, 0.0], [3.0, 0.0], [2.0, 3.0], [0.0, 0.0]])
    has = torch.tensor([True, True, True, False])
    vectors = ComparedVectors.fit({"a": (pooled, has)}, {"a": 0.4})
    row_nv = vectors.transform({"a": (pooled, has)}, 4)
    expected = 0.4 * torch.tensor([[1, 0, -(0.5**0.5), 0], [0, 1, -(0.5**0.5), 0]])
    torch.testing.assert_close((row_nv @ row_nv.T)[:2], expected)
    assert not row_nv[3].any()
    again = ComparedVectors.from_tensors(vectors.as_tensors(), {"a": 0.4})
    torch.testing.assert_close(again.transform({"a": (pooled, has)}, 4), row_nv, rtol=0, atol=0)
    assert ComparedVectors.fit({"a": (pooled, has)}, {"a": 0.0}).transform({"a": (pooled, has)}, 4).shape == (4, 0)
    texts = [["sea"], ["sea", "storm"], ["storm"], ["music"]]
    ridge, _ = KernelRidge.fit(texts, [[1], [1], [2], [2]], 3, penalty=0.3, kinds=["words"], vector_nv=row_nv)
    plain, _ = KernelRidge.fit(texts, [[1], [1], [2], [2]], 3, penalty=0.3, kinds=["words"])
    torch.testing.assert_close(ridge.similarity(texts, row_nv), plain.similarity(texts) + row_nv @ row_nv.T)
