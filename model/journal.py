"""log.jsonl: run.json's content as a header, then one line an epoch and one every `log_steps` steps.

A resumed run cuts off what was written after its checkpoint, so that the log reads as if nothing had happened.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from schemas.errors import UsageError


class Journal:
    """Appends JSON lines to a file, and scores to TensorBoard where that is asked for."""

    def __init__(self, path: Path, header: Mapping[str, Any], tensorboard: bool = False) -> None:
        """Nothing is written before `begin`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.header = header
        self.file = open(path, "ab")  # noqa: SIM115  it stays open as long as the run
        self.board = summary_writer(path.parent / "tensorboard") if tensorboard else None

    def begin(self, keep: int) -> None:
        """Go on after the first `keep` bytes of an existing log; 0 begins a new one."""
        self.file.truncate(keep)
        if not keep:
            self.write(self.header)

    def write(self, line: Mapping[str, Any]) -> None:
        """One line. Where it has a `step`, its numbers also go to TensorBoard."""
        self.file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self.file.flush()
        if self.board and "step" in line:
            for name, value in numbers(line):
                self.board.add_scalar(name, value, line["step"])

    def sync(self) -> int:
        """Bytes so far, all of them on the disk."""
        os.fsync(self.file.fileno())
        return os.fstat(self.file.fileno()).st_size

    def close(self) -> None:
        """Nothing more will be written."""
        self.file.close()
        if self.board:
            self.board.close()


def numbers(line: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a line, nested ones as `train/joint`."""
    for name, value in line.items():
        if isinstance(value, Mapping):
            yield from numbers(value, f"{prefix}{name}/")
        elif name != "step":
            yield prefix + name, float(value)


def summary_writer(folder: Path) -> Any:
    """TensorBoard's writer; UsageError in one line where the package is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("tensorboard=true: the package is missing; pip install tensorboard.") from error
    return SummaryWriter(str(folder))
