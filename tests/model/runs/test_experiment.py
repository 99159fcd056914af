"""sweep, reproduce and attend."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m3h.model.cli import main
from m3h.model.runs.experiment import summarize_seeds
from m3h.model.runs.sweep import grid_points
from m3h.model.study.published import Row
from m3h.model.study.reproduce import Setting, score_table
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from tests.model.fakes import fake_post, write_dataset
from tests.model.test_model_cli import SMALL, only_json
from tests.model.training.test_resume import StopAt


def test_a_grid_is_every_combination() -> None:
    assert grid_points("heads=2,4 drop_inputs=[ocr,vision],[]") == [
        {"heads": "2", "drop_inputs": "[ocr,vision]"},
        {"heads": "2", "drop_inputs": "[]"},
        {"heads": "4", "drop_inputs": "[ocr,vision]"},
        {"heads": "4", "drop_inputs": "[]"},
    ]


@pytest.mark.parametrize("grid", ["", "heads", "heads=", "=2", "heads=2 heads=4"])
def test_a_bad_grid_is_a_usage_error(grid: str) -> None:
    with pytest.raises(UsageError, match="--grid"):
        grid_points(grid)


def test_a_sweep_ranks_by_validation_goes_on_and_leaves_test_unread(
    tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    grid = ["--grid", "learning_rate=0.000001,0.01", "--system", "cls-max", "--epochs", "2", "--out", str(tmp_path)]
    argv = ["sweep", "--dataset", str(tiny_dataset), *grid, "--json", *SMALL]
    assert main(argv) == 0
    rows = only_json(capsys)
    points = ("learning_rate=0.000001", "learning_rate=0.01")
    told = [message for message in caplog.messages if message.startswith("run ")]
    assert told == [f"run {number} of 2: {point}" for number, point in enumerate(points, start=1)]
    assert {row["point"] for row in rows} == {"learning_rate=0.000001", "learning_rate=0.01"}
    assert rows[0]["f1@1"] >= rows[1]["f1@1"]
    assert not list(tmp_path.rglob("test.jsonl"))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("scores.json")}
    assert main(argv) == 0
    assert only_json(capsys) == rows == json.loads((tmp_path / "sweep.json").read_text())
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("scores.json")} == before
    with open(tmp_path / "sweep.csv", newline="") as file:
        assert [row["point"] for row in csv.DictReader(file)] == [row["point"] for row in rows]


@pytest.fixture
def setting(tiny_dataset: Path, tmp_path: Path) -> Callable[..., Setting]:
    def made(dataset: Path = tiny_dataset, **fields: Any) -> Setting:
        progress = StopAt(None)
        return Setting(Dataset(dataset), tmp_path, [1, 2], None, SMALL[1:], {"epochs": 1, **fields}, progress)

    return made


def test_a_table_has_mean_and_deviation_beside_the_published_figure(setting: Callable[..., Setting]) -> None:
    rows = (Row("A", "cls-max", published=(10.0, None, None)), Row("B", "cls-butd-max"))
    ours, left_out = score_table(rows, setting())
    runs = [setting().out / "cls-max" / f"seed-{seed}" / "scores.json" for seed in (1, 2)]
    scores = [100 * json.loads(run.read_text())["test"]["all"]["f1@1"] for run in runs]
    assert ours["ours"]["f1@1"] == pytest.approx((np.mean(scores), np.std(scores, ddof=1)))
    assert ours["published"] == {"f1@1": 10.0, "f1@3": None, "map@5": None}
    assert "cannot be without vision" in left_out["left_out"]


def test_a_text_only_system_stands_beside_one_that_reads_another_image_feature(
    tiny_dataset: Path, setting: Callable[..., Setting]
) -> None:
    given = replace(setting(), sets=[*SMALL[1:], "vision=[vgg_grid]"])
    assert [config.vision for config in given.configs(Row("A", "gen-copy")).values()] == [None, None]
    assert [config.vision for config in given.configs(Row("B", "cls-co-att")).values()] == [("vgg_grid",)] * 2


def test_a_run_of_before_a_score_was_added_is_summed_up_by_those_it_has(tmp_path: Path) -> None:
    new, old = {"f1@1": 0.5, "f1@M": 0.1}, {"f1@1": 0.7}
    summary = summarize_seeds(tmp_path, [{"select": {"all": scores}} for scores in (new, old)])
    assert summary["mean"] == {"f1@1": pytest.approx(0.6)}


def test_table_1_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    posts = [
        fake_post(1, "storms at this hour", ["storm", "new music"], "valid"),
        fake_post(2, "so new", ["new music"], "valid"),
    ]
    dataset = write_dataset(tmp_path / "d", posts)
    assert main(["reproduce", "table1", "--dataset", str(dataset), "--json"]) == 0
    printed = {row["label"]: row["ours"]["valid"] for row in only_json(capsys)["rows"]}
    assert printed == {
        "#Post": 2,
        "Post Len": 3.0,
        "#KP/Post": 1.5,
        "|KP|": 2,
        "KP Len": pytest.approx(5 / 3),
        "% of occ. KP": pytest.approx(100 / 3),
        "Vocab": 8,
    }


@pytest.mark.slow
def test_table_1_of_the_released_data_is_the_paper_s(released: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "table1", "--dataset", str(released.folder), "--json"]) == 0
    for row in only_json(capsys)["rows"]:
        for split in ("valid", "test"):
            assert row["ours"][split] == pytest.approx(row["published"][split], abs=0.0051), row["label"]


def test_figures_are_drawn_from_runs_that_tables_share(
    tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["--dataset", str(tiny_dataset), "--out", str(tmp_path), "--epochs", "1", "--json", *SMALL]
    assert main(["reproduce", "fig5", *base]) == 0
    figure = only_json(capsys)
    assert Path(figure["file"]).read_bytes().startswith(b"\x89PNG")
    assert sum(p["posts"] for n, p in figure["rows"][0]["subsets"].items() if n.startswith("length")) == 12
    copy = (
        figure["rows"][1]["label"],
        json.loads((tmp_path / "gen-copy" / "seed-23" / "run.json").read_text())["inputs"],
    )
    assert copy == ("GEN-COPY", ["text"])
    assert main(["evaluate", str(tmp_path / "gen-copy" / "seed-23"), "--json"]) == 0
    pictures = {name: scores["posts"] for name, scores in only_json(capsys)["subsets"]["picture"].items()}
    assert pictures["OCR words"] == 3  # the system reads none of them, but predictions have them
    trained = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("scores.json")}
    assert len(trained) == 3
    assert main(["reproduce", "fig6", "--post", "test-00002", *base]) == 0
    out = Path(only_json(capsys)["out"])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("scores.json")} == trained
    maps = json.loads((out / "attention.json").read_text())
    pairs = {"vision_to_text", "attributes_to_text", "text_to_vision", "text_to_attributes"}
    assert set(maps["attention"]) == pairs
    drawn = {"text_to_vision-mean", *(f"text_to_vision-layer-1-head-{head}" for head in (1, 2))}
    assert {path.stem for path in out.glob("*.png")} == (pairs - {"text_to_vision"}) | drawn
    for pair, drawn in maps["attention"].items():
        weights_lhm = np.array(drawn["weights"])
        assert weights_lhm.shape == (4 if pair.endswith("text") else 1, 2, len(drawn["memory"]))
        np.testing.assert_allclose(weights_lhm.sum(-1), 1, rtol=1e-5)
    assert maps["attention"]["vision_to_text"]["memory"][: len(maps["tokens"])] == maps["tokens"]
    assert maps["attention"]["text_to_vision"]["memory"][8] == "1,1"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["reproduce", "table9", "--dataset", "{d}"], "no table or figure named 'table9'"),
        (["sweep", "--dataset", "{d}", "--grid", "haeds=2"], "Did you mean 'heads'"),
        (["attend", "{d}", "--post", "x"], "no finished run"),
    ],
)
def test_wrong_use_is_one_line(
    argv: list[str], says: str, tiny_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word.format(d=tiny_dataset) for word in argv]) == 2
    assert says in capsys.readouterr().err
