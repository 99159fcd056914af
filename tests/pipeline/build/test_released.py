"""The released dataset: imported as it is, and its Table 1 in every digit the paper prints."""

import json
from pathlib import Path

import pytest

from m3h.pipeline.checks.table1 import statistics
from m3h.schemas.dataset import Dataset
from tests.commands import run
from tests.conftest import Built


def test_table_1_in_every_printed_digit(released: Built) -> None:
    found = run("pipeline", "stats", "--dataset", released.folder, "--json").json
    printed = {
        split: (
            column["posts"], f"{column['post_len']:.2f}", f"{column['keyphrases_per_post']:.2f}",
            column["unique_keyphrases"], f"{column['keyphrase_len']:.2f}", f"{column['present_pct']:.2f}",
            column["vocab"],
        )
        for split, column in found.items() if split in ("valid", "test")
    }  # fmt: skip
    assert printed == {
        "valid": (5370, "26.81", "1.34", 2544, "1.85", "36.01", 16892),
        "test": (5372, "27.05", "1.32", 2534, "1.86", "37.45", 17021),
    }


def test_its_words_in_pictures_and_attributes(released: Built) -> None:
    found = run("pipeline", "stats", "--dataset", released.folder, "--json").json
    assert found["ocr"]["with_text_pct"] == pytest.approx(100 * (1918 + 1904) / 10742, abs=0.05)
    assert found["ocr"]["in_vocab_pct"] == pytest.approx(100 * (890 + 889) / 10742, abs=0.05)
    assert found["ocr"]["median_tokens"] == pytest.approx(16, abs=1)
    assert [label for label, _ in found["attributes"]["top"][:3]] == ["man", "shirt", "woman"]


def test_the_share_of_posts_with_keyphrases_in_their_pictures(released: Built, m3h_data: Path) -> None:
    """Against a count by another way; of the test split alone, the known 28.1 and 15.6 %."""

    def counted(split: str) -> tuple[int, int, int]:
        lines = (
            (m3h_data / "cmkp" / f"{split}_{name}.txt").read_text().split("\n")[:-1] for name in ("src", "ocr_final")
        )
        pairs = [(src.split("<sep>")[1].split(";"), ocr) for src, ocr in zip(*lines, strict=True) if ocr]
        word = sum(bool(set(" ".join(phrases).split()) & set(ocr.split())) for phrases, ocr in pairs)
        whole = sum(any(f" {phrase} " in f" {ocr} " for phrase in phrases) for phrases, ocr in pairs)
        return len(pairs), word, whole

    posts, word, whole = counted("test")
    assert (f"{100 * word / posts:.1f}", f"{100 * whole / posts:.1f}") == ("28.1", "15.6")
    both = [one + other for one, other in zip(counted("valid"), counted("test"), strict=True)]
    found = statistics(Dataset(released.folder))["ocr"]
    assert found["keyphrase_word_pct"] == pytest.approx(100 * both[1] / both[0])
    assert found["keyphrase_pct"] == pytest.approx(100 * both[2] / both[0])


def test_nothing_is_lost_and_nothing_is_cleaned(released: Built, m3h_data: Path) -> None:
    assert (released.summary["read"], released.summary["kept"]) == (10742, 10742)
    post = next(p for p in Dataset(released.folder).posts.to_pylist() if p["post_id"] == "valid-000001")
    line = (m3h_data / "cmkp" / "valid_src.txt").read_text().split("\n")[0]
    source, keyphrases, _ = line.split("<sep>")
    assert (post["tokens"], post["keyphrases"]) == (source.split(), keyphrases.split(";"))


def test_leaks_of_its_own_splits_are_counted_not_failed(released: Built) -> None:
    leaks = json.loads((released.folder / "manifest.json").read_text())["counts"]["leaks"]
    assert leaks["groups"] >= 10  # one picture and nine texts stand in both splits
    assert run("pipeline", "verify", "--dataset", released.folder).code == 0


def write_split(folder: Path, split: str, lines: list[str], **sidecars: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    for suffix, content in {"src": lines, **sidecars}.items():
        (folder / f"{split}_{suffix}.txt").write_text("".join(line + "\n" for line in content))


def test_broken_lines_are_dropped_with_their_position(tmp_path: Path) -> None:
    lines = [
        "a cat sat<sep>cats<sep>https://x/1.jpg",
        "two<sep>fields",
        "a dog\u2028ran<sep>dogs;pets<sep>https://x/2.jpg",
    ]
    write_split(tmp_path / "s", "train", lines, ocr_final=["", "", "bark loud"])
    done = run("pipeline", "build", "--dumps", tmp_path / "s", "--dataset", tmp_path / "d", "--workers", 1, "--json")
    assert done.code == 0, done.err
    assert (done.json["read"], done.json["kept"], done.json["dropped"]) == (3, 2, {"bad_line": 1})
    dataset = Dataset(tmp_path / "d")
    posts = {post["post_id"]: post for post in dataset.posts.to_pylist()}
    assert posts["train-000003"]["keyphrases"] == ["dogs", "pets"]
    words = {row["image_sha256"]: row["tokens"] for row in dataset.table("ocr").to_pylist()}
    assert words[posts["train-000003"]["image_sha256"]] == ["bark", "loud"]


def test_sidecars_of_another_length_are_refused_by_name(tmp_path: Path) -> None:
    write_split(tmp_path / "s", "test", ["a cat sat<sep>cats<sep>https://x/1.jpg"], ocr=["one", "two"])
    done = run("pipeline", "build", "--dumps", tmp_path / "s", "--dataset", tmp_path / "d", "--workers", 1)
    assert done.code == 1
    assert "test_ocr.txt: expected 1 lines as in test_src.txt, got 2" in done.error


def test_features_cannot_be_asked_of_it(tmp_path: Path) -> None:
    write_split(tmp_path / "s", "test", ["a cat sat<sep>cats<sep>https://x/1.jpg"])
    done = run("pipeline", "build", "--dumps", tmp_path / "s", "--dataset", tmp_path / "d", "--features", "vgg_grid")
    assert (done.code, "no pictures to compute" in done.error) == (2, True)
