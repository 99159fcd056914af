"""Files of pictures to Tesseract's tables, by a helper process that may hang or die."""

import json
import os
import queue
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.helper import Helper, HelperDiedError
from pipeline.ocr.sheets import Sheet, Table
from schemas.errors import ImageFault, MachineError

OCR_FAILED, OCR_TIMEOUT = "ocr_failed", "ocr_timeout"

_LONGEST_ANSWER = 1 << 28
_HEADER = "level page_num block_num par_num line_num word_num left top width height conf text".replace(" ", "\t")


class Reader:
    """Reads sheets, for any number of threads, as many at a time as there are cores. options: of `pipeline.ocr.helper`.

    seconds: what reading one sheet may take, by the clock. What takes longer is killed, and all that it started.
    """

    def __init__(self, options: Mapping[str, Any], seconds: float) -> None:
        self._seconds = seconds
        self._idle: queue.LifoQueue[Helper] = queue.LifoQueue(os.cpu_count() or 1)
        for _ in range(self._idle.maxsize):  # a helper starts when it is asked: one thread alone needs one
            self._idle.put(Helper("ocr", "pipeline.ocr.helper", options, _LONGEST_ANSWER))

    def close(self) -> None:
        """End the helpers. The reader can be used again, with new ones."""
        helpers = [self._idle.get() for _ in range(self._idle.maxsize)]
        for helper in helpers:
            helper.stop()
            self._idle.put(helper)

    def read(self, sheets: Sequence[Sheet]) -> None:
        """Give each sheet its tables or its fault, in one go; where that fails or takes too long, one by one."""
        try:
            tables = iter(self._tables([view.name for sheet in sheets for view in sheet.views]))
        except ImageFault as fault:
            if len(sheets) == 1:
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

    def _tables(self, names: Sequence[str]) -> list[Table]:
        question = json.dumps([str(Path(name).absolute()) for name in names]).encode()
        try:
            with self._helper() as helper:
                answer = json.loads(helper.ask(question, self._seconds))
        except TimeoutError as error:
            raise ImageFault(OCR_TIMEOUT, f"{self._seconds} s") from error
        except HelperDiedError as error:
            raise ImageFault(OCR_FAILED, str(error)) from error
        if "exhausted" in answer:
            raise MachineError(f"ocr: {answer['exhausted']}. Mend that; the same command goes on.")
        if "error" in answer:
            raise ImageFault(OCR_FAILED, answer["error"])
        return [_parsed(table) for table in answer["tables"]]


def _parsed(table: str) -> Table:
    from pytesseract.pytesseract import file_to_dict

    return file_to_dict(f"{_HEADER}\n{table}", "\t", -1)
