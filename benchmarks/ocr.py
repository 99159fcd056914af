"""OCR against the plain loop (pytesseract, a call a picture), on the same pictures with the answers compared.

    python -m benchmarks.ocr --images sample/images --number 60 --rounds 3

All compute with one thread. CPU seconds are of this process and all it started: other work on the machine disturbs
them less than the clock. `words equal` are pictures with the same words; `all equal` those with the same boxes and
confidences, too.
"""

import argparse
import os
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from m3h.pipeline.extractors.ocr.engines import Engine, engine_version
from m3h.pipeline.extractors.ocr.table import Word, words_of
from m3h.pipeline.extractors.tesseract import Tesseract, TesseractSettings
from m3h.pipeline.images.jpeg import is_turned
from m3h.pipeline.images.picture import Picture

Answers = list[list[Word]]


def plain(images: Sequence[Path]) -> Answers:
    """The loop a user would write."""
    import pytesseract

    tables = [pytesseract.image_to_data(str(path), output_type=pytesseract.Output.DICT) for path in images]
    return [words_of(table) for table in tables]


def ours(images: Sequence[Path], engine: Engine) -> Answers:
    """The extractor as a worker uses it, the start of its helper process included."""
    tesseract = Tesseract(TesseractSettings(engine=engine))
    tesseract.load()
    found: Answers = []
    for i in range(0, len(images), tesseract.batch_size):
        batch = images[i : i + tesseract.batch_size]
        for row in tesseract.extract([tesseract.prepare(Picture(path)) for path in batch]):
            columns = zip(row["words"], map(tuple, row["boxes"]), row["confidences"], strict=True)
            found.append([Word(*cells) for cells in columns])
    tesseract.close()
    return found


def timed(work: Callable[[], Answers]) -> tuple[Answers, float, float]:
    """Answers, seconds by the clock, seconds of the processor."""
    wall, cpu = time.monotonic(), _processor()
    answers = work()
    return answers, time.monotonic() - wall, _processor() - cpu


def _processor() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    """Print a line a way of reading."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=Path, default=Path("sample/images"))
    parser.add_argument("--number", type=int, default=60, help="of pictures, evenly over the folder")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--wordless", action="store_true", help="only pictures without words")
    options = parser.parse_args()
    os.environ["OMP_THREAD_LIMIT"] = "1"
    every = [path for path in sorted(options.images.glob("*.jpg")) if _readable(path)]
    images = every[:: max(1, len(every) // options.number)][: options.number]
    if options.wordless:
        images = [path for path, words in zip(images, plain(images), strict=True) if not words]
    ways: dict[str, Callable[[], Answers]] = {
        "plain loop": lambda: plain(images),
        "pytesseract": lambda: ours(images, "pytesseract"),
        "tesserocr": lambda: ours(images, "tesserocr"),
    }
    rounds = [{name: timed(work) for name, work in ways.items()} for _ in range(options.rounds)]
    expected = rounds[0]["plain loop"][0]
    with_words = sum(map(bool, expected))
    print(f"{len(images)} pictures, {with_words} with words; {engine_version()}; {engine_version('tesserocr')}")
    titles = ("wall s", "CPU s", "CPU ms each", "times as fast", "words equal", "all equal")
    print(f"{'':12}" + "".join(f"{title:>14}" for title in titles))
    for name in ways:
        answers = rounds[-1][name][0]
        wall, cpu = median(one[name][1] for one in rounds), median(one[name][2] for one in rounds)
        ratio = median(one["plain loop"][2] / one[name][2] for one in rounds)
        words = sum([w.text for w in a] == [w.text for w in b] for a, b in zip(answers, expected, strict=True))
        same = sum(a == b for a, b in zip(answers, expected, strict=True))
        figures = (f"{wall:.1f}", f"{cpu:.1f}", f"{1000 * cpu / len(images):.1f}", f"{ratio:.2f}", words, same)
        print(f"{name:12}" + "".join(f"{figure:>14}" for figure in figures))


def _readable(path: Path) -> bool:
    """Whether it is a picture that all ways read alike: the plain loop overlooks that EXIF turns one."""
    from m3h.schemas.errors import ImageFault

    try:
        return not is_turned(path)
    except ImageFault:
        return False


if __name__ == "__main__":
    main()
