"""Hashtags to keyphrases: a reviewable mapping file first, the segmenter for the rest.

One lower-cased hashtag always gives one keyphrase, whatever post or run it comes from.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from m3h.pipeline.text.entities import hashtags
from m3h.pipeline.text.segmenter import Segmenter, letters
from m3h.schemas.errors import UsageError


def read_mapping(path: Path) -> dict[str, str]:
    """A mapping file: `hashtag<TAB>keyphrase` a line, `#` starts a comment. UsageError names a line that is neither.

    More columns are allowed, so that the table a build writes can be corrected and given back. A hashtag may be listed
    twice only with the same keyphrase.
    """
    mapping: dict[str, str] = {}
    for number, (hashtag, keyphrase, *_) in _rows(path):
        if mapping.setdefault(hashtag, keyphrase) != keyphrase:
            raise UsageError(
                f"{path}, line {number}: #{hashtag} is {keyphrase!r} here and {mapping[hashtag]!r} above. Keep one."
            )
    return mapping


def stated_certainty(path: Path) -> Callable[[str, str], float]:
    """The certainty that a table of a build states of a hashtag and its keyphrase; 1 where it states none."""
    stated = {(fields[0], fields[1]): fields[3] for _, fields in _rows(path) if len(fields) > 3}
    return lambda hashtag, keyphrase: float(stated.get((hashtag, keyphrase), 1))


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and fields; the hashtag and the keyphrase in the form in which they are compared."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"text.hashtag_map {path}: {error}.") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("# "):
            continue
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) < 2 or not fields[0] or not fields[1]:
            raise UsageError(f"{path}, line {number}: expected a hashtag, a tab and a keyphrase, got {line[:60]!r}.")
        yield number, [fields[0].lstrip("#＃").lower(), " ".join(fields[1].lower().split()), *fields[2:]]


class Keyphrases:
    """hashtag -> keyphrase. mapping overrides the segmenter."""

    def __init__(self, mapping: Mapping[str, str], segmenter: Segmenter) -> None:
        self._mapping = mapping
        self._segmenter = segmenter
        self._known: dict[tuple[str, str], str] = {}

    def with_mapping(self, mapping: Mapping[str, str]) -> "Keyphrases":
        """The same with another mapping."""
        return Keyphrases(mapping, self._segmenter)

    def __call__(self, hashtag: str, written: Mapping[str, str] | None = None) -> str:
        """With or without its `#`, in any case. written: how a lower-cased hashtag is usually written, if known."""
        tag = hashtag.lstrip("#＃").lower()
        key = (tag, (written or {}).get(tag, tag))
        if key not in self._known:
            self._known[key] = self._mapping.get(tag) or self._segmenter(key[1])
        return self._known[key]


def pairs_of(hashtags: Sequence[str], keyphrases: Sequence[str], mapping: Mapping[str, str]) -> list[tuple[str, str]]:
    """Which keyphrase each hashtag of a post became. A post has each keyphrase once, even if two hashtags give it.

    Args:
        hashtags: of the post, lower-cased.
        keyphrases: of the post.
        mapping: the user's, which overrode the segmenter.
    """
    if len(hashtags) == len(keyphrases):
        return list(zip(hashtags, keyphrases, strict=True))
    same = {letters(keyphrase): keyphrase for keyphrase in keyphrases}
    return [(tag, mapping.get(tag) or same[letters(tag)]) for tag in hashtags]


def mapping_table(pairs: Iterable[tuple[str, str]], certainty: Callable[[str, str], float]) -> str:
    """The mapping a build used, as `read_mapping` reads it back; first what most posts may have wrong.

    pairs: hashtag and keyphrase, once a post. certainty: of both, 0 to 1; a line stands the higher, the more posts it
    is likely to be wrong in.
    """
    counts = Counter(pairs)
    sure = {pair: round(certainty(*pair), 3) for pair in counts}
    rows = sorted(counts.items(), key=lambda item: (-round(item[1] * (1 - sure[item[0]]), 3), -item[1], item[0]))
    lines = [f"{hashtag}\t{phrase}\t{count}\t{sure[hashtag, phrase]:.3f}" for (hashtag, phrase), count in rows]
    return "\n".join(["# hashtag\tkeyphrase\tposts\tcertainty", *lines]) + "\n"


def telling_writings(text: str) -> set[tuple[str, str]]:
    """Hashtags of a text whose capitals say where words begin: lower-cased, and as written."""
    written = {hashtag.value for hashtag in hashtags(text)}
    return {(tag.lower(), tag) for tag in written if tag[1:] != tag[1:].lower() and tag != tag.upper()}
