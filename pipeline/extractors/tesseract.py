"""OCR text (§3.1): words, boxes and confidences by Tesseract, and tokens for the model."""

from collections.abc import Mapping, Sequence
from typing import Literal

import pyarrow as pa
import pydantic

from m3h.pipeline.extractors.base import Extractor
from m3h.pipeline.extractors.ocr.engines import (
    Engine,
    data_file,
    engine_version,
    has_adaptive_classifier,
    program,
)
from m3h.pipeline.extractors.ocr.helper import ReaderOptions
from m3h.pipeline.extractors.ocr.reader import Reader
from m3h.pipeline.extractors.ocr.sheets import Sheet, make_sheet
from m3h.pipeline.extractors.ocr.table import Word, words_of
from m3h.pipeline.images.picture import Picture
from m3h.schemas.config import Settings
from m3h.schemas.features import FeatureSpec, Row
from m3h.schemas.files import sha256_file

_ORIENTATION_MODES = (1, 12)
"""Page segmentation modes that detect the orientation. They need the data file `osd` besides the language's."""


class TesseractSettings(Settings):
    """Options of the `ocr` feature."""

    engine: Engine = "pytesseract"
    language: str = "eng"  # Tesseract's name; several joined by +
    page_segmentation: Literal[1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13] = 3  # Tesseract's --psm; 0 and 2 read nothing
    rotate: bool = False  # read at four angles and keep the best one
    scale: float = pydantic.Field(1.0, ge=1, le=8)  # largest factor by which small pictures are enlarged
    min_side: int = pydantic.Field(1000, gt=0)  # pixels of the shorter side up to which a picture is enlarged
    min_confidence: float = pydantic.Field(0.0, ge=0, le=100)  # words with less are left out
    timeout_seconds: float = pydantic.Field(60.0, gt=0)  # a picture that takes longer is dropped

    @property
    def data(self) -> tuple[str, ...]:
        """The names of the data files that Tesseract reads."""
        return (*self.language.split("+"), *(("osd",) if self.page_segmentation in _ORIENTATION_MODES else ()))


class Tesseract(Extractor):
    """Words of a picture with their boxes (x, y, width, height in pixels) and confidences (0..100).

    One run of Tesseract reads a whole batch, because its start takes longer than reading a picture without text.
    """

    Settings = TesseractSettings
    spec = FeatureSpec(
        "ocr",
        columns=(
            ("text", pa.string()),  # the words, joined by spaces
            ("words", pa.list_(pa.string())),
            ("boxes", pa.list_(pa.list_(pa.int32(), 4))),
            ("confidences", pa.list_(pa.float32())),
            ("tokens", pa.list_(pa.string())),  # by the tokenizer of the posts; words only
        ),
        version=3,  # 2: pictures with an EXIF rotation are read upright; 3: confidences are not cut to whole numbers
    )
    batch_size = 32  # the start of the program takes as long as five small pictures
    ahead = 16  # so that other features have no more inputs in memory for the sake of that start

    def fingerprint_parts(self) -> Mapping[str, object]:
        """The versions of engine and data, the options that change the words, and the version of the tokenizer."""
        from m3h.pipeline.text.tokenizer import TEXT_VERSION
        from m3h.pipeline.text.word_statistics import statistics_identity

        settings = self.settings
        options = settings.model_dump(include={"language", "page_segmentation", "min_confidence"})
        options |= {"rotate": True} if settings.rotate else {}
        options |= {"scale": settings.scale, "min_side": settings.min_side} if settings.scale > 1 else {}
        return {
            "engine": engine_version(settings.engine),
            "data": {name: sha256_file(data_file(name)) for name in settings.data},
            "options": options,
            "text": {"version": TEXT_VERSION, "statistics": statistics_identity(None)},
        }

    def load(self) -> None:
        """Prepare to read. The helper process starts with the first batch."""
        from m3h.pipeline.rules import TextRules
        from m3h.pipeline.text.tokenizer import Tokenizer

        settings = self.settings
        options: ReaderOptions = {
            "engine": settings.engine, "language": settings.language, "mode": settings.page_segmentation,
        }  # fmt: skip
        if settings.engine == "tesserocr":
            options["data"] = str(data_file(settings.data[0]).parent)
        else:
            options["program"] = program()
            if any(has_adaptive_classifier(data_file(name)) for name in settings.language.split("+")):
                self.batch_size = 1  # a row must not depend on the pictures before it
        self._reader = Reader(options, settings.timeout_seconds)
        self._tokenizer = Tokenizer(TextRules())

    def close(self) -> None:
        """End the helper process. The next batch starts a new one."""
        self._reader.close()

    def prepare(self, picture: Picture) -> Sheet:
        """The views of the picture that Tesseract reads; usually the picture's own file."""
        settings = self.settings
        return make_sheet(picture, settings.rotate, settings.scale, min_side=settings.min_side)

    def extract(self, inputs: Sequence[Sheet]) -> list[Row]:
        """One row per picture."""
        unread = [sheet for sheet in dict.fromkeys(inputs) if sheet.is_unread]  # a short batch repeats an input
        if unread:
            self._reader.read(unread)
        return [self._row(sheet) for sheet in inputs]

    def _row(self, sheet: Sheet) -> Row:
        if sheet.fault is not None:
            raise sheet.fault
        readings = [self._words(sheet, i) for i in range(len(sheet.views))]
        words = max(readings, key=letter_score)  # the first view wins a tie
        text = " ".join(word.text for word in words)
        return {
            "text": text,
            "words": [word.text for word in words],
            "boxes": [list(word.box) for word in words],
            "confidences": [word.confidence for word in words],
            "tokens": [token for token in self._tokenizer.words(text) if token.isalpha() and len(token) > 1],
        }

    def _words(self, sheet: Sheet, view: int) -> list[Word]:
        return [
            Word(word.text, sheet.box_in_picture(word.box, sheet.views[view].turns), word.confidence)
            for word in words_of(sheet.tables[view])
            if word.confidence >= self.settings.min_confidence
        ]


def letter_score(words: Sequence[Word]) -> float:
    """The number of letters and digits, each weighted by the confidence of its word.

    The score is highest for the right angle: at other angles Tesseract finds fewer letters, with less confidence.
    """
    return sum(word.confidence * sum(map(str.isalnum, word.text)) for word in words)
