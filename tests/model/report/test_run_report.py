"""The report of trained runs: its files, its numbers, and the lineage of a prediction."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from m3h.model.cli import main
from m3h.model.report.folder import Wanted, report
from m3h.model.report.groups import read_run
from m3h.schemas.command_line import main as m3h
from m3h.schemas.errors import UsageError
from m3h.schemas.files import sha256_file
from tests.model.report.conftest import Reported
from tests.pipeline.report.shown import HOSTILE


def script(path: Path) -> Any:
    found = re.fullmatch(r'm3h\.loaded\("\w+",(?:\d+|"\w+"),(.*)\);\n', path.read_text(encoding="ascii"), re.DOTALL)
    assert found
    return json.loads(found[1])


def test_the_report_has_the_scores_of_the_runs(reported: Reported) -> None:
    text = reported.made.page.read_text(encoding="utf-8")
    assert (reported.made.runs, reported.made.groups) == (3, 2)
    stored = [json.loads((run / "scores.json").read_text())["test"]["all"] for run in reported.runs]
    shown = [float(value) for value in re.findall(r'data-value="([^"]+)"', text)]
    assert shown[0] == pytest.approx((stored[0]["f1@1"] + stored[1]["f1@1"]) / 2)
    assert stored[2]["map@5"] in [pytest.approx(value) for value in shown]
    assert "cls-m3h+wording" in text
    assert "gen-copy" in text
    assert "without leaks" in text
    assert "all of the picture" in text


def test_every_post_has_what_each_run_predicted(reported: Reported) -> None:
    folder = reported.made.page.parent / "data"
    posts, runs = script(folder / "posts-00000.js"), [script(folder / f"run{i}-00000.js") for i in range(3)]
    for i, run in enumerate(reported.runs):
        lines = [json.loads(line) for line in (run / "predictions" / "test.jsonl").read_text().splitlines()]
        assert [record["post_id"] for record in posts["records"]] == [line["post_id"] for line in lines]
        phrases = [[one["phrase"] for one in line["predictions"]] for line in lines]
        assert [[one[0] for one in record["predicted"]] for record in runs[i]["records"]] == phrases
    first = posts["records"][0]
    facts = posts["pictures"][first["image_sha256"]]
    assert facts["size"] == [96, 64]
    assert facts["words"][0][0] == "teapot"
    assert first["record"]["dump_sha256"] == "ab"
    assert first["found"]["image_sha256"] == first["image_sha256"]


def test_a_hostile_text_is_text_and_every_name_is_relative(reported: Reported) -> None:
    text = reported.made.page.read_text(encoding="utf-8")
    assert "<script>window" not in text
    assert re.findall(r'(?:src|href)="(?:[a-z]+:|/)[^"]*"', text) == ['href="data:,"']
    assert HOSTILE[:8] not in text


def test_the_lineage_of_a_prediction(reported: Reported, capsys: pytest.CaptureFixture[str]) -> None:
    run = reported.runs[0]
    post = json.loads((run / "predictions" / "test.jsonl").read_text().splitlines()[0])
    assert m3h(["why", str(run), "--prediction", post["post_id"], "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["record"] == {
        "source": "v1:d.jsonl",
        "position": int(post["post_id"]) - 999,
        "dump_sha256": "ab",
    }
    assert [one["phrase"] for one in found["predictions"]] == [one["phrase"] for one in post["predictions"]]
    assert found["run"]["weights_sha256"] == sha256_file(run / "model.safetensors")
    assert found["run"]["dataset_is_unchanged"]
    assert {row["feature"]: (row["weights"], row["random"]) for row in found["features"]} == {
        "butd_objects": ("weights: random seed 0", True),
        "ocr": ("weights: sha256:ocr", False),
        "attributes": ("weights: sha256:attributes", False),
    }
    assert all((reported.dataset / row["shard"]).is_file() and row["shard"] for row in found["features"])
    assert main(["why", str(run), "--prediction", post["post_id"]]) == 0
    printed = capsys.readouterr().out
    assert f"picture: {found['picture']['image_sha256']}, stored" in printed
    assert "feature butd_objects" in printed
    assert "(random): row in features/butd_objects/" in printed


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["why", "RUN", "--prediction", "77"], "no post 77. `m3h why --dataset DIR --id ID` says"),
        (["why", "nowhere", "--prediction", "77"], "nowhere: no finished run."),
        (["report"], "name finished runs, or give --dataset DIR for the report of a dataset"),
        (["report", "nowhere"], "nowhere: no finished run."),
        (["report", "RUN", "--split", "dev"], "no posts in split 'dev'"),
        (["report", "RUN", "--definition", "mine"], "no definition named 'mine'"),
        (["report", "RUN", "RUN"], "a run is named twice"),
        (["report", "RUN", "--out", "DATASET/report"], "lies in the dataset"),
    ],
)
def test_wrong_use_is_one_line(
    reported: Reported, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [word.replace("RUN", str(reported.runs[2])).replace("DATASET", str(reported.dataset)) for word in words]
    assert m3h(named) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("library", ["altair", "vl_convert", "jinja2", "PIL"])
def test_without_what_makes_pages_it_is_one_line(
    reported: Reported, library: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    assert main(["report", str(reported.runs[0])]) == 2
    assert capsys.readouterr().err == f"error: a report needs {library}: pip install 'm3h[report]'.\n"


def test_an_older_run_learns_where_its_phrases_come_from(reported: Reported, tmp_path: Path) -> None:
    older = shutil.copytree(reported.runs[0], tmp_path / "older")
    file = older / "predictions" / "test.jsonl"
    whole = file.read_text()
    lines = [json.loads(line) for line in whole.splitlines()]
    for line in lines:
        for one in line["predictions"]:
            del one["attribution"]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    records = read_run(older, None, "test").records
    assert [json.loads(line) for line in file.read_text().splitlines()] == list(map(json.loads, whole.splitlines()))
    assert all(one.attribution for record in records for one in record.predictions)


def test_a_dataset_that_was_moved_is_named(reported: Reported, tmp_path: Path) -> None:
    moved = shutil.copytree(reported.dataset, tmp_path / "moved")
    run = shutil.copytree(reported.runs[2], tmp_path / "run")
    described = json.loads((run / "run.json").read_text()) | {"dataset": str(tmp_path / "nowhere")}
    (run / "run.json").write_text(json.dumps(described))
    with pytest.raises(UsageError, match="nowhere: no such dataset folder"):
        report([run], tmp_path / "report", Wanted("test", "cmkp"))
    made = report([run], tmp_path / "report", Wanted("test", "cmkp", dataset=moved))
    assert "without leaks" in made.page.read_text(encoding="utf-8")
