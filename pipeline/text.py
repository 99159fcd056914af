"""Text to tokens (§4): links, mentions and digits become tags, hashtags lose their `#`, non-words go."""

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.entities import HASHTAG, LIST, MENTION, URL, entities, hashtags
from pipeline.hashtags import Keyphrases, read_mapping
from pipeline.plain import MAX_CHARACTERS, plain
from pipeline.privacy import mask
from pipeline.rules import TextRules
from pipeline.segment import Segmenter
from pipeline.statistics import read_counts, statistics_files, statistics_identity
from schemas.files import sha256_file
from schemas.posts import Post

TEXT_VERSION = 2
"""Bump when the same text gives other tokens: part of the fingerprint of what is made of tokens."""

TAGS = URL_TAG, MENTION_TAG, NUMBER_TAG = ("<url>", "<mention>", "<number>")
_KNOWN = {"<user>": MENTION_TAG} | {tag: tag for tag in TAGS}
_KNOWN.update({f"<{kind}>": NUMBER_TAG for kind in ("time", "date", "percent", "money", "phone")})
_NORMALIZE = ["url", "email", "phone", "user", "time", "date", "percent", "money", "number"]
_OF_ENTITY = {URL: URL_TAG, MENTION: MENTION_TAG, LIST: MENTION_TAG}
_PLACEHOLDER = re.compile(r"<(?:url|user|mention|number|email|phone)>")

_GLUED_TAGS = re.compile(r"(?<!\w)(?:[#＃]\w+)+")
_UP_TO_LAST_WORD = re.compile(r".*[^\W_]", re.DOTALL)
_LINK = "\ue000"
"""Stands for a character of a link: no word."""
_CUT_LINK = re.compile(r"https?:?/{0,2}[^\s…]*…\s*$", re.IGNORECASE)
_CUT_TEXT = re.compile(r"…\s*(?:https?://\S+\s*)*$")


def text_identity(rules: TextRules) -> dict[str, Any]:
    """What makes tokens and keyphrases of text now: the tokenizer, the words it knows, and the mapping of hashtags."""
    mapping = rules.hashtag_map
    return {
        "version": TEXT_VERSION,
        "statistics": statistics_identity(rules.word_statistics),
        "hashtag_map": sha256_file(mapping) if mapping and mapping.is_file() else "",
    }


class Tokenizer:
    """ekphrasis, set up for the paper's tokens. One per process: loading its word statistics takes a second.

    written (in all methods): how lower-cased hashtags are usually written, where that is known.
    """

    def __init__(self, rules: TextRules) -> None:
        self._process = _preprocessor(rules.word_statistics)
        mapping = read_mapping(rules.hashtag_map) if rules.hashtag_map else {}
        self.keyphrase = Keyphrases(mapping, Segmenter(rules.word_statistics))

    def tokens(self, text: str, written: Mapping[str, str] | None = None) -> list[str]:
        """Lower-cased words and the tags `<url>`, `<mention>`, `<number>`; everything else is gone.

        Hashtags at the end of the text (links may stand between and behind them) are removed, one in the middle
        stays as the words of its keyphrase. A masked text has the tokens of the text.
        """
        text = html.unescape(html.unescape(text))[:MAX_CHARACTERS]
        text = without_trailing_hashtags(mask(_CUT_LINK.sub("https://t.co", text)))
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
        text = _PLACEHOLDER.sub(r" \g<0> ", plain(text))
        tagged = (_KNOWN.get(token, token) for token in self._process(text))
        return [token for token in tagged if token.isalpha() or token in TAGS]

    def read(self, post: Post, written: Mapping[str, str] | None = None) -> Post:
        """`post` with its tokens, and its hashtags' keyphrases, distinct and in order; a hashtag cut short is none."""
        cut = cut_hashtag(post.text)
        tags = tuple(tag for tag in post.hashtags if tag != cut)
        keyphrases = tuple(dict.fromkeys(self.keyphrase(tag, written) for tag in tags))
        return post.having(hashtags=tags, tokens=tuple(self.tokens(post.text, written)), keyphrases=keyphrases)


def without_trailing_hashtags(text: str) -> str:
    """`text` less the hashtags it ends with; links and symbols among them do not make them a part of the sentence."""
    found = entities(text)
    links = [entity for entity in found if entity.kind == URL]
    rest = text
    for entity in found:
        if entity.kind in (URL, HASHTAG):
            blank = _LINK if entity.kind == URL else " "
            rest = rest[: entity.start] + blank * (entity.end - entity.start) + rest[entity.end :]
    rest = _GLUED_TAGS.sub(lambda tags: " " * len(tags.group()), rest)
    last_word = _UP_TO_LAST_WORD.match(rest)
    end = last_word.end() if last_word else 0
    if "#" not in text[end:] and "＃" not in text[end:]:
        return text
    return " ".join([text[:end], *(link.value for link in links if link.start >= end)]).strip()


def cut_hashtag(text: str) -> str:
    """The lower-cased hashtag that a text cut short ends with (`#some…`), if it stands there only once; else ""."""
    if not (cut := _CUT_TEXT.search(text)):
        return ""
    found = [(tag.value.lower(), tag.end) for tag in hashtags(text)]
    last = [value for value, end in found if end == cut.start()]
    return last[0] if last and [value for value, _ in found].count(last[0]) == 1 else ""


def _preprocessor(statistics: Path | None):  # type: ignore[no-untyped-def]
    from ekphrasis.classes import preprocessor, spellcorrect
    from ekphrasis.classes.tokenizer import SocialTokenizer

    files = statistics_files(statistics)
    spellcorrect.read_stats = lambda corpus, n: read_counts(files[n])  # its own would download them
    processor = preprocessor.TextPreProcessor(
        normalize=_NORMALIZE,
        annotate={"elongated", "repeated"},
        unpack_contractions=True,
        tokenizer=SocialTokenizer(lowercase=True).tokenize,
    )
    corrector = processor.spell_corrector
    # Its own returns a set: of equally frequent candidates, the process' hash seed would choose.
    corrector.known = lambda words: sorted({word for word in words if word in corrector.WORDS})
    return processor.pre_process_doc
