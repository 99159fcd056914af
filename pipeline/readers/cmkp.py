"""The paper's released dataset: `{train,valid,test}_src.txt`, with OCR and attribute files beside them.

A line is `tokens<sep>keyphrase;keyphrase<sep>image URL`. The posts are already tokenised and split, so cleaning is
skipped. The dataset does not contain the pictures. A post's OCR words and attributes are imported as features, and the
URL of the picture is the key of these features.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from m3h.pipeline.readers.record import RecordFault
from m3h.schemas.errors import IntegrityError
from m3h.schemas.posts import SPLITS, ImageRef, Post

FIELD_SEPARATOR = "<sep>"


def source_files(folder: Path) -> dict[str, Path]:
    """The file of each split in `folder`. {} when the folder is not a released dataset."""
    found = {split: folder / f"{split}_src.txt" for split in SPLITS}
    return {split: path for split, path in found.items() if path.is_file()}


def lines_of(path: Path) -> list[str]:
    r"""The lines of a file. Only `\n` ends a line, because the texts hold other characters that Python splits at."""
    lines = path.read_bytes().decode("utf-8", errors="replace").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def image_key(url: str) -> str:
    """The sha256 of a picture's URL. It stands in for the hash of the picture's bytes, which we do not have."""
    return hashlib.sha256(url.encode()).hexdigest()


def read_line(line: str, split: str, number: int) -> Post:
    """One post of the released dataset.

    Args:
        line: the line without its line end.
        split: train, valid or test; stored as the post's split and part of its id.
        number: the line's number, from 1; part of the post's id.

    Raises:
        RecordFault: the line does not have three fields, or one of them is empty.
    """
    fields = line.split(FIELD_SEPARATOR)
    if len(fields) != 3:
        raise RecordFault("bad_line", f"expected 3 fields between {FIELD_SEPARATOR}, got {len(fields)}")
    source, phrases, url = (field.strip() for field in fields)
    keyphrases = tuple(dict.fromkeys(phrase.strip() for phrase in phrases.split(";") if phrase.strip()))
    if not source or not keyphrases or not url:
        raise RecordFault("bad_line", "expected source, keyphrases and image, one of them is empty")
    return Post(
        post_id=f"{split}-{number:06d}",
        text=source,
        images=(ImageRef(url=url),),
        split=split,
        tokens=tuple(source.split()),
        keyphrases=keyphrases,
        image_sha256=image_key(url),
    )


def sidecar_lines(folder: Path, split: str, suffix: str) -> list[str] | None:
    """The lines of `{split}_{suffix}.txt`, one per post. None when the file does not exist.

    Args:
        folder: the folder of the released dataset.
        split: train, valid or test.
        suffix: what the file holds, as its name says it.

    Raises:
        IntegrityError: the file does not have as many lines as `{split}_src.txt`.
    """
    path = folder / f"{split}_{suffix}.txt"
    if not path.is_file():
        return None
    lines, posts = lines_of(path), lines_of(source_files(folder)[split])
    if len(lines) != len(posts):
        raise IntegrityError(
            f"{path}: expected {len(posts)} lines as in {split}_src.txt, got {len(lines)}. Fetch both files again."
        )
    return lines


def posts_of(folder: Path, split: str) -> Iterator[Post | tuple[int, RecordFault]]:
    """Every line of a split, in order: a Post, or the line's number and its fault."""
    for number, line in enumerate(lines_of(source_files(folder)[split]), start=1):
        try:
            yield read_line(line, split, number)
        except RecordFault as fault:
            yield number, fault
