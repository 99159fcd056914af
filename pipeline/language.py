"""Language of a post: what the dump says, else what py3langid reads from its words, offline."""

import re

import py3langid

from schemas.posts import Post

_NOT_WORDS = re.compile(r"https?://\S+|[@#]\w+")
UNKNOWN = ("und", "qme", "qht", "qam", "qct", "qst", "zxx", "art")
"""What Twitter writes where it could not tell a language."""


def language_of(post: Post) -> str:
    """A two-letter code. A region in the dump's code (`en-gb`) falls away."""
    stated = (post.lang or "").lower().replace("_", "-").split("-")[0]
    if stated and stated not in UNKNOWN:
        return stated
    return py3langid.classify(_NOT_WORDS.sub(" ", post.text))[0]
