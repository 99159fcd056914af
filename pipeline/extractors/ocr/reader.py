"""Reads pictures with Tesseract in helper processes. A helper that hangs or crashes is replaced."""

import json
import os
import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from m3h.pipeline.extractors.ocr.helper import ReaderOptions
from m3h.pipeline.extractors.ocr.sheets import Sheet
from m3h.pipeline.runtime.subprocess_helper import Helper, HelperDiedError
from m3h.schemas.errors import ImageFault, MachineError

OCR_FAILED, OCR_TIMEOUT = "ocr_failed", "ocr_timeout"

_MAX_REPLY = 1 << 28


class Reader:
    """Reads sheets for any number of threads, at most as many sheets at a time as there are cores.

    seconds: time limit for one sheet; each further one of a batch adds an eighth of it, as most take far less. A helper
    that takes longer is killed, with every process that it started.
    """

    def __init__(self, options: ReaderOptions, seconds: float) -> None:
        self._seconds = seconds
        self._idle: queue.LifoQueue[Helper] = queue.LifoQueue(os.cpu_count() or 1)
        for _ in range(self._idle.maxsize):  # a helper starts with its first request, so one thread uses only one
            self._idle.put(Helper("ocr", "m3h.pipeline.extractors.ocr.helper", options, longest=_MAX_REPLY))

    def close(self) -> None:
        """End the helpers. The reader can be used again, with new ones."""
        helpers = [self._idle.get() for _ in range(self._idle.maxsize)]
        for helper in helpers:
            helper.stop()
            self._idle.put(helper)

    def read(self, sheets: Sequence[Sheet]) -> None:
        """Set the tables or the fault of each sheet. All are read together; if that fails, they are read one by one.

        A picture whose file Tesseract cannot read gets a second try, with its pixels as they are decoded here.
        """
        try:
            tables = iter(self._tables([view.name for sheet in sheets for view in sheet.views]))
        except ImageFault as fault:
            if len(sheets) == 1:
                if fault.reason == OCR_FAILED and sheets[0].decode():
                    self.read(sheets)
                else:
                    sheets[0].fault = fault
            else:
                for sheet in sheets:
                    self.read([sheet])
            return
        for sheet in sheets:
            sheet.tables = [next(tables) for _ in sheet.views]

    @contextmanager
    def _helper(self) -> Iterator[Helper]:
        helper = self._idle.get()
        try:
            yield helper
        finally:
            self._idle.put(helper)

    def _tables(self, names: Sequence[str]) -> list[str]:
        request = json.dumps([str(Path(name).absolute()) for name in names]).encode()
        try:
            with self._helper() as helper:
                reply = json.loads(helper.ask(request, self._seconds * (7 + len(names)) / 8))
        except TimeoutError as error:
            raise ImageFault(OCR_TIMEOUT, f"{self._seconds} s") from error
        except HelperDiedError as error:
            raise ImageFault(OCR_FAILED, str(error)) from error
        if "exhausted" in reply:
            raise MachineError(f"ocr: {reply['exhausted']}. Repair this; the same command continues.")
        if "error" in reply:
            raise ImageFault(OCR_FAILED, reply["error"])
        tables: list[str] = reply["tables"]
        return tables
