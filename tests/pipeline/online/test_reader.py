"""A post by its text and its picture is read as the build read it, or one line says what is missing."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from m3h.pipeline.online.reader import OnlineReader
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.manifest import Manifest
from m3h.schemas.posts import RawPost
from tests.commands import ROOT
from tests.conftest import Built
from tests.pipeline.fakes import picture


@pytest.fixture(scope="module")
def texts(sample: Built) -> OnlineReader:
    """A reader of texts alone: no extractor is loaded."""
    return OnlineReader(sample.folder, {})


def test_every_text_gives_the_tokens_of_the_build_as_stored_and_as_written(sample: Built, texts: OnlineReader) -> None:
    """Stored texts have placeholders for people. Records of the plain dump have no more than their text."""
    posts = {post["post_id"]: post for post in Dataset(sample.folder).posts.to_pylist()}
    lines = (ROOT / "sample" / "dump_plain.jsonl").read_bytes().splitlines()
    records = [json.loads(line) for line in lines if line.startswith(b"{") and line.endswith(b"}")]
    written = {str(record["id"]): record["text"] for record in records if str(record.get("id")) in posts}
    assert len(written) > 100
    given = [*((name, post["text"]) for name, post in posts.items()), *written.items()]
    read = texts.read([RawPost(name, text) for name, text in given])
    assert [post.tokens for post in read] == [posts[name]["tokens"] for name, _ in given]


def test_a_hashtag_is_read_as_the_dataset_reads_it_however_it_is_written(texts: OnlineReader) -> None:
    posts = texts.read([RawPost("1", f"so much #{tag} for us") for tag in ("bookfair", "BOOKfair")])
    assert [post.tokens for post in posts] == [["so", "much", "book", "fair", "for", "us"]] * 2


def refusal(*words: object) -> str:
    with pytest.raises(UsageError) as refused:
        OnlineReader(*words)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_weights_that_are_not_there_are_named_with_their_digest_and_their_place(sample: Built, tmp_path: Path) -> None:
    copy = tmp_path / "dataset"
    copy.mkdir()
    shutil.copy(sample.folder / "hashtags.tsv", copy)
    known, print_ = Manifest.read(sample.folder), Dataset(sample.folder).fingerprint("vgg_grid")
    of_grid = known.features["vgg_grid"]
    parts = {**of_grid.current_version.parts, "weights": f"sha256:{'ab' * 32}"}
    version = replace(of_grid.current_version, parts=parts, settings={"weights": "/far/vgg16.pth"})
    known.features["vgg_grid"] = of_grid.added(print_, version)
    known.write(copy)
    unnamed = refusal(copy, {"vgg_grid": print_})
    assert "features.vgg_grid.weights=/far/vgg16.pth, which you have not named" in unnamed
    said = refusal(copy, {"vgg_grid": print_}, ["features.vgg_grid.weights=/far/vgg16.pth"])
    assert said.startswith(f"feature vgg_grid {print_} needs weights sha256:{'ab' * 32}, given as /far/vgg16.pth then.")


def test_an_extractor_of_another_version_is_named_with_what_differs(sample: Built) -> None:
    prints = {"ocr": Dataset(sample.folder).fingerprint("ocr")}
    said = refusal(sample.folder, prints, ["features.ocr.page_segmentation=6"])
    assert said.startswith(f"feature ocr: {sample.folder} has {prints['ocr']}, this machine would make ")
    assert said.endswith(": options.page_segmentation was 3 and is 6.")
    assert "has no ocr of 0123" in refusal(sample.folder, {"ocr": "0123456789abcdef"})


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "image_empty"), (b"\x89PNG", "image_not_jpeg"), (None, "no such file"), (b"cut", "image_truncated")],
)
def test_what_is_no_picture_is_one_line(texts: OnlineReader, tmp_path: Path, data: bytes | None, reason: str) -> None:
    path = tmp_path / "shown.jpg"
    if data == b"cut":
        data = picture(tmp_path / "whole.jpg", 1).read_bytes()[:-200]
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError, match=reason) as refused:
        texts.read([RawPost(f"image {path}", "a", picture=path)])
    assert str(refused.value).startswith(f"image {path}: ")
