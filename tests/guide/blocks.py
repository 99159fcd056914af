"""The fenced blocks of a Markdown page: commands with what they print, programs, and what is neither.

A comment before a block says what a test does with it; without one, commands and Python are run.

    <!-- not run: REASON -->        it cannot be run, or costs too much
    <!-- as in PAGE PAGE -->        its commands and what they print stand in those pages, where they are run
    <!-- exit code N -->            its last command ends so; 2 for one that prints an `error:`
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.commands import ROOT

PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
COMMANDS, PYTHON = "console", "python"
OTHERS = {"text", "json", "yaml", "toml"}
"""Languages of blocks that nobody runs."""

_BLOCK = re.compile(
    r"^(?:<!-- (?P<note>[^\n]+) -->\n\n?)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Command:
    """words: as a shell takes them. printed: what the page shows of it, or ''."""

    words: str
    printed: str


@dataclass(frozen=True)
class Block:
    """A fenced block. line: of its first line in the page, counted from 1."""

    page: Path
    line: int
    language: str
    text: str
    note: str

    @property
    def place(self) -> str:
        return f"{name(self.page)}:{self.line}"

    @property
    def elsewhere(self) -> list[Path]:
        """The pages that run it, if it says so."""
        return [ROOT / page for page in self.note.removeprefix("as in ").split()] if self._says("as in ") else []

    @property
    def exit_code(self) -> int:
        return int(self.note.removeprefix("exit code ")) if self._says("exit code ") else 0

    @property
    def is_run(self) -> bool:
        return self.language in {COMMANDS, PYTHON} and not self._says("not run: ") and not self.elsewhere

    @property
    def commands(self) -> list[Command]:
        """The commands of a console: what follows `$ ` up to the first line that does not end in a backslash."""
        found = []
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            last = next(at for at, line in enumerate(lines) if not line.endswith("\\"))
            found.append(Command("\n".join(lines[: last + 1]), "\n".join(lines[last + 1 :]).strip()))
        return found

    def _says(self, beginning: str) -> bool:
        return self.note.startswith(beginning)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start("text")), found["language"], found["text"], found["note"] or "")
        for found in _BLOCK.finditer(text)
    ]


def commands_of(pages: Sequence[Path]) -> set[Command]:
    """All commands that tests run on these pages."""
    return {command for page in pages for block in blocks(page) if block.is_run for command in block.commands}
