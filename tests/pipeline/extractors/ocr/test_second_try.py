"""What the image gate keeps, OCR reads: where Tesseract's own decoder refuses a file, it reads the decoded pixels."""

from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from m3h.pipeline.extractors.tesseract import Tesseract, TesseractSettings
from m3h.pipeline.images.picture import Picture
from m3h.schemas.errors import ImageFault


def written(path: Path) -> Path:
    """A picture of two words."""
    page = Image.new("RGB", (400, 120), (250, 240, 200))
    ImageDraw.Draw(page).text((20, 30), "HELLO WORLD", fill=(10, 10, 120), font=ImageFont.load_default(48))
    page.save(path, quality=90)
    return path


@pytest.fixture
def ocr():
    reader = Tesseract(TesseractSettings())
    reader.load()
    yield reader
    reader.close()


def test_a_file_that_tesseract_refuses_is_read_by_its_pixels(ocr: Tesseract, tmp_path: Path) -> None:
    whole, cut = written(tmp_path / "whole.jpg"), tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[:-2])  # libjpeg as Tesseract uses it refuses a file without its end
    first, second = ocr.extract([ocr.prepare(Picture(path)) for path in (whole, cut)])
    assert second["words"] == first["words"] == ["HELLO", "WORLD"]
    assert second["boxes"] == first["boxes"]


def test_a_picture_that_nobody_can_decode_keeps_the_fault_of_the_first_try(ocr: Tesseract, tmp_path: Path) -> None:
    path = written(tmp_path / "a.jpg")
    sheet = ocr.prepare(Picture(path))
    path.write_bytes(path.read_bytes()[:800])
    with pytest.raises(ImageFault, match="ocr_failed"):
        ocr.extract([sheet])
