"""The command line, as a user meets it."""

import fcntl
import json
import re
import shutil
import sys
import types
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from m3h.model import load
from m3h.model.cli import main
from m3h.model.scoring.predictions import read_records
from m3h.model.systems import SYSTEMS
from tests.model.fakes import OCR, fake_post, write_dataset

SMALL = [
    "--set",
    "word_width=8",
    "width=16",
    "heads=2",
    "head_width=4",
    "batch_size=16",
    "warmup_epochs=1",
    "beam=4",
    "n_best=3",
    "threads=1",
]


def train(dataset: Path, out: Path, *more: str) -> int:
    system = [] if "--system" in more else ["--system", "gen-cls-m3h"]
    return main(["train", "--dataset", str(dataset), "--out", str(out), *system, "--epochs", "2", *more, *SMALL])


@pytest.fixture(scope="module")
def finished(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "full"
    assert train(tiny_dataset, out) == 0
    return out


def only_json(capsys: pytest.CaptureFixture[str]) -> dict:
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    return json.loads(lines[0])


def test_a_run_folder_holds_all_that_is_needed_to_repeat_it(finished: Path, tiny_dataset: Path) -> None:
    names = {path.relative_to(finished).as_posix() for path in finished.rglob("*") if path.is_file()}
    assert names == {
        "config.json",
        "run.json",
        "model.safetensors",
        "words.json",
        "labels.json",
        "attributes.json",
        "log.jsonl",
        "scores.json",
        "keyphrases.json",
        "reranker.json",
        "predictions/valid.jsonl",
        "predictions/test.jsonl",
    }
    header, *epochs = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    assert header["run"]["features"].keys() == {"ocr", "vgg_grid", "attributes"}
    assert header["run"]["manifest"] == (tiny_dataset / "manifest.sha256").read_text().split()[0]
    assert [epoch["epoch"] for epoch in epochs] == [1, 2]


def test_evaluate_gives_the_scores_of_training_exactly(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = json.loads((finished / "scores.json").read_text())
    for split, part in (("test", "test"), ("valid", "select")):
        assert main(["evaluate", str(finished), "--split", split, "--json"]) == 0
        printed = only_json(capsys)
        assert {name: printed[name] for name in ("posts", "all", "present", "absent")} == scores[part]
        assert printed["definition"] == "cmkp"


def test_score_on_the_run_s_own_file_gives_the_same(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--predictions", str(finished / "predictions" / "test.jsonl"), "--json"]) == 0
    printed = only_json(capsys)
    assert printed == {"definition": "cmkp", **json.loads((finished / "scores.json").read_text())["test"]}


def test_predict_writes_what_training_wrote(finished: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    files = finished / "predictions"
    for name in ("found.jsonl", "found.txt"):
        assert main(["predict", str(finished), "--dataset", str(tiny_dataset), "--out", str(tmp_path / name)]) == 0
    written = [record.model_dump() for record in read_records(tmp_path / "found.jsonl")]
    sources = {prediction["attribution"] for record in written for prediction in record["predictions"]}
    assert sources <= {"generated", "text", "ocr", "classifier"}
    assert written == [record.model_dump() for record in read_records(files / "test.jsonl")]
    records = [json.loads(line) for line in (files / "test.jsonl").read_text().splitlines()]
    lines = [";".join(prediction["phrase"] for prediction in record["predictions"]) for record in records]
    assert (tmp_path / "found.txt").read_text().splitlines() == lines


def test_predict_shows_readable_examples(
    finished: Path, tiny_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(finished), "--dataset", str(tiny_dataset), "--show", "2"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^test-00001: .*\n  gold:      .+\n  predicted: ", out)
    assert out.count("gold:") == 2
    assert main(["predict", str(finished), "--dataset", str(tiny_dataset), "--show", "1", "--scores"]) == 0
    assert re.search(r"predicted: [a-z ]+ \(0\.\d{3} (generated|text|ocr|classifier)\); ", capsys.readouterr().out)


def test_predict_gives_as_many_phrases_as_their_chances_say(
    finished: Path, tiny_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", str(finished), "--dataset", str(tiny_dataset)]
    assert main([*words, "--how-many", "auto", "--json"]) == 0
    auto = only_json(capsys)["predictions"]
    plain = read_records(finished / "predictions" / "test.jsonl")
    learned = load(finished).calibration
    for post, record in zip(auto, plain, strict=True):
        chances = learned.chances([one.score or 0.0 for one in record.predictions])
        assert [one["phrase"] for one in post] == record.phrases[: learned.how_many(chances)]
        assert [one["chance"] for one in post] == pytest.approx(chances[: len(post)].tolist())
    assert main([*words, "--how-many", "1", "--scores"]) == 0
    first = capsys.readouterr().out.splitlines()
    assert all(re.fullmatch(r"[^;]+ \(0\.\d{3} \w+, chance [01]\.\d\d\)", line) for line in first)
    assert main([*words, "--min-score", "1.5"]) == 2
    assert "--min-score 1.5: expected a chance from 0 to 1" in capsys.readouterr().err


def test_evaluate_scores_the_chosen_phrases_alone(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(finished), "--how-many", "1", "--json"]) == 0
    one, plain = only_json(capsys), json.loads((finished / "scores.json").read_text())["test"]["all"]
    assert one["all"]["f1@1"] == plain["f1@1"] == one["all"]["f1@M"] == one["all"]["f1@5"]
    assert one["chosen"]["phrases"] == one["chosen"]["posts"] <= one["posts"]
    assert one["chosen"]["right"] == one["all"]["precision@M"]
    assert main(["evaluate", str(finished), "--min-score", "1"]) == 0
    assert re.search(r"^chosen: [\d,]+ phrases for [\d,]+ posts", capsys.readouterr().out, re.MULTILINE)
    assert main(["evaluate", str(finished), "--how-many", "auto", "--set", "beam=2"]) == 2
    assert "leave --set out" in capsys.readouterr().err


def test_chances_of_the_posts_they_were_learned_from_are_named(
    finished: Path, tiny_dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In whatever folder these posts lie, and of both runs of a comparison; not of posts of another split."""
    other, moved = tmp_path / "other", tmp_path / "moved"
    shutil.copytree(finished, other)
    shutil.copytree(tiny_dataset, moved)
    words = ["evaluate", str(finished), "--how-many", "auto", "--against", str(other), "--split"]
    for more in ([], ["--dataset", str(moved)]):
        caplog.clear()
        assert main([*words, "valid", *more]) == 0
        named = [said.split(": ")[0] for said in caplog.messages if "its chances were learned from these posts" in said]
        assert named == [str(finished), str(other)]
    caplog.clear()
    assert main([*words, "test", "--dataset", str(moved)]) == 0
    assert not any("were learned from these posts" in said for said in caplog.messages)


def test_chances_need_what_the_run_was_selected_by(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (run / "predictions" / "valid.jsonl").unlink()
    assert main(["predict", str(run), "--text", "storm hour", "--how-many", "auto"]) == 2
    said = capsys.readouterr().err
    assert said.endswith(f"valid.jsonl: not there, and chances are learned from it: m3h evaluate {run} --split valid\n")
    assert main(["evaluate", str(run), "--split", "train", "--how-many", "auto"]) == 2
    assert not (run / "predictions" / "train.jsonl").exists()  # before anything is predicted
    assert main(["predict", str(run), "--text", "storm hour"]) == 0
    assert main(["evaluate", str(run), "--split", "valid"]) == 0
    assert main(["predict", str(run), "--text", "storm hour", "--how-many", "auto"]) == 0


def test_fewer_examples_than_none_are_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "run", "--text", "a", "--show", "-1"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        "error: Invalid value for '--show': "
    )  # the rest is Typer's, and differs between its versions
    assert said.count("\n") == 1


def test_predict_reads_a_raw_text_without_an_image(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["So excited to see storm hour! #kca #maga", "look at this"]
    assert main(["predict", str(finished), "--text", *texts, "--json"]) == 0
    printed = only_json(capsys)
    assert printed["posts"] == 2
    for post in printed["predictions"]:
        assert 1 <= len(post) <= 3
        assert all(0 <= prediction["score"] <= 1 for prediction in post)


def test_a_text_without_words_costs_only_itself(
    finished: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    words = ["predict", str(finished), "--text", "look at this kca", "--text", "#only #tags", "--text", "storm hour"]
    assert main(words) == 0
    first, none, last, end = capsys.readouterr().out.split("\n")
    assert (bool(first), none, bool(last), end) == (True, "", True, "")
    assert "text '#only #tags': no word left after cleaning; it has no keyphrases." in caplog.text
    alone = load(finished).predict(["storm hour"])
    assert load(finished).predict(["", "storm hour"]) == [[], alone[0]]


def test_three_lines_of_python_predict_the_same(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    m = load(finished)
    found = m.predict(["waiting for new music"])
    chosen = m.predict(["waiting for new music"], how_many=1, min_score=0.0)
    assert [[one.phrase for one in post] for post in chosen] == [[found[0][0].phrase]]
    assert chosen[0][0].chance == pytest.approx(m.calibration.chances([found[0][0].score])[0])
    assert main(["predict", str(finished), "--text", "waiting for new music"]) == 0
    assert capsys.readouterr().out.strip() == ";".join(prediction.phrase for prediction in found[0])


def test_predict_needs_neither_features_nor_keyphrases(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    bare = write_dataset(tmp_path / "d", [fake_post(i, "waiting for new music", [], "test") for i in (1, 2)])
    with caplog.at_level("INFO"):
        assert main(["predict", str(finished), "--dataset", str(bare)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert "has no attributes, ocr, vgg_grid" in caplog.messages[0]


def test_the_first_line_tells_what_is_read_and_what_is_random(
    tiny_dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text_only = write_dataset(tmp_path / "d", [fake_post(i, f"look at this {i}", ["kca"], "train") for i in range(9)])
    with caplog.at_level("INFO"):
        assert train(text_only, tmp_path / "one", "--select", "last:2") == 0
    assert caplog.messages[0] == (
        "gen-cls-m3h reads text; left out, because the dataset has no such feature: ocr, vision (vgg_grid), attributes"
    )
    caplog.clear()
    with caplog.at_level("INFO"):
        assert train(tiny_dataset, tmp_path / "two") == 0
    assert caplog.messages[0] == ("gen-cls-m3h reads text, ocr, vision, attributes; note: vgg_grid weights are random")


@pytest.mark.parametrize("system", [name for name in SYSTEMS if "butd" not in name])
def test_every_system_trains_and_evaluates(
    tiny_dataset: Path, tmp_path: Path, system: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tiny_dataset, tmp_path / "run", "--system", system) == 0
    assert re.search(r"test \(cmkp, 12 posts\): F1@1 0\.\d{4}", capsys.readouterr().out)
    assert main(["evaluate", str(tmp_path / "run"), "--definition", "per-post"]) == 0
    assert "test (per-post, 12 posts): F1@1" in capsys.readouterr().out


def test_shards_that_somebody_holds_under_lock_are_trained_on(tiny_dataset: Path, tmp_path: Path) -> None:
    with ExitStack() as held:
        for shard in tiny_dataset.rglob("*.h5"):
            fcntl.flock(held.enter_context(open(shard)), fcntl.LOCK_EX)
        assert train(tiny_dataset, tmp_path / "run") == 0


def test_a_system_whose_pictures_the_dataset_lacks_is_a_wrong_use(
    tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tiny_dataset, tmp_path / "run", "--system", "cls-butd-max") == 2
    assert "cls-butd-max cannot be without vision" in capsys.readouterr().err


def test_a_finished_run_can_rank_and_search_in_other_ways(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (finished / "predictions" / "test.jsonl").read_bytes()
    scores = {}
    for sets in (
        [],
        ["ranking=classifier"],
        ["ranking=interleaved"],
        ["ranking=rescored"],
        ["ranking=reranked"],
        ["ranking=generator", "beam=2", "search=released"],
    ):
        options = ["--set", *sets] if sets else []
        assert main(["evaluate", str(finished), "--json", *options]) == 0
        scores[str(sets)] = only_json(capsys)["all"]["recall@5"]
    assert len(set(scores.values())) > 1
    assert (finished / "predictions" / "test.jsonl").read_bytes() == before
    assert "can only change how it searches" in failing(["evaluate", str(finished), "--set", "width=8"], capsys)


def test_a_list_that_no_part_makes_is_refused(
    tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", "--dataset", str(tiny_dataset), "--system", "gen-copy", "--out", str(tmp_path / "r"), "--set"]
    assert "gen-copy has no classifier" in failing([*argv, "ranking=reciprocal_rank"], capsys)


def test_the_oracle_finds_what_stands_in_the_text(tiny_dataset: Path, tmp_path: Path) -> None:
    assert train(tiny_dataset, tmp_path / "run", "--system", "ext-oracle") == 0
    for record in read_records(tmp_path / "run" / "predictions" / "test.jsonl"):
        text = f" {' '.join(record.tokens)} "
        assert [prediction.phrase for prediction in record.predictions] == [
            p for p in record.keyphrases if f" {p} " in text
        ]


def test_the_sizes_of_systems_follow_the_vocabularies(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["systems", "--json", "--vocab", "45006", "--labels", "4262"]) == 0
    released = next(row for row in only_json(capsys) if row["name"] == "released")
    assert (released["parameters"], released["second_phase_parameters"]) == (26_500_205, 14_541_408)
    assert main(["systems", "--json", "--vocab", "1000", "--labels", "4262"]) == 0
    smaller = next(row for row in only_json(capsys) if row["name"] == "released")
    assert released["parameters"] - smaller["parameters"] == 44_006 * (200 + 301)


def test_several_seeds_are_summed_up(tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tiny_dataset, tmp_path, "--system", "gen-copy", "--seed", "1", "2", "--json") == 0
    printed = only_json(capsys)
    scores = [json.loads((tmp_path / f"seed-{n}" / "scores.json").read_text())["test"]["all"]["f1@1"] for n in (1, 2)]
    assert printed["mean"]["f1@1"] == pytest.approx(sum(scores) / 2)
    assert printed["sd"]["f1@1"] == pytest.approx(abs(scores[0] - scores[1]) / 2**0.5)
    assert json.loads((tmp_path / "summary.json").read_text()) == printed


def test_systems_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["systems", "--json"]) == 0
    printed = {row["name"]: row for row in only_json(capsys)}
    assert printed["gen-cls-m3h"]["inputs"] == ["text", "ocr", "vision", "attributes"]
    assert main(["systems"]) == 0
    assert "GEN-CLS-M3H-ATT" in capsys.readouterr().out


def failing(argv: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one error line of a command that must be a wrong use."""
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["train", "--dataset", "{d}", "--system", "gen-cpy"], "Did you mean 'gen-copy'"),
        (["train", "--dataset", "nowhere"], "no such dataset folder"),
        (["train", "--dataset", "{d}", "--set", "droput=0.1"], "Did you mean 'dropout'"),
        (["train", "--dataset", "{d}", "--out", "{run}"], "a finished run"),
        (["train", "--dataset", "{d}", "--out", "{d}"], "not a run folder"),
        (["train", "--dataset", "{d}", "--out", "{new}", "--set", "device=gpu9"], "device 'gpu9'"),
        (["evaluate", "{new}"], "no finished run"),
        (["evaluate", "{run}", "--definition", "mine"], "no definition named 'mine'"),
        (["evaluate", "{run}", "--split", "tset"], "no posts in split 'tset'"),
        (["predict", "{run}"], "either --dataset or --text"),
        (["score", "--predictions", "none"], "give them with --targets"),
        (["predict", "{run}", "--text", "#only #tags"], "no word left"),
        (["score", "--predictions", "none", "--targets", "none"], "No such file"),
        (["trian"], "No such command"),
    ],
)
def test_wrong_use_is_one_error_line(
    argv: list[str], says: str, finished: Path, tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"d": tiny_dataset, "run": finished, "new": tmp_path / "new"}
    assert says in failing([word.format(**places) for word in argv], capsys)


def test_other_features_than_those_of_training_are_refused(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_dataset(
        tmp_path / "d",
        [fake_post(1, "look at this kca", ["kca"], "test", "i")],
        {OCR: {"i": {"tokens": ["kca"]}}},
        fingerprint="f" * 16,
    )
    line = failing(["evaluate", str(finished), "--dataset", str(other)], capsys)
    assert "its ocr is ffffffffffffffff" in line


def test_a_changed_weights_file_is_refused(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    (copy / "model.safetensors").write_bytes(b"nonsense")
    assert main(["predict", str(copy), "--text", "waiting for new music"]) == 1
    assert "not this run's weights" in capsys.readouterr().err


def test_a_broken_shard_is_refused_by_name_before_the_first_step(
    tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = tmp_path / "dataset"
    shutil.copytree(tiny_dataset, dataset)
    (shard,) = (dataset / "features" / "vgg_grid").rglob("shard-*.h5")
    damaged = bytearray(shard.read_bytes())
    damaged[-1] ^= 1
    shard.write_bytes(damaged)
    assert train(dataset, tmp_path / "run") == 1
    assert f"error: {shard}: sha256 is" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_tensorboard_that_is_not_installed_is_one_line(
    tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    arguments = ["train", "--dataset", str(tiny_dataset), "--out", str(tmp_path / "run"), "--set", "tensorboard=true"]
    assert "pip install tensorboard" in failing(arguments, capsys)


def test_the_log_s_numbers_go_to_tensorboard_by_step(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[tuple[str, float, int]] = []

    class Writer:
        def __init__(self, folder: str) -> None:
            self.add_scalar = lambda name, value, step: logged.append((name, value, step))

        def close(self) -> None:
            logged.append(("closed", 0.0, 0))

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
    assert train(tiny_dataset, tmp_path / "run", "--system", "cls-max", "--set", "tensorboard=true", "log_steps=2") == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    steps, epochs = ([line for line in lines if key in line] for key in ("loss", "f1"))
    assert [scalar for scalar in logged if scalar[0] == "loss"] == [
        ("loss", line["loss"], line["step"]) for line in steps
    ]
    assert ("train/joint", epochs[0]["train"]["joint"], epochs[0]["step"]) in logged
    assert logged[-1][0] == "closed"


def test_overwrite_trains_anew(tiny_dataset: Path, tmp_path: Path) -> None:
    for more in ([], ["--overwrite"]):
        assert train(tiny_dataset, tmp_path / "run", "--system", "cls-max", *more) == 0


COMMANDS = ("train", "evaluate", "predict", "serve", "score", "sweep", "reproduce", "attend", "systems")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_begins_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    usage, empty, example = capsys.readouterr().out.splitlines()[:3]
    assert usage.startswith("Usage:")
    assert empty == ""
    assert example.strip().startswith(f"m3h {command}")
