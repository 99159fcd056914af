"""Ctrl-C to a build of several processes, at several moments: one line, nothing left, and the same command goes on."""

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.commands import command, environment, files_of, run, seen_in
from tests.pipeline.fakes import small_dump
from tests.pipeline.helpers import gone, wait_for

MOMENTS = {
    "before Beam": ".build/signature.json",
    "while records are read": ".build/judged/**/*",
    "while rows are computed": ".build/receipts/**/*.json",
    "a little later": ".build/receipts/**/*00004*.json",
}
"""What lies in the dataset's folder by then."""


def interrupted(words: list[object], seen: Path, pattern: str) -> str:
    """What the command wrote on stderr until it ended by Ctrl-C; a shell sends that to its whole group."""
    process = subprocess.Popen(
        command("pipeline", *words), env=environment(), start_new_session=True, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip
    wait_for(lambda: process.poll() is not None or bool(seen_in(seen, pattern)), 120)
    started = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    os.killpg(process.pid, signal.SIGINT)  # some press it twice
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    wait_for(lambda: all(map(gone, started)), 10)
    return err


@pytest.mark.slow
def test_interrupted_again_and_again_the_same_command_finishes(tmp_path: Path) -> None:
    dump, images = small_dump(tmp_path, 40)
    rules = ("clean.min_hashtag_count=1", "shards.images=4")
    base = ["build", "--dumps", dump, "--images", images, "--workers", 2, "--features", "ocr", "--set", *rules]
    words = [*base, "--dataset", tmp_path / "disturbed"]
    for moment, pattern in MOMENTS.items():
        err = interrupted(words, tmp_path / "disturbed", pattern)
        told = [line for line in err.splitlines() if line.startswith("error:")]
        assert told == ["error: interrupted; run the same command again."], moment
        assert "Traceback" not in err, moment
    assert run("pipeline", *words).code == 0
    assert run("pipeline", *base, "--dataset", tmp_path / "whole").code == 0
    assert files_of(tmp_path / "disturbed") == files_of(tmp_path / "whole")
