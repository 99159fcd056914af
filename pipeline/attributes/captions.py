"""Reads captions in COCO's layout: `images` with `id`, `file_name`; `annotations` with `image_id`, `id`, `caption`."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pydantic

from m3h.schemas.errors import UsageError


class _Record(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)  # other fields are ignored


class _Image(_Record):
    id: int | str
    file_name: str


class _Annotation(_Record):
    image_id: int | str
    caption: str


class _File(_Record):
    images: list[_Image]
    annotations: list[_Annotation]


@dataclass(frozen=True)
class CaptionedImage:
    """file_name: of the picture, relative to the folder of pictures. captions: the texts that describe it."""

    file_name: str
    captions: tuple[str, ...]


def read_captions(path: Path) -> list[CaptionedImage]:
    """The pictures that have a caption, in the order of the file.

    UsageError when the file is not JSON, a field is missing or wrong, an id is used twice or unknown, a file name leads
    out of the folder, or there is no caption. The message names the file, the record and the field.
    """
    content = _parse(path)
    names: dict[int | str, str] = {}
    for i, image in enumerate(content.images):
        _refuse_outside(path, i, image.file_name)
        if names.setdefault(image.id, image.file_name) != image.file_name:
            raise UsageError(f"{path}: images[{i}].id: expected one file per id, got {image.id!r} for two.")
    captions: dict[int | str, list[str]] = defaultdict(list)
    for i, annotation in enumerate(content.annotations):
        if annotation.image_id not in names:
            raise UsageError(
                f"{path}: annotations[{i}].image_id: expected an id of `images`, got {annotation.image_id!r}."
            )
        if annotation.caption.strip():
            captions[annotation.image_id].append(annotation.caption)
    if not captions:
        raise UsageError(f"{path}: expected captions in `annotations`, found none.")
    return [CaptionedImage(name, tuple(captions[image])) for image, name in names.items() if image in captions]


def _parse(path: Path) -> _File:
    try:
        return _File.model_validate(json.loads(path.read_bytes()))
    except OSError as error:
        raise UsageError(f"--captions {path}: {error.strerror}.") from error
    except pydantic.ValidationError as error:  # it is a ValueError, so it must come first
        first = error.errors()[0]
        field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
        got = "nothing" if first["type"] == "missing" else f"{first['input']!r:.60}"
        raise UsageError(f"{path}: {field or 'the file'}: {first['msg'].lower()}, got {got}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: expected COCO's captions as JSON, not readable as such ({error}).") from error


def _refuse_outside(path: Path, i: int, name: str) -> None:
    if not name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise UsageError(f"{path}: images[{i}].file_name: expected a name within the folder of pictures, got {name!r}.")
