"""The image validator: untrusted pictures are decoded in a helper process that may hang, run out of memory or crash.

Each process that meets pictures has one helper (`m3h.pipeline.images.validator_process`), started with its first
picture. Its address space is limited; one that takes too long is killed. Whatever happens to it costs one picture, and
the next one finds a new helper.
"""

import hashlib
import json
import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from m3h.pipeline.images.jpeg import refuse_size
from m3h.pipeline.images.store import StoredImage
from m3h.pipeline.images.validator_process import CRASH, MEMORY
from m3h.pipeline.rules import ImageRules
from m3h.pipeline.runtime.subprocess_helper import Helper, HelperDiedError
from m3h.schemas.errors import ImageFault

TIMEOUT = "image_decoder_timeout"

BYTES_A_PIXEL = 24
"""Of the helper: coefficients of a progressive JPEG with four channels (8), pixels, RGB, turned RGB (12), the rest."""

COPIES = 3
"""Of a picture's bytes: as received, as read by the decoder, and one to spare."""

SPARE_BYTES = 128 * 2**20
"""What the helper may map beyond what it has mapped when ready, and beyond what one picture needs."""

_LONGEST_ANSWER = 1 << 16


def memory_for(rules: ImageRules) -> int:
    """Bytes a helper may map while it looks at a picture: enough for any that keeps within the rules."""
    return BYTES_A_PIXEL * rules.max_pixels + COPIES * rules.max_bytes + SPARE_BYTES


class Validator:
    """Looks at pictures, one at a time, for any number of threads. memory: bytes, `memory_for(rules)` if not given."""

    def __init__(self, rules: ImageRules, memory: int | None = None) -> None:
        self._rules = rules
        options = {
            "max_pixels": rules.max_pixels,
            "allow_grey": rules.allow_grey,
            "memory": memory or memory_for(rules),
        }
        self._lock = threading.Lock()
        module = "m3h.pipeline.images.validator_process"
        self._helper = Helper("image validator", module, options, longest=_LONGEST_ANSWER)

    def __enter__(self) -> "Validator":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the helper. The validator can be used again, with a new one."""
        with self._lock:
            self._helper.stop()

    def inspect(self, data: bytes) -> StoredImage:
        """What the store may know of the picture in `data`. ImageFault where the picture may not be kept."""
        refuse_size(len(data), self._rules.max_bytes)
        with self._lock:
            answer = self._ask(data)
        if "reason" in answer:
            raise ImageFault(answer["reason"], answer["detail"])
        return StoredImage(hashlib.sha256(data).hexdigest(), len(data), **answer)

    def _ask(self, data: bytes) -> Mapping[str, Any]:
        try:
            answer = json.loads(self._helper.ask(data, self._rules.timeout_seconds))
        except TimeoutError as error:
            raise ImageFault(TIMEOUT, f"{self._rules.timeout_seconds:g} s") from error
        except HelperDiedError as error:
            raise ImageFault(CRASH, str(error)) from error
        if answer.get("reason") == MEMORY:
            self._helper.stop()
        return answer


@lru_cache(maxsize=1)
def validator_of(rules: ImageRules) -> Validator:
    """This process's validator."""
    return Validator(rules)
