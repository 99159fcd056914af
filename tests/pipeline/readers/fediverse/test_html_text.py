"""HTML of posts as text."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.readers.fediverse.html_text import text_of

LINK = (
    '<a href="https://www.example.com/a-long-way/home"><span class="invisible">https://www.</span>'
    '<span class="ellipsis">example.com/a-long</span><span class="invisible">-way/home</span></a>'
)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One.</p><p>Two<br/>three<br>four</p>", "One.\nTwo\nthree\nfour"),
        ("<p>a &amp; b &lt;3 &#x1F30A; &nbsp;c</p>", "a & b <3 🌊 c"),
        (f"<p>see {LINK}, or not</p>", "see https://www.example.com/a-long-way/home, or not"),
        (
            '<p><span class="h-card"><a href="x" class="u-url mention">@<span>fan</span></a></span> hi</p>',
            "@someone hi",
        ),
        ('<a href="https://h.example/@fan">@fan@h.example</a> hi', "@someone hi"),
        ('<a href="x" class="mention hashtag" rel="tag">#<span>Tag</span></a>', "#Tag"),
        ("<a href='x'>at @ noon</a>", "at @ noon"),
        ('<p class="quote-inline">RE: <a href="x">h.example/1</a></p><p>mine</p>', "mine"),
        ("<ul><li>one</li><li>two</li></ul><blockquote>three</blockquote>", "one\ntwo\nthree"),
        ("a\n  b<script>alert(1)</script><style>p {}</style>", "a b"),
        ("no end <a href='x'>of <b>it", "no end of it"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("a<!-- b <i> -->c<!-- d", "ac<!-- d"),
        ("", ""),
    ],
)
def test_html_becomes_text(html: str, text: str) -> None:
    assert text_of(html) == text


@pytest.mark.parametrize("start", ["<a ", "<a b='", "<!--", "<!-- >", "<![CDATA[", "<![CDATA[ >", "<?", "</"])
def test_what_is_never_closed_takes_no_time(start: str) -> None:
    begun = time.process_time()
    text_of(start * 30_000)
    assert time.process_time() - begun < 5


@given(
    st.text() | st.lists(st.sampled_from(["<p>", "</a>", "<a class=mention>", "<", "&", "x", "<!", "]]>"])).map("".join)
)
def test_anything_is_read(html: str) -> None:
    found = text_of(html)
    assert found == "\n".join(" ".join(line.split()) for line in found.split("\n"))
