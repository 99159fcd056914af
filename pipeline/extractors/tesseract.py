"""OCR text (§3.1): words, boxes and confidences by Tesseract, and the tokens a model may read."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pydantic

from pipeline.extractors.base import Extractor
from pipeline.images import is_turned
from pipeline.picture import Picture
from schemas.config import Settings
from schemas.errors import ImageFault, UsageError
from schemas.features import FeatureSpec, Row
from schemas.files import sha256_file

INSTALL = "install Tesseract, such as `apt-get install tesseract-ocr` or `brew install tesseract`"


class TesseractSettings(Settings):
    """Options of the `ocr` feature."""

    language: str = "eng"  # Tesseract's name; several joined by +
    page_segmentation: int = pydantic.Field(3, ge=0, le=13)  # Tesseract's --psm
    min_confidence: float = pydantic.Field(0.0, ge=0, le=100)  # words below are left out
    timeout_seconds: float = pydantic.Field(60.0, gt=0)  # an image that takes longer is dropped


class Tesseract(Extractor):
    """Words of a picture with their boxes (x, y, width, height in pixels) and confidences (0..100)."""

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

    def fingerprint_parts(self) -> Mapping[str, Any]:
        """Engine and data version, options, and the version of the tokenizer."""
        from pipeline.statistics import statistics_identity
        from pipeline.text import TEXT_VERSION

        return {
            "engine": engine_version(),
            "data": {name: sha256_file(data_file(name)) for name in self.settings.language.split("+")},
            "options": self.settings.model_dump(exclude={"timeout_seconds"}),
            "text": {"version": TEXT_VERSION, "statistics": statistics_identity(None)},
        }

    def load(self) -> None:
        """Pin Tesseract to one thread: with more, processes fight over the cores and every image takes longer."""
        from pipeline.rules import TextRules
        from pipeline.text import Tokenizer

        os.environ["OMP_THREAD_LIMIT"] = "1"
        self._tokenizer = Tokenizer(TextRules())

    def prepare(self, picture: Picture) -> Any:
        """The file's name: Tesseract reads it itself. Upright pixels where EXIF turns them, which it overlooks."""
        return picture.pixels if is_turned(picture.path) else str(picture.path)

    def extract(self, inputs: Sequence[Any]) -> list[Row]:
        """One row an image."""
        return [self._read(image) for image in inputs]

    def _read(self, image: Any) -> Row:
        import pytesseract

        try:
            table = pytesseract.image_to_data(
                image,
                lang=self.settings.language,
                config=f"--psm {self.settings.page_segmentation}",
                timeout=self.settings.timeout_seconds,
                output_type=pytesseract.Output.DICT,
            )
        except pytesseract.TesseractError as error:
            raise ImageFault("ocr_failed", error.message[:200]) from error
        except RuntimeError as error:  # pytesseract's only sign of a timeout; it has killed the process
            raise ImageFault("ocr_timeout", f"{self.settings.timeout_seconds} s") from error
        return self._row(table)

    def _row(self, table: Mapping[str, list[Any]]) -> Row:
        kept = [
            i
            for i, word in enumerate(table["text"])
            if word.strip() and float(table["conf"][i]) >= self.settings.min_confidence
        ]
        words = [table["text"][i].strip() for i in kept]
        text = " ".join(words)
        return {
            "text": text,
            "words": words,
            "boxes": [[int(table[side][i]) for side in ("left", "top", "width", "height")] for i in kept],
            "confidences": [float(table["conf"][i]) for i in kept],
            "tokens": [token for token in self._tokenizer.words(text) if token.isalpha() and len(token) > 1],
        }


@cache
def _tesseract(*arguments: str) -> str:
    try:
        done = subprocess.run(["tesseract", *arguments], capture_output=True, text=True, check=True, timeout=30)
    except FileNotFoundError as error:
        raise UsageError(f"feature ocr: no program `tesseract` on the path; {INSTALL}.") from error
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"feature ocr: `tesseract {' '.join(arguments)}` does not work: {error}.") from error
    return done.stdout + done.stderr


def engine_version() -> str:
    """Such as `tesseract 5.3.0`."""
    return _tesseract("--version").splitlines()[0].strip()


def data_file(language: str) -> Path:
    """The language's traineddata file; UsageError where it is not installed."""
    folder = re.search(r'"(.+?)"', _tesseract("--list-langs"))
    path = Path(folder.group(1) if folder else "") / f"{language}.traineddata"
    if not path.is_file():
        raise UsageError(f"feature ocr: Tesseract has no language '{language}' ({path}); install its data.")
    return path
