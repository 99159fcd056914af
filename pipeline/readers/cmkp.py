"""The released dataset of the paper: `{train,valid,test}_src.txt` and the OCR and attribute files beside them.

A line is `tokens<sep>keyphrase;keyphrase<sep>image URL`. It is already tokenised and split, so cleaning is skipped.
The pictures are not part of it; a post's OCR words and attributes are imported as features under its picture's URL.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from pipeline.readers.record import RecordFault
from schemas.errors import IntegrityError
from schemas.posts import SPLITS, ImageRef, Post

FIELD_SEPARATOR = "<sep>"


def source_files(folder: Path) -> dict[str, Path]:
    """The splits a folder holds; {} where it is no released dataset."""
    found = {split: folder / f"{split}_src.txt" for split in SPLITS}
    return {split: path for split, path in found.items() if path.is_file()}


def lines_of(path: Path) -> list[str]:
    r"""Lines end at `\n` alone: the texts hold other characters that Python takes for line ends."""
    lines = path.read_bytes().decode("utf-8", errors="replace").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def image_key(url: str) -> str:
    """What stands for a picture whose bytes we do not have: the sha256 of its URL."""
    return hashlib.sha256(url.encode()).hexdigest()


def read_line(line: str, split: str, number: int) -> Post:
    """One post. RecordFault where the line has not three fields, or an empty one."""
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
    """Lines of `{split}_{suffix}.txt`, aligned with the posts; None where there is no such file.

    Raises IntegrityError where the two files differ in length.
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
    """Every line of a split as a Post, or its number and fault."""
    for number, line in enumerate(lines_of(source_files(folder)[split]), start=1):
        try:
            yield read_line(line, split, number)
        except RecordFault as fault:
            yield number, fault
