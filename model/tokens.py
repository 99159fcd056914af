"""A raw text as the model's tokens, without the pipeline's tools: enough to try a trained run on a sentence.

The dataset's own texts went through ekphrasis (hashtag segmentation, spelling, word normalisation); this does none of
that. It lower-cases, replaces links, mentions and numbers, removes trailing hashtags and the `#` of others, and keeps
words, and whatever else the vocabulary knows.
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


def tokenise(text: str, vocabulary: Container[str]) -> list[str]:
    """Tokens of `text`. vocabulary: the run's words; of `<mention>` and `<user>` the one it knows is used."""
    text = _TRAILING_HASHTAGS.sub("", text).lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    for pattern, names in _MARKS:
        mark = next((name for name in names if name in vocabulary), names[0])
        text = pattern.sub(f" {mark} ", text)
    tokens = _TOKEN.findall(text)
    return [token for token in tokens if token in vocabulary or token[0] == "<" or token.isalpha()]
