"""OCR of the bundled sample's pictures: pytesseract picture by picture, pytesseract with a list file, plain tesserocr.

All compute with one thread. tesserocr brings a Tesseract of its own, which may be newer than the program: only engines
of one version must find the same words, between the two versions equal pictures are counted.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness.case import Case, Side, WrongAnswer
from benchmarks.harness.work import Answer, Work

IMAGES = Path(__file__).parents[2] / "sample" / "images"
_COLUMNS = ("text", "conf", "level", "page_num")
_WORD_LEVEL = 5


def pictures(number: int) -> list[Path]:
    """So many of the sample, evenly over the folder."""
    every = sorted(IMAGES.glob("*.jpg"))
    return every[:: max(1, len(every) // number)][:number]


def find_data(work: Work) -> None:
    """Where the program's language data lie: tesserocr reads the same."""
    from m3h.pipeline.extractors.ocr.engines import data_file

    (work.folder / "tessdata.txt").write_text(str(data_file("eng").parent))


def _ours(work: Work, engine: Any) -> Answer:
    """The extractor as a worker uses it. The start of its helper process is not its work, nor is the first picture."""
    from m3h.pipeline.extractors.tesseract import Tesseract, TesseractSettings
    from m3h.pipeline.images.picture import Picture

    images, found = pictures(work.number), []
    tesseract = Tesseract(TesseractSettings(engine=engine))
    tesseract.load()
    tesseract.extract([tesseract.prepare(Picture(images[0]))])
    work.begin()
    for start in range(0, len(images), tesseract.batch_size):
        batch = [tesseract.prepare(Picture(path)) for path in images[start : start + tesseract.batch_size]]
        found += [list(row["words"]) for row in tesseract.extract(batch)]
    tesseract.close()
    return {"words": found}


def ours(work: Work) -> Answer:
    """By the program `tesseract`."""
    return _ours(work, "pytesseract")


def ours_tesserocr(work: Work) -> Answer:
    """By the library."""
    return _ours(work, "tesserocr")


def loop(work: Work) -> Answer:
    """pytesseract, a call a picture."""
    import pytesseract

    images = pictures(work.number)
    work.begin()
    tables = [pytesseract.image_to_data(str(path), output_type=pytesseract.Output.DICT) for path in images]
    return {"words": [_words(table) for table in tables]}


def listed(work: Work) -> Answer:
    """pytesseract, one call for all pictures, by a file with their names."""
    import pytesseract

    images = pictures(work.number)
    work.begin()
    names = work.folder / "images.txt"
    names.write_text("".join(f"{path}\n" for path in images))
    table = pytesseract.image_to_data(str(names), output_type=pytesseract.Output.DICT)
    pages: list[dict[str, list[Any]]] = [{column: [] for column in _COLUMNS} for _ in images]
    for row in zip(*(table[column] for column in _COLUMNS), strict=True):
        page = pages[int(row[-1]) - 1]
        for column, value in zip(_COLUMNS, row, strict=True):
            page[column].append(value)
    return {"words": [_words(page) for page in pages]}


def plain_tesserocr(work: Work) -> Answer:
    """tesserocr, one interface for all pictures, words by its iterator."""
    from tesserocr import PSM, RIL, PyTessBaseAPI, iterate_level

    images, found = pictures(work.number), []
    data = (work.folder / "tessdata.txt").read_text()
    with PyTessBaseAPI(path=data, lang="eng", psm=PSM.AUTO) as api:
        work.begin()
        for path in images:
            api.SetImageFile(str(path))
            api.Recognize()
            words = []
            iterator = api.GetIterator()
            for part in iterate_level(iterator, RIL.WORD) if iterator else ():
                if not part.Empty(RIL.WORD):
                    words.append(part.GetUTF8Text(RIL.WORD))
            found.append([word for word in words if word.strip()])
    return {"words": found}


def _words(table: Mapping[str, list[Any]]) -> list[str]:
    rows = zip(table["text"], table["conf"], table["level"], strict=True)
    return [text for text, _, level in rows if int(level) == _WORD_LEVEL and str(text).strip()]


def compare(answers: Mapping[str, Answer]) -> str:
    """The program must find the same words however it is called; so must the library."""
    program, library = ("m3h, tesseract", "pytesseract loop", "pytesseract list file"), ("m3h, tesserocr", "tesserocr")
    for names in (program, library):
        first = answers[names[0]]["words"]
        for name in names[1:]:
            different = [i for i, (a, b) in enumerate(zip(first, answers[name]["words"], strict=True)) if a != b]
            if different:
                raise WrongAnswer(f"{name}: {len(different)} pictures have other words, such as number {different[0]}: "
                                  f"{answers[name]['words'][different[0]]}, {first[different[0]]}")  # fmt: skip
    mine, other = answers[program[0]]["words"], answers[library[0]]["words"]
    same = sum(a == b for a, b in zip(mine, other, strict=True))
    return f"the words of all {len(mine)} pictures are equal for each engine; between the engines, of {same}."


CASE = Case(
    name="ocr",
    title="OCR: pytesseract, its list file, tesserocr",
    things="pictures",
    number=48,
    prepare=(Side("data", "benchmarks.cases.ocr:find_data", peer=False),),
    sides=(
        Side("m3h, tesseract", "benchmarks.cases.ocr:ours", peer=False),
        Side("pytesseract loop", "benchmarks.cases.ocr:loop"),
        Side("pytesseract list file", "benchmarks.cases.ocr:listed"),
        Side("m3h, tesserocr", "benchmarks.cases.ocr:ours_tesserocr", peer=False),
        Side("tesserocr", "benchmarks.cases.ocr:plain_tesserocr"),
    ),
    compare=compare,
    bound="Tesseract itself, in the helper process, and its start for every batch of 32 pictures.",
    env={"OMP_THREAD_LIMIT": "1"},
)
