"""Every block of README and docs is run by a test, or says why not; how blocks and what they print are read."""

from pathlib import Path

import pytest

from tests.guide.blocks import COMMANDS, OTHERS, PAGES, PYTHON, Block, Command, blocks, commands_of, name
from tests.guide.printed import Fingerprints, differs

ALL = [block for page in PAGES for block in blocks(page)]


def test_every_block_says_what_it_is() -> None:
    assert [block.place for block in ALL if block.language not in {COMMANDS, PYTHON, *OTHERS}] == []


def test_every_fence_is_read_as_a_block() -> None:
    fences = {name(page): page.read_text(encoding="utf-8").count("\n```") // 2 for page in PAGES}
    assert {name(page): len(blocks(page)) for page in PAGES} == fences


def test_no_command_hides_in_a_block_that_nobody_runs() -> None:
    hidden = ("$ ", "m3h ", "python ", "pip ", "make ", "docker ")
    assert [
        block.place
        for block in ALL
        if block.language in OTHERS and any(line.startswith(hidden) for line in block.text.splitlines())
    ] == []


def test_a_block_of_commands_begins_with_one() -> None:
    assert [block.place for block in ALL if block.language == COMMANDS and not block.text.startswith("$ ")] == []


def test_a_block_that_is_not_run_says_why_in_a_sentence() -> None:
    notes = [(block.place, block.note) for block in ALL if block.note and not block.is_run]
    assert [place for place, note in notes if note.startswith("not run:") and len(note.split()) < 5] == []
    assert [place for place, note in notes if not note.startswith(("not run: ", "as in "))] == []


def test_what_is_run_elsewhere_stands_there_word_for_word() -> None:
    missing = {
        block.place: [command.words for command in block.commands if not _within(command, block.elsewhere)]
        for block in ALL
        if block.elsewhere
    }
    assert {place: words for place, words in missing.items() if words} == {}


def _within(command: Command, pages: list[Path]) -> bool:
    """Whether a page runs the command, and shows each line that is shown of it here."""
    same = [other for other in commands_of(pages) if other.words == command.words]
    return any(_lines(command) <= _lines(other) for other in same)


def _lines(command: Command) -> set[str]:
    return {line.strip() for line in command.printed.splitlines()} - {"…", ""}


def test_the_tutorials_are_run_whole() -> None:
    tutorials = ("docs/make_dataset.md", "docs/change_feature.md", "docs/train_compare_predict.md")
    assert [block.place for block in ALL if name(block.page) in tutorials and not block.is_run] == []


def block(text: str, note: str = "") -> Block:
    return Block(PAGES[0], 1, COMMANDS, text, note)


def test_a_command_goes_to_the_first_line_without_a_backslash() -> None:
    assert block("$ a \\\n  b\nprinted\n\nmore\n$ c  # why\n").commands == [
        Command("a \\\n  b", "printed\n\nmore"),
        Command("c  # why", ""),
    ]


def test_notes() -> None:
    assert block("", "not run: it takes an hour or two").is_run is False
    assert block("", "as in README.md").elsewhere == [PAGES[0]]
    assert (block("", "exit code 2").exit_code, block("").exit_code) == (2, 0)


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a b", "a  b\n", True),
        ("a b", "a c", False),
        ("a b", "a b c", False),
        ("a …", "a b c", True),
        ("a\n…\nd", "a\nb\nc\nd", True),
        ("a\n…\nd", "a\nd", True),
        ("(… s)", "(83 s)", True),
        ("F 0.77–0.91", "F 0.8375", True),
        ("F 0.77–0.91", "F 0.9200", False),
        ("a.b", "aXb", False),
        ("ocr 015a98acc19c4515", "ocr 115a98acc19c4515", True),
        ("ocr 015a98acc19c4515", "ocr none", False),
    ],
)
def test_what_is_printed_is_compared_with_what_is_shown(shown: str, printed: str, same: bool) -> None:
    assert (differs(shown, printed, Fingerprints()) == "") is same


def test_a_fingerprint_stands_for_one_and_the_same() -> None:
    fingerprints = Fingerprints()
    shown, here = "015a98acc19c4515", "f" * 16
    assert differs(f"ocr {shown}", f"ocr {here}", fingerprints) == ""
    assert "another did before" in differs(f"ocr {shown}", "ocr " + "e" * 16, fingerprints)
    assert fingerprints.in_command("m3h use --fingerprint 015a") == "m3h use --fingerprint ffff"
    assert fingerprints.in_command("m3h train --seed 2300") == "m3h train --seed 2300"
