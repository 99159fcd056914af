"""Files from outside, made to harm: refused by name, in one line; nothing in them runs, and no memory is filled."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import m3h.model.cli
import m3h.pipeline.cli
from m3h.schemas.files import publish_text, sha256_file
from m3h.schemas.manifest import MANIFEST, MANIFEST_HASH, FileEntry, Manifest
from tests.commands import ROOT
from tests.hostile_files import SIZES, TABLE, Hostile, World
from tests.model.fakes import ATTRIBUTES, OCR, VGG_GRID, fake_post, write_dataset
from tests.pipeline.fakes import small_dump

MEMORY = 700 << 20
"""Bytes that refusing a file may take beside what was taken before: libraries are loaded meanwhile."""

MAIN = {"model": m3h.model.cli.main, "pipeline": m3h.pipeline.cli.main}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, a run trained on it, a dump and its pictures."""
    folder = tmp_path_factory.mktemp("world")
    texts = [f"so excited for new music tonight {word}" for word in ("one", "two", "three", "four")]
    posts = [
        fake_post(i, t, ["new music"], s)
        for i, (t, s) in enumerate(zip(texts, ("train", "train", "valid", "test"), strict=True))
    ]
    images = [post.image_sha256 for post in posts]
    rows = {
        OCR: {image: {"tokens": ["tonight"]} for image in images},
        VGG_GRID: {image: {"features": np.zeros((49, 512), np.float16)} for image in images},
        ATTRIBUTES: {image: {"labels": ["man", "sign", "sea", "white", "street"]} for image in images},
    }
    dataset = write_dataset(folder / "dataset", posts, rows)
    words = ["train", "--dataset", dataset, "--system", "gen-cls-m3h", "--epochs", 1, "--out", folder / "run"]
    assert m3h.model.cli.main([str(word) for word in (*words, "--set", *SIZES)]) == 0
    small_dump(folder, posts=1)
    return folder


def seal(dataset: Path) -> None:
    """Let the manifest vouch for what lies there: whoever makes hostile files makes hashes too."""
    if (dataset / MANIFEST).read_bytes()[:1] == b"{" and b"NaN" not in (dataset / MANIFEST).read_bytes():
        manifest = Manifest.read(dataset)
        manifest.files = {
            name: FileEntry.of(dataset / name, known.rows) if (dataset / name).resolve().is_file() else known
            for name, known in manifest.files.items()
        }
        manifest.write(dataset)
    publish_text(dataset / MANIFEST_HASH, f"{sha256_file(dataset / MANIFEST)}  {MANIFEST}\n")


@pytest.fixture(autouse=True)
def _own_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M3H_WEIGHTS", str(tmp_path / "weights"))


@pytest.fixture
def peak() -> Iterator[None]:
    """No more than MEMORY is taken: this process's highest mark is set back before, and read after."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _highest()
    yield
    assert _highest() - before < MEMORY


def _highest() -> int:
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) << 10


@pytest.mark.usefixtures("peak")
@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.what, marks=() if case.code else pytest.mark.slow) for case in TABLE]
)
def test_a_hostile_file_is_refused_by_name_and_runs_nothing(
    case: Hostile, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(world, tmp_path / "world")
    around = World(folder / "dataset", folder / "run", tmp_path / "mark", tmp_path / "outside")
    around.outside.write_bytes(bytes(1 << 20))
    path = folder / case.file
    case.make(path, around)
    if case.file.startswith("dataset/") and "/." not in case.file:
        seal(around.dataset)
    places = {"dataset": around.dataset, "run": around.run, "file": path, "new": tmp_path / "new"}
    places |= {"dump": folder / "dump.jsonl", "images": folder / "images"}
    program, *words = (word.format(**places) for word in case.command)
    code = MAIN[program](words)
    out, err = capsys.readouterr()
    assert code == case.code, err
    assert "Traceback" not in err
    assert case.said in out + err
    lines = [line for line in err.splitlines() if line.startswith("error:")]
    assert len(lines) == (1 if code else 0)
    if code:
        assert path.name in lines[0]
        assert len(lines[0]) < 2000
    assert not around.mark.exists()
    assert around.outside.read_bytes() == bytes(1 << 20)
    assert not list(tmp_path.glob("mark*"))


def test_the_page_lists_what_is_tried() -> None:
    page = (ROOT / "docs" / "untrusted.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| ([^|]+) \| (?:refused|read)", page, re.MULTILINE) == [case.what for case in TABLE]
