"""The list of pictures is one file or several: every reader reads both, and what writes it writes parts."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from m3h.pipeline.checks.repair import repair
from m3h.pipeline.checks.verify import verify
from m3h.pipeline.dataset.publish import file_entry, remove_unlisted
from m3h.pipeline.dataset.stored_pictures import stored_images
from m3h.pipeline.dataset.tables import IMAGE_LIST, IMAGE_LIST_PATTERN, IMAGES
from m3h.pipeline.images.store import image_path
from m3h.pipeline.records.forget import forget
from m3h.pipeline.records.why import why
from m3h.pipeline.versions.compact import compact
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import IntegrityError
from m3h.schemas.files import publish_table
from m3h.schemas.manifest import Manifest
from tests.commands import files_of
from tests.pipeline.made import POSTS_MADE, image_of, make, picture_bytes, post_id


def lists(dataset: Path) -> list[str]:
    return [path.name for path in sorted(dataset.glob(IMAGE_LIST_PATTERN))]


@pytest.fixture
def earlier(dataset: Path) -> Path:
    """The made dataset as an earlier version wrote it: the list is one file, however many rows it has."""
    parts = sorted(dataset.glob(IMAGE_LIST_PATTERN))
    rows = pa.concat_tables([pq.read_table(path) for path in parts])
    manifest = Manifest.read(dataset)
    for path in parts:
        del manifest.files[path.relative_to(dataset).as_posix()]
        path.unlink()
    publish_table(dataset / IMAGE_LIST, rows)
    manifest.files[IMAGE_LIST] = file_entry(dataset / IMAGE_LIST)
    manifest.write(dataset)
    return dataset


def test_a_list_in_one_file_is_read_as_one_in_parts(whole: Path, earlier: Path) -> None:
    assert (len(lists(whole)), lists(earlier)) == (4, ["images.parquet"])
    ours, theirs = Dataset(whole), Dataset(earlier)
    assert ours.images.equals(theirs.images)
    assert ours.images["image_sha256"].to_pylist() == sorted({image_of(i) for i in range(1, POSTS_MADE + 1)})
    assert list(stored_images(whole)) == list(stored_images(earlier)) == ours.images["image_sha256"].to_pylist()
    assert ours.picture(image_of(2)) == theirs.picture(image_of(2)) == picture_bytes(2)
    assert (verify(whole).breaches, verify(earlier).breaches) == ([], [])


def test_what_forgets_or_divides_anew_writes_parts(earlier: Path, tmp_path: Path) -> None:
    forget(earlier, [post_id(1)])
    rest = Dataset(make(tmp_path / "rest", range(2, POSTS_MADE + 1)))
    assert Dataset(earlier).images.equals(rest.images)
    assert lists(earlier) == lists(rest.folder)
    compact(earlier, ["shards.posts=100"])
    assert lists(earlier) == ["images.parquet"]
    assert Dataset(earlier).images.equals(rest.images)
    compact(earlier, ["shards.posts=6"])
    assert lists(earlier) == lists(rest.folder)
    assert verify(earlier).breaches == []


def test_a_picture_listed_in_any_part_stays_and_can_be_restored(dataset: Path) -> None:
    """The first and the last hash of all, which are in the first and in the last part."""
    images = list(stored_images(dataset))
    before = files_of(dataset)
    remove_unlisted(dataset, Manifest.read(dataset))
    assert files_of(dataset) == before
    for image in (images[0], images[-1]):
        (found,) = why(dataset, image=image)
        assert found["file"] == str(image_path(dataset, image))
        image_path(dataset, image).unlink()
    assert verify(dataset).pictures == {images[0], images[-1]}


def test_a_broken_part_leaves_all_pictures_where_they_are(dataset: Path) -> None:
    part = sorted(dataset.glob(IMAGE_LIST_PATTERN))[-1]
    part.write_bytes(part.read_bytes()[:-1] + b"\x01")
    report = verify(dataset)
    assert (report.broken, report.foreign) == ({f"images/{part.name}"}, [])
    assert [line for line in repair(dataset).left if str(part) in line]


def test_a_picture_without_a_hash_has_no_part() -> None:
    row = {"image_sha256": "../../outside"}
    assert IMAGES.part(row, 6, 6) == IMAGE_LIST
    with pytest.raises(IntegrityError, match="expected a sha256"):
        IMAGES.part(row, 7, 6)
