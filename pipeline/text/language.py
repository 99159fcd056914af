"""Language of a post: what the dump says, else what py3langid reads from its words, offline."""

import html
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import regex

from m3h.schemas.posts import Post

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

_NOT_WORDS = regex.compile(r"https?://\S+|@\w+|^RT\s")
_HASHTAG = regex.compile(r"[#＃]\w+")
_SIGN_OF_HASHTAG = regex.compile(r"[#＃_]")
_WORD = regex.compile(r"\p{L}[\p{L}\p{M}]*")
_FEW_WORDS = 5
"""With fewer words than these, those of the hashtags count too: of two or three alone no language can be told."""

UNDETERMINED = "und"
"""The code of ISO 639 for a language that cannot be told, such as that of a text without words."""
UNKNOWN = (UNDETERMINED, "qme", "qht", "qam", "qct", "qst", "zxx", "art")
"""What Twitter writes where it could not tell a language."""

_OLD_CODES = {"in": "id", "iw": "he", "ji": "yi"}
"""Twitter writes some languages by codes that ISO 639 has given up."""

COMMON = [
    "ar",
    "bg",
    "bn",
    "ca",
    "cs",
    "cy",
    "da",
    "de",
    "el",
    "en",
    "es",
    "et",
    "eu",
    "fa",
    "fi",
    "fr",
    "he",
    "hi",
    "hr",
    "hu",
    "id",
    "it",
    "ja",
    "ko",
    "lt",
    "lv",
    "ms",
    "nl",
    "no",
    "pl",
    "pt",
    "ro",
    "ru",
    "sl",
    "sr",
    "sv",
    "ta",
    "te",
    "th",
    "tl",
    "tr",
    "uk",
    "ur",
    "vi",
    "zh",
]
"""Languages that Twitter itself tells apart, less Haitian. With all of py3langid's, 3.7 % of the posts of four tokens
and more that Twitter calls English are Nigerian Pidgin, Volapük and the like; with these, 1.4 %."""


def language_of(post: Post, common: bool = True) -> str:
    """A two-letter code, or UNDETERMINED. A region in the dump's code (`en-gb`) falls away.

    common: guess among COMMON alone.
    """
    stated = (post.lang or "").lower().replace("_", "-").split("-")[0]
    if stated and stated not in UNKNOWN:
        return _OLD_CODES.get(stated, stated)
    text = html.unescape(html.unescape(post.text))
    if "@" in text or "http" in text or text.startswith("RT"):
        text = _NOT_WORDS.sub(" ", text)
    words = _telling(text).lower()
    return _guess(words, common) if _WORD.search(words) else UNDETERMINED


def _guess(words: str, common: bool) -> str:
    """UNDETERMINED for letters of which py3langid knows nothing: it would name the first language of its list."""
    identifier, floor = _identifier(common)
    language, score = identifier.classify(words)
    return str(language) if score > floor else UNDETERMINED


def _telling(text: str) -> str:
    """The part of a text that tells its language: without hashtags, or with their words where there are few others.

    It is read in lower case: py3langid was fitted on texts with few capitals, and takes posts that shout for foreign.
    """
    without = _HASHTAG.sub(" ", text)
    enough = next(islice(_WORD.finditer(without), _FEW_WORDS - 1, None), None)
    return without if enough else _SIGN_OF_HASHTAG.sub(" ", text)


@lru_cache(maxsize=2)
def _identifier(common: bool) -> "tuple[LanguageIdentifier, float]":
    """One a process, and the score of letters of which it knows nothing.

    It is another one than the library's own, whose languages others may have set.
    """
    from py3langid.langid import MODEL_FILE, RAW_FLOOR, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    if common:
        identifier.set_languages(COMMON)
        identifier.nb_ptc = np.ascontiguousarray(identifier.nb_ptc)  # it reads rows, and picking languages left columns
    return identifier, RAW_FLOOR
