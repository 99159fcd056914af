"""log.jsonl: the content of run.json as a header, then one line an epoch and one line every `log_steps` steps.

A resumed run deletes the lines that were written after its checkpoint. The log is then the same as without the stop.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from m3h.schemas.errors import UsageError


class RunLog:
    """Appends JSON lines to a file and, if wanted, writes their numbers to TensorBoard."""

    def __init__(self, path: Path, header: Mapping[str, Any], tensorboard: bool = False) -> None:
        """Open the log. Nothing is written before `begin`.

        Raises UsageError: TensorBoard is wanted, but not installed.

        Args:
            path: of log.jsonl.
            header: its first line.
            tensorboard: whether to write to TensorBoard too.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.header = header
        self.file = open(path, "ab")  # noqa: SIM115  it stays open as long as the run
        self.board = summary_writer(path.parent / "tensorboard") if tensorboard else None

    def begin(self, keep: int) -> None:
        """Continue after the first `keep` bytes of an existing log; 0 starts a new log."""
        self.file.truncate(keep)
        if not keep:
            self.write(self.header)

    def write(self, line: Mapping[str, Any]) -> None:
        """Append one line. If it has a `step`, its numbers also go to TensorBoard."""
        self.file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self.file.flush()
        if self.board and "step" in line:
            for name, value in scalars(line):
                self.board.add_scalar(name, value, line["step"])

    def sync(self) -> int:
        """Flush the log to the disk, and return its size in bytes."""
        os.fsync(self.file.fileno())
        return os.fstat(self.file.fileno()).st_size

    def close(self) -> None:
        """Close the log."""
        self.file.close()
        if self.board:
            self.board.close()


def scalars(line: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Name and value of every number in a line. Nested names are joined, as in `train/joint`."""
    for name, value in line.items():
        if isinstance(value, Mapping):
            yield from scalars(value, f"{prefix}{name}/")
        elif name != "step":
            yield prefix + name, float(value)


def summary_writer(folder: Path) -> Any:
    """The writer of TensorBoard.

    Raises:
        UsageError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("tensorboard=true: the package is missing; pip install tensorboard.") from error
    return SummaryWriter(str(folder))
