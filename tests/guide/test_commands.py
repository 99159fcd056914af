"""The commands of README and docs, run in the order of a page; what they print is what the page shows.

The three tutorials come first, in one folder. Every other page finds there what its examples name: `data/tw` is the
dataset as it is after the first tutorial, `runs/full` is the first run of the third.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from tests.commands import ROOT, environment
from tests.guide.blocks import PAGES, PYTHON, Block, blocks, name
from tests.guide.printed import Fingerprints, differs

TUTORIALS = [ROOT / "docs" / f"{page}.md" for page in ("make_dataset", "change_feature", "train_compare_predict")]
OTHERS = [page for page in PAGES if page not in TUTORIALS and any(block.is_run for block in blocks(page))]
SECONDS = 600

pytestmark = pytest.mark.slow


@dataclass
class Reader:
    """Somebody who follows a page to the letter, in a folder."""

    folder: Path
    fingerprints: Fingerprints

    @cached_property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        return {**environment(), "PATH": path, "COLUMNS": "132", "M3H_WEIGHTS": str(self.folder / "weights")}

    def follow(self, page: Path) -> list[str]:
        """Run the page's blocks; what was not as the page says."""
        return [wrong for block in blocks(page) if block.is_run for wrong in self._block(block)]

    def _block(self, block: Block) -> list[str]:
        if block.language == PYTHON:
            done = self._run([sys.executable, "-c", block.text])
            return [f"{block.place}: {done.stderr}"] if done.returncode else []
        found = []
        for command in block.commands:
            done = self._run(["bash", "-c", self.fingerprints.in_command(command.words)])
            if done.returncode != (block.exit_code if command == block.commands[-1] else 0):
                found.append(f"{block.place}: {command.words}: exit {done.returncode}\n{done.stdout}{done.stderr}")
            elif command.printed:
                wrong = [differs(command.printed, text, self.fingerprints) for text in (done.stdout, done.stderr)]
                found += [f"{block.place}: {command.words}: {wrong[0]}\n{done.stderr}"] if all(wrong) else []
        return found

    def _run(self, words: list[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )


@dataclass(frozen=True)
class Followed:
    """The folder of the tutorials, and what went wrong in each."""

    reader: Reader
    wrong: Mapping[str, list[str]]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Followed:
    reader = Reader(tmp_path_factory.mktemp("tutorials"), Fingerprints())
    (reader.folder / "sample").symlink_to(ROOT / "sample")
    first = {name(TUTORIALS[0]): reader.follow(TUTORIALS[0])}
    shutil.copytree(reader.folder / "demo" / "dataset", reader.folder / "first")
    return Followed(reader, first | {name(page): reader.follow(page) for page in TUTORIALS[1:]})


@pytest.mark.parametrize("page", TUTORIALS, ids=name)
def test_a_tutorial_does_what_it_says(followed: Followed, page: Path) -> None:
    assert followed.wrong[name(page)] == []


@pytest.mark.parametrize("page", OTHERS, ids=name)
def test_the_commands_of_a_page_do_what_it_says(followed: Followed, page: Path, tmp_path: Path) -> None:
    made = followed.reader.folder
    (tmp_path / "sample").symlink_to(ROOT / "sample")
    shutil.copytree(made / "first", tmp_path / "data" / "tw")
    shutil.copytree(made / "demo" / "run", tmp_path / "runs" / "full")
    (tmp_path / "raw").mkdir()
    shutil.copy(ROOT / "sample" / "dump_v1.jsonl.gz", tmp_path / "raw")
    shutil.copytree(ROOT / "sample" / "images", tmp_path / "raw" / "images")
    NEEDS.get(page.stem, lambda folder: None)(tmp_path)
    assert Reader(tmp_path, followed.reader.fingerprints).follow(page) == []


def _later_dump(folder: Path) -> None:
    """Another month's dump, with its pictures."""
    posts = [
        {"id": str(2 * 10**18), "text": "Nobody told me the dough needs a nap #BreadBaking", "image": "photo_0000.jpg"}
    ]
    with gzip.open(folder / "raw" / "2021-07.jsonl.gz", "wt") as dump:
        dump.writelines(f"{json.dumps(post)}\n" for post in posts)
    shutil.copytree(folder / "raw" / "images", folder / "raw" / "images-07")


def _withdrawn(folder: Path) -> None:
    """Ids of three posts, a dropped record, and a post that was never here."""
    ids = (
        "1084067481769032701",
        "1083767483129467930",
        "1084186798796786904",
        "1083587784462443507",
        "1000000000000000001",
    )
    (folder / "withdrawn.txt").write_text("".join(f"{post}\n" for post in ids))


def _picture(folder: Path) -> None:
    shutil.copy(ROOT / "sample" / "images" / "E04r5kE4VT4sBLD.jpg", folder / "photo.jpg")


def _no_dump(folder: Path) -> None:
    """A file that looks like a pickle: its first bytes, and no more."""
    (folder / "pics").mkdir()
    (folder / "tweets.pkl").write_bytes(b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94.")


def _damage(folder: Path) -> None:
    (shard,) = (folder / "data" / "tw").glob("features/ocr/*/shard-00001-of-*.parquet")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)


NEEDS: Mapping[str, Callable[[Path], None]] = {
    "README": _picture,
    "building": _later_dump,
    "forgetting": _withdrawn,
    "dumps": _no_dump,
    "surviving": _damage,
}
"""What a page takes for granted beside the dataset and the runs, by its name."""
