"""Text to tokens (§4): links, mentions and digits become tags, hashtags lose their `#`, non-words go."""

import html
import re
from pathlib import Path

from pipeline.entities import HASHTAG, entities
from pipeline.hashtags import Keyphrases, read_mapping
from pipeline.rules import TextRules
from pipeline.segment import Segmenter
from pipeline.statistics import read_counts, statistics_files
from schemas.posts import Post

TEXT_VERSION = 1
"""Bump when the same text gives other tokens: part of the fingerprint of what is made of tokens."""

URL, MENTION, NUMBER = "<url>", "<mention>", "<number>"
_TAGS = {"<url>": URL, "<user>": MENTION}
_TAGS.update({f"<{kind}>": NUMBER for kind in ("number", "time", "date", "percent", "money", "phone")})
_NORMALIZE = ["url", "email", "phone", "user", "time", "date", "percent", "money", "number"]

_POSSESSIVE = re.compile(r"(?<=\w)'s\b", re.IGNORECASE)
_ORDINAL = re.compile(r"\b\d+(?:st|nd|rd|th)\b", re.IGNORECASE)
_LONG_NUMBER = re.compile(r"\d{20,}")
_LONG_WORD = re.compile(r"[A-Za-z]{20,}")
_RUN = re.compile(r"([a-z])\1+", re.IGNORECASE)
_MAX_RUNS = 8
_ONLY_HASHTAGS = re.compile(r"(?:[#＃]\w+)+\W*")
_HAS_WORD = re.compile(r"[^\W_]")
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'"})
_MAX_CHARACTERS = 10_000
"""ekphrasis' expressions take time that grows faster than the text; no post is nearly as long."""


class Tokenizer:
    """ekphrasis, set up for the paper's tokens. One per process: loading its word statistics takes a second."""

    def __init__(self, rules: TextRules) -> None:
        self._process = _preprocessor(rules.word_statistics)
        mapping = read_mapping(rules.hashtag_map) if rules.hashtag_map else {}
        self.keyphrase = Keyphrases(mapping, Segmenter(rules.word_statistics))

    def tokens(self, text: str) -> list[str]:
        """Lower-cased words and the tags `<url>`, `<mention>`, `<number>`; everything else is gone.

        Hashtags at the end of the text (links may stand between and behind them) are removed, one in the middle
        stays as the words of its keyphrase.
        """
        text = html.unescape(html.unescape(text))[:_MAX_CHARACTERS]
        return self.words(self._spelled(without_trailing_hashtags(text)))

    def _spelled(self, text: str) -> str:
        """`text` with the words of each hashtag in its place."""
        parts, end = [], 0
        for entity in entities(text):
            if entity.kind == HASHTAG:
                parts += [text[end : entity.start], f" {self.keyphrase(entity.value)} "]
                end = entity.end
        return "".join([*parts, text[end:]])

    def words(self, text: str) -> list[str]:
        """Tokens of a text without hashtags, such as the words read in a picture."""
        text = _POSSESSIVE.sub("", text[:_MAX_CHARACTERS].translate(_APOSTROPHES))
        text = _LONG_NUMBER.sub("0", _ORDINAL.sub(" 0 ", text))  # digits cost ekphrasis the cube of their number
        text = _LONG_WORD.sub(lambda word: _bounded(word.group()), text)
        tagged = (_TAGS.get(token, token) for token in self._process(text))
        return [token for token in tagged if token.isalpha() or token in (URL, MENTION, NUMBER)]

    def read(self, post: Post) -> Post:
        """`post` with its tokens, and its hashtags' keyphrases, distinct and in order."""
        keyphrases = tuple(dict.fromkeys(self.keyphrase(tag) for tag in post.hashtags))
        return post.having(tokens=tuple(self.tokens(post.text)), keyphrases=keyphrases)


def without_trailing_hashtags(text: str) -> str:
    """`text` less the hashtags it ends with; links and symbols among them do not make them a part of the sentence."""
    words = text.split()
    links: list[str] = []
    while words:
        if words[-1].startswith(("http://", "https://")):
            links.append(words[-1])
        elif _HAS_WORD.search(words[-1]) and not _ONLY_HASHTAGS.fullmatch(words[-1]):
            break
        words.pop()
    return " ".join([*words, *reversed(links)])


def _bounded(word: str) -> str:
    """A long word with few elongations: ekphrasis tries every combination of them, 2 to the power of their number."""
    runs = {letter.lower() for letter in _RUN.findall(word)}
    return _RUN.sub(lambda run: run.group(1) * min(3 if len(runs) <= _MAX_RUNS else 1, len(run.group())), word)


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
