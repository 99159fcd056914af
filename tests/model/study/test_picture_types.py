"""Figure 4: a classifier of pictures, fitted to what a person labelled."""

from pathlib import Path

import numpy as np
import pytest

from m3h.model.cli import main
from m3h.model.study.picture_types import TypeModel, cross_validated, fit, picture_vectors
from m3h.schemas.dataset import Dataset
from tests.model.test_model_cli import only_json

APART = np.array([[x, 3.0] for x in (-2.0, -1.5, -1.0, 1.0, 1.5, 2.0)], np.float32)
TYPES = ["photo"] * 3 + ["poster"] * 3


def test_types_that_lie_apart_are_told_apart() -> None:
    found, probability = fit(APART, TYPES).predict(np.array([[-3.0, 3.0], [3.0, 3.0], [0.0, 3.0]]))
    assert found[:2] == ["photo", "poster"]
    assert probability == pytest.approx([probability[0], probability[0], 0.5], abs=1e-4)


def test_accuracy_by_hand_and_the_majority_beside_it() -> None:
    vectors, types = np.concatenate([APART] * 4), TYPES * 4
    found = cross_validated(vectors, types)
    assert (found.accuracy, found.error, found.majority) == (1, 0, 0.5)
    noise = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    mostly = cross_validated(noise, ["photo"] * 80 + ["poster"] * 20)
    assert mostly.majority == 0.8
    assert mostly.error == pytest.approx((mostly.accuracy * (1 - mostly.accuracy) / 100) ** 0.5)
    assert mostly.accuracy <= 0.85


def test_copies_of_a_picture_are_never_on_both_sides() -> None:
    """Ten pictures of random types, each ten times: a copy in the fitted part would give the type away."""
    rng = np.random.default_rng(1)
    vectors = np.repeat(rng.normal(size=(10, 8)).astype(np.float32), 10, axis=0)
    types, groups = np.repeat(["photo", "poster"] * 5, 10).tolist(), np.repeat(np.arange(10), 10)
    assert cross_validated(vectors, types).accuracy == 1
    assert cross_validated(vectors, types, groups).accuracy < 0.9


def test_the_classifier_that_comes_with_m3h_says_how_good_it_is(tmp_path: Path) -> None:
    shipped = TypeModel.shipped()
    assert shipped.types == ["photo", "screenshot", "poster", "drawing"]
    assert shipped.accuracy is not None
    assert shipped.accuracy.pictures == 291
    assert shipped.accuracy.majority + 2 * shipped.accuracy.error < shipped.accuracy.accuracy
    found, probability = shipped.predict(np.zeros((2, 1280)))
    assert len(found) == 2
    assert ((probability > 0.25) & (probability <= 1)).all()


def test_figure_4_with_own_labels(pictured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, vectors = picture_vectors(Dataset(pictured), "vgg_grid")
    labels = tmp_path / "labels.csv"
    kinds = np.where(vectors[:, 0] > np.median(vectors[:, 0]), "poster", "photo").tolist()
    labels.write_text("image_sha256,type\n" + "".join(f"{i},{k}\n" for i, k in zip(images, kinds, strict=True)))
    base = ["reproduce", "fig4", "--dataset", str(pictured), "--out", str(tmp_path), "--feature", "vgg_grid"]
    assert main([*base, "--labels", str(labels), "--json"]) == 0
    report = only_json(capsys)
    assert (report["pictures"], report["types"]) == (36, {"photo": 18, "poster": 18})
    assert report["classifier"]["accuracy"]["majority"] == 0.5
    assert (tmp_path / "fig4.png").read_bytes().startswith(b"\x89PNG")
    rows = (tmp_path / "fig4.csv").read_text().splitlines()
    assert rows[0] == "image_sha256,type,probability,posts"
    assert [row.split(",")[:2] for row in rows[1:]] == [list(pair) for pair in zip(images, kinds, strict=True)]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "Build that feature, or give --labels"),
        ("picture,type\na,photo\n", "expected the columns image_sha256 and type, found picture, type"),
        ("", "found no row"),
        ("image_sha256,type\n" + "0" * 64 + ",photo\n", "0 of its 1 pictures are in"),
        (b"\xff\xfe\x00", "expected a CSV file"),
        ("image_sha256,type\na,photo\nb,\na,poster\n", "row 4: picture a has another type in a row before"),
    ],
)
def test_labels_that_do_not_fit_are_one_line(
    pictured: Path, tmp_path: Path, content: str | bytes | None, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.csv"
    if content is not None:
        labels.write_bytes(content if isinstance(content, bytes) else content.encode())
    given = ["--labels", str(labels)] if content is not None else []
    base = ["reproduce", "fig4", "--dataset", str(pictured), "--out", str(tmp_path), "--feature", "vgg_grid"]
    assert main([*base, *given]) == 2
    assert says in capsys.readouterr().err


def test_a_feature_without_vectors_is_one_line(
    pictured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("image_sha256,type\n")
    given = ["--dataset", str(pictured), "--out", str(tmp_path), "--feature", "attributes", "--labels", str(labels)]
    assert main(["reproduce", "fig4", *given]) == 2
    assert capsys.readouterr().err == (
        "error: --feature attributes: has no vectors of pictures. Name a feature that has, as `backbone`.\n"
    )
