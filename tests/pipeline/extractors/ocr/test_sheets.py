"""What Tesseract is shown of a picture, and where its boxes lie in the picture."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.Image import Transpose

from m3h.pipeline.extractors.ocr.helper import split_pages
from m3h.pipeline.extractors.ocr.sheets import Sheet, enlargement, make_sheet, scale_box, unrotate_box
from m3h.pipeline.images.picture import Picture
from tests.pipeline.fakes import picture

TURNS = (None, Transpose.ROTATE_90, Transpose.ROTATE_180, Transpose.ROTATE_270)


@given(st.data())
def test_a_box_on_a_rotated_picture_is_converted_back_to_the_same_pixels(data: st.DataObject) -> None:
    width, height = data.draw(st.tuples(st.integers(1, 30), st.integers(1, 30)))
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    box = (x, y, data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y)))
    image = Image.new("L", (width, height))
    image.paste(255, (x, y, x + box[2], y + box[3]))
    for turns, transpose in enumerate(TURNS):
        bounds = (image if transpose is None else image.transpose(transpose)).getbbox()
        assert bounds is not None
        left, top, right, bottom = bounds
        assert unrotate_box((left, top, right - left, bottom - top), turns, image.size) == box


def test_a_box_on_an_enlarged_picture_covers_whole_pixels_of_the_picture() -> None:
    assert scale_box((3, 4, 6, 2), (20, 40), (10, 20)) == (1, 2, 4, 1)  # 1.5..4.5 and 2..3
    assert scale_box((0, 0, 25, 25), (25, 25), (10, 10)) == (0, 0, 10, 10)


@pytest.mark.parametrize(
    ("size", "scale", "min_side", "factor"),
    [
        ((400, 300), 2.0, 1000, 2.0),  # small, and enlarged as far as it may be
        ((400, 300), 8.0, 600, 2.0),  # until its shorter side is long enough
        ((300, 2000), 3.0, 450, 1.5),
        ((800, 600), 4.0, 600, 1.0),
        ((4000, 3000), 4.0, 1000, 1.0),  # never made smaller
    ],
)
def test_only_small_pictures_are_enlarged(size: tuple[int, int], scale: float, min_side: int, factor: float) -> None:
    assert enlargement(size, scale, min_side) == factor


def test_a_picture_that_needs_no_change_is_read_from_its_own_file_without_decoding(tmp_path: Path) -> None:
    file = picture(tmp_path / "p.jpg", 1)
    seen = Picture(file)
    sheet = make_sheet(seen, rotate=False, scale=1.0, min_side=1000)
    assert [view.name for view in sheet.views] == [str(file)]
    assert "pixels" not in vars(seen)
    assert sheet.box_in_picture((1, 2, 3, 4), 0) == (1, 2, 3, 4)


def size_of(file: Path) -> tuple[int, int]:
    with Image.open(file) as image:
        return image.size


def test_temporary_files_are_deleted_with_the_sheet(tmp_path: Path) -> None:
    sheet: Sheet | None = make_sheet(Picture(picture(tmp_path / "p.jpg", 1)), rotate=True, scale=2.0, min_side=1000)
    assert sheet is not None
    files = [Path(view.name) for view in sheet.views]
    assert [size_of(file) for file in files] == [(192, 128), (128, 192)] * 2
    assert sheet.box_in_picture((0, 0, 128, 192), 1) == (0, 0, 96, 64)
    del sheet
    assert not any(file.exists() for file in files)


def test_a_table_of_several_pictures_is_split_per_picture() -> None:
    table = "level\ttext\n1\t\n5\tone\n5\t1\u2028\n1\t\n1\t\n5\t1\n"
    assert split_pages(table) == ["1\t\n5\tone\n5\t1\u2028", "1\t", "1\t\n5\t1"]
    assert split_pages("") == split_pages("no table\nat all\n") == []
