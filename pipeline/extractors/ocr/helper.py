"""The helper process that reads pictures, with the program `tesseract` or with the library tesserocr.

A request is a JSON list of file names. The reply has a table for each file, as Tesseract prints it, or an error.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TypedDict

from m3h.pipeline.runtime.lifetime import die_with_parent
from m3h.pipeline.runtime.subprocess_helper import serve
from m3h.schemas.machine import is_exhausted

ReadTables = Callable[[Sequence[str]], list[str]]
"""Reads files by name and returns a table for each: lines of tab-separated cells, without the header."""


class ReaderOptions(TypedDict, total=False):
    """How to read. mode: Tesseract's page segmentation mode.

    program: the program's name, for the engine pytesseract. data: the folder of language data, for tesserocr.
    """

    engine: str
    language: str
    mode: int
    program: str
    data: str


class HelperOptions(ReaderOptions):
    """The options of the helper process. descriptor: its end of the connection to the worker."""

    descriptor: int


class ReadingFailedError(Exception):
    """Tesseract failed. The message is Tesseract's."""


def main(options: HelperOptions) -> None:
    """Run the helper: serve requests until the worker ends, then kill the own process group."""
    read = _library(options) if options["engine"] == "tesserocr" else _program(options)

    def reply(request: bytes) -> bytes:
        with ExitStack() as opened:
            try:
                files = [opened.enter_context(open(name, "rb")) for name in json.loads(request)]
                # by descriptor, because Tesseract reads one name per line, and a name may contain a line break
                return json.dumps({"tables": read([f"/dev/fd/{file.fileno()}" for file in files])}).encode()
            except (ReadingFailedError, OSError) as error:
                fault = "exhausted" if is_exhausted(error) else "error"
                return json.dumps({fault: str(error)}).encode()

    serve(options["descriptor"], reply)
    os.killpg(0, signal.SIGKILL)


def _program(options: HelperOptions) -> ReadTables:
    """Reads all files in one run of the program, because its start takes as long as three small pictures."""
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
            preexec_fn=die_with_parent
            if sys.platform == "linux"
            else None,  # safe, because this process has one thread
        )
        out, err = process.communicate("".join(f"{name}\n" for name in names).encode())
        if process.returncode:
            raise ReadingFailedError(f"exit code {process.returncode}: {_tail(err)}")
        tables = split_pages(out.decode())
        if len(tables) != len(names):
            raise ReadingFailedError(f"{len(tables)} pages of {len(names)} pictures: {_tail(err)}")
        return tables

    return read


def split_pages(table: str) -> list[str]:
    """Split the table of several pictures into one table per picture. A picture begins with a row of level 1.

    The header is removed.
    """
    pages: list[list[str]] = []
    for line in table.split("\n")[1:]:
        if line.startswith("1\t"):
            pages.append([])
        if line and pages:
            pages[-1].append(line)
    return ["\n".join(page) for page in pages]


def _tail(message: bytes) -> str:
    return " ".join(message.decode(errors="replace").split())[-200:]


def _library(options: HelperOptions) -> ReadTables:
    """Reads all files with one loaded model."""
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
        model.ClearAdaptiveClassifier()  # the next picture must not depend on this one
        return table

    return lambda names: [read_one(name) for name in names]


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
