"""Extractors of other packages: the recipe of CONTRIBUTING.md, built with; and packages that are broken or clash."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m3h.pipeline.checks.doctor import _outside_extractors as outside_check
from m3h.pipeline.extractors import extractor_class, make_extractor, outside, settings_of_all
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.shards import read_tensor_shard
from tests.commands import ROOT, run
from tests.pipeline.fakes import small_dump

RECIPE = (ROOT / "CONTRIBUTING.md").read_text().partition("## Add an image feature")[2]


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", RECIPE, re.DOTALL)
    assert found is not None
    return found[1]


def install(folder: Path, name: str, code: str, points: str, version: str = "1.0") -> Path:
    """A distribution `name` of one module, as pip would leave it."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (folder / f"{name}.py").write_text(code)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[m3h.extractors]\n{points}\n")
    return folder


def install_recipe(folder: Path) -> Path:
    header, point = block("toml").strip().splitlines()
    assert header == '[project.entry-points."m3h.extractors"]'
    return install(folder, "colours", block("python"), point.replace('"', ""))


@dataclass(frozen=True)
class BuiltWithRecipe:
    packages: Path
    images: Path
    dataset: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuiltWithRecipe:
    folder = tmp_path_factory.mktemp("recipe")
    packages = install_recipe(folder / "packages")
    dump, images = small_dump(folder, 6)
    asked = ("--features", "mean_colour", "--set", "features.mean_colour.cells=3", "clean.min_hashtag_count=1")
    words = ("--dumps", dump, "--images", images, "--dataset", folder / "dataset", *asked)
    done = run("pipeline", "build", *words, "--workers", 2, folders=[packages])
    assert done.code == 0, done.err
    return BuiltWithRecipe(packages, images, folder / "dataset")


def test_the_recipe_of_contributing_builds_a_dataset(built: BuiltWithRecipe) -> None:
    data = Dataset(built.dataset)
    version = data.manifest.features["mean_colour"].current_version
    assert version.rows == 6
    assert version.parts == {"cells": 3, "resize": "box", "package": "colours 1.0"}
    assert data.manifest.lineage["colours"] == "1.0"
    images, arrays = read_tensor_shard(built.dataset / version.shards[0])
    rows = dict(zip(images, arrays["features"], strict=True))
    for path in built.dataset.glob("images/*/*.jpg"):
        cells = np.asarray(Image.open(path).convert("RGB").resize((3, 3), Image.Resampling.BOX), np.float32) / 255
        np.testing.assert_array_equal(rows[path.stem], cells.reshape(9, 3).astype(np.float16))


def test_plan_says_what_a_change_of_its_settings_redoes_and_who_computed_it(built: BuiltWithRecipe) -> None:
    change = ("--set", "features.mean_colour.cells=2", "--json")
    planned = run("pipeline", "plan", "--dataset", built.dataset, *change, folders=[built.packages]).json
    assert planned["features"]["mean_colour"]["state"] == "redo"
    assert {"part": "cells", "from": 3, "to": 2} in planned["features"]["mean_colour"]["changes"]
    without = run("pipeline", "plan", "--dataset", built.dataset, "--json").json["features"]["mean_colour"]
    assert without["state"] == "blocked"
    assert without["why"] == "no extractor of that name is installed here; colours 1.0 computed it"


def test_a_setting_of_it_that_makes_no_sense_is_one_line_before_any_work(built: BuiltWithRecipe) -> None:
    change = ("--set", "features.mean_colour.cells=0")
    refused = run("pipeline", "refresh", "--dataset", built.dataset, *change, folders=[built.packages])
    assert refused.code == 2
    expected = "input should be greater than or equal to 1, got 0."
    assert refused.error == f"error: --set: features.mean_colour.cells: {expected}"


TINY = ("width=16", "word_width=8", "batch_size=16", "epochs=1", "warmup_epochs=1", "threads=1")


@pytest.mark.slow
def test_a_model_is_trained_on_it_and_says_where_it_looked(tmp_path: Path) -> None:
    """Neither needs the package any more: the dataset has the rows and says what they are like."""
    packages = install_recipe(tmp_path / "packages")
    dump, images = small_dump(tmp_path, 60)
    dataset, trained, out = tmp_path / "dataset", tmp_path / "run", tmp_path / "attention"
    words = ("--dumps", dump, "--images", images, "--dataset", dataset, "--features", "mean_colour")
    rules = (
        "clean.min_hashtag_count=1",
        "clean.near_text=0",
        "clean.near_images=0",
        "split.valid=0.3",
        "split.test=0.3",
    )
    done = run("pipeline", "build", *words, "--set", *rules, folders=[packages])
    assert done.code == 0, done.err
    learn = ("--dataset", dataset, "--system", "gen-cls-m3h", "--out", trained, "--set", "vision=[mean_colour]", *TINY)
    done = run("model", "train", *learn)
    assert done.code == 0, done.err
    post = Dataset(dataset).posts["post_id"][0].as_py()
    done = run("model", "attend", trained, "--post", post, "--out", out, "--json")
    assert done.code == 0, done.err
    seen = json.loads((out / "attention.json").read_text())
    assert "mean_colour" in json.dumps(seen)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path. What is installed in it is found until the test ends."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    outside.outside_extractors.cache_clear()
    yield folder
    outside.outside_extractors.cache_clear()


BROKEN = {
    "no module": ("", "broken = nowhere:Thing", "ModuleNotFoundError: No module named 'nowhere'"),
    "fails": ("raise RuntimeError('two\\nlines')", "broken = fails_here:Thing", "RuntimeError: two lines"),
    "no extractor": (
        "Thing = int",
        "broken = no_extractor:Thing",
        "expected a subclass of m3h.pipeline.extractors.base",
    ),
    "settings": (
        f"{block('python')}\nclass Bad(Settings):\n    needed: int\nclass Thing(MeanColour):\n    Settings = Bad\n",
        "broken = settings_here:Thing",
        "ValidationError: 1 validation error for Bad needed Field required",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_package_is_one_line_and_costs_only_itself(packages: Path, kind: str) -> None:
    code, point, said = BROKEN[kind]
    install(packages, point.partition("= ")[2].partition(":")[0].replace("nowhere", "elsewhere"), code, point)
    install_recipe(packages)
    with pytest.raises(UsageError) as refused:
        extractor_class("broken")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    settings = settings_of_all().model_validate({"broken": {"anything": 1}, "mean_colour": {"cells": 1}})
    assert make_extractor("mean_colour", settings.mean_colour).spec.arrays[0].shape == (1, 3)
    check = outside_check()
    assert not check.ok
    assert "mean_colour of colours 1.0" in check.found
    assert str(refused.value) in check.found


def test_two_packages_with_one_name_lose_it_and_nobody_takes_a_name_of_ours(packages: Path) -> None:
    install_recipe(packages)
    install(packages, "paints", block("python"), "mean_colour = paints:MeanColour\nocr = paints:MeanColour")
    with pytest.raises(
        UsageError, match=r"mean_colour: offered by colours 1\.0 and by paints 1\.0, so neither is used"
    ):
        extractor_class("mean_colour")
    assert extractor_class("ocr").__name__ == "Tesseract"
    assert "extractor ocr of paints 1.0: the name is taken by m3h's own extractor" in outside_check().found


def test_a_spec_of_another_name_and_a_fault_in_its_code_are_faults_of_the_package(packages: Path) -> None:
    install(packages, "shades", block("python"), "shades = shades:MeanColour")
    with pytest.raises(UsageError, match="expected a spec named shades, found one named mean_colour"):
        make_extractor("shades", extractor_class("shades").Settings())
    code = block("python").replace('return {"cells"', 'return {"missing": self.nowhere, "cells"')
    install(packages, "tints", code, "mean_colour = tints:MeanColour")
    outside.outside_extractors.cache_clear()
    tints = make_extractor("mean_colour", extractor_class("mean_colour").Settings())
    with pytest.raises(UsageError, match=r"extractor mean_colour of tints 1\.0: AttributeError: 'MeanColour'"):
        tints.identity()
