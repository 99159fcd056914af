"""What the ablation trains, resumes and prints, on a few posts."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import ablation
from m3h.model.runs.evaluate import load_or_predict
from m3h.model.scoring.predictions import read_records
from m3h.model.scoring.significance import compare
from tests.model.fakes import fake_post, write_dataset

SMALL = (
    *("word_width=8", "width=16", "heads=2", "head_width=4", "encoder_layers=1", "text_layers=1", "beam=2"),
    *("epochs=3", "warmup_epochs=1", "batch_size=8", "learning_rate=0.02"),
)
TOPICS = ("storm", "game", "music")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Posts whose keyphrase is their third word; those of test are never read."""
    sizes = {"train": 18, "valid": 6, "test": 3}
    posts = [
        fake_post(number, f"look a {TOPICS[number % 3]} again", [TOPICS[number % 3]], split)
        for split, size in sizes.items()
        for number in range(size)
    ]
    return write_dataset(tmp_path_factory.mktemp("ablation") / "dataset", posts, {})


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> list[list[str]]:
    assert ablation.main(words) == 0
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    assert len({len(line) for line in lines}) == 1
    return lines[2:]


def given(dataset: Path, out: Path, *words: str) -> Sequence[str]:
    return ("--dataset", str(dataset), "--out", str(out), "--set", *SMALL, *words)


def test_rows_are_trained_once_without_test_and_compared_with_the_base(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = given(dataset, tmp_path, "--rows", "base", "--row", "one epoch: epochs=2 learning_rate=1e-6", "--show")
    base, other = printed(capsys, *words)
    assert [base[0], other[0]] == ["base", "one epoch"]
    runs = [ablation.folder_of(tmp_path, row) for row in ("base", "one epoch")]
    assert not any((run / "predictions" / "test.jsonl").exists() for run in runs)
    ours, theirs = (read_records(run / "predictions" / "valid.jsonl") for run in reversed(runs))
    expected = compare(ours, theirs, "cmkp")["f1@1"]
    assert base[5] == ""
    assert other[5] == f"{100 * expected['difference']:+.1f}, p {expected['p']:.2g}"

    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    scores = json.loads((runs[0] / "scores.json").read_text())
    assert lines[0]["f1@1"] == scores["select"]["all"]["f1@1"]
    assert float(base[1]) == pytest.approx(100 * scores["select"]["all"]["f1@1"], abs=0.05)
    assert lines[0].keys() >= {"classifier", "rescored", "reranked", "absent", "cpu", "best_epoch"}
    predicted = load_or_predict(runs[0], None, "valid")
    assert [record.phrases for record in predicted] == [record.phrases for record in theirs]

    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()}
    assert printed(capsys, *words) == [base, other]
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()} == before


def test_a_wrong_row_is_one_line(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {("--rows", "bass"): "Did you mean 'base'?", ("--row", "base"): "expected 'NAME: FIELD=VALUE ...'"}
    for words, message in wrong.items():
        assert ablation.main(given(dataset, tmp_path, *words)) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert message in error
        assert error.count("\n") == 1
    assert ablation.main(given(dataset, tmp_path, "--row", "x: fusion=none")) == 2


def test_every_row_changes_fields_that_there_are() -> None:
    rows = ablation.named_rows([], ["mine: dropout=0.2"])
    assert next(iter(rows)) == "base"
    assert list(rows)[-1] == "mine"
    configs = [ablation.resolve_config(None, [*ablation.SETTINGS, *changed]) for changed in rows.values()]
    assert len({config.model_dump_json() for config in configs}) == len(rows)
