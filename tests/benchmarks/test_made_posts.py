"""Posts made of others: as many as wanted, of the same lengths, with enough labels."""

from pathlib import Path

from benchmarks.made_posts import COLUMNS, SEP, main

SOURCE = {
    "src": [f"a storm over the sea{SEP}storm{SEP}u", f"new album out now{SEP}music;new album{SEP}u"],
    **{name: ["", "some words"] for name in COLUMNS},
}


def test_made_posts_have_the_lengths_of_the_source_and_the_labels_that_are_wanted(tmp_path: Path) -> None:
    source, out = tmp_path / "source", [tmp_path / "out", tmp_path / "again"]
    source.mkdir()
    for name, lines in SOURCE.items():
        (source / f"valid_{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for folder in out:
        options = ["--train", "300", "--held-out", "20", "--labels", "5"]
        assert main(["--source", str(source), "--out", str(folder), *options]) == 0
    rows = {
        split: [line.split(SEP) for line in (out[0] / f"{split}_src.txt").read_text().splitlines()]
        for split in ("train", "valid", "test")
    }
    assert {split: len(found) for split, found in rows.items()} == {"train": 300, "valid": 20, "test": 20}
    assert {len(text.split()) for text, _, _ in rows["train"]} == {4, 5}
    labels = {phrase for _, phrases, _ in rows["train"] for phrase in phrases.split(";")}
    assert {"storm", "music", "new album"} < labels
    assert 3 < len(labels) <= 5
    assert len((out[0] / "train_ocr.txt").read_text().splitlines()) == 300
    assert {file.name: file.read_bytes() for file in out[0].iterdir()} == {
        file.name: file.read_bytes() for file in out[1].iterdir()
    }
