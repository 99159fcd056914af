"""ekphrasis' words of a text, found word by word, so that each distinct word is looked at once.

Its expressions see no further than a space, but for those of numbers (`5 pm`, `12 Jan 2012`) and of faces with a hole
in them (`( o o )`, `^ ^`). Where there is a sign of these, that word and its neighbours are looked at together.
"""

import re
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from m3h.pipeline.text.word_statistics import WordStatistics

if TYPE_CHECKING:
    from ekphrasis.classes.spellcorrect import SpellCorrector

warnings.filterwarnings("ignore", category=FutureWarning, module="ekphrasis")  # its old regular expressions
warnings.filterwarnings("ignore", category=SyntaxWarning, module=r".*\bekphrasis\b")  # of a file that is compiled first

_KINDS = ("url", "email", "phone", "user", "time", "date", "percent", "money", "number")
"""What becomes `<url>`, `<email>` …, in this order."""
_NUMBERS = ("phone", "time", "date", "percent", "money", "number")
"""Of these, those that have a digit."""

_REACHING = re.compile(r"[\d^;()&]")
"""What an expression that sees further than a space has at its ends; and escapes, which may stand for a space."""
_NEIGHBOURS = 3
"""Words on each side; none of these expressions takes more."""
_DIGIT = re.compile(r"\d")
_THRICE = re.compile(r"([a-zA-Z])\1\1")
_WORD = re.compile(r"\S+")
_SPACES = re.compile(r" +")
_CONTRACTIONS = tuple(
    (re.compile(rf"(\b){pattern}"), rf"\1\2{rest}")
    for pattern, rest in (
        (
            "([Aa]re|[Cc]ould|[Dd]id|[Dd]oes|[Dd]o|[Hh]ad|[Hh]as|[Hh]ave|[Ii]s|[Mm]ight|[Mm]ust|[Ss]hould|[Ww]ere|[Ww]ould)n't",
            " not",
        ),
        ("([Hh]e|[Ii]|[Ss]he|[Tt]hey|[Ww]e|[Ww]hat|[Ww]ho|[Yy]ou)'ll", " will"),
        ("([Tt]hey|[Ww]e|[Ww]hat|[Ww]ho|[Yy]ou)'re", " are"),
        ("([Ii]|[Ss]hould|[Tt]hey|[Ww]e|[Ww]hat|[Ww]ho|[Ww]ould|[Yy]ou)'ve", " have"),
        ("([Cc]a)n't", "n not"),
        ("([Ii])'m", " am"),
        ("([Ll]et)'s", " us"),
        ("([Ww])on't", "ill not"),
        ("([Ss])han't", "hall not"),
        ("([Yy])(?:'all|a'll)", "ou all"),
    )
)
"""ekphrasis' own, in its order. They stand in a module that imports all of nltk, three seconds and 120 MB."""


class SocialWords:
    """statistics: decide how a word with a letter thrice or more (`goood`) is written.

    kept: what stands for a token, "" where nothing does; it is asked once for each distinct word.
    """

    def __init__(self, statistics: WordStatistics, kept: Callable[[str], str] = str) -> None:
        from ekphrasis.classes.exmanager import ExManager
        from ekphrasis.classes.tokenizer import SocialTokenizer

        self._expressions: dict[str, re.Pattern[str]] = ExManager().get_compiled()
        self._tokenize = SocialTokenizer(lowercase=True).tokenize
        self._corrector = _corrector(statistics)
        self._kept = kept
        self._of_word = lru_cache(maxsize=1 << 16)(self._kept_of_passage)

    def __call__(self, text: str) -> list[str]:
        """Lower-cased tokens, and placeholders for what is no word."""
        passages = _passages(text) if _REACHING.search(text) else text.split()
        return [token for passage in passages for token in self._of_word(passage)]

    def _kept_of_passage(self, text: str) -> tuple[str, ...]:
        return tuple(filter(None, map(self._kept, self._of_passage(text))))

    def _of_passage(self, text: str) -> tuple[str, ...]:
        """As ekphrasis' TextPreProcessor has it, with `elongated` and `repeated`, contractions unpacked."""
        if text.isascii() and text.isalpha() and not _THRICE.search(text):
            return (text.lower(),)  # nothing of it sees letters alone
        has_digit = _DIGIT.search(text)
        for kind in _KINDS:
            if has_digit or kind not in _NUMBERS:
                text = self._expressions[kind].sub(f" <{kind}> ", text)
        if _THRICE.search(text):
            text = self._expressions["elongated"].sub(self._shortened, text)
        text = self._expressions["repeat_puncts"].sub(_sorted_signs, text)
        if "'" in text:
            for contraction, words in _CONTRACTIONS:
                text = contraction.sub(words, text)
        return tuple(self._tokenize(" ".join(text.split())))

    def _shortened(self, match: re.Match[str]) -> str:
        """As a known word, or with each letter twice at most."""
        twice = self._expressions["normalize_elong"].sub(r"\1\1", match.group())
        return f" {self._corrector.normalize_elongated(twice) or twice} <elongated> "


def _passages(text: str) -> list[str]:
    """The words of a text; those around a sign that reaches further than a space as one, with their spaces."""
    words = list(_WORD.finditer(text))
    reaching = [i for i, word in enumerate(words) if _REACHING.search(word.group())]
    start, end = max(0, reaching[0] - _NEIGHBOURS), reaching[-1] + 1 + _NEIGHBOURS
    together = words[start:end]
    passage = _SPACES.sub(" ", text[together[0].start() : together[-1].end()])
    return [*(word.group() for word in words[:start]), passage, *(word.group() for word in words[end:])]


def _sorted_signs(match: re.Match[str]) -> str:
    return f" {''.join(sorted(set(match.group()), reverse=True))} <repeated> "


def _corrector(statistics: WordStatistics) -> "SpellCorrector":
    from ekphrasis.classes import spellcorrect

    class Corrector(spellcorrect.SpellCorrector):
        """Its own would download statistics, and hold them in each process."""

        def __init__(self) -> None:
            self.WORDS, self.N = statistics, statistics.total

        def known(self, words: list[str]) -> list[str]:
            """Its own returns a set: of equally frequent candidates, the process' hash seed would choose."""
            return sorted({word for word in words if word in statistics})

    return Corrector()
