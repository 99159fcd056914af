"""Word statistics: from installed packages or the user's files, never downloaded at run time.

Spelling and pairs of words come from wordsegment's counts (a web corpus of 2006); for parting hashtags, wordfreq's
frequencies (many corpora, tweets among them, up to 2021) are mixed in. The user's files replace both.
"""

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from m3h.schemas.errors import UsageError

warnings.filterwarnings("ignore", category=FutureWarning, module="ekphrasis")  # its old regular expressions
warnings.filterwarnings("ignore", category=SyntaxWarning, module=r".*\bekphrasis\b")  # of a file that is compiled first

_INSTALLED = {1: "unigrams.txt", 2: "bigrams.txt"}
_OWN = {1: "counts_1grams.txt", 2: "counts_2grams.txt"}
_FREQUENCIES = ("wordfreq", "data/large_en.msgpack.gz")
_SHARE_OF_COUNTS = 0.3
_LONGEST, _DIGITS = 10_000, 18
"""Characters of a line of counts, and of a count."""
_LONGEST_FREQUENT, _LEAST_FREQUENCY = 7, 10**2.3 / 1e9
"""Letters, and the least frequency of longer words: among wordfreq's rarer ones are hashtags (`gameofthrones`)."""


def statistics_files(folder: Path | None) -> dict[int, Path]:
    """n -> the file of n-gram counts: the user's in ekphrasis' layout, or those the package wordsegment installs."""
    if folder is None:
        return {n: _installed("wordsegment", name) for n, name in _INSTALLED.items()}
    files = {n: folder / name for n, name in _OWN.items()}
    for path in files.values():
        if not path.is_file():
            raise UsageError(f"text.word_statistics {folder}: expected {path.name} in it, there is none.")
    return files


def _installed(package: str, file: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise UsageError(f"no word statistics of {package}: install the pipeline extra, or set text.word_statistics.")
    return Path(spec.origin).parent / file


@lru_cache(maxsize=4)
def read_counts(path: Path) -> dict[str, int]:
    """Counts by word, or by a pair of words joined by `_` as ekphrasis has it. Lines: the words, a tab, the count."""
    counts: dict[str, int] = {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST), ""), start=1):
            line = line.rstrip("\n")
            *words, count = line.split("\t")
            if not words or not count.isdecimal() or len(count) > _DIGITS:
                raise UsageError(f"{path}, line {number}: expected words, a tab and a count, got {line[:60]!r}.")
            counts["_".join(words).replace(" ", "_")] = int(count)
    return counts


@dataclass(frozen=True)
class WordStatistics:
    """counts: by word; pairs: by two words joined by `_`; frequencies: by word, in per one, {} for none."""

    counts: Mapping[str, int]
    pairs: Mapping[str, int]
    frequencies: Mapping[str, float]
    total: int

    def probability(self, word: str) -> float:
        """Of a lower-cased word; 0 for an unknown one."""
        counted = self.counts.get(word, 0) / self.total
        if not self.frequencies:
            return counted
        return _SHARE_OF_COUNTS * counted + (1 - _SHARE_OF_COUNTS) * self.frequencies.get(word, 0.0)

    def behind(self, word: str, before: str) -> float:
        """Probability of `word` directly behind `before`; 0 where the pair is unknown."""
        pair = self.pairs.get(f"{before}_{word}", 0)
        return min(1.0, pair / self.counts[before]) if pair and before in self.counts else 0.0


@lru_cache(maxsize=2)
def word_statistics(folder: Path | None) -> WordStatistics:
    """The user's, or the installed ones. UsageError where they are not there or a line is none."""
    counts, pairs = (read_counts(path) for _, path in sorted(statistics_files(folder).items()))
    frequencies: dict[str, float] = {}
    if folder is None:
        from wordfreq import get_frequency_dict

        known = get_frequency_dict("en", "large")
        frequencies = {
            word: share for word, share in known.items() if len(word) <= _LONGEST_FREQUENT or share >= _LEAST_FREQUENCY
        }
    return WordStatistics(counts, pairs, frequencies, max(1, sum(counts.values())))


@lru_cache(maxsize=4)
def statistics_identity(folder: Path | None) -> str:
    """What the statistics are, for the manifest and the fingerprints of what depends on them."""
    digest = hashlib.sha256()
    files = [path for _, path in sorted(statistics_files(folder).items())]
    if folder is None:
        files.append(_installed(*_FREQUENCIES))
    for path in files:
        digest.update(path.read_bytes())
    packages = ("wordsegment", _FREQUENCIES[0])
    name = ", ".join(f"{package} {version(package)}" for package in packages) if folder is None else folder.name
    return f"{name} sha256:{digest.hexdigest()[:16]}"
