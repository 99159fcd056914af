"""A feature without any rows, as of a dataset that holds no picture: every command goes on as with any other."""

from pathlib import Path

import pytest

from m3h.pipeline.checks.verify import verify
from m3h.pipeline.dataset.built_feature import BuiltFeature
from m3h.pipeline.dataset.publish import describe_features, file_entry
from m3h.pipeline.dataset.tables import IMAGE_LIST, IMAGES
from m3h.pipeline.export import FORMATS, export
from m3h.pipeline.export.samples import ExportRequest
from m3h.pipeline.extractors import tesseract, vgg_grid
from m3h.pipeline.extractors.attributes import Attributes
from m3h.pipeline.extractors.objects import objects_spec
from m3h.pipeline.images.store import image_path
from m3h.pipeline.records.forget import forget
from m3h.pipeline.rules import ShardRules
from m3h.pipeline.versions.compact import compact
from m3h.schemas.dataset import Dataset
from m3h.schemas.features import FeatureSpec, fingerprint
from m3h.schemas.manifest import Manifest
from tests.commands import files_of, run
from tests.pipeline.made import CONFIG, VERSIONS, make, post_id

KEPT = (1, 2, 3, 4, 5, 6)
SPECS: tuple[FeatureSpec, ...] = (
    tesseract.Tesseract.spec, vgg_grid.VggGrid.spec, objects_spec("butd_objects", 36, 2048), Attributes.spec,
)  # fmt: skip


OCR = fingerprint(SPECS[0], {})


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Posts whose pictures are known by their URLs alone, and every feature: as of a released dataset, refreshed."""
    dataset = make(tmp_path / "bare", KEPT, versions=())
    rows = [row | {"status": "url_only"} for row in Dataset(dataset).images.to_pylist()]
    for row in rows:
        image_path(dataset, row["image_sha256"]).unlink()
    IMAGES.write(dataset / IMAGE_LIST, rows)
    known = Manifest.read(dataset)
    known.files[IMAGE_LIST] = file_entry(dataset / IMAGE_LIST)
    features = [BuiltFeature(spec, fingerprint(spec, {}), {}, []) for spec in SPECS]
    describe_features(dataset, CONFIG, features, known=known).write(dataset)
    return dataset


def test_compact_divides_no_rows_into_no_files(tmp_path: Path) -> None:
    dataset = make(tmp_path / "dataset", (), versions=VERSIONS[1:])
    compact(dataset, ["shards.images=7", "shards.posts=9"])
    assert verify(dataset).breaches == []
    other = CONFIG.model_copy(update={"shards": ShardRules(images=7, posts=9)})
    assert files_of(dataset) == files_of(make(tmp_path / "other", (), versions=VERSIONS[1:], config=other))


def test_its_arrays_and_columns_are_there_and_empty(bare: Path) -> None:
    data = Dataset(bare)
    assert {name: array.shape for name, array in data.tensors("vgg_grid").arrays.items()} == {"features": (0, 49, 512)}
    assert data.tensors("butd_objects").arrays["boxes"].shape == (0, 36, 4)
    assert data.table("ocr").num_rows == data.table("attributes").num_rows == 0


def test_every_command_goes_on(bare: Path, tmp_path: Path) -> None:
    for words in (("stats",), ("gc",), ("verify",), ("diff", "--feature", "ocr", OCR, OCR)):
        done = run("pipeline", *words, "--dataset", bare)
        assert (done.code, done.err) == (0, ""), (words, done)
    for name in FORMATS:
        export(bare, name, tmp_path / name, request=ExportRequest())
    forget(bare, [post_id(1)])
    compact(bare, ["shards.images=7"])
    assert verify(bare).breaches == []
    train = (
        "--system",
        "gen-cls-m3h",
        "--epochs",
        1,
        "--select",
        "last:1",
        "--set",
        "width=8",
        "word_width=8",
        "heads=2",
        "warmup_epochs=0",
    )
    done = run("model", "train", "--dataset", bare, "--out", tmp_path / "run", *train)
    assert done.code == 0, done.err
