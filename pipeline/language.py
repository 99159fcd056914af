"""Language of a post: what the dump says, else what py3langid reads from its words, offline."""

import html
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from schemas.posts import Post

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

_NOT_WORDS = re.compile(r"https?://\S+|[@#]\w+|^RT\s")
UNKNOWN = ("und", "qme", "qht", "qam", "qct", "qst", "zxx", "art")
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
"""Languages that Twitter itself tells apart, less Haitian. With all of py3langid's, of the posts of four words and more
that Twitter calls English 4.5 % are Nigerian Pidgin, Volapük and the like; with these, 1.0 %."""


def language_of(post: Post, common: bool = True) -> str:
    """A two-letter code. A region in the dump's code (`en-gb`) falls away. common: guess among COMMON alone."""
    stated = (post.lang or "").lower().replace("_", "-").split("-")[0]
    if stated and stated not in UNKNOWN:
        return _OLD_CODES.get(stated, stated)
    words = _NOT_WORDS.sub(" ", html.unescape(html.unescape(post.text)))
    return str(_identifier(common).classify(words)[0])


@lru_cache(maxsize=2)
def _identifier(common: bool) -> "LanguageIdentifier":
    """One a process: another than the library's own, whose languages others may have set."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    if common:
        identifier.set_languages(COMMON)
    return identifier
