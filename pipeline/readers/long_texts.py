"""Texts that stand in records of their own, because the post's record has only their beginning.

Neither record names the other. They have the same second, and the one begins with the other.
"""

import html
import json
import re
from dataclasses import dataclass

from m3h.pipeline.readers.record import Part
from m3h.pipeline.text.dates import LONG_AGO, moment

_CUT = re.compile(r"(?:…|\.\.\.)\s*(?:https?://t\.co/\w+\s*)*$")
"""How a text ends that the network has cut: dots, then perhaps a link to the whole post."""


def is_cut(text: str) -> bool:
    """Whether a text looks as if the network had cut it."""
    return _CUT.search(text) is not None


def second_of(date: str) -> str:
    """Whole seconds since 1970 of a date, which are the key of a `text` part; "" where it is no date."""
    seconds = moment(date)
    return "" if seconds == LONG_AGO else str(int(seconds))


@dataclass(frozen=True)
class LongText:
    """The whole text of a post that was cut, and its hashtags as a Post has them."""

    text: str
    hashtags: tuple[str, ...]

    @classmethod
    def of(cls, part: Part) -> "LongText":
        """What `part_at` has put into a part."""
        text, hashtags = json.loads(part.value)
        return cls(text, tuple(hashtags))

    def part_at(self, second: str) -> Part:
        """The part for posts of this second."""
        return Part("text", second, json.dumps([self.text, self.hashtags]))

    def continues(self, text: str) -> bool:
        """Whether the cut `text` is the beginning of this one. There may be several posts of one second."""
        beginning = _plain(_CUT.sub("", text))
        return bool(beginning) and _plain(self.text).startswith(beginning)


def _plain(text: str) -> str:
    return " ".join(html.unescape(text).split())
