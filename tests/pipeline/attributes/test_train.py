"""`train-attributes`: what it learns, what it computes once, and that a stop changes nothing."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from m3h.model.data.posts import Reader
from m3h.pipeline.attributes import vectors
from m3h.pipeline.attributes.config import TrainAttributesConfig
from m3h.pipeline.attributes.curve import draw
from m3h.pipeline.attributes.fit import Fit
from m3h.pipeline.attributes.train import TrainOptions, train_attributes
from m3h.pipeline.checks.verify import verify
from m3h.pipeline.cli import main
from m3h.pipeline.engine.shard_engine import padded
from m3h.pipeline.extractors.attributes import Attributes, AttributeSettings
from m3h.pipeline.images.picture import Picture
from m3h.pipeline.images.store import image_path
from m3h.schemas.config import resolve
from m3h.schemas.dataset import Dataset
from tests.commands import command, environment, files_of, run, seen_in
from tests.pipeline.attributes.scenes import COLOURS, SHAPES, draw_scenes, write_captions

SETS = ["trunk.backbone=shufflenet_v2_x0_5", "trunk.weights=random", "fit.batch_size=32", "fit.learning_rate=0.003"]
SETS += ["fit.valid_percent=20", "fit.epochs=12"]


class Trained:
    """Planted scenes, a head trained on them, and how to train again."""

    def __init__(self, folder: Path, number: int) -> None:
        self.images, self.captions = folder / "images", folder / "captions.json"
        self.cache = folder / "cache"
        scenes = draw_scenes(self.images, number, seed=0)
        write_captions(self.captions, [scene.captions for scene in scenes])
        self.out = folder / "made" / "head.safetensors"
        self.report = self.train(self.out)

    def train(self, out: Path, *sets: str, vocabulary: Path | None = None, **options: Any) -> dict[str, Any]:
        config = resolve(TrainAttributesConfig, None, [*SETS, f"cache={self.cache}", *sets])
        given = {"captions": self.captions, "images": self.images, **options}
        return train_attributes(TrainOptions(out=out, vocabulary=vocabulary, config=config, **given))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(tmp_path_factory.mktemp("planted"), 120)


def labels_of(head: Path, pictures: Sequence[Path]) -> list[list[str]]:
    """The feature's, as the engine would compute them."""
    settings = {"backbone": "shufflenet_v2_x0_5", "weights": "random", "head": str(head)}
    extractor = Attributes(AttributeSettings.model_validate(settings))
    extractor.load()
    inputs = [extractor.prepare(Picture(path)) for path in pictures]
    return [list(row["labels"]) for i in range(0, len(inputs), 8) for row in padded(extractor, inputs[i : i + 8])]


def test_a_head_finds_attributes_in_new_pictures_far_better_than_the_most_frequent_ones(
    trained: Trained, tmp_path: Path
) -> None:
    words = json.loads(trained.out.with_suffix(".vocabulary.json").read_text())
    assert set(words) == {*COLOURS, *SHAPES}
    scenes = draw_scenes(tmp_path, 24, seed=99)
    found = labels_of(trained.out, [tmp_path / f"{i}.jpg" for i in range(24)])
    ours = np.mean([len(scene.words & set(labels)) / 3 for scene, labels in zip(scenes, found, strict=True)])
    frequent = np.mean([len(scene.words & set(words[:5])) / 3 for scene in scenes])
    assert ours > frequent + 0.15, (ours, frequent)


def test_the_report_has_the_metrics_beside_those_of_the_most_frequent_attributes(trained: Trained) -> None:
    report = trained.report
    assert report["images"] == 120
    assert report["attributes"] == 11
    assert report["map"] > report["most_frequent"]["map"] + 0.15
    assert report["recall_at_5"] > report["most_frequent"]["recall_at_5"] + 0.15
    whole = json.loads(trained.out.with_suffix(".report.json").read_text())
    assert {name: whole[name] for name in ("map", "valid", "epoch")} == {
        n: report[n] for n in ("map", "valid", "epoch")
    }
    assert [epoch["epoch"] for epoch in whole["epochs"]] == list(range(1, 13))
    assert whole["epochs"][-1]["train_loss"] < whole["epochs"][0]["train_loss"]
    assert whole["map"] == max(epoch["map"] for epoch in whole["epochs"])
    assert trained.out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a picture is computed again")

    monkeypatch.setattr(vectors, "compute", refuse)


@pytest.mark.usefixtures("no_network")
def test_another_vocabulary_computes_no_picture_again(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("circles\nblue\n")
    report = trained.train(tmp_path / "h.safetensors", vocabulary=tmp_path / "mine.txt")
    assert (report["attributes"], report["from"]) == (2, "a list")
    assert json.loads((tmp_path / "h.vocabulary.json").read_text()) == ["circles", "blue"]


class Stop(BaseException):
    """As good as a kill, for files that are whole or absent."""


def stopped_before(number: int, work: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether `work` was stopped before the number-th file that it puts in place."""
    left, replace = [number], os.replace

    def dying(*args: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Stop
        replace(*args)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", dying)
        try:
            work()
        except Stop:
            return True
    return False


@pytest.mark.usefixtures("no_network")
def test_a_training_that_is_stopped_anywhere_ends_with_the_same_bytes(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained.train(tmp_path / "whole" / "head.safetensors", "fit.epochs=3")
    expected = files_of(tmp_path / "whole")
    assert set(expected) == {f"head.{end}" for end in ("safetensors", "vocabulary.json", "report.json", "png")}
    changes = 3 + len(expected)  # a checkpoint an epoch, and the files
    for number in (2, 4, 5, 7, changes + 1):
        train = partial(trained.train, tmp_path / f"{number}" / "head.safetensors", "fit.epochs=3")
        assert stopped_before(number, train, monkeypatch) == (number <= changes)
        train()
        assert files_of(tmp_path / f"{number}") == expected


@pytest.mark.usefixtures("no_network")
def test_finished_epochs_are_not_repeated_and_another_training_starts_from_the_beginning(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    out = tmp_path / "head.safetensors"
    assert stopped_before(3, lambda: trained.train(out, "fit.epochs=3"), monkeypatch)
    trained.train(out, "fit.epochs=3")
    assert "continuing after epoch 2" in caplog.text
    assert stopped_before(3, lambda: trained.train(out, "fit.epochs=3"), monkeypatch)
    caplog.clear()
    trained.train(out, "fit.epochs=3", "fit.seed=1")
    assert "belongs to another training; starting from the beginning" in caplog.text
    (tmp_path / "head.unfinished").write_bytes(b"half a file")
    trained.train(out, "fit.epochs=3")
    assert "not readable" in caplog.text


def test_the_vectors_of_a_broken_cache_file_are_computed_again(tmp_path: Path) -> None:
    small = Trained(tmp_path, 16)
    before = small.out.read_bytes()
    (chunk,) = small.cache.rglob("*.h5")
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:1000])
    small.train(small.out)
    assert chunk.read_bytes() == whole
    assert small.out.read_bytes() == before


def test_pictures_that_are_missing_or_broken_are_counted_and_listed(tmp_path: Path, trained: Trained) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for i in range(40):
        (images / f"{i}.jpg").write_bytes((trained.images / f"{i}.jpg").read_bytes())
    (images / "5.jpg").write_bytes(b"no picture")
    (images / "6.jpg").write_bytes((images / "7.jpg").read_bytes())
    report = trained.train(tmp_path / "h.safetensors", images=images)
    assert (report["images"], report["missing"], report["unreadable"]) == (38, 80, 1)
    whole = json.loads((tmp_path / "h.report.json").read_text())
    assert whole["missing_images"][:2] == ["40.jpg", "41.jpg"]
    assert whole["unreadable_images"]["5.jpg"].startswith("image_not_jpeg")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--captions", "BROKEN"), "expected COCO's captions as JSON"),
        (("--captions", "NONE"), "expected captions in `annotations`, found none"),
        (("--captions", "no.json"), "--captions no.json: No such file or directory"),
        (("--images", "EMPTY"), "none of the 120 pictures with captions exists"),
        (("--images", "nowhere"), "--images nowhere: no such folder"),
        (("--out", "head.pt"), "--out head.pt: expected a name that ends in .safetensors"),
        (("--vocabulary", "no.txt"), "--vocabulary no.txt: No such file or directory"),
        (("--set", "fit.epoch=3"), "no field 'fit.epoch'. Did you mean 'fit.epochs'?"),
        (("--set", "trunk.backbone=resnet17"), "no backbone named 'resnet17'"),
    ],
)
def test_mistakes_are_usage_errors_in_one_line(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, str], told: str
) -> None:
    (tmp_path / "BROKEN").write_text('{"images": [')
    (tmp_path / "NONE").write_text('{"images": [], "annotations": []}')
    (tmp_path / "EMPTY").mkdir()
    given = {
        "--captions": str(trained.captions),
        "--images": str(trained.images),
        "--out": str(tmp_path / "h.safetensors"),
    }
    given |= {"--set": "trunk.weights=random", words[0]: str(tmp_path / words[1]) if words[1].isupper() else words[1]}
    assert main(["train-attributes", *(word for pair in given.items() for word in pair)]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert told in line
    assert not (tmp_path / "h.safetensors").exists()


def test_without_matplotlib_nothing_is_drawn_and_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert not draw(tmp_path / "curve.png", [], {}, best_epoch=0)
    assert list(tmp_path.iterdir()) == []


def test_pictures_without_any_attribute_are_a_usage_error(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "words").write_text("unicorn")
    words = ["--captions", trained.captions, "--images", trained.images, "--out", tmp_path / "h.safetensors"]
    words += ["--vocabulary", tmp_path / "words", "--set", *SETS, f"cache={trained.cache}"]
    assert main(["train-attributes", *map(str, words)]) == 2
    assert "none of them has one of the 1 attributes" in capsys.readouterr().err


def cli(trained: Trained, out: Path, cache: Path, workers: int) -> list[object]:
    words = ["--captions", trained.captions, "--images", trained.images, "--out", out, "--workers", workers, "--json"]
    return ["train-attributes", *words, "--set", *SETS, "fit.epochs=200", f"cache={cache}"]


@pytest.mark.parametrize("length", range(0, 64, 4))
def test_a_checkpoint_s_products_are_those_of_the_head_that_was_saved(tmp_path: Path, length: int) -> None:
    """Wherever the bytes of a tensor lie in the file: a signature of another length moves them."""
    weight_vd, bias_v, x_bd = torch.randn(5, 1000), torch.randn(5), torch.randn(1, 1000)
    signature = "s" * length
    Fit({"weight": weight_vd, "bias": bias_v}).save(tmp_path / "h.unfinished", signature)
    read = Fit.load(tmp_path / "h.unfinished", signature)
    assert read is not None
    assert torch.equal(x_bd @ read.head["weight"].T, x_bd @ weight_vd.T)


@pytest.mark.slow
def test_any_number_of_processes_and_a_sigkill_end_with_the_same_bytes(trained: Trained, tmp_path: Path) -> None:
    plain = tmp_path / "plain" / "head.safetensors"
    done = run("pipeline", *cli(trained, plain, tmp_path / "one", 1))
    assert done.code == 0, done.err
    assert done.json["images"] == 120
    killed = tmp_path / "killed" / "head.safetensors"
    words = command("pipeline", *cli(trained, killed, tmp_path / "two", 2))
    for waits_for in (tmp_path / "two", tmp_path / "killed"):
        process = subprocess.Popen(words, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not any(path.suffix in {".h5", ".unfinished", ".safetensors"} for path in seen_in(waits_for, "**/[!.]*")):
            assert process.poll() in (None, 0)
            time.sleep(0.02)
        process.kill()  # SIGKILL
        process.wait()
    done = run("pipeline", *cli(trained, killed, tmp_path / "two", 2))
    assert done.code == 0, done.err
    ours, theirs = files_of(killed.parent), files_of(plain.parent)
    assert {name: data for name, data in ours.items() if not name.startswith(".tmp-")} == theirs
    assert [p.name for p in vectors_of(tmp_path / "one")] == [p.name for p in vectors_of(tmp_path / "two")]


def vectors_of(cache: Path) -> list[Path]:
    return sorted(cache.rglob("[!.]*.h5"))


@pytest.mark.slow
def test_real_captions_and_pictures(m3h_data: Path, tmp_path: Path) -> None:
    """COCO's: everything works; what is reached with a random backbone and 51 pictures is no claim."""
    lines = [json.loads(line) for line in (m3h_data / "captions_coco" / "captions.jsonl").read_text().splitlines()]
    images = [{"id": i, "file_name": line["file"]} for i, line in enumerate(lines)]
    said = [(i, caption) for i, line in enumerate(lines) for caption in line["captions"]]
    annotations = [{"id": k, "image_id": i, "caption": caption} for k, (i, caption) in enumerate(said)]
    (tmp_path / "c.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    words = ["--captions", tmp_path / "c.json", "--images", m3h_data / "captions_coco" / "images"]
    words += ["--out", tmp_path / "h.safetensors", "--set", *SETS]
    done = run("pipeline", "train-attributes", *words, "--json")
    assert done.code == 0, done.err
    assert (done.json["images"], done.json["missing"], done.json["unreadable"]) == (51, 0, 0)
    assert done.json["attributes"] > 50
    assert {"man", "people", "street", "white"} <= set(json.loads((tmp_path / "h.vocabulary.json").read_text()))


@pytest.mark.slow
def test_a_build_with_a_trained_head_gives_the_trainer_its_attributes(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    lines = []
    for i in range(6):
        (tmp_path / "images" / f"{i}.jpg").write_bytes((trained.images / f"{i}.jpg").read_bytes())
        lines.append(
            {"id": i, "text": f"a drawing of number {'abcdef'[i]} for you #tag", "image": f"{i}.jpg", "lang": "en"}
        )
    (tmp_path / "dump.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    settings = ["backbone=shufflenet_v2_x0_5", "weights=random", f"head={trained.out}", "top=3"]
    sets = [f"features.attributes.{setting}" for setting in settings] + ["clean.min_hashtag_count=1"]
    words = ["--dumps", tmp_path / "dump.jsonl", "--images", tmp_path / "images", "--dataset", tmp_path / "d"]
    done = run("pipeline", "build", *words, "--features", "attributes", "--set", *sets)
    assert done.code == 0, done.err
    dataset = Dataset(tmp_path / "d")
    posts = Reader(dataset, ["attributes"]).split("all")
    image_of = {post["post_id"]: post["image_sha256"] for post in dataset.posts.to_pylist()}
    stored = [image_path(dataset.folder, image_of[post]) for post in posts.ids]
    assert posts.attributes == [labels[:3] for labels in labels_of(trained.out, stored)]
    assert verify(tmp_path / "d").ok
