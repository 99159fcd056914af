"""Text with separators, well written and badly."""

import csv
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from m3h.pipeline.rules import ReadRules
from m3h.schemas.posts import Dropped, Post
from tests.pipeline.readers.tables.made import delimited, file, posts, raw, read, utf16


def outcomes(path: Path, rules: ReadRules | None = None) -> list[str]:
    """The text of each post, or the reason why there is none, by position."""
    found = read(path, rules)
    assert [record.position for record in found] == [*range(1, len(found) + 1)]
    return [record.text if isinstance(record, Post) else record.reason for record in found]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("1,a\n2,b", ["a", "b"]),
        ("1,a\r\n\r\n2,b\r\n\r\n", ["a", "b"]),
        ('1,"a\nb"\n2,"c ""d"""', ["a\nb", 'c "d"']),
        ('1,a\rb\n2,"c\rd"\n3,\re', ["a\rb", "c\rd", "\re"]),
        ("1,a,b\n2\n3,c", ["bad_row", "bad_row", "c"]),
        ("1,a,\n2,b,\n", ["a", "b"]),
        ('1,"a "b" c\n2,d', ['a b" c', "d"]),
        ('1,"a" b\n2,d', ["a b", "d"]),
        ('1,"never closed\n2,b\n3,c', ["never closed", "b", "c"]),
        ('1,"never closed\n2,b\n3,"c"', ["never closed", "b", "c"]),
        ('1,"a","b\n2,b\n3,"c"', ["bad_row", "b", "c"]),
        ('1,"a \\"b\\", c"\n2,"\\"d\\" e\\n"\n3,"f\\"\n', ['a "b", c', '"d" e\\n', "f\\"]),
        ("1,a\n" + "2," + "b" * 3000 + "\n3,c", ["a", "line_too_long", "c"]),
        ("1,a\n" + '2,"b\n' + "b" * 3000 + '\nb"\n3,c', ["a", "line_too_long", "c"]),
    ],
)
def test_rows_by_hand(tmp_path: Path, rows: str, expected: list[str]) -> None:
    assert outcomes(file(tmp_path, f"id,text\n{rows}"), ReadRules(max_line_bytes=2000)) == expected


def test_a_row_that_is_not_utf8_costs_itself(tmp_path: Path) -> None:
    path = file(tmp_path, b"id,text\n1,a\n2,\xe9t\xe9\n3,c\n")
    assert outcomes(path) == ["a", "not_utf8", "c"]
    assert raw(path, 2) == b"2,\xe9t\xe9"
    assert json.loads(raw(path, 3))["text"] == "c"


@pytest.mark.parametrize("line", ["sep=;\r\n", '"sep=;"\n', "\ufeffSEP=;\n"])
def test_the_line_that_names_the_separator_is_no_header(tmp_path: Path, line: str) -> None:
    path = file(tmp_path, f"{line}id;text;image\r\n1;a;b.jpg\r\n2;c, d;e.jpg\r\n")
    assert outcomes(path) == ["a", "c, d"]
    assert json.loads(raw(path, 2))["id"] == "2"


def test_the_position_of_a_broken_row_leads_to_its_line(tmp_path: Path) -> None:
    long = b"3," + b"b" * 3000
    path = file(tmp_path, b'id,text\r\n1\r\n"2","caf\xe9"\r\n' + long + b"\r\n4,d\r\n")
    rules = ReadRules(max_line_bytes=1024)
    assert outcomes(path, rules) == ["bad_row", "not_utf8", "line_too_long", "d"]
    assert [raw(path, position, rules) for position in (1, 2, 3)] == [b"1", b'"2","caf\xe9"', long[:1024]]


def test_a_byte_order_mark_and_utf16(tmp_path: Path) -> None:
    data = '"id";"text"\n"1";"été"\n'.encode()
    for written in (data, b"\xef\xbb\xbf" + data, utf16(data)):
        assert outcomes(file(tmp_path, written)) == ["été"]


@pytest.mark.parametrize("rows", [1, 2000, 9000])
@pytest.mark.parametrize("bad", [False, True])
def test_many_rows_across_the_blocks_that_are_read(tmp_path: Path, rows: int, bad: bool) -> None:
    texts = [f'line {n}\nof "{"x" * (n % 90)}"' for n in range(rows)]
    delimited(",")(tmp_path / "dump", ("id", "text"), [(str(n + 1), text) for n, text in enumerate(texts)])
    expected = list(texts)
    if bad:
        with open(tmp_path / "dump", "a", encoding="utf-8") as out:
            out.write('7,"open\n8,last\n')
        expected += ["open", "last"]
    assert outcomes(tmp_path / "dump") == expected


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.text(st.sampled_from('ab1,"\r \t;|é'), max_size=12), max_size=9),
    places=st.lists(st.integers(0, 8), max_size=3),
)
def test_whole_rows_stay_whatever_stands_between_them(tmp_path: Path, lines: list[str], places: list[int]) -> None:
    """Rows of whole lines that no other row's quotes can take in are all read, each once, in order."""
    written = [*lines]
    for n, place in enumerate(sorted(places)):
        written.insert(min(place + n, len(written)), f"9{n},whole {n}")
    found = read(file(tmp_path, "id,text\n" + "\n".join(written) + "\n"))
    assert [record.position for record in found] == [*range(1, len(found) + 1)]
    texts = [record.text for record in found if isinstance(record, Post)]
    kept = [text for text in texts if text.startswith("whole")]
    if '"' not in "".join(lines):
        assert kept == [f"whole {n}" for n in range(len(places))]
    else:
        assert len(kept) <= len(places)


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_the_separator_is_found(tmp_path: Path, separator: str, quoting: int) -> None:
    names, row = ("Tweet Id", "a;b|c", "Text", "d,e"), ("1", "x", "y", "z")
    delimited(separator, quoting)(tmp_path / "dump", names, [row])
    assert [(post.post_id, post.text) for post in posts(tmp_path / "dump")] == [("1", "y")]


@pytest.mark.parametrize(
    "text",
    [
        "nonsense\n",
        "hello, world\n",
        "hello, world\nhello, again, world\n",
        '1,"a day out",p1.jpg\n2,"a day in",p2.jpg\n',
        "<html>,<body>\na,b\n",
        "same,same\na,b\n",
    ],
)
def test_lines_of_something_else_are_lines(tmp_path: Path, text: str) -> None:
    found = read(file(tmp_path, text))
    assert {record.reason for record in found if isinstance(record, Dropped)} == {"not_json"}
    assert len(found) == len(text.splitlines())


def test_json_lines_are_no_table_whatever_stands_in_them(tmp_path: Path) -> None:
    record = {"id": 1, "text": "id,text\n1,2", "image": "id,text.jpg"}
    assert [post.text for post in posts(file(tmp_path, json.dumps(record)))] == ["id,text\n1,2"]
