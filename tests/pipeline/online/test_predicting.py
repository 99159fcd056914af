"""Predicting for a post by its text and its picture, through both programs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m3h.model import api
from m3h.model.api import Predictor, load
from m3h.model.cli import main
from m3h.model.data.altered import alter
from m3h.schemas import programs
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.inside import picture_file
from m3h.schemas.programs import Extra, Program
from tests.conftest import Built


@pytest.fixture(scope="module")
def predictor(sample_run: Path) -> Predictor:
    return load(sample_run)


def rows(dataset: Path, ids: list[str]) -> list[dict[str, Any]]:
    known = {post["post_id"]: post for post in Dataset(dataset).posts.to_pylist()}
    return [known[name] for name in ids]


def file_of(dataset: Path, post: dict[str, Any]) -> Path:
    return picture_file(dataset / "images", post["image_sha256"])


def test_a_post_by_its_text_and_picture_has_the_rows_and_keyphrases_of_the_dataset(
    sample: Built, predictor: Predictor
) -> None:
    data = Dataset(sample.folder)
    posts = predictor.run.reader(data).split("test")[:4]
    raw = rows(sample.folder, posts.ids)
    images: list[Path | str | bytes | None] = [file_of(sample.folder, post) for post in raw]
    images[0], images[1] = file_of(sample.folder, raw[0]).read_bytes(), str(images[1])
    read = predictor.read([post["text"] for post in raw], images, [post["alt"] for post in raw])
    grids, words = data.tensors("vgg_grid"), {row["image_sha256"]: row for row in data.table("ocr").to_pylist()}
    for post, found in zip(raw, read, strict=True):
        image = post["image_sha256"]
        assert found.tokens == post["tokens"]
        assert found.rows["vgg_grid"]["features"].dtype == np.float16
        np.testing.assert_array_equal(found.rows["vgg_grid"]["features"], grids.arrays["features"][grids.rows[image]])
        assert {"image_sha256": image, **found.rows["ocr"]} == words[image]
    assert read[0].picture == images[0]
    assert predictor.predict_posts(predictor.posts_of_read(read)) == predictor.predict_posts(posts)


def test_a_post_without_a_picture_is_read_so_too(sample: Built, predictor: Predictor) -> None:
    posts = predictor.run.reader(Dataset(sample.folder)).split("test")[:1]
    (text,) = (post["text"] for post in rows(sample.folder, posts.ids))
    blind = alter(posts, {"without": [name for name in predictor.run.metadata.inputs if name != "text"]})
    assert predictor.predict([text], images=[None]) == predictor.predict_posts(blind)


def test_the_command_line_takes_pictures(
    sample: Built, sample_run: Path, predictor: Predictor, *, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """With the predictor that is loaded already."""
    monkeypatch.setattr(api, "load", lambda *_, **__: predictor)
    posts = predictor.run.reader(Dataset(sample.folder)).split("test")[:1]
    (post,) = rows(sample.folder, posts.ids)
    words = ("--text", post["text"], "--image", str(file_of(sample.folder, post)), "--json")
    assert main(["predict", str(sample_run), *words]) == 0
    (found,) = json.loads(capsys.readouterr().out)["predictions"]
    wanted = predictor.predict_posts(posts)[0]
    assert found == [{"phrase": one.phrase, "score": one.score, "attribution": one.attribution} for one in wanted]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--text", "a", "--image", "b.jpg", "--like", "gone"), "gone is not there. Name the dataset's folder: --like"),
        (("--text", "a", "--image", "b.jpg", "--ocr", "c"), "give either --ocr or --image"),
        (("--dataset", "d", "--image", "b.jpg"), "an --image belongs to a --text"),
    ],
)
def test_the_command_line_says_what_is_missing(
    sample_run: Path, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(sample_run), *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"images": []}, "1 texts, but 0 images"),
        ({"images": [None], "alt": ["a", "b"]}, "1 texts, but 2 descriptions"),
        ({"images": [None], "ocr": ["a"]}, "give either `ocr` or `images`"),
    ],
)
def test_what_does_not_fit_together_is_said(predictor: Predictor, given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        predictor.predict(["so much fun"], **given)


def test_without_the_pipeline_its_extra_is_named(sample_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (dataset,) = [program for program in programs.programs() if program.open_reader]
    lacking = Program(
        *(dataset.title, dataset.app, dataset.main, Extra("pipeline", ("no_such_package",))),
        open_reader=dataset.open_reader,
    )
    monkeypatch.setattr(programs, "programs", lambda: (lacking,))
    with pytest.raises(UsageError, match=r"not installed here: no_such_package.*pip install 'm3h\[pipeline\]'"):
        load(sample_run).predict(["so much fun"], images=[None])
