"""Dump files: found by path, glob, folder or stdin; opened whatever their compression; read record by record."""

import bz2
import glob
import gzip
import io
import json
import lzma
import shutil
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import zstandard

from pipeline.readers import cmkp, plain, twitter_v1
from pipeline.readers.record import RecordFault, valid_text
from schemas.errors import UsageError
from schemas.files import sha256_file
from schemas.posts import Dropped, Post

STDIN = "-"
FORMATS = ("v1", "jsonl", "cmkp")
_READERS: dict[str, tuple[Callable[[dict[str, Any]], bool], Callable[[dict[str, Any]], Post]]] = {
    "v1": (twitter_v1.is_status, twitter_v1.read_status),
    "jsonl": (plain.is_plain, plain.read_plain),
}
MAX_DETAIL = 200
"""Characters of a broken record kept in `dropped`; its position finds the rest."""


@dataclass(frozen=True, order=True)
class DumpFile:
    """One file of a dump. name: as it is called in the dataset, without folders of this machine.

    format: forced, or "" to tell it from each record.
    """

    name: str
    path: str
    format: str = ""

    def identity(self) -> dict[str, str]:
        """For the manifest: what was read, wherever it lay."""
        return {"name": self.name, "format": self.format or "detected", "sha256": sha256_file(Path(self.path))}


def find_dumps(patterns: Sequence[str], forced: str = "", stdin_copy: Path | None = None) -> list[DumpFile]:
    """Files behind paths, globs, folders and `-`. UsageError where one of them leads to nothing.

    A folder with any of `{train,valid,test}_src.txt` is a released dataset; of any other, every file is read.
    stdin_copy: where standard input is kept while the build lasts, so that a resumed build can read it again.
    """
    if forced and forced not in FORMATS:
        raise UsageError(f"--format {forced}: expected one of {', '.join(FORMATS)}.")
    found: list[DumpFile] = []
    for pattern in patterns:
        found += _behind(pattern, forced, stdin_copy)
    names = [dump.name for dump in found]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"--dumps: {doubled[0]} is named twice; records could not be told apart by their file.")
    return sorted(found)


def _behind(pattern: str, forced: str, stdin_copy: Path | None) -> list[DumpFile]:
    if pattern == STDIN:
        if stdin_copy is None:
            raise UsageError("--dumps -: standard input cannot be read here.")
        _keep_stdin(stdin_copy)
        return [DumpFile("stdin", str(stdin_copy), forced)]
    path = Path(pattern)
    if path.is_dir():
        return _folder(path, forced)
    matches = [pattern] if path.is_file() else sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 (** and absolute)
    dumps = [dump for match in matches if Path(match).is_file() for dump in _file(Path(match), forced)]
    if not dumps:
        raise UsageError(f"--dumps {pattern}: no such file, folder or match.")
    return dumps


def _file(path: Path, forced: str) -> list[DumpFile]:
    if forced == "cmkp":
        raise UsageError(f"--dumps {path}: format cmkp is a folder with train_src.txt, valid_src.txt or test_src.txt.")
    return [DumpFile(path.name, str(path), forced)]


def _folder(folder: Path, forced: str) -> list[DumpFile]:
    splits = cmkp.source_files(folder)
    if forced in ("", "cmkp") and splits:
        return [DumpFile(path.name, str(path), "cmkp") for path in splits.values()]
    if forced == "cmkp":
        raise UsageError(f"--dumps {folder}: expected train_src.txt, valid_src.txt or test_src.txt in it.")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not files:
        raise UsageError(f"--dumps {folder}: the folder holds no files.")
    return [DumpFile(path.relative_to(folder).as_posix(), str(path), forced) for path in files]


def _keep_stdin(copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    with open(copy, "wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)


def open_dump(path: str) -> IO[bytes]:
    """Decompressed bytes; the compression is told by the first bytes, not by the name."""
    with open(path, "rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(path)  # type: ignore[return-value]
    if magic.startswith(b"BZh"):
        return bz2.open(path, "rb")
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return io.BufferedReader(_Blocks(_zstd_blocks(path)))
    if magic.startswith(b"\xfd7zXZ"):
        return lzma.open(path, "rb")
    return open(path, "rb")


def _zstd_blocks(path: str) -> Iterator[bytes]:
    """Every frame of a zstd file, decompressed. EOFError where the last is cut off: zstandard itself says nothing."""
    frame = None
    with open(path, "rb") as file:
        while block := file.read(4096):  # small, because a frame of zeros grows 30,000 times
            while block:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                yield frame.decompress(block)
                block = frame.unused_data if frame.eof else b""
                frame = None if frame.eof else frame
    if frame is not None:
        raise EOFError("the last zstd frame is cut off")


class _Blocks(io.RawIOBase):
    """Blocks of bytes as a file."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            if (block := next(self._blocks, None)) is None:
                return 0
            self._rest = memoryview(block)
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def read_dump(dump: DumpFile) -> Iterator[Post | Dropped]:
    """Every record of a dump file exactly once, as a Post or as a Dropped with its position. Blank lines are none."""
    source = f"{dump.format or 'detected'}:{dump.name}"
    for position, result in _records(dump):
        if isinstance(result, Post):
            yield result.having(source=source, position=position)
        else:
            yield Dropped("read", result.reason, "", source, position, valid_text(result.detail[:MAX_DETAIL]))


def _records(dump: DumpFile) -> Iterator[tuple[int, Post | RecordFault]]:
    if dump.format == "cmkp":
        path = Path(dump.path)
        yield from _released(path.parent, path.name.removesuffix("_src.txt"))
        return
    position = 0
    try:
        with open_dump(dump.path) as file:
            for position, line in enumerate(file, start=1):
                if line.strip():
                    yield position, read_record(line, dump.format)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
        yield position + 1, RecordFault("unreadable_file", f"{type(error).__name__}: {error}")


def _released(folder: Path, split: str) -> Iterator[tuple[int, Post | RecordFault]]:
    for item in cmkp.posts_of(folder, split):
        if isinstance(item, Post):
            yield int(item.post_id.rsplit("-", 1)[1]), item
        else:
            yield item


def read_record(line: bytes, forced: str = "") -> Post | RecordFault:
    """One JSON line as a Post, or the reason it is none."""
    try:
        record = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return RecordFault("not_utf8", str(error))
    except (ValueError, RecursionError) as error:
        return RecordFault("not_json", f"{error}: {line[:80]!r}")
    if not isinstance(record, dict):
        return RecordFault("not_an_object", type(record).__name__)
    if twitter_v1.is_notice(record):
        return RecordFault("notice", next(iter(record)))
    name = forced or next((name for name, (matches, _) in _READERS.items() if matches(record)), "")
    if not name:
        return RecordFault("unknown_format", f"fields: {', '.join(sorted(record)[:8])}")
    try:
        return _READERS[name][1](record)
    except RecordFault as fault:
        return fault
