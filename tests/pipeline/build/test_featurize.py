"""New posts without labels get the features of the dataset a model was trained on."""

import json
from pathlib import Path

import pytest

from m3h.pipeline.checks.verify import verify
from m3h.pipeline.readers.cmkp import FIELD_SEPARATOR
from m3h.schemas.dataset import Dataset
from tests.commands import run
from tests.pipeline.fakes import picture, small_dump

SETS = ("clean.min_hashtag_count=1", "shards.images=4")


@pytest.fixture(scope="module")
def like(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("like")
    dump, images = small_dump(folder, 6)
    words = ("--dumps", dump, "--images", images, "--features", "ocr", "--workers", 1)
    done = run("pipeline", "build", *words, "--dataset", folder / "dataset", "--set", *SETS)
    assert done.code == 0, done.err
    return folder / "dataset"


def new_posts(folder: Path) -> tuple[Path, Path]:
    """Short, foreign, repeated, without hashtags; the last without a picture."""
    texts = ["lovely", "was für ein schöner Morgen am Fluss heute", "lovely", "many #a #b #c #d #e #f #g", "gone"]
    for i in range(4):
        picture(folder / "pics" / f"n{i}.jpg", seed=min(i, 2))
    records = [{"id": 50 + i, "text": text, "image": f"n{i}.jpg"} for i, text in enumerate(texts)]
    (folder / "new.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder / "new.jsonl", folder / "pics"


def test_every_post_with_a_picture_stays_under_the_same_fingerprints(like: Path, tmp_path: Path) -> None:
    posts, pics = new_posts(tmp_path)
    words = (
        "--posts",
        posts,
        "--images",
        pics,
        "--like",
        like,
        "--dataset",
        tmp_path / "new",
        "--workers",
        1,
        "--json",
    )
    done = run("pipeline", "featurize", *words)
    assert done.code == 0, done.err
    summary = json.loads(done.out)
    assert (summary["kept"], summary["dropped"]) == (4, {"image_missing": 1})
    mine, theirs = Dataset(tmp_path / "new"), Dataset(like)
    assert mine.fingerprint("ocr") == theirs.fingerprint("ocr")
    rows = mine.posts.to_pylist()
    assert [row["post_id"] for row in rows] == ["50", "51", "52", "53"]
    assert {row["split"] for row in rows} == {"test"}
    assert rows[0]["keyphrases"] == []
    assert {row["image_sha256"] for row in mine.table("ocr").to_pylist()} == {row["image_sha256"] for row in rows}
    assert verify(tmp_path / "new").breaches == []


def test_a_fingerprint_that_would_be_another_is_refused_before_any_work(like: Path, tmp_path: Path) -> None:
    posts, pics = new_posts(tmp_path)
    words = ("--posts", posts, "--images", pics, "--like", like, "--dataset", tmp_path / "new")
    done = run("pipeline", "featurize", *words, "--set", "features.ocr.page_segmentation=11")
    assert done.code == 2
    assert f"feature ocr: {like} has" in done.err
    assert not (tmp_path / "new").exists()


def test_nothing_can_be_like_the_released_dataset(tmp_path: Path) -> None:
    cmkp = tmp_path / "cmkp"
    cmkp.mkdir()
    for split in ("train", "valid", "test"):
        line = FIELD_SEPARATOR.join(("one two three four", "five", f"http://host/{split}.jpg"))
        (cmkp / f"{split}_src.txt").write_text(f"{line}\n" * 2)
    posts, pics = new_posts(tmp_path)
    built = run("pipeline", "build", "--dumps", cmkp, "--format", "cmkp", "--dataset", tmp_path / "d", "--workers", 1)
    assert built.code == 0, built.err
    words = ("--posts", posts, "--images", pics, "--like", tmp_path / "d", "--dataset", tmp_path / "new")
    done = run("pipeline", "featurize", *words)
    assert (done.code, "brought its features ready-made" in done.err) == (2, True)
