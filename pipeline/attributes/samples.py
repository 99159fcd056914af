"""Gathers the training data of a head: the pictures that exist, and the words of their captions."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain
from pathlib import Path

from m3h.pipeline.attributes.captions import CaptionedImage
from m3h.pipeline.progress.monitor import watched
from m3h.schemas.errors import UsageError
from m3h.schemas.files import sha256_file

log = logging.getLogger(__name__)
FindWords = Callable[[str], Sequence[str]]
"""Returns the words of a caption that may become attributes."""


@dataclass
class TrainingImages:
    """The pictures and the words of their captions.

    folder: of the pictures. files, words: by the sha256 of a picture's bytes. missing: names without a file.
    unreadable: why a picture cannot be decoded, by its name.
    """

    folder: Path
    files: dict[str, Path] = field(default_factory=dict)
    words: dict[str, list[str]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)

    def leave_out(self, faults: dict[str, str]) -> None:
        """Remove pictures that cannot be decoded. faults: the reasons by sha256. UsageError when no picture is left."""
        for key, fault in sorted(faults.items()):
            self.unreadable[self.files.pop(key).relative_to(self.folder).as_posix()] = fault
            del self.words[key]
        if not self.files:
            raise UsageError(f"--images: no picture can be decoded; the first: {next(iter(faults.values()))}.")


def gather(captioned: Sequence[CaptionedImage], folder: Path, find_words: FindWords) -> TrainingImages:
    """Find and hash the pictures, and find the words of their captions. Files with the same bytes are one picture.

    Args:
        captioned: the names and the captions of the pictures.
        folder: the folder of the pictures.
        find_words: returns the words of a caption that may become attributes.

    Raises:
        UsageError: the folder does not exist, or none of the pictures does.
    """
    if not folder.is_dir():
        raise UsageError(f"--images {folder}: no such folder.")
    found, searched = TrainingImages(folder), 0
    with watched("captions", len(captioned), lambda: searched):
        for item in captioned:
            searched += 1
            path = folder / item.file_name
            if not path.is_file():
                found.missing.append(item.file_name)
                continue
            key = sha256_file(path)
            found.files.setdefault(key, path)
            found.words.setdefault(key, []).extend(chain.from_iterable(map(find_words, item.captions)))
    if not found.files:
        raise UsageError(
            f"--images {folder}: none of the {len(captioned)} pictures with captions exists; "
            f"the first is expected as {folder / captioned[0].file_name}."
        )
    if found.missing:
        log.warning("%d pictures are not in %s, for example %s", len(found.missing), folder, found.missing[0])
    return found


def validation_images(keys: Iterable[str], percent: float, seed: int) -> set[str]:
    """The pictures that are used for validation. A hash decides for each picture, independently of the others.

    Args:
        keys: the sha256 of the pictures.
        percent: share of the pictures, 0 to 100.
        seed: another seed chooses other pictures.
    """
    return {key for key in keys if int(sha256(f"{seed} {key}".encode()).hexdigest()[:8], 16) < percent / 100 * 2**32}
