"""Words of a picture, read by the real Tesseract."""

import os
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydantic
import pytesseract
import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps

from m3h.pipeline.engine.shard_engine import ShardTask
from m3h.pipeline.extractors.ocr.engines import data_file, has_adaptive_classifier
from m3h.pipeline.extractors.ocr.sheets import Sheet, View
from m3h.pipeline.extractors.ocr.table import Word, words_of
from m3h.pipeline.extractors.tesseract import Tesseract, TesseractSettings, letter_score
from m3h.pipeline.images.picture import Picture
from m3h.schemas.errors import UsageError
from m3h.schemas.features import Row, fingerprint
from tests.pipeline.fakes import picture, run_shard, stored_pictures

ENGINES = ("pytesseract", "tesserocr")


def signpost(path: Path, turned: bool = False, degrees: int = 0, size: int = 64) -> Path:
    """A wide picture with two words; stored lying on its side and turned upright by EXIF, or as it is."""
    image = Image.new("RGB", (10 * size, 5 * size // 2), "white")
    ImageDraw.Draw(image).text((size // 2, size // 2), "HARBOUR BRIDGE", fill="navy", font=ImageFont.load_default(size))
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    image = image.rotate(degrees, expand=True)
    (image.transpose(Image.Transpose.ROTATE_90) if turned else image).save(path, quality=95, exif=exif)
    return path


def loaded(**settings: Any) -> Tesseract:
    tesseract = Tesseract(TesseractSettings(**settings))
    tesseract.load()
    return tesseract


def rows(tesseract: Tesseract, files: Sequence[Path]) -> list[Row]:
    return tesseract.extract([tesseract.prepare(Picture(file)) for file in files])


def near(boxes: Sequence[Sequence[int]], expected: Sequence[Sequence[int]], pixels: int = 2) -> bool:
    return [len(box) for box in boxes] == [4] * len(expected) and all(
        abs(one - other) <= pixels for box, other_box in zip(boxes, expected, strict=True)
        for one, other in zip(box, other_box, strict=True)
    )  # fmt: skip


@pytest.fixture(scope="module")
def posts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Pictures with words and without, in a folder whose name has a line break."""
    folder = tmp_path_factory.mktemp("pictures") / "two\nlines"
    folder.mkdir()
    files = [signpost(folder / "post.jpg"), picture(folder / "patches.jpg", 3), signpost(folder / "small.jpg", size=24)]
    Image.new("RGB", (64, 64), "teal").save(folder / "blank.jpg")
    return [*files, folder / "blank.jpg"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_picture_with_exif_rotation_is_read_upright_with_upright_boxes(tmp_path: Path, engine: str) -> None:
    files = [signpost(tmp_path / "upright.jpg"), signpost(tmp_path / "turned.jpg", turned=True)]
    upright, turned = rows(loaded(engine=engine), files)
    assert turned["words"] == upright["words"] == ["HARBOUR", "BRIDGE"]
    assert near(turned["boxes"], upright["boxes"])
    ink = ImageOps.invert(Image.open(files[0]).convert("L")).point(lambda value: 255 * (value > 99)).getbbox()
    (left, top, _, height), (last, _, width, _) = upright["boxes"]
    assert ink is not None
    assert near([(left, top, last + width, top + height)], [ink], pixels=4)


def test_words_are_those_of_pytesseract_picture_by_picture(posts: Sequence[Path], tmp_path: Path) -> None:
    """All in one run, in any order, alone: always the same rows."""
    tesseract = loaded()
    for i, (file, row) in enumerate(zip(posts, rows(tesseract, posts), strict=True)):
        plain = tmp_path / f"{i}.jpg"  # pytesseract itself cannot read where a name has a line break
        plain.write_bytes(file.read_bytes())
        _, _, table = pytesseract.image_to_data(str(plain), lang="eng", config="--psm 3").partition("\n")
        words = words_of(table)
        assert row["words"] == [word.text for word in words]
        assert row["boxes"] == [list(word.box) for word in words]
        assert row["confidences"] == [word.confidence for word in words]
    assert rows(tesseract, posts[::-1]) == rows(tesseract, posts)[::-1]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_row_does_not_depend_on_other_pictures_of_the_batch(posts: Sequence[Path], engine: str) -> None:
    tesseract = loaded(engine=engine)
    together = rows(tesseract, posts)
    assert [row for file in posts for row in rows(tesseract, [file])] == together
    assert together[0]["words"] == ["HARBOUR", "BRIDGE"]
    assert together[0]["tokens"] == ["harbour", "bridge"]
    assert all(type(confidence) is float and 0 <= confidence <= 100 for confidence in together[0]["confidences"])
    assert together[3] == {"text": "", "words": [], "boxes": [], "confidences": [], "tokens": []}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_picture_that_cannot_be_read_loses_only_itself(tmp_path: Path, engine: str) -> None:
    hashes = stored_pictures(tmp_path / "d", 4)
    (tmp_path / "words").write_text("no picture")

    class Spoiling(Tesseract):
        def prepare(self, picture: Picture) -> Any:
            return (
                Sheet([View(str(tmp_path / "words"))]) if hashes[1] in picture.path.name else super().prepare(picture)
            )

    spoiling = Spoiling(TesseractSettings(engine=engine))
    spoiling.load()
    receipt = run_shard(ShardTask("ocr", "f" * 16, 0, 1), hashes, spoiling, tmp_path / "d", tmp_path / "out")
    assert receipt.rows == 3
    assert [(row.record_id, row.reason) for row in receipt.dropped] == [(hashes[1], "ocr_failed")]


def test_rotated_words_are_found_at_their_place(tmp_path: Path) -> None:
    files = [signpost(tmp_path / f"{degrees}.jpg", degrees=degrees) for degrees in (0, 90, 180, 270)]
    upright, *lying = rows(loaded(rotate=True, engine="tesserocr"), files)
    assert [row["words"] for row in (upright, *lying)] == [["HARBOUR", "BRIDGE"]] * 4
    assert rows(loaded(engine="tesserocr"), files[:1]) == [upright]
    for row, turns in zip(lying, (1, 2, 3), strict=True):
        for box, (x, y, width, height) in zip(row["boxes"], upright["boxes"], strict=True):
            expected = {
                1: (y, 640 - x - width, height, width),
                2: (640 - x - width, 160 - y - height, width, height),
                3: (160 - y - height, x, height, width),
            }
            assert near([box], [expected[turns]])


def test_a_small_picture_is_read_enlarged_with_boxes_in_its_own_pixels(tmp_path: Path) -> None:
    file = signpost(tmp_path / "small.jpg", size=16)
    (row,) = rows(loaded(scale=4.0), [file])
    assert row["words"] == ["HARBOUR", "BRIDGE"]
    assert near(row["boxes"], [(8, 11, 77, 12), (90, 11, 63, 12)], pixels=4)


def test_the_angle_with_the_most_confident_letters_wins() -> None:
    words = [("bridge", 90.0), ("—|", 95.0), ("a1", 50.5)]
    assert letter_score([Word(text, (0, 0, 1, 1), confidence) for text, confidence in words]) == 6 * 90 + 2 * 50.5
    assert letter_score([]) == 0


def test_words_keep_their_quotes_and_confidences_their_digits() -> None:
    rows = [
        "1\t1\t0\t0\t0\t0\t0\t0\t640\t160\t-1\t",
        '5\t1\t1\t1\t1\t1\t10\t20\t30\t40\t95.440613\t"Harbour',
        "5\t1\t1\t1\t1\t2\t50\t20\t30\t40\t95.9\t ",
        "5\t1\t1\t1\t1\t3\t90\t20\t30\t40\t0\t'n\"",
        "5\t1\t1\t1\t1\t4\t90\t60\t30\t40\t12.5\t5\t7",
    ]
    assert words_of("\n".join(rows)) == [
        Word('"Harbour', (10, 20, 30, 40), 95.440613),
        Word("'n\"", (90, 20, 30, 40), 0.0),
        Word("5\t7", (90, 60, 30, 40), 12.5),
    ]
    assert words_of("") == []


def test_a_limit_between_two_whole_confidences_is_kept(posts: Sequence[Path]) -> None:
    (every,) = rows(loaded(), posts[:1])
    confidences = sorted(every["confidences"])
    assert any(confidence % 1 for confidence in confidences)
    (some,) = rows(loaded(min_confidence=confidences[-1] - 1e-6), posts[:1])
    assert some["confidences"] == confidences[-1:]


def test_the_fingerprint_changes_exactly_with_settings_that_change_words() -> None:
    def of(**settings: Any) -> str:
        tesseract = Tesseract(TesseractSettings(**settings))
        return fingerprint(tesseract.spec, tesseract.fingerprint_parts())

    same = [{}, {"timeout_seconds": 5}, {"min_side": 500}]
    other = [{"engine": "tesserocr"}, {"page_segmentation": 11}, {"rotate": True}, {"scale": 2}, {"min_confidence": 5}]
    other += [{"scale": 2, "min_side": 500}, {"language": "eng+eng"}]
    assert len({of(**settings) for settings in same}) == 1
    assert len({of(**settings) for settings in [{}, *other]}) == 1 + len(other)


def test_a_segmentation_that_reads_nothing_is_refused() -> None:
    for mode in (0, 2, 14):
        with pytest.raises(pydantic.ValidationError):
            TesseractSettings(page_segmentation=mode)
    assert TesseractSettings(page_segmentation=1, language="eng+deu").data == ("eng", "deu", "osd")


def test_the_error_for_a_missing_engine_names_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tesserocr", None)
    with pytest.raises(UsageError) as caught:
        Tesseract(TesseractSettings(engine="tesserocr")).fingerprint_parts()
    assert str(caught.value) == "feature ocr: engine=tesserocr needs that package: pip install tesserocr."


def test_with_an_adaptive_classifier_pictures_are_read_one_by_one(tmp_path: Path) -> None:
    """The first parts of Tesseract's data: settings, characters, ambiguities, and Tesseract 3's classifier."""
    for name, places in {"new": (212, 300, 400, -1), "old": (212, 300, 400, 500), "short": (20, 30, 40)}.items():
        data = struct.pack(f"<i{len(places)}q", len(places), *places)
        (tmp_path / name).write_bytes(data + bytes(64 if name != "short" else 0))
    assert [has_adaptive_classifier(tmp_path / name) for name in ("new", "old", "short")] == [False, True, False]
    assert not has_adaptive_classifier(data_file("eng"))
    assert loaded().batch_size == 32


def test_tesseract_uses_one_thread_and_does_not_change_the_threads_of_this_process() -> None:
    assert "OMP_THREAD_LIMIT" not in os.environ or os.environ["OMP_THREAD_LIMIT"] == "1"
    tesseract = loaded()
    before = dict(os.environ)
    tesseract.load()
    assert dict(os.environ) == before
