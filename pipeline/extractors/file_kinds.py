"""Says what a file is that was named as weights: a pointer of Git LFS, a web page, a format that its name hides."""

import re
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path

from m3h.schemas.console import one_line
from m3h.schemas.errors import UsageError

_HEAD = 512
"""Bytes of a file that are looked at."""

_OLD_TORCH = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The number that torch.save wrote first before version 1.6, as a pickle."""

SAFETENSORS, TORCH, PICKLE, TEXT = "safetensors", "torch", "pickle", "text"

_SENTENCES = {
    "empty": "an empty file. Download it again",
    "lfs": "a pointer of Git LFS, not the file itself. Run `git lfs pull` where it was cloned, or download the file",
    "annex": "a pointer of git-annex, not the file itself. Run `git annex get` where it was cloned",
    "page": "a web page, as servers send in place of a file (a login, an error). Open the link in a browser",
    "compressed": "a compressed file or an archive. Unpack it, and name what is in it",
    "cut": "the beginning of a zip archive, which torch's files are. Download it again",
    "program": "a program of TorchScript. Save the state_dict() of its network with torch.save instead",
    "hdf5": "an HDF5 file, as Keras writes them; its weights are for another library",
    SAFETENSORS: "a file of safetensors. Give it a name that ends in .safetensors",
    TORCH: "a file of torch.save. Give it a name that ends in .pth",
    PICKLE: "a plain pickle. Give it a name that ends in .pkl",
}
"""What is said of each kind: what was found, and what to do."""


def refuse_other_kinds(path: Path, expected: str, *accepted: str) -> None:
    """Check that a file is of an accepted kind, or of one that is not known here.

    UsageError for a file that is known to be something else; it says what it is, and what to do.

    Args:
        path: the file.
        expected: what the reader expects, in words.
        accepted: the kinds that the reader reads.
    """
    kind = kind_of(path)
    if not kind or kind in accepted:
        return
    if kind == TEXT:
        with open(path, encoding="utf-8", errors="replace") as file:
            found = f"a text that begins with {one_line(file.read(40))!r}. Is it the file you meant?"
    else:
        found = f"{_SENTENCES[kind]}."
    raise UsageError(f"weights {path}: expected {expected}, found {found}")


def kind_of(path: Path) -> str:
    """The kind of a file by its first bytes, a key of `_SENTENCES` or TEXT. "" for one that is not known here."""
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    if not head:
        return "empty"
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_zip(path)
    return next((kind for kind, is_so in _SIGNS.items() if is_so(head)), "")


def _kind_of_zip(path: Path) -> str:
    try:
        if not zipfile.is_zipfile(path):
            return "cut"
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # by a damaged directory, of many kinds; the reader says it
        return ""
    if not _holds(names, r"[^/]+/data\.pkl"):
        return "compressed"
    return "program" if _holds(names, r"[^/]+/code/.*") else TORCH


def _holds(names: Collection[str], pattern: str) -> bool:
    return any(re.fullmatch(pattern, name) for name in names)


def _is_safetensors(head: bytes) -> bool:
    """Eight bytes for the length of a JSON object, and its beginning."""
    return head[8:9] == b"{" and 0 < int.from_bytes(head[:8], "little") < 1 << 32


def _is_page(head: bytes) -> bool:
    return re.match(rb"(\xef\xbb\xbf)?\s*(<!doctype html|<html|<head|<\?xml|<!--)", head, re.IGNORECASE) is not None


def _is_text(head: bytes) -> bool:
    """Whether these bytes are readable letters: UTF-8, whose last letter may be cut, without control characters."""
    text = head.decode("utf-8", "replace")
    return all(letter.isprintable() or letter in "\t\r\n" for letter in text.removesuffix("\ufffd")) and (
        "\ufffd" not in text[:-1]
    )


_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf\x27\x1c", b"Rar!")
_SIGNS: dict[str, Callable[[bytes], bool]] = {
    "lfs": lambda head: head.startswith(b"version https://git-lfs.github.com/spec/"),
    "annex": lambda head: b"/annex/objects/" in head.split(b"\n")[0],
    "page": _is_page,
    "compressed": lambda head: head.startswith(_COMPRESSED) or head[257:262] == b"ustar",
    "hdf5": lambda head: head.startswith(b"\x89HDF\r\n\x1a\n"),
    SAFETENSORS: _is_safetensors,
    TORCH: lambda head: _OLD_TORCH in head[:32],
    PICKLE: lambda head: re.match(rb"\x80[\x02-\x05]", head) is not None,
    TEXT: _is_text,
}
"""How each kind is known, in the order of how sure it is."""
