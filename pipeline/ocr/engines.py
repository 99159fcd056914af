"""Tesseract's engines and language data on this machine: what they are, and how to get one that is missing."""

import re
import struct
import subprocess
from functools import cache
from pathlib import Path
from typing import Literal

from schemas.errors import UsageError

Engine = Literal["pytesseract", "tesserocr"]
"""pytesseract: the program `tesseract`; tesserocr: the library that this package brings. Their versions may differ."""

INSTALL = "install Tesseract, such as `apt-get install tesseract-ocr` or `brew install tesseract`"
INSTALL_LIBRARY = "pip install tesserocr"

_LEGACY = 3
"""Position of the templates of Tesseract 3's classifier in a file of language data (TESSDATA_INTTEMP)."""

_HEAD = struct.Struct(f"<i{_LEGACY + 1}q")


def program() -> str:
    """The program's name, or what pytesseract was told that it is."""
    import pytesseract

    return pytesseract.pytesseract.tesseract_cmd


@cache
def _tesseract(*arguments: str) -> str:
    try:
        done = subprocess.run([program(), *arguments], capture_output=True, text=True, check=True, timeout=30)
    except FileNotFoundError as error:
        raise UsageError(f"feature ocr: no program `tesseract` on the path; {INSTALL}.") from error
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"feature ocr: `tesseract {' '.join(arguments)}` does not work: {error}.") from error
    return done.stdout + done.stderr


def engine_version(engine: Engine = "pytesseract") -> str:
    """Such as `tesseract 5.3.0`, or `tesserocr 2.13.0, tesseract 5.5.4`."""
    if engine == "pytesseract":
        return _tesseract("--version").splitlines()[0].strip()
    try:
        import tesserocr
    except ImportError as error:
        raise UsageError(f"feature ocr: engine=tesserocr needs that package: {INSTALL_LIBRARY}.") from error
    return f"tesserocr {tesserocr.__version__}, {tesserocr.tesseract_version().splitlines()[0].strip()}"


def data_file(language: str) -> Path:
    """The language's traineddata file, for either engine that of the program; UsageError where it is not installed."""
    folder = re.search(r'"(.+?)"', _tesseract("--list-langs"))
    path = Path(folder.group(1) if folder else "") / f"{language}.traineddata"
    if not path.is_file():
        raise UsageError(f"feature ocr: Tesseract has no language '{language}' ({path}); install its data.")
    return path


def learns(data: Path) -> bool:
    """Whether with this data the program reads a picture otherwise after others: it has Tesseract 3's classifier.

    The file begins with the number of its parts and where each is, -1 for one that it lacks.
    """
    with open(data, "rb") as file:
        count, *places = _HEAD.unpack(file.read(_HEAD.size).ljust(_HEAD.size, b"\0"))
    return count > _LEGACY and places[_LEGACY] >= 0
