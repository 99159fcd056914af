"""The bundled sample through the whole pipeline: every record ends where it was planned to."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from m3h.pipeline.checks.verify import verify
from m3h.pipeline.extractors.compute import ComputeSettings
from m3h.pipeline.extractors.tesseract import Tesseract, TesseractSettings
from m3h.pipeline.extractors.vgg_grid import VggGrid
from m3h.pipeline.images.picture import Picture
from m3h.pipeline.images.store import image_path
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import IntegrityError
from tests.commands import ROOT, files_of, run
from tests.conftest import Built

REASONS = {
    "broken_image": "image_truncated",
    "grey_image": "image_grey",
    "not_a_jpeg": "image_not_jpeg",
    "not_english": "other_language",
    "two_images": "several_images",
}
"""The sample's words for a fault, where the pipeline has another."""


def test_every_record_is_kept_or_dropped_for_the_planned_reason(sample: Built, expected: dict[str, Any]) -> None:
    assert sample.summary["read"] == sum(expected["records"].values())
    assert sample.summary["kept"] == expected["kept"]["total"]
    planned = {REASONS.get(reason, reason): number for reason, number in expected["dropped"].items()}
    assert sample.summary["dropped"] == planned
    assert sample.summary["read"] == sample.summary["kept"] + sum(sample.summary["dropped"].values())


def test_each_dropped_record_can_be_found_again(sample: Built, expected: dict[str, Any]) -> None:
    rows = [row for part in (sample.folder / "dropped").glob("*.parquet") for row in pq.read_table(part).to_pylist()]
    found = {row["record_id"]: row["reason"] for row in rows if row["record_id"]}
    planned = {post: REASONS.get(reason, reason) for post, reason in expected["dropped_posts"].items()}
    assert {post: found[post] for post in planned} == planned
    assert all(row["source"] and row["position"] > 0 and row["stage"] for row in rows)


def test_posts_have_the_planned_keyphrases_and_clean_tokens(sample: Built, expected: dict[str, Any]) -> None:
    posts = {post["post_id"]: post for post in Dataset(sample.folder).posts.to_pylist()}
    assert set(posts) == set(expected["posts"])
    for post_id, planned in expected["posts"].items():
        assert sorted(posts[post_id]["keyphrases"]) == sorted(planned["keyphrases"])
        assert len(posts[post_id]["tokens"]) >= 4
        assert all(token.isalpha() or token in ("<url>", "<mention>", "<number>") for token in posts[post_id]["tokens"])
        assert posts[post_id]["lang"] == "en"


def test_kept_posts_obey_every_rule_of_the_paper(sample: Built) -> None:
    posts = Dataset(sample.folder).posts.to_pylist()
    counts = Counter(tag for post in posts for tag in post["hashtags"])
    assert min(counts.values()) >= 10
    assert max(len(post["hashtags"]) for post in posts) <= 5
    assert len({post["image_sha256"] for post in posts}) == len(posts)
    assert {post["split"] for post in posts} == {"train", "valid", "test"}
    splits: dict[str, set[str]] = {}
    for post in posts:
        splits.setdefault(post["group"], set()).add(post["split"])
    assert all(len(found) == 1 for found in splits.values())


def test_words_planted_in_a_poster_are_read(sample: Built, expected: dict[str, Any]) -> None:
    dataset = Dataset(sample.folder)
    image_of = {post["post_id"]: post["image_sha256"] for post in dataset.posts.to_pylist()}
    rows = {row["image_sha256"]: row for row in dataset.table("ocr").to_pylist()}
    posters = {post: planned["poster"] for post, planned in expected["posts"].items() if "poster" in planned}
    read = [set(words) <= set(rows[image_of[post]]["tokens"]) for post, words in posters.items()]
    assert len(read) == 120
    assert sum(read) >= 114
    row = rows[image_of[next(iter(posters))]]
    assert len(row["words"]) == len(row["boxes"]) == len(row["confidences"])
    assert all(0 <= confidence <= 100 for confidence in row["confidences"])
    assert all(left >= 0 and top >= 0 and width > 0 and height > 0 for left, top, width, height in row["boxes"])


def test_vgg_rows_equal_torchvisions_network_called_directly(sample: Built) -> None:
    import torch
    from PIL import Image
    from torchvision.models import vgg16
    from torchvision.transforms import functional as F

    dataset = Dataset(sample.folder)
    feature = dataset.tensors("vgg_grid")
    torch.manual_seed(0)
    network = vgg16(weights=None).eval()
    for image, row in list(feature.rows.items())[:3]:
        pixels = (
            Image.open(image_path(sample.folder, image)).convert("RGB").resize((224, 224), Image.Resampling.LANCZOS)
        )
        batch = F.normalize(F.to_tensor(pixels), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])[None]
        with torch.inference_mode():
            grid_chw = network.avgpool(network.features(batch))[0]
        theirs_lc = grid_chw.permute(1, 2, 0).reshape(49, 512).numpy()
        np.testing.assert_allclose(feature.arrays["features"][row], theirs_lc, rtol=2e-3, atol=2e-3)


def test_a_row_does_not_depend_on_its_batch_neighbours(sample: Built) -> None:
    images = [image_path(sample.folder, image) for image in list(Dataset(sample.folder).tensors("vgg_grid").rows)[:4]]
    extractor = VggGrid(ComputeSettings(weights="random", batch_size=4))
    extractor.load()
    prepared = [extractor.prepare(Picture(image)) for image in images]
    together = extractor.extract(prepared)
    for i in range(4):
        alone = extractor.extract([prepared[i]] * 4)[0]["features"]
        assert (alone == together[i]["features"]).all()


def test_fingerprints_follow_the_knobs_that_change_values() -> None:
    def parts(**knobs: Any) -> Any:
        return VggGrid(ComputeSettings(**{"weights": "random", **knobs})).fingerprint_parts()

    assert parts() == parts()
    assert len({json.dumps(p, sort_keys=True) for p in (parts(), parts(seed=1), parts(batch_size=4))}) == 3
    patient = Tesseract(TesseractSettings(timeout_seconds=5)).fingerprint_parts()
    assert patient == Tesseract(TesseractSettings()).fingerprint_parts()  # a deadline changes no words
    assert patient != Tesseract(TesseractSettings(page_segmentation=11)).fingerprint_parts()


def test_random_weights_are_said_aloud(sample: Built) -> None:
    assert Dataset(sample.folder).manifest.notes == ["vgg_grid has random weights: for trials only."]


def test_the_mapping_file_lists_first_what_may_be_wrong_in_most_posts(sample: Built, expected: dict[str, Any]) -> None:
    _, *lines = (sample.folder / "hashtags.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    doubts = [int(count) * (1 - float(certainty)) for _, _, count, certainty in rows]
    assert doubts == sorted(doubts, reverse=True)
    assert {keyphrase: int(count) for _, keyphrase, count, _ in rows} == expected["keyphrases"]


def test_stats_counts_the_sample(sample: Built) -> None:
    found = run("pipeline", "stats", "--dataset", sample.folder, "--json").json
    splits = Counter(post["split"] for post in Dataset(sample.folder).posts.to_pylist())
    assert {split: found[split]["posts"] for split in ("train", "valid", "test")} == splits
    assert found["ocr"]["with_text_pct"] >= 100 * 114 / 360


@pytest.fixture
def copy(sample: Built, tmp_path: Path) -> Path:
    shutil.copytree(sample.folder, tmp_path / "copy")
    return tmp_path / "copy"


def test_verify_finds_nothing_in_a_whole_dataset(copy: Path) -> None:
    done = run("pipeline", "verify", "--dataset", copy, "--json")
    assert (done.code, done.json["ok"], done.json["breaches"]) == (0, True, [])
    assert done.json["files"] > 380


def test_verify_finds_a_flipped_byte_in_any_kind_of_file_and_names_it(copy: Path) -> None:
    kinds = ("posts/part-*", "dropped/part-*", "images/images.parquet", "images/*/*.jpg", "hashtags.tsv")
    kinds += ("features/ocr/*/shard-*", "features/vgg_grid/*/shard-*", "features/*/*/feature.json", "manifest.json")
    for kind in kinds:
        path = sorted(copy.glob(kind))[0]
        whole = path.read_bytes()
        middle = len(whole) // 2
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
        breaches = verify(copy).breaches
        assert [breach for breach in breaches if str(path) in breach], (kind, breaches)
        path.write_bytes(whole)
    assert verify(copy).ok


def test_verify_finds_missing_and_foreign_files(copy: Path) -> None:
    shard = sorted(copy.glob("features/ocr/*/shard-*"))[2]
    shard.unlink()
    (copy / "posts" / "more.parquet").write_bytes(b"")
    breaches = verify(copy).breaches
    assert any(str(shard) in breach and "missing" in breach for breach in breaches)
    assert any("more.parquet: not in the manifest" in breach for breach in breaches)


def test_the_reader_refuses_a_changed_shard_by_name(copy: Path) -> None:
    shard = sorted(copy.glob("features/vgg_grid/*/shard-*"))[0]
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match=shard.name):
        Dataset(copy).tensors("vgg_grid")


@pytest.mark.slow
def test_building_again_repairs_damaged_files_and_only_those(copy: Path) -> None:
    before = files_of(copy)
    shards = {path: path.stat().st_mtime_ns for path in copy.rglob("shard-*")}
    damaged = sorted(copy.glob("features/ocr/*/shard-*"))[1]
    damaged.write_bytes(b"nonsense")
    sorted(copy.glob("posts/part-*"))[0].write_bytes(b"nonsense")
    done = run(
        *("pipeline", "build", "--dumps", ROOT / "sample" / "dump_v1.jsonl.gz", ROOT / "sample" / "dump_plain.jsonl"),
        *("--images", ROOT / "sample" / "images", "--dataset", copy, "--config", ROOT / "sample" / "build.yaml"),
    )
    assert done.code == 0, done.err
    assert files_of(copy) == before
    assert {p for p, written in shards.items() if p.stat().st_mtime_ns != written} == {damaged}
    assert verify(copy).ok
