"""Hashtags to keyphrases: a reviewable mapping file first, the segmenter for the rest.

One lower-cased hashtag always gives one keyphrase, whatever post or run it comes from.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.statistics import read_counts, statistics_files
from schemas.errors import UsageError

_PARTS = re.compile(r"[^\W\d_]+|\d+")
_LONGEST_PART = 100
"""Letters; a longer part stays whole, because the search goes several calls deeper with every letter."""


class Segmenter:
    """Splits a hashtag into words by ekphrasis' Viterbi search over word statistics.

    Letters and digits are parted first (`cwc19` -> `cwc 19`), underscores fall away.
    """

    def __init__(self, statistics: Path | None = None) -> None:
        from ekphrasis.classes import segmenter

        files = statistics_files(statistics)
        segmenter.read_stats = lambda corpus, n: read_counts(files[n])  # its own would download them
        self._viterbi = segmenter.Segmenter()

    def __call__(self, hashtag: str) -> str:
        """The hashtag's words, joined by spaces."""
        words: list[str] = []
        for part in _PARTS.findall(hashtag.lower()):
            whole = part.isdigit() or len(part) > _LONGEST_PART
            words += [part] if whole else self._viterbi.find_segment(part)[1]
        return " ".join(words) or hashtag.lower()


def read_mapping(path: Path) -> dict[str, str]:
    """A mapping file: `hashtag<TAB>keyphrase` a line, `#` starts a comment. UsageError names a line that is neither.

    More columns are allowed, so that the table a build writes can be corrected and given back.
    """
    mapping: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"text.hashtag_map {path}: {error}.") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("# "):
            continue
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) < 2 or not fields[0] or not fields[1]:
            raise UsageError(f"{path}, line {number}: expected a hashtag, a tab and a keyphrase, got {line[:60]!r}.")
        mapping[fields[0].lstrip("#").lower()] = " ".join(fields[1].lower().split())
    return mapping


class Keyphrases:
    """hashtag -> keyphrase. mapping overrides the segmenter."""

    def __init__(self, mapping: Mapping[str, str], segmenter: Segmenter) -> None:
        self._mapping = mapping
        self._segmenter = segmenter
        self._known: dict[str, str] = {}

    def __call__(self, hashtag: str) -> str:
        """With or without its `#`, in any case."""
        tag = hashtag.lstrip("#").lower()
        if tag not in self._known:
            self._known[tag] = self._mapping.get(tag) or self._segmenter(tag)
        return self._known[tag]


def mapping_table(pairs: Iterable[tuple[str, str]]) -> str:
    """The mapping a build used, most frequent hashtag first, in the format that `read_mapping` reads back."""
    counts = Counter(pairs)
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    lines = [f"{hashtag}\t{keyphrase}\t{count}" for (hashtag, keyphrase), count in rows]
    return "\n".join(["# hashtag\tkeyphrase\tposts", *lines]) + "\n"
