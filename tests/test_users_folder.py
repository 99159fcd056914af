"""A folder of the user's with modules of common names: none of ours, nor of our helper processes, imports them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import ROOT, command, environment
from tests.pipeline.attributes.scenes import draw_scenes, write_captions

NAMES = ("json.py", "model.py", "pipeline/__init__.py", "pickle.py", "random.py", "schemas/__init__.py", "socket.py")
NAMES += ("tempfile.py", "torch.py")
IMPORTED = "imported.txt"


def folder_of_a_user(folder: Path) -> Path:
    """Every module writes down that it was imported, and by which process; then it fails."""
    line = f"import os\nwith open({str(folder / IMPORTED)!r}, 'a') as file:\n"
    line += "    file.write(f'{__file__} {os.getpid()}\\n')\nraise ImportError(__file__)\n"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(line)
    return folder


def few_pictures(folder: Path) -> Path:
    """A dump with the sample's first posts."""
    dump = folder / "few.jsonl"
    dump.write_text("".join((ROOT / "sample" / "dump_plain.jsonl").read_text().splitlines(keepends=True)[:24]))
    return dump


def run_there(words: list[str], folder: Path) -> None:
    """As a user would, whose folder is not on PYTHONPATH."""
    names = {name: value for name, value in environment().items() if name not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    done = subprocess.run(words, cwd=folder, env=names, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    imported = folder / IMPORTED
    assert not imported.exists(), imported.read_text()


@pytest.mark.parametrize("program", ["m3h", "pipeline"])
def test_a_build_with_helpers_and_workers_imports_nothing_of_the_user_s(program: str, tmp_path: Path) -> None:
    """Two workers, each with its own process that decodes pictures and its own for OCR."""
    dump = few_pictures(tmp_path)
    words = ["--images", ROOT / "sample" / "images", "--dataset", "d", "--workers", 2, "--features", "ocr"]
    words += ["--set", "clean.min_hashtag_count=1"]
    run_there(command(program, "build", "--dumps", dump, *words), folder_of_a_user(tmp_path))
    assert (tmp_path / "d" / "manifest.json").is_file()


@pytest.mark.parametrize("program", ["m3h", "model"])
def test_the_trainer_imports_nothing_of_the_user_s(program: str, tmp_path: Path) -> None:
    run_there(command(program, "systems"), folder_of_a_user(tmp_path))


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 starts such processes in the current folder")
@pytest.mark.parametrize("program", ["m3h", "pipeline"])
def test_processes_that_a_library_starts_import_nothing_of_the_user_s(program: str, tmp_path: Path) -> None:
    """As those of `train-attributes`, which come from the standard library's multiprocessing."""
    scenes = draw_scenes(tmp_path / "images", 80, seed=0)
    write_captions(tmp_path / "captions.json", [scene.captions for scene in scenes])
    words = ["--captions", "captions.json", "--images", "images", "--out", "head.safetensors", "--workers", 2]
    words += ["--set", "trunk.backbone=shufflenet_v2_x0_5", "trunk.weights=random", "fit.epochs=1"]
    run_there(command(program, "train-attributes", *words), folder_of_a_user(tmp_path))
