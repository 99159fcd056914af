"""Finds Tesseract's engines and language data on this machine. When one is missing, the error says how to get it."""

import re
import struct
import subprocess
from functools import cache
from pathlib import Path
from typing import Literal

from m3h.schemas.errors import UsageError

Engine = Literal["pytesseract", "tesserocr"]
"""pytesseract: the program `tesseract`. tesserocr: a package with its own library. Their versions may differ."""

INSTALL = "install Tesseract, for example by `apt-get install tesseract-ocr` or `brew install tesseract`"
INSTALL_LIBRARY = "pip install tesserocr"

_LEGACY = 3
"""Index of the templates of Tesseract 3's classifier among the parts of a language data file (TESSDATA_INTTEMP)."""

_HEADER = struct.Struct(f"<i{_LEGACY + 1}q")


def program() -> str:
    """The name of the program `tesseract`, as pytesseract is configured."""
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
    """The version of an engine, for example `tesseract 5.3.0` or `tesserocr 2.13.0, tesseract 5.5.4`."""
    if engine == "pytesseract":
        return _tesseract("--version").splitlines()[0].strip()
    try:
        import tesserocr
    except ImportError as error:
        raise UsageError(f"feature ocr: engine=tesserocr needs that package: {INSTALL_LIBRARY}.") from error
    return f"tesserocr {tesserocr.__version__}, {tesserocr.tesseract_version().splitlines()[0].strip()}"


def data_file(language: str) -> Path:
    """The traineddata file of a language. Both engines use the program's file. UsageError when it is not installed."""
    folder = re.search(r'"(.+?)"', _tesseract("--list-langs"))
    path = Path(folder.group(1) if folder else "") / f"{language}.traineddata"
    if not path.is_file():
        raise UsageError(f"feature ocr: Tesseract has no language '{language}' ({path}); install its data.")
    return path


def has_adaptive_classifier(data: Path) -> bool:
    """Whether a data file contains Tesseract 3's classifier, which adapts to the pictures that it reads.

    With such a file, the words of a picture depend on the pictures before it. The file begins with the number of its
    parts and the offset of each part; the offset is -1 for a part that is missing.
    """
    with open(data, "rb") as file:
        count, *offsets = _HEADER.unpack(file.read(_HEADER.size).ljust(_HEADER.size, b"\0"))
    return count > _LEGACY and offsets[_LEGACY] >= 0
