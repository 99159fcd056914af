"""What each input carries, and the scores of posts that training has not shown."""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from m3h.model.cli import main
from m3h.model.config import Config
from m3h.model.runs.evaluate import Changes, evaluate_run, open_run
from m3h.model.runs.experiment import prepare_folder, train_run
from m3h.model.runs.run import RunMetadata, predictions_file
from m3h.model.runs.unseen import unseen_posts
from m3h.model.scoring.predictions import read_records
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.posts import Post
from tests.model.fakes import fake_post, write_dataset


def unseen(tmp_path: Path, posts: Sequence[Post], other: Path | None = None, **fields: str) -> set[str]:
    folder = write_dataset(tmp_path / "data", posts)
    return unseen_posts(Config(**fields), RunMetadata(str(folder), "0" * 64, {}, ["text"]), other)


def shared(tmp_path: Path) -> list[Post]:
    """Two training posts; of the test posts, only the last one shares nothing with them."""
    return [
        fake_post(1, "look at <url>", ["sea"], "train", "image-a"),
        fake_post(2, "another one", ["sea"], "train", "image-b"),
        fake_post(1, "<mention> look at", ["sea"], "test", "image-c"),
        fake_post(2, "so good", ["sea"], "test", "image-b"),
        fake_post(3, "so new", ["sea"], "test", "image-d").having(group="train-1"),
        fake_post(4, "<url>", ["sea"], "test", "image-e"),
    ]


def test_a_post_that_shares_text_picture_or_group_with_training_is_seen(tmp_path: Path) -> None:
    assert unseen(tmp_path, shared(tmp_path)) == {"test-00004"}


def test_what_is_training_depends_on_the_run(tmp_path: Path) -> None:
    assert unseen(tmp_path, shared(tmp_path), train_split="test") == set()
    assert unseen(tmp_path / "b", [fake_post(1, "a b", [], "train"), fake_post(1, "c d", [], "test")]) == {"test-00001"}


def test_groups_of_two_datasets_are_not_compared(tmp_path: Path) -> None:
    other = write_dataset(tmp_path / "other", shared(tmp_path)[2:])
    assert unseen(tmp_path, shared(tmp_path), other) == {"test-00003", "test-00004"}


@pytest.fixture(scope="module")
def run(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("robust") / "run"
    config = Config(
        **{"system": "cls-m3h+wording", "word_width": 8, "width": 16, "heads": 2, "head_width": 4, "batch_size": 8},
        **{"epochs": 6, "learning_rate": 0.01, "n_best": 3, "threads": 1, "dropout": 0.0},
    )
    train_run(config, Dataset(tiny_dataset), folder, progress=lambda batches, title: batches)
    return folder


def test_evaluate_has_a_line_of_the_posts_that_share_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("test (cmkp, 12 posts): F1@1 0.")
    assert lines[1].startswith("sharing no text and no picture with training (12 posts): F1@1 0.")
    assert main(["evaluate", str(run), "--split", "train"]) == 0
    assert "sharing no text and no picture with training (0 posts)" in capsys.readouterr().out.splitlines()


def test_where_the_dataset_is_gone_the_scores_are_there_all_the_same(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    moved = shutil.copytree(run, tmp_path / "moved")
    described = json.loads((moved / "run.json").read_text()) | {"dataset": str(tmp_path / "nowhere")}
    (moved / "run.json").write_text(json.dumps(described))
    assert main(["evaluate", str(moved), "--json"]) == 0
    assert "leak_free" not in json.loads(capsys.readouterr().out)
    assert "nowhere: no such dataset folder." in caplog.text
    for words in (["evaluate", str(moved), "--without", "ocr"], ["attend", str(moved), "--post", "a"]):
        assert main(words) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error == (
            f"error: {moved} was trained on {tmp_path / 'nowhere'}: no such dataset folder. "
            "Name where it is now with --dataset."
        )


def test_robustness_scores_each_input_in_each_way_and_keeps_it(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--robustness", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert json.loads((run / "robustness-test.json").read_text()) == found
    inputs = ["text", "ocr", "vision", "attributes", "all of the picture"]
    assert [(row["input"], row["way"]) for row in found["rows"]] == [
        (name, way) for name in inputs for way in ("without", "shuffle", "noise")
    ]
    for row in found["rows"]:
        assert row["difference"] == pytest.approx(row["all"]["f1@1"] - found["all"]["f1@1"])
        assert row["posts"] == 12
    of = {(row["input"], row["way"]): row["all"] for row in found["rows"]}
    for name in ("text", "vision"):
        assert main(["evaluate", str(run), "--without", name, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["all"] == of[name, "without"]
    assert main(["evaluate", str(run), "--without", "ocr", "vision", "attributes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["all"] == of["all of the picture", "without"]


def test_what_was_kept_of_a_run_goes_when_it_is_trained_anew(run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run, tmp_path / "run")
    (folder / "robustness-test.json").write_text("{}")
    prepare_folder(open_run(folder), overwrite=True)
    assert sorted(path.name for path in folder.glob("*s-*.json")) == []


def test_texts_of_a_prediction_are_those_of_the_post_also_where_the_run_saw_others(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = predictions_file(run, "test").read_bytes()
    assert main(["evaluate", str(run), "--shuffle", "text", "--noise", "vgg_grid", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["shuffle"], found["noise"]) == (["text"], ["vgg_grid"])
    assert found["subsets"]["length"]["0-9"]["posts"] == 12
    assert predictions_file(run, "test").read_bytes() == stored
    assert {
        one.attribution for record in read_records(predictions_file(run, "test")) for one in record.predictions
    } == {"classifier"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--without", "visoin"], "named 'visoin'. Did you mean 'vision'?"),
        (["--without", "vision", "--noise", "vgg_grid"], "the input vision is named twice"),
        (["--robustness", "--without", "ocr"], "--robustness: alters every input itself"),
    ],
)
def test_what_cannot_be_altered_is_one_line(
    run: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), *words]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_dataset_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such dataset folder"):
        unseen_posts(Config(), RunMetadata(str(tmp_path / "x"), "", {}, ["text"]), None)


def test_every_prediction_of_an_evaluation_is_shown_to_its_end(run: Path) -> None:
    shown: list[tuple[str, int]] = []

    def progress(batches: Iterable[np.ndarray], title: str) -> Iterator[np.ndarray]:
        posts = 0
        for rows in batches:
            yield rows
            posts += len(rows)
        shown.append((title, posts))

    evaluate_run(run, None, "test", definition="cmkp", changes=Changes(ways={"without": ["text"]}), progress=progress)
    assert shown == [("predicting", 12)]
    evaluate_run(run, None, "train", definition="cmkp", against=run, progress=progress)
    assert shown[1:] == []  # its predictions of these posts are in its folder
    predictions_file(run, "train").unlink()
    evaluate_run(run, None, "train", definition="cmkp", progress=progress)
    assert shown[1:] == [("predicting", 48)]
