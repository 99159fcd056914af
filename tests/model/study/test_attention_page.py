"""`attend`: what is drawn is what the model weighs, and steps add up to what was predicted."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m3h.model.cli import main
from m3h.model.commands import experiments
from m3h.model.study.overlay import overlay, overlay_boxes
from m3h.model.study.pages import LONGEST_NAME, file_name
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import IntegrityError
from tests.model.study.conftest import HEIGHT, WIDTH

POST = "test-00002"


@pytest.fixture(scope="module")
def drawn(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drawn") / "attention"
    assert main(["attend", str(trained), "--post", POST, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def seen(drawn: Path) -> dict[str, Any]:
    return json.loads((drawn / "attention.json").read_text())


def bytes_of(dataset: Path, seen: dict[str, Any]) -> bytes:
    found = Dataset(dataset).picture(seen["image_sha256"])
    assert found is not None
    return found


def test_every_pair_is_there_and_the_weights_of_a_head_sum_to_one(seen: dict[str, Any]) -> None:
    banks = ("vision", "objects", "attributes")
    assert seen["banks"] == dict(zip(banks, banks, strict=True))
    assert set(seen["attention"]) == {f"{bank}_to_text" for bank in banks} | {f"text_to_{bank}" for bank in banks}
    for attention in seen["attention"].values():
        np.testing.assert_allclose(np.array(attention["weights"]).sum(-1), 1, rtol=1e-5)


def test_the_grid_lies_over_the_picture_of_the_post(pictured: Path, drawn: Path, seen: dict[str, Any]) -> None:
    weights_lhm = np.array(seen["attention"]["text_to_vision"]["weights"])
    data = bytes_of(pictured, seen)
    mean = overlay(data, weights_lhm.mean((0, 1)).reshape(7, 7))
    assert (drawn / "text_to_vision-mean.png").read_bytes() == mean
    second = overlay(data, weights_lhm[0, 1].reshape(7, 7))
    assert (drawn / "text_to_vision-layer-1-head-2.png").read_bytes() == second


def test_objects_are_drawn_in_their_boxes(pictured: Path, drawn: Path, seen: dict[str, Any]) -> None:
    weights_m = np.array(seen["attention"]["text_to_objects"]["weights"])[0, 0]
    assert not weights_m[2:].any()  # the rest is padding
    boxes = np.array([[0, 0, WIDTH / 2, HEIGHT], [WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT]])
    expected = overlay_boxes(bytes_of(pictured, seen), boxes, weights_m[:2], size=(WIDTH, HEIGHT))
    assert (drawn / "text_to_objects-layer-1-head-1.png").read_bytes() == expected


def test_steps_add_up_to_the_predicted_phrase(seen: dict[str, Any]) -> None:
    assert any(phrase["score"] for phrase in seen["phrases"])
    for phrase in seen["phrases"]:
        assert [step["word"] for step in phrase["steps"]] == [*phrase["phrase"].split(), "<eos>"]
        product = math.prod(step["probability"] for step in phrase["steps"])
        if phrase["score"]:  # an unfinished phrase, which only fills up the list, has none
            assert product == pytest.approx(phrase["score"], rel=1e-3)
        for step in phrase["steps"]:
            assert sum(step["shares"].values()) == pytest.approx(1, abs=1e-4)
            assert sum(step["pointer"]) == pytest.approx(1, abs=1e-4)
            assert 0 < step["generate"] < 1


def test_the_page_has_every_file_and_no_text_of_the_post_is_markup(drawn: Path) -> None:
    page = (drawn / "attention.html").read_text()
    assert {path.name for path in drawn.glob("*-*.png")} <= {name for name in page.split('"') if name.endswith(".png")}
    assert "&lt;img src=x" in page
    assert "<img src=x" not in page
    assert "{{ 7 * 7 }}" in page


def test_a_dataset_of_features_alone_draws_the_grid_alone_and_says_so(
    pictured: Path, trained: Path, seen: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(pictured, alone, ignore=shutil.ignore_patterns("*.jpg"))
    caplog.set_level("INFO")
    words = ["attend", str(trained), "--dataset", str(alone), "--post", POST, "--out", str(tmp_path / "out")]
    assert main(words) == 0
    assert caplog.text.count("not the picture itself: grids are drawn alone.") == 1
    assert "not the picture itself" in (tmp_path / "out" / "attention.html").read_text()
    weights_m = np.array(seen["attention"]["text_to_vision"]["weights"]).mean((0, 1))
    grid = overlay(None, weights_m.reshape(7, 7))
    assert (tmp_path / "out" / "text_to_vision-mean.png").read_bytes() == grid


def test_a_picture_with_other_bytes_is_one_line(
    pictured: Path, trained: Path, seen: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed, image = tmp_path / "changed", seen["image_sha256"]
    shutil.copytree(pictured, changed)
    (changed / "images" / image[:2] / f"{image}.jpg").write_bytes(b"another")
    with pytest.raises(IntegrityError, match="not that of its name"):
        Dataset(changed).picture(image)
    assert Dataset(changed).picture("0" * 64) is None
    assert main(["attend", str(trained), "--dataset", str(changed), "--post", POST]) == 1
    assert "Run verify --repair." in capsys.readouterr().err


def test_several_posts_have_a_folder_each_and_an_unknown_one_is_one_line(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, shown = ("test-00000", "test-00001"), []

    def show_progress(batches: list[np.ndarray], title: str) -> list[np.ndarray]:
        shown.append((title, len(batches)))
        return batches

    monkeypatch.setattr(experiments, "show_progress", show_progress)
    assert main(["attend", str(trained), "--post", *ids, "nobody", "--out", str(tmp_path)]) == 2
    assert "no post 'nobody'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert main(["attend", str(trained), "--post", *ids, "--out", str(tmp_path)]) == 0
    assert all((tmp_path / one / "attention.html").is_file() for one in ids)
    assert shown == [("drawing", len(ids))]


@pytest.mark.parametrize("text", ["..", ".", "a/b", "at://did:plc:x/app.bsky.feed.post/1", "é" * 300, "a\x00b"])
def test_any_id_makes_a_file_name(text: str) -> None:
    name = file_name(text)
    assert set(name).isdisjoint("/\x00")
    assert name not in ("", ".", "..")
    assert len(name) <= LONGEST_NAME
    assert file_name(f"{text}x") != name
