"""`inspect` says what dumps are and how they would be read, and writes nothing."""

import gzip
import json
from pathlib import Path

import pytest

from tests.pipeline.readers.tables.made import PHOTO, WRITERS
from tests.pipeline.warm import Warm

NAMES = ("tweet_id", "full_text", "photos", "split", "date")
ROWS = (
    *(("1", "written by @a_person #Tide", PHOTO, "train", "2019-01-03"), ("2", "b", PHOTO, "part2", "")),
    *(("3", "c", "", "", ""), ("4", "d", "", "", ""), ("1.78e+18", "e", PHOTO, "", "")),
)


def test_a_table_is_told_in_words_and_as_json(m3h: Warm, tmp_path: Path) -> None:
    WRITERS["semicolons"](tmp_path / "a.csv", NAMES, ROWS)
    before = sorted(tmp_path.rglob("*"))
    said = m3h.run("inspect", tmp_path / "a.csv")
    assert said.code == 0, said.printed
    assert "a.csv: text, separated by semicolons; 5 records, 4 of them posts" in said.printed
    assert "id from tweet_id, text from full_text, created_at from date" in said.printed
    assert "written by <mention> #Tide" in said.printed
    assert "a_person" not in said.printed
    assert "split could not be read in 1 posts" in said.printed
    assert "dropped 1, bad_field" in said.printed
    assert "the first at position 5: tweet_id: 1.78e+18 is a decimal number" in said.printed
    (found,) = m3h.run("inspect", tmp_path / "a.csv", "--json").json["files"]
    assert (found["records"], found["posts"], found["dropped"]) == (5, 4, {"bad_field": 1})
    assert (found["formats"], found["unread_fields"]) == ({"jsonl": 5}, {"split": 1})
    assert found["taken"]["pictures"] == ["photos"]
    assert [sample["id"] for sample in found["samples"]] == ["1", "2", "3"]
    assert sorted(tmp_path.rglob("*")) == before


def test_each_file_is_told_by_itself(m3h: Warm, tmp_path: Path) -> None:
    status = {"id_str": "1", "text": "a", "user": {}}
    lines = [status, {"id": 2, "text": "b", "image": "b.jpg"}, {"number": 3}]
    (tmp_path / "a.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    WRITERS["parquet"](tmp_path / "b", NAMES, ROWS)
    WRITERS["sqlite"](tmp_path / "c", ("number", "words"), (("1", "a"),))
    (tmp_path / "d").write_text("number,words\n1,a\n")
    first, second, third, fourth = m3h.run("inspect", tmp_path, "--json").json["files"]
    assert (first["layout"], first["compression"]) == ("lines of JSON", "gzip")
    assert (first["formats"], first["dropped"]) == ({"jsonl": 1, "v1": 1}, {"unknown_format": 1})
    assert (second["layout"], second["taken"]["id"]) == ("Parquet", ["tweet_id"])
    assert (third["dropped"], fourth["dropped"]) == ({"unknown_table": 1}, {"unknown_columns": 1})


def test_a_mapping_is_tried_before_anything_is_built(m3h: Warm, tmp_path: Path) -> None:
    (tmp_path / "d").write_text("number,words\n1,a\n")
    mapped = ["--set", "read.fields.id=number", "read.fields.text=words"]
    (found,) = m3h.run("inspect", tmp_path / "d", *mapped, "--json").json["files"]
    assert (found["posts"], found["taken"]["text"]) == (1, ["words"])
    assert m3h.run("inspect", tmp_path / "d", "--set", "read.fields.id=number[").code == 2
    assert m3h.run("inspect", tmp_path / "d", *mapped, "--format", "v1").code == 2
    assert m3h.run("inspect", tmp_path / "none").code == 2


@pytest.mark.parametrize(
    "data", [b"", b"\x00\xff" * 9, b"PAR1", b"SQLite format 3\0", b"PK\x03\x04", b"\x1f\x8b", b"["]
)
def test_a_file_that_cannot_be_read_is_told_too(m3h: Warm, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "d").write_bytes(data)
    said = m3h.run("inspect", tmp_path / "d")
    assert said.code == 0, said.printed
    assert said.printed.startswith("d: ")
    assert "Traceback" not in said.printed


def test_a_table_is_built_and_its_dropped_rows_come_out_as_a_dump(m3h: Warm, tmp_path: Path) -> None:
    rows = [
        (str(n), f"a walk along the {name} with my dog #Tide", f"p{n}.jpg") for n, name in enumerate(("sea", "lake"))
    ]
    WRITERS["csv"](tmp_path / "a.csv", ("id", "text", "image"), [*rows, ("1.5e+18", "a walk #Tide", "p0.jpg")])
    (tmp_path / "images").mkdir()
    words = ["--dumps", tmp_path / "a.csv", "--images", tmp_path / "images", "--features", "none", "--workers", 1]
    said = m3h.run("build", *words, "--dataset", tmp_path / "d", "--progress", "none", "--json")
    assert said.json["dropped"] == {"bad_field": 1, "image_missing": 2}
    out = tmp_path / "broken.jsonl"
    m3h.run(
        "dropped", "--dataset", tmp_path / "d", "--reason", "bad_field", "--dumps", tmp_path / "a.csv", "--out", out
    )
    assert json.loads(out.read_text())["id"] == "1.5e+18"
