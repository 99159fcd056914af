"""What comes from outside never steers a terminal: one function prints, and it writes control characters out."""

import ast
import io
import json
import logging
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.schemas import console
from m3h.schemas.console import json_line, one_line, show, visible
from m3h.schemas.posts import Dropped
from m3h.schemas.tables import format_table
from tests.commands import ROOT, run
from tests.pipeline.made import make, post_id

PACKAGES = ("schemas", "pipeline", "model", "benchmarks", "sample")
PRINTING = {"print", "echo", "secho", "Console", "StreamHandler", "basicConfig"}
ALLOWED = {
    "schemas/console.py",  # the function itself
    "schemas/tables.py",  # rich writes into a text, each cell of which is written out before
    "pipeline/progress/bars.py",  # names and numbers of our own
    "model/commands/progress.py",  # numbers of our own
}


def printed_in(source: str) -> list[str]:
    """Calls that print, or that write to stdout or stderr."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called.split(".")[-1] in PRINTING or called.startswith(("sys.stdout.", "sys.stderr.")):
                found.append(called)
    return [call for call in found if not call.endswith((".isatty", ".fileno", ".flush"))]


def test_the_reader_finds_every_way_to_print() -> None:
    source = "print(1)\ntyper.echo(2)\nsys.stdout.write(3)\nsys.stderr.buffer.write(4)\nrich.console.Console()\nshow(5)"
    assert printed_in(source) == [
        "print",
        "typer.echo",
        "sys.stdout.write",
        "sys.stderr.buffer.write",
        "rich.console.Console",
    ]


def test_nothing_else_prints() -> None:
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    assert len(files) > 200
    found = {path.relative_to(ROOT).as_posix(): printed_in(path.read_text(encoding="utf-8")) for path in files}
    commands = {
        name: calls for name, calls in found.items() if calls and not name.startswith(("benchmarks/", "sample/"))
    }
    assert set(commands) == ALLOWED


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 日本 😀\tand\nlines", "plain é 日本 😀\tand\nlines"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\rb\x00c\x7fd\x9be", "a\\x0db\\x00c\\x7fd\\u009be"),
        ("abc\u202egpj.exe\u2066", "abc\\u202egpj.exe\\u2066"),
        ("one\u2028two", "one\\u2028two"),
        ("name\udcff.jpg", "name\\udcff.jpg"),
    ],
)
def test_what_steers_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert one_line(text) == shown.replace("\t", "\\t").replace("\n", "\\n")
    file = io.StringIO()
    show(text, file)
    assert file.getvalue() == f"{shown}\n"


ANYTHING = st.text(st.characters(codec=None), max_size=60)


@given(ANYTHING)
def test_no_text_steers_a_terminal(text: str) -> None:
    for shown in (visible(text), json_line({text: [text]}), one_line(text), *format_table([(text, 1)])):
        shown.encode()
        steering = {
            sign for sign in shown if ord(sign) < 32 or 127 <= ord(sign) < 160 or sign in "\u200e\u200f\u2028\u202e"
        }
        assert steering <= {"\n", "\t"}
    assert len(format_table([(text, 1)])) == 1
    assert visible(visible(text)) == visible(text)


@given(st.text(max_size=60), st.sampled_from(["ascii", "utf-8", "latin-1", "UTF8"]))
def test_json_is_json_in_any_encoding(text: str, encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    line = json_line({"text": text}, stream)
    line.encode(encoding)
    assert json.loads(line) == {"text": text}
    assert "\n" not in line


def test_the_log_is_written_out_too(monkeypatch: pytest.MonkeyPatch) -> None:
    file, root = io.StringIO(), logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(sys, "stderr", file)
    console.log_to_stderr(logging.INFO)
    logging.getLogger("of.outside").warning("note: %s", "a\x1b[2Jb")
    assert file.getvalue() == "note: a\\x1b[2Jb\n"


NAME = "d \x1b[31mé\u202e"
DETAIL = "\x1b]0;é\x07 \u202ereason phrase\r\n"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Names and details that would colour a terminal."""
    dropped = [Dropped("read", "not_json", "77", f"v1:{NAME}.jsonl", 3, DETAIL)]
    return make(tmp_path_factory.mktemp("printing") / NAME, range(1, 9), dropped)


COMMANDS: list[tuple[str, ...]] = [
    ("why", "--id", "77"),
    ("why", "--id", post_id(1)),
    ("why", "--id", f"{NAME}?"),
    ("why", "--image", "http://host/é\x1b[31m.jpg"),
    ("dropped",),
    ("stats",),
    ("verify",),
    ("summary",),
    ("ids", "--out", f"/nowhere/{NAME}.txt"),
    ("diff", "--feature", f"gr{NAME}", "a", "b"),
    ("forget", "--ids", f"{NAME}.txt"),
]


@pytest.mark.parametrize(
    ("command", "encoding"),
    [
        (COMMANDS[0], "ascii"),
        *(pytest.param(words, "ascii", marks=pytest.mark.slow) for words in COMMANDS[1:]),
        *(pytest.param(words, "utf-8", marks=pytest.mark.slow) for words in COMMANDS),
    ],
)
def test_no_command_lets_a_name_or_a_record_steer_the_terminal(
    dataset: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], encoding: str
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    for as_json in ((), ("--json",)):
        if as_json and command[0] == "forget":
            continue
        done = run("pipeline", command[0], "--dataset", dataset, *command[1:], *as_json)
        printed = done.out + done.err
        assert "Traceback" not in printed, printed
        assert not set(printed) & set("\x1b\x07\r\u202e\x9b"), printed
        if encoding == "ascii":
            assert printed.isascii(), printed
        if as_json and done.code == 0:
            assert done.json is not None
        if command == ("why", "--id", "77") and as_json:
            assert done.json["found"][0]["detail"] == DETAIL
