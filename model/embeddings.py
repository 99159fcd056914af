"""Word vectors from a text file (GloVe, fastText): `word number number ...` a line, plain or .gz.

Words may hold spaces (some of GloVe's 840B file do): the numbers are the last `width` fields. A first line of two whole
numbers is fastText's header. A word that the file lacks keeps its random row.
"""

import gzip
import logging
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from schemas.errors import UsageError
from schemas.files import sha256_file
from schemas.vocab import Vocabulary

logger = logging.getLogger(__name__)
_LONGEST = 1 << 20
"""Bytes of a line: ten times those of a word and 4,096 numbers."""
ALIASES = {"<mention>": "<user>"}
"""Our token -> what Twitter GloVe calls it, looked up where the file has no word of our own name."""


def fill(embedding: nn.Embedding, vocabulary: Vocabulary, vectors: dict[str, np.ndarray]) -> int:
    """Put the vectors into the rows of their words, but not into row 0, which is padding; how many were found."""
    rows = [(i, word) for i, word in enumerate(vocabulary.words) if i]
    found = [(i, vectors[name]) for i, word in rows if (name := _name(word, vectors)) is not None]
    if found:
        indices, values = zip(*found, strict=True)
        with torch.no_grad():
            table = torch.from_numpy(np.stack(values)).to(embedding.weight)
            embedding.weight[torch.tensor(indices, device=embedding.weight.device)] = table
    return len(found)


def _name(word: str, vectors: Collection[str]) -> str | None:
    return next((name for name in (word, ALIASES.get(word)) if name is not None and name in vectors), None)


def coverage(path: Path, vocabulary: Vocabulary, found: int) -> dict[str, Any]:
    """For run.json, and as a line of the log."""
    words = len(vocabulary) - 1
    logger.info(f"embeddings {path}: {found:,} of {words:,} words ({found / max(1, words):.1%}); the rest are random")
    return {"file": str(path), "sha256": sha256_file(path), "found": found, "words": words}


def read_vectors(path: Path, wanted: Collection[str], width: int) -> dict[str, np.ndarray]:
    """(width,) float32 of the words in `wanted`, or their aliases, that the file has; of two equal words the first.

    UsageError that names the line where one has too few fields, or something else than a number.
    """
    names = {name for word in wanted for name in (word, ALIASES.get(word, word))}
    vectors: dict[str, np.ndarray] = {}
    for number, line in _lines(path):
        spaces = line.count(" ")
        if number == 1:
            if spaces == 1 and line.replace(" ", "").isdecimal():
                continue
            _check_width(path, line, spaces, width)
        if spaces < width:
            raise UsageError(f"{path}, line {number}: expected a word and {width} numbers, got {line[:60]!r}.")
        word = line[: line.index(" ")] if spaces == width else line.rsplit(" ", width)[0]
        if word in names and word not in vectors:
            vectors[word] = _numbers(path, number, line[len(word) + 1 :])
    return vectors


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opener(path, "rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST), b""), 1):
                if len(line) == _LONGEST:
                    raise UsageError(f"embeddings {path}, line {number}: longer than {_LONGEST} bytes.")
                yield number, line.decode("utf-8").rstrip(" \r\n")
    except OSError as error:  # gzip.BadGzipFile is one
        raise UsageError(f"embeddings {path}: {error.strerror or error}.") from error
    except (EOFError, UnicodeDecodeError, zlib.error) as error:
        raise UsageError(f"embeddings {path}, line {number}: {error}.") from error


def _check_width(path: Path, line: str, spaces: int, width: int) -> None:
    fields = line.split(" ")[1:]
    if spaces != width and all(_is_number(field) for field in fields):
        raise UsageError(
            f"embeddings {path}: has {spaces} numbers a word, the model {width}. Add --set word_width={spaces}."
        )


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _numbers(path: Path, number: int, text: str) -> np.ndarray:
    try:
        values = np.array(text.split(" "), np.float32)
    except ValueError as error:
        raise UsageError(f"{path}, line {number}: {error}.") from error
    if not np.isfinite(values).all():
        raise UsageError(f"{path}, line {number}: a number is not finite.")
    return values
