"""Running our commands as a user does: a process of its own, its exit code and what it printed."""

import glob
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one line on stdout."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one `error:` line on stderr."""
        (line,) = [line for line in self.err.splitlines() if line.startswith("error:")]
        return line


def command(program: str, *words: object) -> list[str]:
    """program: `m3h`, the installed command; `pipeline` or `model`; or a module of the tests."""
    if program == "m3h":
        return [str(Path(sys.executable).with_name("m3h")), *(str(word) for word in words)]
    module = program if program.startswith("tests.") else f"m3h.{program}"
    return [sys.executable, "-m", module, *(str(word) for word in words)]


def environment(*folders: Path) -> dict[str, str]:
    """folders: on the path besides our own packages."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(str(folder) for folder in (ROOT, *folders))}


def run(
    program: str, *words: object, stdin: bytes | None = None, cwd: Path | None = None, folders: Sequence[Path] = ()
) -> Done:
    done = subprocess.run(
        command(program, *words),
        capture_output=True,
        env=environment(*folders),
        input=stdin,
        cwd=cwd,
        timeout=900,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def seen_in(folder: Path, pattern: str) -> list[Path]:
    """Files of a folder in which another process is at work: Path.glob fails when one vanishes under its eyes."""
    names = glob.glob(pattern, root_dir=folder, recursive=True, include_hidden=True)  # noqa: PTH207
    return [folder / name for name in names]


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of a dataset with its bytes; what belongs to this machine alone (`.build*`) aside."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and ".build-retired" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if not path.match(".build*.json")}
