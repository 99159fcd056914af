"""Word vectors from a text file (GloVe, fastText): `word number number ...` a line, plain or .gz.

Fields are separated by spaces or tabs. A word may contain spaces, as some do in GloVe's 840B file: the numbers are the
last `width` fields. A first line of two whole numbers is fastText's header. A word that the file lacks keeps its random
row. A word that is no UTF-8 is left out and counted.
"""

import codecs
import gzip
import logging
import math
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from m3h.schemas.errors import UsageError
from m3h.schemas.files import sha256_file
from m3h.schemas.vocab import Vocabulary

logger = logging.getLogger(__name__)
_MAX_LINE = 1 << 20
"""The most bytes of a line: ten times those of a word and 4,096 numbers."""
ALIASES = {"<mention>": "<user>"}
"""Our token -> its name in Twitter GloVe, looked up where the file lacks our name."""


@dataclass
class WordVectors:
    """What a file holds of the wanted words.

    vectors: word -> (width,) float32 vector. unreadable: how many words of the file are no UTF-8.
    """

    vectors: dict[str, np.ndarray] = field(default_factory=dict)
    unreadable: int = 0

    def of(self, text: str) -> np.ndarray | None:
        """The vector of a word. That of several words is the mean of those that the file has; None if it has none."""
        name = _name(text, self.vectors)
        if name is not None:
            return self.vectors[name]
        parts = [self.vectors[name] for part in text.split(" ") if (name := _name(part, self.vectors)) is not None]
        return np.mean(parts, axis=0) if parts else None


def fill_embedding(embedding: nn.Embedding, vocabulary: Vocabulary, vectors: WordVectors) -> int:
    """Copy vectors into the rows of their words, and return how many words had one. Row 0 is padding and stays.

    Args:
        embedding: changed in place.
        vocabulary: word i is row i. An attribute may have several words, such as `fire truck`.
        vectors: of `read_vectors`.
    """
    rows = [(i, word) for i, word in enumerate(vocabulary.words) if i]
    found = [(i, vector) for i, word in rows if (vector := vectors.of(word)) is not None]
    if found:
        indices, values = zip(*found, strict=True)
        with torch.no_grad():
            table = torch.from_numpy(np.stack(values)).to(embedding.weight)
            embedding.weight[torch.tensor(indices, device=embedding.weight.device)] = table
    return len(found)


def _name(word: str, vectors: Collection[str]) -> str | None:
    return next((name for name in (word, ALIASES.get(word)) if name is not None and name in vectors), None)


def coverage(path: Path, vocabulary: Vocabulary, found: int, *, unreadable: int) -> dict[str, Any]:
    """A summary for run.json, which is also logged.

    Args:
        path: of the word vectors.
        vocabulary: the words, padding included.
        found: how many words had a vector.
        unreadable: how many words of the file are no UTF-8.
    """
    words = len(vocabulary) - 1
    logger.info(
        f"embeddings {path}: {found:,} of {words:,} words ({found / max(1, words):.1%}); the others start at random"
    )
    if unreadable:
        logger.warning(f"embeddings {path}: {unreadable:,} words are no UTF-8 and were left out.")
    summary = {"file": str(path), "sha256": sha256_file(path), "found": found, "words": words}
    return {**summary, "unreadable": unreadable}


def read_vectors(path: Path, wanted: Collection[str], width: int) -> WordVectors:
    """The vectors of the wanted words. Of two equal words in the file the first counts.

    Args:
        path: a text file, or its .gz.
        wanted: the words to look for, under their own name or their alias. Of several words, each is looked for too.
        width: numbers a word.

    Raises:
        UsageError: the file cannot be read, or a line has not `width` numbers, or one that is not finite. The message
            names the line.
    """
    words = {part for text in wanted for part in (text, *text.split(" "))}
    names = {name for word in words for name in (word, ALIASES.get(word, word))}
    found = WordVectors()
    for index, (number, fields) in enumerate(_lines(path)):
        if index == 0 and _is_header(fields):
            _check_width(path, number, int(fields[1]), width)
            continue
        if len(fields) <= width or _all_numbers(fields[1:-width]):
            _check_width(path, number, len(fields) - 1, width)
        word = _decoded(b" ".join(fields[:-width]))
        if word is None:
            found.unreadable += 1
        elif word in names and word not in found.vectors:
            found.vectors[word] = _numbers(path, number, fields[-width:])
    return found


def _lines(path: Path) -> Iterator[tuple[int, list[bytes]]]:
    """The number and the fields of each line that is not blank."""
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opener(path, "rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(_MAX_LINE), b""), 1):
                if len(line) == _MAX_LINE:
                    raise UsageError(f"embeddings {path}, line {number}: longer than {_MAX_LINE} bytes.")
                if fields := _fields(line.removeprefix(codecs.BOM_UTF8) if number == 1 else line):
                    yield number, fields
    except OSError as error:  # gzip.BadGzipFile is one
        raise UsageError(f"embeddings {path}: {error.strerror or error}.") from error
    except (EOFError, zlib.error) as error:
        raise UsageError(f"embeddings {path}, line {number}: {error}.") from error


def _fields(line: bytes) -> list[bytes]:
    """The fields between spaces and tabs. Other white space may be part of a word."""
    return [part for part in line.rstrip(b"\r\n").replace(b"\t", b" ").split(b" ") if part]


def _is_header(fields: list[bytes]) -> bool:
    return len(fields) == 2 and all(part.isdigit() for part in fields)


def _check_width(path: Path, number: int, found: int, width: int) -> None:
    if found != width:
        raise UsageError(
            f"embeddings {path}, line {number}: {found} numbers a word, but the model has {width}. "
            f"Name a file of {width} numbers, or add --set word_width={found}."
        )


def _all_numbers(fields: list[bytes]) -> bool:
    """Whether there are more fields than one word's, and all are numbers: then the line has another width."""
    try:
        return bool(fields) and all(math.isfinite(float(part)) for part in fields)
    except ValueError:
        return False


def _decoded(word: bytes) -> str | None:
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _numbers(path: Path, number: int, fields: list[bytes]) -> np.ndarray:
    try:
        values = np.array([part.decode() for part in fields], np.float32)
    except ValueError as error:
        raise UsageError(f"embeddings {path}, line {number}: {error}.") from error
    if not np.isfinite(values).all():
        raise UsageError(f"embeddings {path}, line {number}: a number is not finite.")
    return values
