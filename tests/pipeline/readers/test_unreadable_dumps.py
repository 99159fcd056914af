"""Dumps in which nothing or little is a post: the command says that it found no posts."""

import json
from pathlib import Path

import pytest

from tests.pipeline.fakes import small_dump
from tests.pipeline.warm import Said, Warm

JUNK = [
    b"<html><body>503 Service Unavailable</body></html>",
    b'1,"a day out",p1.jpg',
    b'{"id": 1, "te',
    b"\xff\xfe\x00",
]
SHORT = [json.dumps({"id": i, "text": "no", "image": "p1.jpg"}).encode() for i in range(len(JUNK))]


def build(m3h: Warm, folder: Path, lines: list[bytes]) -> Said:
    _, images = small_dump(folder / "source", 2)
    dump = folder / "dump.jsonl"
    dump.write_bytes(b"\n".join(lines) + b"\n")
    words = ["--dumps", dump, "--images", images, "--dataset", folder / "d", "--features", "none", "--workers", 1]
    return m3h.run("build", *words, "--progress", "none")


def test_a_dump_of_which_nothing_is_a_post_ends_with_one_line_and_nothing_is_made(m3h: Warm, tmp_path: Path) -> None:
    said = build(m3h, tmp_path, JUNK)
    assert said.code == 2, said.printed
    (error,) = said.errors
    assert "dump.jsonl: an HTML page" in error
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(("lines", "code"), [([*JUNK, *SHORT], 0), ([*JUNK, *SHORT[1:]], 1), (SHORT, 0)])
def test_more_than_half_of_a_dump_has_to_be_no_post_for_that(
    m3h: Warm, tmp_path: Path, lines: list[bytes], code: int
) -> None:
    """Posts that the rules drop are read well: nothing is kept, and that is how it is."""
    said = build(m3h, tmp_path, lines)
    assert said.code == code, said.printed
