"""What a head is trained from: pictures that are here, and the words of their captions."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain
from pathlib import Path

from pipeline.attributes.captions import Captioned
from pipeline.progress import watched
from schemas.errors import UsageError
from schemas.files import sha256_file

log = logging.getLogger(__name__)
Words = Callable[[str], Sequence[str]]
"""From a caption to those of its words that may become attributes."""


@dataclass
class Material:
    """folder: of the pictures. files, words: by the sha256 of a picture's bytes. missing: names without a file there.

    unreadable: name -> why it cannot be decoded.
    """

    folder: Path
    files: dict[str, Path] = field(default_factory=dict)
    words: dict[str, list[str]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)

    def leave_out(self, faults: dict[str, str]) -> None:
        """Pictures that cannot be decoded. UsageError where none is left."""
        for key, fault in sorted(faults.items()):
            self.unreadable[self.files.pop(key).relative_to(self.folder).as_posix()] = fault
            del self.words[key]
        if not self.files:
            raise UsageError(f"--images: no picture can be decoded; the first: {next(iter(faults.values()))}.")


def gather(captioned: Sequence[Captioned], folder: Path, words: Words) -> Material:
    """Find, hash and read. Pictures of the same bytes are one. UsageError where not a single picture is here."""
    if not folder.is_dir():
        raise UsageError(f"--images {folder}: no such folder.")
    found, looked_at = Material(folder), 0
    with watched("captions", len(captioned), lambda: looked_at):
        for item in captioned:
            looked_at += 1
            path = folder / item.file_name
            if not path.is_file():
                found.missing.append(item.file_name)
                continue
            key = sha256_file(path)
            found.files.setdefault(key, path)
            found.words.setdefault(key, []).extend(chain.from_iterable(map(words, item.captions)))
    if not found.files:
        raise UsageError(
            f"--images {folder}: none of the {len(captioned)} pictures with captions is there; "
            f"the first is expected as {folder / captioned[0].file_name}."
        )
    if found.missing:
        log.warning("%d pictures are not in %s, such as %s", len(found.missing), folder, found.missing[0])
    return found


def validating(keys: Iterable[str], percent: float, seed: int) -> set[str]:
    """Which pictures validate: by a hash of seed and sha256, so that it never depends on which others there are."""
    return {key for key in keys if int(sha256(f"{seed} {key}".encode()).hexdigest()[:8], 16) < percent / 100 * 2**32}
