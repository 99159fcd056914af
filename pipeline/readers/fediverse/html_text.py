"""The text of a post that a server gives as HTML."""

import re
from html.parser import HTMLParser

from m3h.pipeline.readers.record import valid_text

SOMEONE = "@someone"
"""What a mention is written as: names may be longer than any rule for texts allows, and hold their server."""
_BLOCKS = frozenset({"p", "br", "li", "ul", "ol", "blockquote", "pre", "div", "h1", "h2", "h3", "h4", "h5", "h6"})
_HIDDEN = frozenset({"script", "style"})
_QUOTE = "quote-inline"
"""Class of the paragraph with the quoted post's address, which Mastodon writes for servers without quotes."""
_LONGEST = 1_000_000
_NO_TAG = re.compile(r"<(?=!\[)|<(?![^<>]*>)")
"""What no `>` follows before the next `<`, and the beginning of a section of XML."""


def text_of(html: str) -> str:
    """The text of a piece of HTML. Paragraphs and breaks are line ends, and a mention is `@someone`.

    The parts of a link that a page hides (`https://www.`) belong to the text, so links are whole.
    """
    reader = _Reader()
    reader.feed(_closed(valid_text(html[:_LONGEST])))
    reader.close()
    return reader.text()


def _closed(html: str) -> str:
    """HTML without comments, and with those signs as text that begin a tag and do not end it.

    For each of these Python's parser searches all that follows: 40 KB of them take it half a minute.
    """
    first, *parts = html.split("<!--")
    kept = [first]
    for part in parts:
        _, end, behind = part.partition("-->")
        kept.append(behind if end else f"&lt;!--{part}")
    return _NO_TAG.sub("&lt;", "".join(kept))


class _Reader(HTMLParser):
    """Collects text. What is inside a link is held until its end shows whether it is a mention."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._link: list[str] | None = None
        self._is_mention = False
        self._skipped = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Line ends of blocks, and what follows from a tag's class."""
        classes = (dict(attrs).get("class") or "").split()
        if self._skipped:
            return
        if tag in _HIDDEN or (tag == "p" and _QUOTE in classes):
            self._skipped = tag
        elif tag in _BLOCKS:
            self._end_link()
            self._parts.append("\n")
        elif tag == "a":
            self._end_link()
            self._link, self._is_mention = [], "mention" in classes and "hashtag" not in classes

    def handle_endtag(self, tag: str) -> None:
        """The end of what is skipped, of a link or of a block."""
        if self._skipped:
            self._skipped = "" if tag == self._skipped else self._skipped
        elif tag == "a":
            self._end_link()
        elif tag in _BLOCKS:
            self._end_link()
            self._parts.append("\n")

    def handle_data(self, data: str) -> None:
        """Line ends in HTML are spaces."""
        if not self._skipped:
            (self._parts if self._link is None else self._link).append(" ".join(data.split("\n")))

    def _end_link(self) -> None:
        if self._link is None:
            return
        text = "".join(self._link)
        is_name = text.startswith("@") and not text[1:].isspace() and " " not in text.strip()
        self._parts.append(SOMEONE if self._is_mention or is_name else text)
        self._link = None

    def text(self) -> str:
        """All that was read, without blank lines."""
        self._end_link()
        lines = (" ".join(line.split()) for line in "".join(self._parts).split("\n"))
        return "\n".join(line for line in lines if line)
