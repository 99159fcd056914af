"""Words of a picture, read by the real Tesseract."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from pipeline.extractors.tesseract import Tesseract, TesseractSettings
from pipeline.picture import Picture


def signpost(path: Path, turned: bool) -> Path:
    """A wide picture with two words; stored lying on its side and turned upright by EXIF, or as it is."""
    image = Image.new("RGB", (640, 160), "white")
    ImageDraw.Draw(image).text((30, 30), "HARBOUR BRIDGE", fill="navy", font=ImageFont.load_default(64))
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    (image.transpose(Image.Transpose.ROTATE_90) if turned else image).save(path, quality=95, exif=exif)
    return path


def test_a_turned_picture_is_read_upright_and_its_boxes_are_upright(tmp_path: Path) -> None:
    tesseract = Tesseract(TesseractSettings())
    tesseract.load()
    files = [signpost(tmp_path / "upright.jpg", turned=False), signpost(tmp_path / "turned.jpg", turned=True)]
    upright, turned = tesseract.extract([tesseract.prepare(Picture(file)) for file in files])
    assert turned["words"] == upright["words"] == ["HARBOUR", "BRIDGE"]
    for box, expected in zip(turned["boxes"], upright["boxes"], strict=True):
        assert all(abs(one - other) <= 2 for one, other in zip(box, expected, strict=True))
