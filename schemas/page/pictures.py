"""What is known of each picture: its thumbnail, the words in it, its objects and attributes."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import IntegrityError, UsageError
from m3h.schemas.files import publish
from m3h.schemas.inside import folder_in, picture_file
from m3h.schemas.shards import KEY

SIDE = 256
"""The longer side of a thumbnail, in pixels."""

MOST_WORDS, MOST_OBJECTS = 200, 36
"""What is drawn on one picture at most."""

_BOXES = ("boxes", "classes", "class_scores", "number")
_ROTATED = (5, 6, 7, 8)
"""EXIF orientations by which width and height change places."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Pictures:
    """Facts by picture, as the page needs them.

    words: [word, x, y, width, height] in pixels of the upright picture; [word] where its place is not known.
    objects: [class, x1, y1, x2, y2, score]. attributes: [label, score], None for a score that is not known.
    """

    readings: Mapping[str, Row] = field(default_factory=dict)
    objects: Mapping[str, list[list[Any]]] = field(default_factory=dict)
    attributes: Mapping[str, list[list[Any]]] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Dataset, class_names: Sequence[str] = ()) -> "Pictures":
        """Those of a dataset's current versions. class_names: of the detector, by class; else classes are numbers."""
        readings: dict[str, Row] = {}
        attributes: dict[str, list[list[Any]]] = {}
        objects: dict[str, list[list[Any]]] = {}
        if data.has_feature("ocr"):
            table = data.table("ocr")
            columns = [name for name in (KEY, "words", "tokens", "boxes", "text") if name in table.column_names]
            readings = {row[KEY]: row for row in table.select(columns).to_pylist()}
        if data.has_feature("attributes"):
            attributes = {row[KEY]: _attributes(row) for row in data.table("attributes").to_pylist()}
        for name in sorted(data.manifest.features):
            if _has_boxes(data, name):
                objects |= dict(_objects(data, name, class_names))
        return cls(readings, objects, attributes)

    def facts(self, image: str) -> Row:
        """What the page shows of one picture, without what is empty."""
        found = {
            "words": _words(self.readings.get(image, {})),
            "objects": self.objects.get(image, []),
            "attributes": self.attributes.get(image, []),
        }
        return {name: values for name, values in found.items() if values}

    def shown(self, image: str, sizes: Mapping[str, tuple[int, int]]) -> Row:
        """`facts`, and the size of a picture that has a thumbnail."""
        return {**({"size": sizes[image]} if image in sizes else {}), **self.facts(image)}


def class_names(path: Path | None) -> list[str]:
    """The names of a detector's classes, one a line; of several in a line, separated by commas, the first.

    Raises:
        UsageError: The file cannot be read.
    """
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--class-names {path}: expected a text file with one class a line ({error}).") from error
    return [line.partition(",")[0].strip() for line in lines]


def _words(reading: Row) -> list[list[Any]]:
    words, boxes = reading.get("words") or [], reading.get("boxes") or []
    return [[word, *box] for word, box in list(zip_longest(words, boxes[: len(words)], fillvalue=()))[:MOST_WORDS]]


def _attributes(row: Row) -> list[list[Any]]:
    scores = row.get("scores") or [None] * len(row["labels"])
    pairs = zip(row["labels"], scores, strict=False)
    return [[label, None if score is None else round(score, 3)] for label, score in pairs]


def _has_boxes(data: Dataset, name: str) -> bool:
    arrays = {array["name"] for array in data.described(name)["spec"]["arrays"]}
    return arrays.issuperset(_BOXES)


def _objects(data: Dataset, name: str, names: Sequence[str]) -> Iterator[tuple[str, list[list[Any]]]]:
    found = data.tensors(name, _BOXES)
    boxes, classes, scores, number = (found.arrays[array] for array in _BOXES)
    for image, row in found.rows.items():
        shown = range(min(int(number[row]), MOST_OBJECTS))
        named = [_name(names, int(classes[row][i])) for i in shown]
        sides = boxes[row].astype(int).tolist()
        yield image, [[named[i], *sides[i], round(float(scores[row][i]), 3)] for i in shown]


def _name(names: Sequence[str], number: int) -> str:
    return names[number] if 0 <= number < len(names) else f"class {number}"


@dataclass
class Thumbnails:
    """Small copies of stored pictures below a folder, kept from one report to the next. done: how many are there."""

    dataset: Path
    folder: Path
    done: int = 0

    def make(self, images: Sequence[str], workers: int) -> dict[str, tuple[int, int]]:
        """Make those that are missing and remove those of other pictures.

        Args:
            images: sha256 of the pictures, each once.
            workers: Threads.

        Returns:
            Width and height of each upright picture, in pixels. One whose file is missing or unreadable is left out.
        """
        wanted = set(images)
        for path in self.folder.glob("*/*.jpg"):
            if path.stem not in wanted:
                path.unlink()
        with ThreadPoolExecutor(workers) as pool:
            sizes = dict(zip(images, pool.map(self._one, images), strict=True))
        return {image: size for image, size in sizes.items() if size}

    def _one(self, image: str) -> tuple[int, int] | None:
        from PIL import Image, UnidentifiedImageError

        target = self.folder / image[:2] / f"{image}.jpg"
        try:
            with Image.open(picture_file(folder_in(self.dataset, "images"), image), formats=("JPEG",)) as picture:
                width, height = picture.size
                rotated = picture.getexif().get(0x0112) in _ROTATED
                if not target.is_file():
                    _write(picture, target)
        except (OSError, SyntaxError, ValueError, UnidentifiedImageError, IntegrityError, Image.DecompressionBombError):
            return None  # `verify` names such a picture; the page says that it is missing
        finally:
            self.done += 1
        return (height, width) if rotated else (width, height)


def _write(picture: Any, target: Path) -> None:
    from PIL import ImageOps

    picture.draft("RGB", (SIDE * 2, SIDE * 2))  # the decoder itself shrinks: several times as fast
    small = ImageOps.exif_transpose(picture)
    small.thumbnail((SIDE, SIDE))
    publish(target, lambda temp: small.convert("RGB").save(temp, "JPEG", quality=72), lasting=False)
