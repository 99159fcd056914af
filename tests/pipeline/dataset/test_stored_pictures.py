"""Whatever posts show and the list says, in however many files: stored pictures that are shown, by a set of them."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m3h.pipeline.dataset import stored_pictures
from m3h.pipeline.dataset.stored_pictures import stored_images
from m3h.pipeline.dataset.tables import IMAGE_LIST, IMAGES
from m3h.schemas.errors import IntegrityError
from m3h.schemas.files import publish_table

HASHES = st.builds(lambda first, last: f"{60 * first:02x}{last:062x}", st.integers(0, 4), st.integers(0, 5))


def write_posts(folder: Path, shown: Sequence[Sequence[str]]) -> None:
    for number, images in enumerate(shown):
        table = pa.table({"image_sha256": pa.array(images, pa.string())})
        publish_table(folder / "posts" / f"part-{number:05d}-of-{len(shown):05d}.parquet", table)


def write_list(folder: Path, stored: dict[str, bool], per_part: int) -> None:
    rows = [
        dict.fromkeys(IMAGES.schema.names) | {"image_sha256": image, "status": "stored" if is_stored else "url_only"}
        for image, is_stored in stored.items()
    ]
    IMAGES.write_parts(folder, rows, per_part)


@settings(max_examples=40)
@given(
    shown=st.lists(st.lists(HASHES, max_size=20), max_size=4),
    stored=st.dictionaries(HASHES, st.booleans(), max_size=40),
    per_part=st.integers(1, 20),
    gathered=st.sampled_from([0, 5, 1000]),
)
def test_they_are_in_both_and_sorted(
    shown: list[list[str]], stored: dict[str, bool], per_part: int, gathered: int
) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored_pictures, "_GATHERED", gathered)
        folder = Path(name)
        write_posts(folder, shown)
        write_list(folder, stored, per_part)
        expected = {image for images in shown for image in images} & {i for i, is_stored in stored.items() if is_stored}
        assert list(stored_images(folder)) == sorted(expected)


def test_a_dataset_without_records_has_none(tmp_path: Path) -> None:
    assert list(stored_images(tmp_path)) == []


def test_a_list_that_no_build_wrote_is_refused(tmp_path: Path) -> None:
    one, other = "a" * 64, "b" * 64
    write_posts(tmp_path, [[one, other]])
    rows = pa.table({"image_sha256": [other, one], "status": ["stored", "stored"]})
    publish_table(tmp_path / IMAGE_LIST, rows)
    with pytest.raises(IntegrityError, match="in the order of their hashes"):
        list(stored_images(tmp_path))
    publish_table(tmp_path / IMAGE_LIST, pa.table({"image_sha256": ["../outside"], "status": ["stored"]}))
    with pytest.raises(IntegrityError, match="expected a sha256"):
        list(stored_images(tmp_path))
