"""The Python interface of `predict`: load a finished run, give it texts, get keyphrases."""

import logging
from collections.abc import Sequence
from pathlib import Path

from m3h.model.data.posts import Posts
from m3h.model.decoding.attribution import Keyphrase as Keyphrase  # what `predict` gives, by this name too
from m3h.model.decoding.attribution import attributed
from m3h.model.decoding.predict import Progress, in_silence, predict
from m3h.model.runs.evaluate import open_run
from m3h.model.runs.run import Run
from m3h.model.text.tokenizer import tokenize
from m3h.schemas.errors import UsageError

logger = logging.getLogger(__name__)


class Predictor:
    """A trained system. `model.load` makes one."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def predict(
        self, texts: Sequence[str], ocr: Sequence[str] | None = None, alt: Sequence[str] | None = None
    ) -> list[list[Keyphrase]]:
        """The keyphrases of each text, best first.

        ocr, alt: for each text the words on its image, and what its author says that the image shows; or None.

        A text is split into words by `tokenizer.tokenize`. There is no image. A text of which no word is left has no
        keyphrases, and a warning says so.

        Raises UsageError: no word of any text is left, or `ocr` or `alt` has another length.
        """
        return self.predict_posts(self.posts_of_texts(texts, ocr, alt))

    def predict_posts(self, posts: Posts, progress: Progress = in_silence) -> list[list[Keyphrase]]:
        """The keyphrases of each post, best first; [] for a post without words. progress: shows how far it is."""
        rows = [row for row, tokens in enumerate(posts.tokens) if tokens]
        if len(rows) == len(posts):
            return self._predict(posts, progress)
        found = dict(zip(rows, self._predict(posts.at(rows), progress), strict=True)) if rows else {}
        return [found.get(row, []) for row in range(len(posts))]

    def _predict(self, posts: Posts, progress: Progress) -> list[list[Keyphrase]]:
        run = self.run
        encoded = run.encode(posts)
        ranked = predict(run.model, encoded, run.vocabularies, config=run.config, progress=progress)
        return attributed(run.model, encoded, run.vocabularies, config=run.config, ranked=ranked)

    def posts_of_texts(
        self, texts: Sequence[str], ocr: Sequence[str] | None = None, alt: Sequence[str] | None = None
    ) -> Posts:
        """Texts as posts without keyphrases and images. ocr, alt: as in `predict`.

        Raises:
            UsageError: as in `predict`.
        """
        words, n = self.run.vocabularies.words, len(texts)
        tokens = [tokenize(text, words) for text in texts]
        for name, given in (("OCR readings", ocr), ("descriptions", alt)):
            if given and len(given) != n:
                raise UsageError(f"{n} texts, but {len(given)} {name}: give one for each text.")
        readings, shown = ([tokenize(one, words) for one in given or [""] * n] for given in (ocr, alt))
        unreadable = [text for text, text_tokens in zip(texts, tokens, strict=True) if not text_tokens]
        if unreadable and len(unreadable) == n:
            raise UsageError(f"text {unreadable[0]!r}: no word left after cleaning. Give a text with words.")
        for text in unreadable:
            logger.warning(f"text {text!r}: no word left after cleaning; it has no keyphrases.")
        return Posts([f"text-{i}" for i in range(1, n + 1)], tokens, [[]] * n, readings, [[]] * n, [-1] * n, shown)


def load(folder: Path | str) -> Predictor:
    """A finished run.

    Raises UsageError: there is none. Raises IntegrityError: a file of the run is damaged.
    """
    return Predictor(open_run(Path(folder)))
