"""Features made up of a picture's bytes: `ocr` and `attributes` in a thousandth of their time, of the same layout."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from m3h.pipeline.extractors.attributes import Attributes
from m3h.pipeline.extractors.tesseract import Tesseract
from m3h.pipeline.images.picture import Picture
from m3h.schemas.features import Row

_WORDS = ("sale", "open", "exit", "menu", "stop", "news", "live", "tea")


def _digest(picture: Picture) -> bytes:
    return hashlib.sha256(picture.path.read_bytes()).digest()


class MadeOcr(Tesseract):
    """Three words a picture, their confidences between 0 and 100. Fingerprints are the real one's."""

    def load(self) -> None:
        return

    def close(self) -> None:
        return

    def prepare(self, picture: Picture) -> bytes:
        return _digest(picture)

    def extract(self, inputs: Sequence[Any]) -> list[Row]:
        return [self._made(digest) for digest in inputs]

    def _made(self, digest: bytes) -> Row:
        found = [(_WORDS[digest[i] % len(_WORDS)], digest[i + 8] % 101, digest[i : i + 4]) for i in range(3)]
        words = [(word, sure, box) for word, sure, box in found if sure >= self.settings.min_confidence]
        return {
            "text": " ".join(word for word, _, _ in words),
            "words": [word for word, _, _ in words],
            "boxes": [list(box) for _, _, box in words],
            "confidences": [float(sure) for _, sure, _ in words],
            "tokens": [word for word, _, _ in words],
        }


class MadeAttributes(Attributes):
    """`top` labels a picture. No weights are needed, so its fingerprint is its own."""

    def fingerprint_parts(self) -> Mapping[str, Any]:
        return {"made": 1, "top": self.settings.top}

    def require(self) -> None:
        return

    def fetch(self) -> None:
        return

    def notes(self) -> list[str]:
        return []

    def load(self) -> None:
        return

    def prepare(self, picture: Picture) -> bytes:
        return _digest(picture)

    def extract(self, inputs: Sequence[Any]) -> list[Row]:
        return [self._made(digest) for digest in inputs]

    def _made(self, digest: bytes) -> Row:
        count = self.settings.top
        labels = [_WORDS[digest[i] % len(_WORDS)] for i in range(count)]
        return {"labels": labels, "scores": [digest[i] / 256 for i in range(count)]}
