"""What sites say against being crawled, and in which size a picture is asked for."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from m3h.pipeline.crawl.optout import refusing_directive, reserves_mining, tdm_rules
from m3h.pipeline.crawl.sizes import variants


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        (["noai"], "noai"),
        (["NoImageAI"], "noimageai"),
        (["all, noindex"], "noindex"),
        (["nofollow", "noimageindex"], "noimageindex"),
        (["noml"], "noml"),
        (["none"], "none"),
        (["nofollow, noarchive, nosnippet"], None),
        (["otherbot: noai"], None),
        (["otherbot: noai, noindex"], None),
        (["m3h: noai"], "noai"),
        (["M3H: nofollow, noindex"], "noindex"),
        (["otherbot: noai, m3h: noml"], "noml"),
        (["noai, otherbot: all"], "noai"),
        (["*: noai"], "noai"),
        (["otherbot: noai", "noindex"], "noindex"),
        (["unavailable_after: 25 Jun 2010 15:00:00 PST"], None),
        (["unavailable_after: Fri, 25 Jun 2010 15:00:00 GMT, noai"], "noai"),
        (["max-snippet: 20, noindex"], "noindex"),
        (["max-image-preview:none"], None),
        (["noaifoo, indexnoai"], None),
        (["", ",", ":", "::,:"], None),
    ],
)
def test_x_robots_tag(values: list[str], expected: str | None) -> None:
    assert refusing_directive(values, "m3h") == expected


@given(st.lists(st.text(max_size=60), max_size=5))
def test_no_header_makes_the_parser_fail(values: list[str]) -> None:
    assert refusing_directive(values, "m3h") is None or any("no" in value.lower() for value in values)


@pytest.mark.parametrize(("value", "expected"), [("1", True), (" 1 ", True), ("0", False), ("", False), ("yes", False)])
def test_the_tdm_header(value: str, expected: bool) -> None:
    assert reserves_mining({"tdm-reservation": value}) is expected


def reserved(entries: object, path: str) -> bool:
    rules = tdm_rules(json.dumps(entries).encode())
    return rules is not None and not rules.can_fetch(f"http://h.example{path}", "m3h")


def test_the_longest_matching_location_of_a_tdm_file_decides() -> None:
    entries = [
        {"location": "/", "tdm-reservation": 1},
        {"location": "/open/", "tdm-reservation": 0},
        {"location": "/open/*.png$", "tdm-reservation": 1, "tdm-policy": "https://h.example/policy.json"},
    ]
    paths = ["/a.jpg", "/open/a.jpg", "/open/a.png", "/open/a.pngx"]
    assert [reserved(entries, path) for path in paths] == [True, False, True, False]


@pytest.mark.parametrize(
    "entries",
    [
        [],
        {},
        None,
        "x",
        [1, None, "x"],
        [{"location": 5, "tdm-reservation": 1}],
        [{"tdm-reservation": 1}],
        [{"location": "/", "tdm-reservation": 0}],
        [{"location": "/"}],
        [{"location": "/x\nDisallow: /", "tdm-reservation": 1}],
        [{"location": "", "tdm-reservation": 1}],
    ],
)
def test_a_file_that_reserves_nothing(entries: object) -> None:
    assert not reserved(entries, "/a.jpg")


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"[" * 100_000])
def test_an_invalid_tdm_file_reserves_nothing(body: bytes) -> None:
    assert tdm_rules(body) is None


MEDIA = "https://pbs.twimg.com/media/"


@pytest.mark.parametrize(
    ("url", "size", "expected"),
    [
        (f"{MEDIA}Ab-c_1.jpg", "orig", [f"{MEDIA}Ab-c_1.jpg?name=orig", f"{MEDIA}Ab-c_1.jpg"]),
        (f"{MEDIA}A.jpg:large", "orig", [f"{MEDIA}A.jpg?name=orig", f"{MEDIA}A.jpg:large"]),
        (f"{MEDIA}A.jpg:large", "large", [f"{MEDIA}A.jpg?name=large", f"{MEDIA}A.jpg:large"]),
        (
            f"{MEDIA}A?format=jpg&name=small",
            "orig",
            [f"{MEDIA}A?format=jpg&name=orig", f"{MEDIA}A?format=jpg&name=small"],
        ),
        (f"{MEDIA}A?format=jpg", "large", [f"{MEDIA}A?format=jpg&name=large", f"{MEDIA}A?format=jpg"]),
        (f"{MEDIA}A?format=jpg&name=orig", "orig", [f"{MEDIA}A?format=jpg&name=orig"]),
        (f"{MEDIA}A.jpg:large", "", [f"{MEDIA}A.jpg:large"]),
        ("https://pbs.twimg.com/profile_images/1/a.jpg", "orig", ["https://pbs.twimg.com/profile_images/1/a.jpg"]),
        ("https://example.org/media/a.jpg:large", "orig", ["https://example.org/media/a.jpg:large"]),
    ],
)
def test_the_sizes_of_a_picture(url: str, size: str, expected: list[str]) -> None:
    assert [str(variant) for variant in variants(URL(url), size)] == expected
