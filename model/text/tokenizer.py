"""Tokens of a raw text without the pipeline's tools, to try a trained run on a sentence.

The texts of a dataset are prepared by ekphrasis: hashtags are segmented, spelling is corrected, words are normalized.
This module does none of that. It lower-cases the text, replaces links, mentions and numbers, removes trailing hashtags
and the `#` of the others, and keeps words and every other token that the vocabulary has.
"""

import re
from collections.abc import Container

_TRAILING_HASHTAGS = re.compile(r"(\s*#\w+)+\s*$")
_MARKS = (
    (re.compile(r"https?://\S+|www\.\S+"), ("<url>",)),
    (re.compile(r"(?<!\w)@\w+"), ("<mention>", "<user>")),
    (re.compile(r"(?<![\w<])\d[\d.,:]*\b"), ("<number>",)),
)
_TOKEN = re.compile(r"<\w+>|[^\W\d_]+(?:'[^\W\d_]+)?|[^\w\s]+")


def tokenize(text: str, vocabulary: Container[str]) -> list[str]:
    """Tokens of `text`.

    vocabulary: the words of the run. A mention becomes `<mention>` or `<user>`, whichever it has.
    """
    text = _TRAILING_HASHTAGS.sub("", text).lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    for pattern, names in _MARKS:
        mark = next((name for name in names if name in vocabulary), names[0])
        text = pattern.sub(f" {mark} ", text)
    tokens = _TOKEN.findall(text)
    return [token for token in tokens if token in vocabulary or token[0] == "<" or token.isalpha()]
