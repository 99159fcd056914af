"""The reranker of a run: fitted after training, stored in its folder, and asked for by `ranking=reranked`."""

import json
import shutil
from pathlib import Path

import pytest

from m3h.model import load
from m3h.model.cli import main
from m3h.model.decoding.predict import in_silence, predict, scored_phrases
from m3h.model.decoding.reranking import RERANKER_FILE, Reranker, phrase_occurrences
from m3h.model.runs.evaluate import Changes, load_or_predict, open_run
from m3h.model.runs.experiment import with_reranker
from m3h.model.scoring.predictions import read_records
from m3h.model.training.reranker import held_out_f1
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from tests.model.test_model_cli import only_json, train

RERANKED = ("--set", "ranking=reranked")


@pytest.fixture(scope="module")
def trained(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reranked") / "run"
    assert train(tiny_dataset, out, "--set", "ranking=reranked") == 0
    return out


def test_it_is_fitted_on_the_selection_posts(trained: Path, tiny_dataset: Path) -> None:
    """Once more from the weights, it is the same; the estimate by folds is in scores.json."""
    run, dataset = open_run(trained), Dataset(tiny_dataset)
    train_posts, selection = run.reader(dataset).training_and_selection("train", "valid")
    again, estimate = with_reranker(run, train_posts, selection=selection, progress=in_silence)
    assert again.reranker is not None
    assert run.reranker is not None
    assert again.reranker.occurrences == run.reranker.occurrences
    assert again.reranker.occurrences == phrase_occurrences(train_posts, run.vocabularies.labels)
    assert dict(again.reranker.weights) == pytest.approx(dict(run.reranker.weights))
    scored = scored_phrases(run.model, run.encode(selection), run.vocabularies, config=run.config)
    assert estimate == {"reranked_f1@1": held_out_f1(scored, selection, run.reranker.occurrences)}
    assert json.loads((trained / "scores.json").read_text())["reranked_f1@1"] == pytest.approx(
        estimate["reranked_f1@1"]
    )


def test_the_list_is_the_reranker_s(trained: Path) -> None:
    run = open_run(trained)
    assert run.reranker is not None
    posts = run.reader(Dataset(run.metadata.dataset)).split("test")
    encoded = run.encode(posts)
    records = read_records(trained / "predictions" / "test.jsonl")
    for record, scored, tokens in zip(
        records,
        scored_phrases(run.model, encoded, run.vocabularies, config=run.config),
        posts.tokens,
        strict=True,
    ):
        ranked = dict(run.reranker.rank(scored, tokens))
        scores = [one.score for one in record.predictions]
        assert scores == pytest.approx([ranked[phrase] for phrase in record.phrases], abs=1e-5)
        assert scores[0] == pytest.approx(max(ranked.values()), abs=1e-5)
        assert sum(ranked.values()) == pytest.approx(1.0)
    found = load(trained).predict(["so excited for storm hour tonight"])[0]
    assert found
    assert all(0 <= one.score <= 1 for one in found)


def test_epochs_are_chosen_by_the_system_s_own_list(trained: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    """So the weights are those of a run with the default ranking, which can rerank later."""
    plain = tmp_path / "plain"
    assert train(tiny_dataset, plain) == 0
    for name in ("model.safetensors", RERANKER_FILE):
        assert (plain / name).read_bytes() == (trained / name).read_bytes()
    found = load_or_predict(plain, None, "test", changes=Changes(sets=("ranking=reranked",)))
    expected = read_records(trained / "predictions" / "test.jsonl")
    assert [record.phrases for record in found] == [record.phrases for record in expected]


def test_a_run_of_before_there_were_any_says_so(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    shutil.copytree(trained, old)
    (old / RERANKER_FILE).unlink()
    capsys.readouterr()
    assert main(["evaluate", str(old), "--json", *RERANKED]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: ranking=reranked: {old} has no {RERANKER_FILE}")
    assert error.count("\n") == 1
    assert main(["evaluate", str(old), "--json", "--set", "ranking=classifier"]) == 0
    assert only_json(capsys)["posts"] == 12


def test_a_system_with_one_part_has_none(tiny_dataset: Path, tmp_path: Path) -> None:
    assert train(tiny_dataset, tmp_path / "run", "--system", "cls-max") == 0
    assert not (tmp_path / "run" / RERANKER_FILE).exists()
    assert "reranked_f1@1" not in json.loads((tmp_path / "run" / "scores.json").read_text())
    with pytest.raises(UsageError, match="cls-max has no generator"):
        open_run(tmp_path / "run", ["ranking=reranked"])


def test_without_a_reranker_there_is_no_reranked_list(trained: Path, tiny_dataset: Path) -> None:
    run = open_run(trained)
    posts = run.reader(Dataset(tiny_dataset)).split("test")
    with pytest.raises(TypeError, match="needs a reranker"):
        predict(run.model, run.encode(posts), run.vocabularies, config=run.config)


def test_another_run_s_reranker_is_not_left_behind(tiny_dataset: Path, tmp_path: Path) -> None:
    """A system with one part does not read what an overwritten run has left."""
    assert train(tiny_dataset, tmp_path / "run") == 0
    assert Reranker.read(tmp_path / "run") is not None
    assert train(tiny_dataset, tmp_path / "run", "--system", "cls-max", "--overwrite") == 0
    assert open_run(tmp_path / "run").reranker is None
