"""The trainer refuses a file that is not what the manifest says: by name, before the first step, leaving nothing."""

import shutil
from pathlib import Path

import pytest

from m3h.model.cli import main
from m3h.model.training.trainer import Trainer

FILES = [
    "posts/part-00000.parquet",
    "features/ocr/*/shard-*",
    "features/vgg_grid/*/shard-*",
    "features/attributes/*/shard-*",
    "manifest.json",
]
SIZES = ["word_width=8", "width=16", "heads=2", "head_width=4", "batch_size=8", "epochs=1", "threads=1"]


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first step fails."""

    def step(*_: object) -> None:
        raise AssertionError("it began to train")

    monkeypatch.setattr(Trainer, "run", step)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["first byte", "middle byte", "end", "all"])
@pytest.mark.usefixtures("idle")
def test_a_broken_file_is_refused_by_name_before_the_first_step(
    tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, damage: str
) -> None:
    dataset = shutil.copytree(tiny_dataset, tmp_path / "dataset")
    (path,) = dataset.glob(name)
    data = bytearray(path.read_bytes())
    if damage == "all":
        path.unlink()
    elif damage == "end":
        path.write_bytes(data[:-1])
    else:
        data[0 if damage == "first byte" else len(data) // 2] ^= 1
        path.write_bytes(data)
    out = tmp_path / "run"
    assert (
        main(["train", "--dataset", str(dataset), "--system", "gen-cls-m3h", "--out", str(out), "--set", *SIZES]) == 1
    )
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert path.name in line
    assert not out.exists()
