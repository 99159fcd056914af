"""The helper process that reads pictures: by the program `tesseract`, many in one run, or by the library tesserocr.

A question is a JSON list of file names; the answer a table for each, as Tesseract prints it, or what went wrong.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from pipeline.helper import serve
from pipeline.worker import die_with_parent
from schemas.machine import is_exhausted

Reader = Callable[[Sequence[str]], list[str]]
"""Names that this process can open -> a table for each: lines of tab-separated cells, without their header."""


class ReadingFailedError(Exception):
    """Tesseract gave up; the message has its words."""


def main(options: Mapping[str, Any]) -> None:
    """The helper: read until there is nobody to answer, and leave nobody behind."""
    read = _library(options) if options["engine"] == "tesserocr" else _program(options)

    def answer(question: bytes) -> bytes:
        with ExitStack() as opened:
            try:
                files = [opened.enter_context(open(name, "rb")) for name in json.loads(question)]
                # by number, since a name may have a line break, and Tesseract takes names from a list, one a line
                return json.dumps({"tables": read([f"/dev/fd/{file.fileno()}" for file in files])}).encode()
            except (ReadingFailedError, OSError) as error:
                fault = "exhausted" if is_exhausted(error) else "error"
                return json.dumps({fault: str(error)}).encode()

    serve(options["descriptor"], answer)
    os.killpg(0, signal.SIGKILL)


def _program(options: Mapping[str, Any]) -> Reader:
    """All files in one run of the program, whose start takes as long as three small pictures."""
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    die_with_parent(signal.SIGTERM)
    command = [options["program"], "stdin", "stdout", "-l", options["language"], "--psm", str(options["mode"])]
    command += ["-c", "tessedit_create_tsv=1"]

    def read(names: Sequence[str]) -> list[str]:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[int(name.rpartition("/")[2]) for name in names],
            preexec_fn=die_with_parent if sys.platform == "linux" else None,  # this process has one thread
        )
        out, err = process.communicate("".join(f"{name}\n" for name in names).encode())
        if process.returncode:
            raise ReadingFailedError(f"exit code {process.returncode}: {_tail(err)}")
        found = pages(out.decode())
        if len(found) != len(names):
            raise ReadingFailedError(f"{len(found)} pages of {len(names)} pictures: {_tail(err)}")
        return found

    return read


def pages(table: str) -> list[str]:
    """The table of several pictures, cut where a new one begins: at a row of level 1. Its header goes."""
    found: list[list[str]] = []
    for line in table.split("\n")[1:]:
        if line.startswith("1\t"):
            found.append([])
        if line and found:
            found[-1].append(line)
    return ["\n".join(page) for page in found]


def _tail(message: bytes) -> str:
    return " ".join(message.decode(errors="replace").split())[-200:]


def _library(options: Mapping[str, Any]) -> Reader:
    """One loaded model for all files."""
    die_with_parent()
    import tesserocr

    tesserocr.set_leptonica_log_level(tesserocr.LeptLogLevel.NONE)
    model = tesserocr.PyTessBaseAPI(path=f"{options['data']}/", lang=options["language"], psm=options["mode"])

    def read_one(name: str) -> str:
        try:
            model.SetImageFile(name)
            table = model.GetTSVText(0)
        except RuntimeError as error:
            raise ReadingFailedError(str(error)) from error
        model.ClearAdaptiveClassifier()  # what it learned of one picture says nothing of the next
        return table

    return lambda names: [read_one(name) for name in names]


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
