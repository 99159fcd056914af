"""Text made harmless for ekphrasis: what it mangles is written out, what would cost it seconds is broken up.

Its expressions take time that grows faster than the text on long chains, long words and long numbers.
"""

import re
import unicodedata

import regex

MAX_CHARACTERS = 10_000
"""No post is nearly as long."""

_NUMBER_WORD = re.compile(r"\b\d+(?:st|nd|rd|th|s|k)\b", re.IGNORECASE)
_NUMBER_BEFORE_LETTERS = re.compile(r"(?<![\w$€£.,:/\-])\d+(?:[.,]\d+)*(?=[A-Za-z]+(?!\w))(?![ap]m\b)", re.IGNORECASE)
_HEART = re.compile(r"<[/\\]?3+(?!\w)")
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'"})
# Joiners have a meaning between letters of some scripts only.
_INVISIBLE = regex.compile(r"[\p{Cf}--[\u200c\u200d]]|(?<!\p{M}|\p{L})[\u200c\u200d]|[\u200c\u200d](?!\p{L})", regex.V1)
_LETTERS = regex.compile(r"[\p{L}\p{M}]+")

_DIGIT = re.compile(r"\d")
_LONG = 20
_LONG_NUMBER = re.compile(rf"\d{{{_LONG},}}")
_LONG_WORD = re.compile(rf"[A-Za-z]{{{_LONG},}}")
_LONG_CHAIN = re.compile(r"\S{100,}")
_SIGN = re.compile(r"[^\w\s]")
_RUN = re.compile(r"([a-z])\1+", re.IGNORECASE)
_MAX_RUNS = 8


def plain(text: str) -> str:
    """`text` with plain letters and apostrophes, numbers apart from units, no invisible signs or ordinals' letters."""
    text = text[:MAX_CHARACTERS]
    if not text.isascii():
        text = _INVISIBLE.sub("", text)
        text = _LETTERS.sub(lambda word: unicodedata.normalize("NFKC", word.group()), text).translate(_APOSTROPHES)
    if _DIGIT.search(text):
        text = _NUMBER_BEFORE_LETTERS.sub(" 0 ", _NUMBER_WORD.sub(" 0 ", _HEART.sub(" ", text)))
    if max(map(len, text.split()), default=0) < _LONG:
        return text
    text = _LONG_CHAIN.sub(lambda chain: _SIGN.sub(" ", chain.group()), text)
    text = _LONG_NUMBER.sub("0", text)
    return _LONG_WORD.sub(lambda word: _bounded(word.group()), text)


def _bounded(word: str) -> str:
    """A long word with few elongations: ekphrasis tries every combination of them, 2 to the power of their number."""
    runs = {letter.lower() for letter in _RUN.findall(word)}
    return _RUN.sub(lambda run: run.group(1) * min(3 if len(runs) <= _MAX_RUNS else 1, len(run.group())), word)
