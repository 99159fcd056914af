"""The words in the table that Tesseract prints for a picture.

The cells of a row are separated by tabs, and nothing is quoted: a word may begin with a quote. Readers of CSV, and
pytesseract's own, change such words, cut confidences to whole numbers, or stop.
"""

from dataclasses import dataclass

from m3h.pipeline.extractors.ocr.sheets import Box

_CELLS = 12
"""level, page_num, block_num, par_num, line_num, word_num, left, top, width, height, conf, text."""


@dataclass(frozen=True)
class Word:
    """A word that was read. box: in pixels. confidence: 0 to 100, as Tesseract gives it, such as 95.44."""

    text: str
    box: Box
    confidence: float


def words_of(table: str) -> list[Word]:
    """The words of a table without its header. Rows of pages, blocks and lines have no text, and are no words."""
    rows = (line.split("\t", _CELLS - 1) for line in table.split("\n"))
    return [_word(cells) for cells in rows if len(cells) == _CELLS and cells[-1].strip()]


def _word(cells: list[str]) -> Word:
    left, top, width, height = map(int, cells[6:10])
    return Word(cells[11].strip(), (left, top, width, height), float(cells[10]))
