"""OCR text (§3.1): words, boxes and confidences by Tesseract, and the tokens a model may read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pydantic

from pipeline.extractors.base import Extractor
from pipeline.ocr.engines import Engine, data_file, engine_version, learns, program
from pipeline.ocr.reader import Reader
from pipeline.ocr.sheets import Box, Sheet, Table, sheet_of
from pipeline.picture import Picture
from schemas.config import Settings
from schemas.features import FeatureSpec, Row
from schemas.files import sha256_file

_FINDS_ORIENTATION = (1, 12)
"""Page segmentation modes that need the data `osd` beside the language's."""


class TesseractSettings(Settings):
    """Options of the `ocr` feature."""

    engine: Engine = "pytesseract"
    language: str = "eng"  # Tesseract's name; several joined by +
    page_segmentation: Literal[1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13] = 3  # Tesseract's --psm; 0 and 2 read nothing
    rotate: bool = False  # read at four angles, keep the one at which most is read
    scale: float = pydantic.Field(1.0, ge=1, le=8)  # enlarge small pictures, at most so many times
    min_side: int = pydantic.Field(1000, gt=0)  # small: whose shorter side has fewer pixels; enlarged to it
    min_confidence: float = pydantic.Field(0.0, ge=0, le=100)  # words below are left out
    timeout_seconds: float = pydantic.Field(60.0, gt=0)  # an image that takes longer is dropped

    @property
    def data(self) -> tuple[str, ...]:
        """Names of the data files that are read."""
        return (*self.language.split("+"), *(("osd",) if self.page_segmentation in _FINDS_ORIENTATION else ()))


@dataclass(frozen=True)
class Word:
    """confidence: 0..100. box: in the upright picture."""

    text: str
    box: Box
    confidence: float


class Tesseract(Extractor):
    """Words of a picture with their boxes (x, y, width, height in pixels) and confidences (0..100).

    A batch is read by one run of Tesseract, since to start it costs more than to look at a picture without text.
    """

    Settings = TesseractSettings
    spec = FeatureSpec(
        "ocr",
        columns=(
            ("text", pa.string()),  # the words, joined by spaces
            ("words", pa.list_(pa.string())),
            ("boxes", pa.list_(pa.list_(pa.int32(), 4))),
            ("confidences", pa.list_(pa.float32())),
            ("tokens", pa.list_(pa.string())),  # through the posts' tokenizer, words only
        ),
        version=2,  # turned pictures are read upright
    )
    batch_size = 8

    def fingerprint_parts(self) -> Mapping[str, Any]:
        """Engine and data version, options that change what is read, and the version of the tokenizer."""
        from pipeline.statistics import statistics_identity
        from pipeline.text import TEXT_VERSION

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
        """Get ready; the process that reads is started with the first batch."""
        from pipeline.rules import TextRules
        from pipeline.text import Tokenizer

        settings = self.settings
        options = {"engine": settings.engine, "language": settings.language, "mode": settings.page_segmentation}
        if settings.engine == "tesserocr":
            options["data"] = str(data_file(settings.data[0]).parent)
        else:
            options["program"] = program()
            if any(learns(data_file(name)) for name in settings.language.split("+")):
                self.batch_size = 1  # a row must not depend on the pictures before it
        self._reader = Reader(options, settings.timeout_seconds)
        self._tokenizer = Tokenizer(TextRules())

    def close(self) -> None:
        """End the process that reads. The next batch finds a new one."""
        self._reader.close()

    def prepare(self, picture: Picture) -> Any:
        """The views of it that are read: mostly its own file."""
        return sheet_of(picture, self.settings.rotate, self.settings.scale, self.settings.min_side)

    def extract(self, inputs: Sequence[Any]) -> list[Row]:
        """One row an image."""
        unread = [sheet for sheet in dict.fromkeys(inputs) if sheet.is_open]  # a short batch repeats one
        if unread:
            self._reader.read(unread)
        return [self._row(sheet) for sheet in inputs]

    def _row(self, sheet: Sheet) -> Row:
        if sheet.fault is not None:
            raise sheet.fault
        readings = [self._words(sheet, i) for i in range(len(sheet.views))]
        words = max(readings, key=certain_letters)  # the first of equals
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
            Word(word.text, sheet.place(word.box, sheet.views[view].turns), word.confidence)
            for word in words_of(sheet.tables[view])
            if word.confidence >= self.settings.min_confidence
        ]


def words_of(table: Table) -> list[Word]:
    """The words of a table, boxes as they stand there."""
    sides = zip(*(map(int, table[side]) for side in ("left", "top", "width", "height")), strict=True)
    cells = zip(table["text"], sides, table["conf"], strict=True)
    return [Word(text.strip(), box, float(int(float(conf)))) for text, box, conf in cells if text.strip()]


def certain_letters(words: Sequence[Word]) -> float:
    """Letters and digits read, each weighed by its word's confidence: upside down, few look like any, or surely so."""
    return sum(word.confidence * sum(map(str.isalnum, word.text)) for word in words)
