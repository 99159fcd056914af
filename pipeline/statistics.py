"""Word statistics for ekphrasis: from an installed package or the user's files, never downloaded at run time."""

import hashlib
import warnings
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from schemas.errors import UsageError

warnings.filterwarnings("ignore", category=FutureWarning, module="ekphrasis")  # its old regular expressions

_INSTALLED = {1: "unigrams.txt", 2: "bigrams.txt"}
_OWN = {1: "counts_1grams.txt", 2: "counts_2grams.txt"}


def statistics_files(folder: Path | None) -> dict[int, Path]:
    """n -> the file of n-gram counts: the user's in ekphrasis' layout, or those the package wordsegment installs."""
    if folder is None:
        spec = find_spec("wordsegment")
        if spec is None or spec.origin is None:
            raise UsageError("no word statistics: install the pipeline extra, or set text.word_statistics.")
        return {n: Path(spec.origin).parent / name for n, name in _INSTALLED.items()}
    files = {n: folder / name for n, name in _OWN.items()}
    for path in files.values():
        if not path.is_file():
            raise UsageError(f"text.word_statistics {folder}: expected {path.name} in it, there is none.")
    return files


@lru_cache(maxsize=4)
def read_counts(path: Path) -> dict[str, int]:
    """Counts by word, or by a pair of words joined by `_` as ekphrasis has it. Lines: the words, a tab, the count."""
    counts: dict[str, int] = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            line = line.rstrip("\n")
            *words, count = line.split("\t")
            if not words or not count.isdecimal():
                raise UsageError(f"{path}, line {number}: expected words, a tab and a count, got {line[:60]!r}.")
            counts["_".join(words).replace(" ", "_")] = int(count)
    return counts


@lru_cache(maxsize=4)
def statistics_identity(folder: Path | None) -> str:
    """What the statistics are, for the manifest and the fingerprints of what depends on them."""
    digest = hashlib.sha256()
    for _, path in sorted(statistics_files(folder).items()):
        digest.update(path.read_bytes())
    name = f"wordsegment {version('wordsegment')}" if folder is None else folder.name
    return f"{name} sha256:{digest.hexdigest()[:16]}"
