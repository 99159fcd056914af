"""The Python interface of `predict`: load a finished run, give it texts, get keyphrases."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from m3h.model.data.posts import Posts
from m3h.model.data.read_posts import posts_of
from m3h.model.decoding.attribution import Keyphrase as Keyphrase  # what `predict` gives, by this name too
from m3h.model.decoding.attribution import attributed
from m3h.model.decoding.predict import Progress, in_silence, predict
from m3h.model.runs.chances import calibration_of
from m3h.model.runs.evaluate import open_run
from m3h.model.runs.run import Run
from m3h.model.scoring.calibration import Calibration, Choice
from m3h.model.text.tokenizer import tokenize
from m3h.schemas.errors import UsageError
from m3h.schemas.posts import PostReader, RawPost, ReadPost
from m3h.schemas.programs import open_reader

logger = logging.getLogger(__name__)


Picture = Path | str | bytes | None
"""A picture of a post: its file, its bytes, or None for a post without one."""


class Predictor:
    """A trained system. `model.load` makes one.

    dataset: the dataset that it was trained on, where it is now; None for where it was. sets: `FIELD=VALUE` over the
    configuration of that dataset, such as where weights are now. Both are used for pictures alone.
    """

    def __init__(self, run: Run, dataset: Path | None = None, sets: Sequence[str] = ()) -> None:
        self.run = run
        self._dataset, self._sets = dataset or Path(run.metadata.dataset), sets

    def predict(
        self,
        texts: Sequence[str],
        ocr: Sequence[str] | None = None,
        alt: Sequence[str] | None = None,
        *,
        images: Sequence[Picture] | None = None,
        how_many: int | str | None = None,
        min_score: float | None = None,
    ) -> list[list[Keyphrase]]:
        """The keyphrases of each text, best first.

        Without `images` a text is split into words by `tokenizer.tokenize`, and there is no picture. With `images` it
        is read as the posts of the run's dataset were, hashtags and spelling too, and the features of its picture are
        computed under the fingerprints that the run was trained on. So a post of the dataset, given by its text and its
        picture, has the keyphrases that its row has. This needs `pip install 'm3h[pipeline]'`, the dataset's folder and
        the weights.

        A text of which no word is left has no keyphrases, and a warning says so.

        Args:
            texts: as their authors wrote them.
            ocr: for each text the words on its image; not with `images`, where they are read from the picture.
            alt: for each text what its author says that the image shows.
            images: for each text a picture, or None.
            how_many: phrases of each text, or `auto` for as many as their chances say. None for all.
            min_score: the chance of being right that a phrase must have at least. Where either is given, phrases have
                their chances.

        Raises:
            UsageError: `how_many` or `min_score` is none, or chances cannot be learned; no word of any text is left;
                `ocr`, `alt` or `images` has another length; something that `images` needs is missing or of another
                version, or a picture is none. The message says which.
        """
        choice = Choice.of(how_many, min_score)
        if images is None:
            return self.choose(self.predict_posts(self.posts_of_texts(texts, ocr, alt)), choice)
        if ocr:
            raise UsageError("words on an image are read from the image itself: give either `ocr` or `images`.")
        return self.choose(self.predict_posts(self.posts_of_read(self.read(texts, images, alt))), choice)

    @cached_property
    def calibration(self) -> Calibration:
        """What the scores of this run are worth.

        Raises:
            UsageError: as `runs.chances.calibration_of`.
        """
        return calibration_of(self.run.folder, self.run.config)

    def choose(self, ranked: Sequence[Sequence[Keyphrase]], choice: Choice | None) -> list[list[Keyphrase]]:
        """The chosen phrases of each post with their chances; all of them, without chances, if `choice` is None.

        Raises:
            UsageError: as `calibration`.
        """
        if choice is None:
            return [list(post) for post in ranked]
        rows = [choice.rows([phrase.score for phrase in post], self.calibration) for post in ranked]
        return [
            [replace(post[place], chance=chance) for place, chance in chosen]
            for post, chosen in zip(ranked, rows, strict=True)
        ]

    @cached_property
    def reader(self) -> PostReader:
        """What reads texts and pictures as the run's dataset was read. Extractors are loaded when it is first used.

        Raises:
            UsageError: the pipeline is not installed, or something that was used for the dataset is not here.
        """
        if not self._dataset.is_dir():
            raise UsageError(
                f"{self.run.folder}: pictures are read by the rules of the dataset that it was trained on, and "
                f"{self._dataset} is not there. Name the dataset's folder: --like, or load(RUN, dataset=FOLDER)."
            )
        return open_reader("pictures", self._dataset, self.run.metadata.features, sets=self._sets)

    def read(self, texts: Sequence[str], images: Sequence[Picture], alt: Sequence[str] | None = None) -> list[ReadPost]:
        """Texts with their pictures as the dataset would have them.

        Args:
            texts: as their authors wrote them.
            images: for each text a picture, or None.
            alt: for each text what its author says that the image shows.

        Raises:
            UsageError: as `predict`.
        """
        for name, given in (("images", images), ("descriptions", alt)):
            _check_number(len(texts), name, given)
        shown = alt or [""] * len(texts)
        raw = [_raw_post(i, *post) for i, post in enumerate(zip(texts, images, shown, strict=True), start=1)]
        read = self.reader.read(raw)
        _check_words(texts, [post.tokens for post in read])
        for one, post in zip(raw, read, strict=True):
            for feature, reason in post.lost.items():
                logger.warning(f"{one.name}: no {feature}: {reason}; it is read as a picture without.")
        return read

    def posts_of_read(self, read: Sequence[ReadPost]) -> Posts:
        """What `read` gave, as posts for `predict_posts`."""
        metadata = self.run.metadata
        return posts_of(read, metadata.inputs, kinds=metadata.kinds, channels=metadata.channels)

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
        ranked = predict(
            run.model, encoded, run.vocabularies, config=run.config, reranker=run.reranker, progress=progress
        )
        return attributed(run.model, encoded, run.vocabularies, config=run.config, ranked=ranked, progress=progress)

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
            _check_number(n, name, given or None)
        readings, shown = ([tokenize(one, words) for one in given or [""] * n] for given in (ocr, alt))
        _check_words(texts, tokens)
        return Posts([f"text-{i}" for i in range(1, n + 1)], tokens, [[]] * n, readings, [[]] * n, [-1] * n, shown)


def _raw_post(number: int, text: str, image: Picture, alt: str) -> RawPost:
    file = Path(image) if isinstance(image, str) else image
    return RawPost(f"image {file}" if isinstance(file, Path) else f"image of text {number}", text, alt, file)


def _check_number(texts: int, name: str, given: Sequence[object] | None) -> None:
    """UsageError unless there is one for each text, or none at all."""
    if given is not None and len(given) != texts:
        raise UsageError(f"{texts} texts, but {len(given)} {name}: give one for each text.")


def _check_words(texts: Sequence[str], tokens: Sequence[Sequence[str]]) -> None:
    """Warn of each text without a word. UsageError where all are."""
    wordless = [text for text, words in zip(texts, tokens, strict=True) if not words]
    if wordless and len(wordless) == len(texts):
        raise UsageError(f"text {wordless[0]!r}: no word left after cleaning. Give a text with words.")
    for text in wordless:
        logger.warning(f"text {text!r}: no word left after cleaning; it has no keyphrases.")


def load(folder: Path | str, *, dataset: Path | str | None = None, sets: Sequence[str] = ()) -> Predictor:
    """A finished run.

    Raises UsageError: there is none. Raises IntegrityError: a file of the run is damaged.

    Args:
        folder: of the run.
        dataset: for pictures: where the dataset that it was trained on is now. None for where it was.
        sets: for pictures: `FIELD=VALUE` over the dataset's configuration, such as where weights are now.
    """
    return Predictor(open_run(Path(folder)), Path(dataset) if dataset else None, sets)
