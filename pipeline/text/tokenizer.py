"""Text to tokens (§4): links, mentions and digits become tags, hashtags lose their `#`, non-words go."""

import html
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import regex

from m3h.pipeline.rules import TextRules
from m3h.pipeline.text.entities import HASHTAG, LIST, MENTION, URL, entities, hashtags
from m3h.pipeline.text.hashtags import Keyphrases, read_mapping
from m3h.pipeline.text.normalize import MAX_CHARACTERS, plain
from m3h.pipeline.text.pii import is_personal, mask
from m3h.pipeline.text.segmenter import Segmenter
from m3h.pipeline.text.social_words import SocialWords
from m3h.pipeline.text.word_statistics import statistics_identity, word_statistics
from m3h.schemas.files import sha256_file
from m3h.schemas.posts import Post

TEXT_VERSION = 4
"""Bump when the same text gives other tokens: part of the fingerprint of what is made of tokens."""

TAGS = URL_TAG, MENTION_TAG, NUMBER_TAG = ("<url>", "<mention>", "<number>")
_KNOWN = {"<user>": MENTION_TAG} | {tag: tag for tag in TAGS}
_KNOWN.update({f"<{kind}>": NUMBER_TAG for kind in ("time", "date", "percent", "money", "phone")})
_OF_ENTITY = {URL: URL_TAG, MENTION: MENTION_TAG, LIST: MENTION_TAG}
_PLACEHOLDER = re.compile(r"<(?:url|user|mention|number|email|phone)>")

_GLUED_TAGS = re.compile(r"(?<!\w)(?:[#＃]\w+)+")
_MASKED_LINK = re.compile(URL_TAG)
_UP_TO_LAST_WORD = re.compile(r".*[^\W_]>?", re.DOTALL)
"""With the sign that ends a placeholder, which is a word as a whole."""
_LINK = "\ue000"
"""Stands for a character of a link: no word."""
_SIGNS = re.compile(r"\W|\d{10}")
_BEFORE_LINKS = r"(?=\s*+(?:https?://\S++\s*+)*+$)"
_CUT_LINK = regex.compile(
    rf"(?:(?:(?<!\w)h(?:tt?)?|https?:?/{{0,2}}[^\s…]*+)…|(?<!\w)ht(?:t(?:ps?(?::/{{0,2}}[^\s…]*?)?)?)?\.{{3}}){_BEFORE_LINKS}",
    regex.IGNORECASE,
)
"""A link whose end is missing: a retweet cuts its text anywhere, so `h…` is the beginning of one too."""
_CUT_TEXT = regex.compile(rf"…{_BEFORE_LINKS}")


def text_identity(rules: TextRules) -> dict[str, Any]:
    """What makes tokens and keyphrases of text now: the tokenizer, the words it knows, and the mapping of hashtags."""
    mapping = rules.hashtag_map
    return {
        "version": TEXT_VERSION,
        "statistics": statistics_identity(rules.word_statistics),
        "hashtag_map": sha256_file(mapping) if mapping and mapping.is_file() else "",
    }


class Tokenizer:
    """ekphrasis, set up for the paper's tokens. One per process: it knows the words that it has seen.

    written (in all methods): how lower-cased hashtags are usually written, where that is known.
    """

    def __init__(self, rules: TextRules) -> None:
        self._process = SocialWords(word_statistics(rules.word_statistics), _word_or_tag)
        mapping = read_mapping(rules.hashtag_map) if rules.hashtag_map else {}
        self.keyphrase = Keyphrases(mapping, Segmenter(rules.word_statistics))

    def tokens(self, text: str, written: Mapping[str, str] | None = None) -> list[str]:
        """Lower-cased words and the tags `<url>`, `<mention>`, `<number>`; everything else is gone.

        Hashtags at the end of the text (links may stand between and behind them) are removed, one in the middle
        stays as the words of its keyphrase. A masked text has the tokens of the text.
        """
        text = html.unescape(html.unescape(text))[:MAX_CHARACTERS]
        if "…" in text or "..." in text:
            text = _CUT_LINK.sub("https://t.co", text)
        text = without_trailing_hashtags(mask(text))
        parts, end = [], 0
        for entity in entities(text):
            phrase = self.keyphrase(entity.value, written) if entity.kind == HASHTAG else _OF_ENTITY.get(entity.kind)
            if phrase:
                possessive = text[entity.end : entity.end + 1] in ("'", "’")
                parts += [text[end : entity.start], " ", phrase, "" if possessive else " "]
                end = entity.end
        return self.words("".join([*parts, text[end:]]))

    def words(self, text: str) -> list[str]:
        """Tokens of a text without hashtags, such as the words read in a picture."""
        text = plain(text)
        return self._process(_PLACEHOLDER.sub(r" \g<0> ", text) if "<" in text else text)

    def read(self, post: Post, written: Mapping[str, str] | None = None) -> Post:
        """`post` with its tokens, those of its picture's description, and its hashtags' keyphrases, distinct, in order.

        A hashtag cut short is none, nor is one that a source lists and that is an address, an account or a number.
        """
        cut = cut_hashtag(post.text)
        tags = tuple(tag for tag in post.hashtags if tag != cut and not (_SIGNS.search(tag) and is_personal(tag)))
        keyphrases = tuple(dict.fromkeys(self.keyphrase(tag, written) for tag in tags))
        tokens, alt_tokens = (tuple(self.tokens(text, written)) if text else () for text in (post.text, post.alt))
        return post.having(hashtags=tags, tokens=tokens, keyphrases=keyphrases, alt_tokens=alt_tokens)


def _word_or_tag(token: str) -> str:
    """What stands for a token of ekphrasis in ours: "" for one that is no word."""
    token = _KNOWN.get(token, token)
    return token if token.isalpha() or token in TAGS else ""


@lru_cache(maxsize=1)
def tokenizer_of(rules: TextRules) -> Tokenizer:
    """This process's tokenizer."""
    return Tokenizer(rules)


def without_trailing_hashtags(text: str) -> str:
    """`text` less the hashtags it ends with; links and symbols among them do not make them a part of the sentence."""
    if "#" not in text and "＃" not in text:
        return text
    found = entities(text)
    links = [(entity.start, entity.end) for entity in found if entity.kind == URL]
    if URL_TAG in text:
        links = sorted(links + [match.span() for match in _MASKED_LINK.finditer(text)])
    tags = [(entity.start, entity.end) for entity in found if entity.kind == HASHTAG]
    rest = _blanked(_blanked(text, links, _LINK), tags, " ")
    if "#" in rest or "＃" in rest:
        rest = _GLUED_TAGS.sub(lambda tags: " " * len(tags.group()), rest)
    last_word = _UP_TO_LAST_WORD.match(rest)
    end = last_word.end() if last_word else 0
    if "#" not in text[end:] and "＃" not in text[end:]:
        return text
    return " ".join([text[:end], *(text[start:stop] for start, stop in links if start >= end)]).strip()


def _blanked(text: str, spans: Iterable[tuple[int, int]], sign: str) -> str:
    """A text of the same length with signs in the place of some of its parts."""
    for start, end in spans:
        text = text[:start] + sign * (end - start) + text[end:]
    return text


def cut_hashtag(text: str) -> str:
    """The lower-cased hashtag that a text cut short ends with (`#some…`), if it stands there only once; else ""."""
    if "…" not in text or not (cut := _CUT_TEXT.search(text)):
        return ""
    found = [(tag.value.lower(), tag.end) for tag in hashtags(text)]
    last = [value for value, end in found if end == cut.start()]
    return last[0] if last and [value for value, _ in found].count(last[0]) == 1 else ""
