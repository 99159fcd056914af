"""Files by path or URL. Local ones are Python's own; `gs://`, `s3://`, `hdfs://` and others are Beam's filesystems."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from m3h.pipeline.runtime.beam_flags import beam_options
from m3h.schemas.errors import M3hError, UsageError

_EXTRAS = {
    "gs": ("gcp", "google.cloud.storage"),
    "s3": ("aws", "boto3"),
    "hdfs": ("hadoop", "hdfs"),
    "azfs": ("azure", "azure.storage.blob"),
}
"""scheme: (Beam's extra, the module it brings)."""


def is_remote(path: str) -> bool:
    """Whether `path` is a URL rather than a path of this machine."""
    return "://" in path


def matching(pattern: str) -> list[str]:
    """URLs of the files that match a remote URL, glob or folder, sorted. UsageError where nothing can be asked."""
    inside = f"{pattern.rstrip('/')}/**"
    return _match(inside) if pattern.endswith("/") else _match(pattern) or _match(inside)


def _match(pattern: str) -> list[str]:
    systems = _filesystems(pattern)
    try:
        (result,) = systems.match([pattern])
    except (OSError, ValueError, ImportError) as error:  # Beam's BeamIOError is an OSError
        raise UsageError(f"--dumps {pattern}: {_one_line(error)}") from error
    return sorted(found.path for found in result.metadata_list if not found.path.endswith("/"))


def open_file(path: str) -> IO[bytes]:
    """The stored bytes, to be read from the start."""
    if not is_remote(path):
        return open(path, "rb")
    from apache_beam.io.filesystem import CompressionTypes

    opened: IO[bytes] = _filesystems(path).open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    return opened


def blocks_of(file: IO[bytes], size: int = 1 << 16) -> Iterator[bytes]:
    """All bytes from here on, at most `size` at a time. What can be read before an error is yielded before it."""
    read = getattr(file, "read1", file.read)
    while block := read(size):
        yield block


def read_blocks(path: str) -> Iterator[bytes]:
    """A file's bytes. M3hError where a remote one cannot be read on: a broken connection is no broken file."""
    with opened(path) as file:
        yield from blocks_of(file)


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """A file that can be read at any place. M3hError where a remote one cannot be read."""
    try:
        with open_file(path) as file:
            yield file
    except OSError as error:
        if not is_remote(path):
            raise
        raise _interrupted(path, error) from error


def size_of(path: str) -> int:
    """Bytes of a file. M3hError where a remote one cannot be asked for."""
    if not is_remote(path):
        return Path(path).stat().st_size
    try:
        return int(_filesystems(path).get_filesystem(path).metadata(path).size_in_bytes)
    except OSError as error:
        raise _interrupted(path, error) from error


def _interrupted(path: str, error: OSError) -> M3hError:
    return M3hError(f"{path}: cannot be read ({_one_line(error)}). The same command tries again.")


def sha256_of(path: str) -> str:
    """Hex digest of a file's bytes, local or remote."""
    digest = hashlib.sha256()
    for block in read_blocks(path):
        digest.update(block)
    return digest.hexdigest()


def give_options(beam_flags: Sequence[str]) -> None:
    """Let Beam's filesystems know the flags of the run (`--hdfs_host`, `--s3_region_name`) before it starts."""
    _untold.flags = list(beam_flags)
    if beam_flags:
        beam_options(beam_flags)  # raises UsageError for a value that is none


@dataclass
class _Untold:
    """flags: those that Beam's filesystems are told at first use; None where they know, as in Beam's workers."""

    flags: list[str] | None = None


_untold = _Untold()


def _filesystems(path: str) -> Any:
    from apache_beam.io.filesystem import FileSystem
    from apache_beam.io.filesystems import FileSystems

    if _untold.flags is not None:
        FileSystems.set_options(beam_options(_untold.flags))
        _untold.flags = None
    scheme = FileSystems.get_scheme(path)
    extra, module = _EXTRAS.get(scheme, ("", ""))
    if extra and not _installed(module):
        raise UsageError(f"--dumps {path}: {scheme}:// needs a library: pip install 'apache-beam[{extra}]'.")
    if scheme not in {system.scheme() for system in FileSystem.get_all_subclasses()}:
        known = ", ".join(f"{name}://" for name in sorted(_EXTRAS))
        raise UsageError(f"--dumps {path}: no filesystem is known for {scheme}://; expected {known}.")
    try:
        FileSystems.get_filesystem(path)
    except (OSError, ValueError) as error:  # such as that --hdfs_host is missing
        raise UsageError(f"--dumps {path}: {_one_line(error)}") from error
    return FileSystems


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package it is in
        return False


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
