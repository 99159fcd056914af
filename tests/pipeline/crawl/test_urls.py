"""A URL is asked for byte for byte as it was written, and a redirect as the server wrote it."""

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from m3h.pipeline.crawl.crawler import crawl_into
from m3h.pipeline.crawl.faults import CrawlFault
from m3h.pipeline.crawl.fetch import Target
from m3h.pipeline.crawl.guard import Guard
from m3h.pipeline.crawl.ledger import read_table
from m3h.pipeline.crawl.rules import CrawlRules
from m3h.pipeline.crawl.urls import parse_url, redirect_target
from tests.pipeline.crawl.conftest import rules_for, validator
from tests.pipeline.crawl.hostile import ADDRESSES, ESCAPED, Server

WRITTEN = [
    "/plain/signed/%2F.jpg",
    "/plain/sig.jpg?X-Amz-Credential=a%40b%2Fc&Signature=qZ0%2BPP2g%3D",
    "/plain/sig.jpg?n=it%27s",
    "/plain/sig.jpg?n=it's",
    "/plain/a%2Cb,c.jpg",
    "/plain/thumb/http%3A%2F%2Fx.org%2Fy.jpg",
    "/plain/plus.jpg?q=a+b%2Bc",
    "/plain/tilde%7Ex~y.jpg",
    "/plain/paren%28x%29(y).jpg",
    "/plain/q.jpg?u=https%3A%2F%2Fx.org%2Fy.jpg&s=1",
    "/plain/low%2fer%c3%a9.jpg?a|b={c}&d=[e]",
    "/plain//twice//slashed.jpg?",
    "/plain/100%.jpg?x=50%&y=%zz",
    "/plain/x.jpg;v=1?a=b?c=d",
]


def test_what_is_written_is_what_the_server_sees(server: Server, tmp_path: Path) -> None:
    base = server.url("plain").partition("/plain/")[0]
    crawl_into(tmp_path, [Target(base + path) for path in WRITTEN], rules_for(server), validator=validator)
    seen = {request.path for request in server.log if request.address == ADDRESSES["plain"]}
    assert [path for path in WRITTEN if path.rstrip("?") not in seen] == []
    rows = read_table(tmp_path / "crawl.parquet")
    assert {row.status for row in rows.values()} == {"stored"}
    assert {row.final_url for row in rows.values()} == {base + path.rstrip("?") for path in WRITTEN}


def test_a_redirect_is_followed_as_it_is_written(server: Server, tmp_path: Path) -> None:
    url = server.url("redirects_escaped")
    crawl_into(tmp_path, [Target(url)], rules_for(server), validator=validator)
    row = read_table(tmp_path / "crawl.parquet")[url]
    assert (row.status, row.final_url) == ("stored", url.partition("/redirects_escaped/")[0] + ESCAPED)


def test_the_urls_that_went_wrong_are_asked_for_as_written(m3h_data: Path) -> None:
    lines = (m3h_data / "cases" / "urls" / "urls.txt").read_text().splitlines()
    escaped = [line for line in lines if line.isascii() and " " not in line]
    assert len(escaped) > 10
    for line in escaped:
        assert str(parse_url(line)) == line


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("%2Fb.jpg?s=%27", "http://h.example/a%2Fb/%2Fb.jpg?s=%27"),
        ("?s=%7E", "http://h.example/a%2Fb/c?s=%7E"),
        ("/x%28.jpg#part", "http://h.example/x%28.jpg"),
        ("//other.example/%7E", "http://other.example/%7E"),
        ("https://B\u00dcCHER.example/caf\u00e9 1.jpg", "https://xn--bcher-kva.example/caf%C3%A9%201.jpg"),
        ("caf\udce9.jpg", "http://h.example/a%2Fb/caf%E9.jpg"),
        ("../up%2F.jpg", "http://h.example/up%2F.jpg"),
        ("/x/%2e%2E/private", "http://h.example/private"),
    ],
)
def test_where_a_redirect_leads(location: str, leads_to: str) -> None:
    target = redirect_target(URL("http://h.example/a%2Fb/c?q", encoded=True), location)
    assert str(target) == leads_to
    assert f"{target.origin()}{target.raw_path_qs}" == leads_to  # what the request line holds


@pytest.mark.parametrize("url", ["http://h.example/a b.jpg", "http://h.example/a\r\nX: y", "http://h.example/\x00"])
def test_what_no_request_line_may_hold_is_refused(url: str) -> None:
    with pytest.raises(CrawlFault, match="crawl_bad_url"):
        parse_url(url)


def test_a_host_in_letters_of_its_own_is_asked_under_one_name() -> None:
    assert parse_url("http://A.b\u00fccher/p.jpg").raw_host == parse_url("http://a.b\u00fccher/p.jpg").raw_host
    assert parse_url("http://A.\u00bb/p.jpg").raw_host == parse_url("http://a.\u00bb/p.jpg").raw_host


@pytest.mark.parametrize("host", ["\u00a0", "a\u00a0b", "h.example\u3000", "\u2003h.example"])
def test_a_space_of_any_kind_is_no_part_of_a_host(host: str) -> None:
    for find in (parse_url, partial(redirect_target, URL("http://h.example/x"))):
        with pytest.raises(CrawlFault, match="crawl_bad_url"):
            find(f"http://{host}/p.jpg")


def test_letters_that_are_not_ascii_are_escaped() -> None:
    assert str(parse_url("http://h.example/caf\u00e9.jpg?n=\u00fc%2F")) == "http://h.example/caf%C3%A9.jpg?n=%C3%BC%2F"


@given(st.text(st.characters(codec="utf-8"), max_size=40), st.booleans())
def test_no_text_gets_past_the_guard_or_into_a_request_line(text: str, redirected: bool) -> None:
    guard = Guard(CrawlRules())
    for url in (text, f"http://{text}", f"http://h.example/{text}", f"http://u@{text}.example"):
        try:
            target = redirect_target(URL("http://h.example/x"), url) if redirected else parse_url(url)
            guard.check_url(target)
        except CrawlFault:
            continue
        assert all("!" <= letter <= "~" for letter in target.raw_path_qs)
        assert target.raw_path_qs.startswith("/")
        assert (target.host or "").strip()
        assert URL(str(target)).raw_host == target.raw_host
