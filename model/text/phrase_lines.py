"""Files of one post a line, phrases joined by `;`, as the original release writes them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from m3h.schemas.errors import UsageError
from m3h.schemas.files import publish_text


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file. Only a line feed ends a line; the last line may lack it. No byte order mark is kept.

    Raises:
        UsageError: the file cannot be read, or is not UTF-8.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}.") from error
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Inverse of `read_lines`. Every line ends with a line feed."""
    publish_text(path, "".join(f"{line}\n" for line in lines))


def split_phrases(line: str) -> list[str]:
    """The phrases of a line, without the white space around them. An empty line holds one phrase, the empty string."""
    return [phrase.strip() for phrase in line.split(";")]


def join_phrases(phrases: Sequence[str]) -> str:
    """The line of a post's phrases."""
    return ";".join(phrases)
