"""The Python side of `predict`: a finished run in memory, texts in, keyphrases out."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model.data import Posts
from model.evaluate import open_run
from model.infer import Ranked, predict
from model.origin import origins
from model.run import Run
from model.tokens import tokenise
from schemas.errors import UsageError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Keyphrase(Ranked):
    """A predicted keyphrase and where it came from, one of `origin.ORIGINS`."""

    origin: str


class Predictor:
    """A trained system. `model.load` makes one."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def predict(self, texts: Sequence[str], ocr: Sequence[str] | None = None) -> list[list[Keyphrase]]:
        """Keyphrases of raw texts, best first, one list a text. ocr: words read on each text's image, or none.

        A text is cut into words as `tokens.tokenise` does; there is no image. UsageError where no word is left of one.
        """
        return self.predict_posts(self.posts(texts, ocr))

    def predict_posts(self, posts: Posts) -> list[list[Keyphrase]]:
        """Of a dataset's posts."""
        run = self.run
        encoded = run.encode(posts)
        ranked = predict(run.model, encoded, run.vocabularies, run.config)
        told = origins(run.model, encoded, run.vocabularies, run.config, ranked)
        return [
            [Keyphrase(one.phrase, one.score, origin) for one, origin in zip(*post, strict=True)]
            for post in zip(ranked, told, strict=True)
        ]

    def posts(self, texts: Sequence[str], ocr: Sequence[str] | None = None) -> Posts:
        """Raw texts as posts without keyphrases and images."""
        words, n = self.run.vocabularies.words, len(texts)
        tokens = [tokenise(text, words) for text in texts]
        readings = [tokenise(reading, words) for reading in ocr or [""] * n]
        if len(readings) != n:
            raise UsageError(f"{n} texts, but {len(readings)} OCR readings: give one a text.")
        for text, found in zip(texts, tokens, strict=True):
            if not found:
                raise UsageError(f"text {text!r}: no word left after cleaning.")
        return Posts([f"text-{i}" for i in range(1, n + 1)], tokens, [[]] * n, readings, [[]] * n, [-1] * n)


def load(folder: Path | str) -> Predictor:
    """A finished run; UsageError where there is none, IntegrityError where a file of it is damaged."""
    return Predictor(open_run(Path(folder)))
