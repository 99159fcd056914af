"""Files of one post a line, phrases joined by `;`, as the original release writes them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from schemas.errors import UsageError
from schemas.files import publish_text


def read_lines(path: Path) -> list[str]:
    """Lines end at a line feed and at nothing else; the last one need not."""
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}.") from error
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Inverse of `read_lines`: every line ends with a line feed."""
    publish_text(path, "".join(f"{line}\n" for line in lines))


def split_phrases(line: str) -> list[str]:
    """The phrases of a line. An empty line holds one phrase, the empty string."""
    return line.strip().split(";")


def join_phrases(phrases: Sequence[str]) -> str:
    """The line of a post's phrases."""
    return ";".join(phrases)
