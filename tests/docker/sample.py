"""A small part of the bundled sample in a folder that containers see as /data."""

import shutil
from pathlib import Path

from tests.commands import ROOT
from tests.docker.containers import free
from tests.pipeline.cases import some

SETTINGS = ("features.vgg_grid.weights=random", "clean.min_hashtag_count=1", "shards.images=4", "shards.posts=8")


def copy_inputs(folder: Path, posts: int) -> None:
    """The first posts of a dump, or all where all cases are wanted, and all pictures; everybody may write them."""
    with open(ROOT / "sample" / "dump_plain.jsonl", encoding="utf-8") as dump:
        lines = list(dump)
    (folder / "dump.jsonl").write_text("".join(lines[: len(some(lines, posts))]), encoding="utf-8")
    shutil.copytree(ROOT / "sample" / "images", folder / "images")
    free(folder)


def build_words(dataset: str = "dataset") -> list[str]:
    """To be run in that folder."""
    return ["build", "--dumps", "dump.jsonl", "--images", "images", "--dataset", dataset, "--set", *SETTINGS]
