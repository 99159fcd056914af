"""Reads posts that are in no dataset as the build of a dataset read its own: tokens, and features of the picture.

The same code does it: the tokenizer, the image validator, the shard engine. So a post of the dataset, given by its text
and its picture, becomes the row that the dataset has. One thing is not known of a single post: how most posts write a
hashtag, which says where its words begin. The dataset's table of hashtags stands in for it, and for a hashtag that is
not in the table, the post's own capitals.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from m3h.pipeline.config import BuildConfig
from m3h.pipeline.dataset.publish import MAPPING
from m3h.pipeline.engine.known_rows import shard_rows
from m3h.pipeline.engine.shard_engine import ShardTask, Work, run_shards
from m3h.pipeline.images.jpeg import REASONS
from m3h.pipeline.images.source_folder import read
from m3h.pipeline.images.store import keep
from m3h.pipeline.images.validator import Validator
from m3h.pipeline.online.extractors import close, config_of_versions, described_changes, loaded_extractors
from m3h.pipeline.readers.formats import CMKP
from m3h.pipeline.rules import ImageRules
from m3h.pipeline.runtime.temporary_folder import temporary_folder
from m3h.pipeline.text.hashtags import read_mapping, telling_writings
from m3h.pipeline.text.tokenizer import Tokenizer, text_identity
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import ImageFault, UsageError
from m3h.schemas.features import Row
from m3h.schemas.inside import file_in
from m3h.schemas.posts import RawPost, ReadPost


class OnlineReader:
    """A `PostReader` by the rules and extractors of a finished dataset."""

    def __init__(self, dataset: Path, features: Mapping[str, str], sets: Sequence[str] = ()) -> None:
        """Load what is needed.

        Args:
            dataset: the folder; its manifest, its descriptions of features and its table of hashtags are read.
            features: of pictures, with the fingerprints that their rows must have.
            sets: `FIELD=VALUE` over the dataset's configuration, such as where weights are now.

        Raises:
            UsageError: weights, a program or a package are missing, or something here is of another version.
        """
        data = Dataset(dataset)
        if any(entry["format"] == CMKP for entry in data.manifest.inputs):
            raise UsageError(f"{dataset}: its texts came tokenised, so no other text can be read as they were.")
        config = config_of_versions(data, features, sets)
        self._tokenizer = _tokenizer(data, config)
        self._prints = dict(features)
        self._extractors = loaded_extractors(data, features, config)
        self._rules: ImageRules = config.image
        self._validator = Validator(config.image)
        self.max_bytes = config.image.max_bytes
        self.parts: Mapping[str, Mapping[str, Any]] = {e.spec.name: e.identity() for e in self._extractors}
        self.notes: Sequence[str] = [note for extractor in self._extractors for note in extractor.notes()]

    def read(self, posts: Sequence[RawPost]) -> list[ReadPost]:
        """As `PostReader.read`."""
        pictures = [None if post.picture is None else self._picture(post) for post in posts]
        hashes = [None if data is None else hashlib.sha256(data).hexdigest() for data in pictures]
        stored = {image: data for image, data in zip(hashes, pictures, strict=True) if image and data is not None}
        rows, lost = self._features(stored) if stored and self._extractors else ({}, {})
        return [
            ReadPost(
                *(self._tokens(post.text), self._tokens(post.alt)),
                rows=rows.get(image or "", {}),
                lost=lost.get(image or "", {}),
                picture=data,
            )
            for post, image, data in zip(posts, hashes, pictures, strict=True)
        ]

    def close(self) -> None:
        """As `PostReader.close`."""
        self._validator.close()
        close(self._extractors)

    def _tokens(self, text: str) -> list[str]:
        return self._tokenizer.tokens(text, dict(telling_writings(text))) if text else []

    def _picture(self, post: RawPost) -> bytes:
        """The bytes of a picture that the validator has seen."""
        try:
            data = post.picture if isinstance(post.picture, bytes) else _read(Path(str(post.picture)), self.max_bytes)
            self._validator.inspect(data)
        except ImageFault as fault:
            detail = f" ({fault.detail})" if fault.detail else ""
            raise UsageError(
                f"{post.name}: {fault.reason}: {REASONS[fault.reason]}{detail}. Give a colour JPEG of at most "
                f"{self._rules.max_bytes:,} bytes and {self._rules.max_pixels:,} pixels."
            ) from fault
        return data

    def _features(self, pictures: Mapping[str, bytes]) -> tuple[dict[str, dict[str, Row]], dict[str, dict[str, str]]]:
        """By picture: the row of each feature as a shard has it, and the reason of each that has none."""
        rows: dict[str, dict[str, Row]] = {image: {} for image in pictures}
        lost: dict[str, dict[str, str]] = {image: {} for image in pictures}
        with temporary_folder("m3h-posts-") as folder:
            for image, data in pictures.items():
                keep(folder, image, data)
            works = [Work(ShardTask(e.spec.name, self._prints[e.spec.name], 0, 1), e) for e in self._extractors]
            receipts = run_shards(works, sorted(pictures), folder, out=folder)
            for work, receipt in zip(works, receipts, strict=True):
                for image, row in shard_rows(file_in(folder, receipt.file)).items():
                    rows[image][work.task.feature] = row
                for dropped in receipt.dropped:
                    lost[dropped.record_id][work.task.feature] = dropped.reason
        return rows, lost


def _tokenizer(data: Dataset, config: BuildConfig) -> Tokenizer:
    """The tokenizer of a dataset's texts. UsageError where what is here reads texts in another way."""
    known, here = data.manifest.text, text_identity(config.text)
    if here != known:
        raise UsageError(f"{data.folder}: its texts were read in another way: {described_changes(known, here)}.")
    tokenizer = Tokenizer(config.text)
    if MAPPING in data.manifest.files:
        own = read_mapping(config.text.hashtag_map) if config.text.hashtag_map else {}
        tokenizer.keyphrase = tokenizer.keyphrase.with_mapping({**data.read(MAPPING, read_mapping), **own})
    return tokenizer


def _read(path: Path, max_bytes: int) -> bytes:
    """The bytes of a file that the user named. A link is followed."""
    if not path.exists():
        raise UsageError(f"image {path}: no such file.")
    return read(path.resolve(), max_bytes)
