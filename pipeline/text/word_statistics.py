"""Word statistics: from installed packages or the user's files, never downloaded at run time.

Spelling and pairs of words come from wordsegment's counts (a web corpus of 2006); for parting hashtags, wordfreq's
frequencies (many corpora, tweets among them, up to 2021) are mixed in. The user's files replace both.
"""

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from m3h.pipeline.text.statistics_file import Entry, StatisticsFile, statistics_file
from m3h.schemas.errors import UsageError

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


_PAIR = b"\t"
"""Before the key of a pair, which no word begins with."""
_TOTAL = b"\n"
"""The key whose frequency is the sum of all words' counts; its count is 1 where words have frequencies."""
_ROLE = b"\v"
"""Before the key of a word in pairs. Count: 1 where it begins one; frequency: the most that it has behind another."""
_UNCOUNTED = -1
"""The count of a word that has a frequency alone."""


class WordStatistics:
    """Counts and frequencies of words, and counts of pairs, by a mapped file."""

    def __init__(self, file: StatisticsFile) -> None:
        self._get = file.get
        has_frequencies, total = file.get(_TOTAL) or (0, 1.0)
        self.total = int(total)
        self.count = lru_cache(maxsize=1 << 16)(self._count_of_word)
        self._has_frequencies = bool(has_frequencies)

    def probability(self, word: str) -> float | None:
        """Of a lower-cased word; None for one that is not even the second word of a pair."""
        if (entry := self._get(word.encode("utf-8", "surrogatepass"))) is None:
            return None
        count, frequency = entry
        counted = max(0, count) / self.total
        return _SHARE_OF_COUNTS * counted + (1 - _SHARE_OF_COUNTS) * frequency if self._has_frequencies else counted

    def behind(self, word: str, before: str) -> float:
        """Probability of `word` directly behind `before`; 0 where the pair is unknown."""
        if (known := self.count(before)) <= 0:
            return 0.0
        pair = self._count(_PAIR + _key(f"{before}_{word}"))
        return min(1.0, pair / known) if pair > 0 else 0.0

    def in_pairs(self, word: str) -> tuple[bool, float]:
        """Whether a word is the first one of a pair, and the most that `behind` gives for it, whatever is before it."""
        begins, likeliest = self._get(_ROLE + _key(word)) or (0, 0.0)
        return bool(begins), likeliest

    def __contains__(self, word: str) -> bool:
        """Whether a word was counted, however often."""
        return self.count(word) != _UNCOUNTED

    def __getitem__(self, word: str) -> int:
        """How often a word was counted; 0 for an unknown one."""
        return max(0, self.count(word))

    def _count_of_word(self, word: str) -> int:
        """_UNCOUNTED for an unknown word."""
        return self._count(_key(word))

    def _count(self, key: bytes) -> int:
        found = self._get(key)
        return found[0] if found else _UNCOUNTED


def _key(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@lru_cache(maxsize=2)
def word_statistics(folder: Path | None) -> WordStatistics:
    """The user's, or the installed ones. UsageError where they are not there or a line is none."""
    digest = statistics_identity(folder).rpartition(":")[2]
    kind = "own" if folder else "installed"
    return WordStatistics(statistics_file(f"{kind}-{digest}", lambda: _entries(folder)))


def _entries(folder: Path | None) -> Iterator[Entry]:
    counts, pairs = (read_counts(path) for _, path in sorted(statistics_files(folder).items()))
    frequencies: dict[str, float] = {}
    if folder is None:
        from wordfreq import get_frequency_dict

        known = get_frequency_dict("en", "large")
        frequencies = {
            word: share for word, share in known.items() if len(word) <= _LONGEST_FREQUENT or share >= _LEAST_FREQUENCY
        }
    yield _TOTAL, int(bool(frequencies)), float(max(1, sum(counts.values())))
    for word in {**counts, **frequencies}:
        yield _key(word), counts.get(word, _UNCOUNTED), frequencies.get(word, 0.0)
    for word in {pair.rpartition("_")[2] for pair in pairs} - counts.keys() - frequencies.keys():
        yield _key(word), _UNCOUNTED, 0.0  # so that every word behind another has an entry
    for pair, count in pairs.items():
        yield _PAIR + _key(pair), count, 0.0
    yield from _roles(counts, pairs)


def _roles(counts: Mapping[str, int], pairs: Mapping[str, int]) -> Iterator[Entry]:
    """Of each word in a pair, so that most words are known to have one score behind all others."""
    begins: set[str] = set()
    likeliest: dict[str, float] = {}
    for pair, count in pairs.items():
        before, _, word = pair.rpartition("_")
        if (known := counts.get(before, 0)) > 0 and count > 0:
            begins.add(before)
            likeliest[word] = max(likeliest.get(word, 0.0), min(1.0, count / known))
    for word in sorted(begins | likeliest.keys()):
        yield _ROLE + _key(word), int(word in begins), likeliest.get(word, 0.0)


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
