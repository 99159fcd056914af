"""Posts of a dataset in source order, and the vocabularies of the training posts."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import torch

from m3h.model.data.inputs import ALT, LABELS, TOKENS, available_inputs, modalities_of
from m3h.model.data.pictures import Cells, Pictures, move_if_fits, read_cells
from m3h.model.systems import TEXT_ENCODER, feature_name
from m3h.schemas.dataset import Dataset, TensorFeature
from m3h.schemas.errors import UsageError
from m3h.schemas.posts import SPLITS
from m3h.schemas.vocab import LABEL_SPECIALS, PAD, UNK, Vocabulary

ALWAYS_READ = ("ocr", "attributes")
"""Inputs that every run reads, because its predictions are also scored by the contents of the images."""
ATTRIBUTE_SPECIALS = (PAD, UNK)
ALL = "all"


@dataclass(frozen=True)
class Posts:
    """Aligned columns, one entry a post.

    ocr: cleaned words before the vocabulary filter. attributes: labels, best first. Both are [] where an image has
    none. image: number of the picture in `pictures`, or -1 where it has no features. alt: words of the image's
    description by its author; none at all where they are not read. pictures: their other features, which all posts of
    a dataset share. sentences: states of a sentence encoder, None until they are attached; sentence: the row of each
    post there.
    """

    ids: list[str]
    tokens: list[list[str]]
    keyphrases: list[list[str]]
    ocr: list[list[str]]
    attributes: list[list[str]]
    image: list[int]
    alt: list[list[str]] = field(default_factory=list)
    sentence: list[int] = field(default_factory=list)
    pictures: Pictures = field(default_factory=Pictures)
    sentences: Cells | None = None

    def __post_init__(self) -> None:
        if not self.alt:
            object.__setattr__(self, "alt", [[]] * len(self.ids))
        if not self.sentence:
            object.__setattr__(self, "sentence", list(range(len(self.ids))))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, part: slice) -> "Posts":
        return self.at(range(*part.indices(len(self))))

    def at(self, rows: Iterable[int]) -> "Posts":
        """The posts of these rows, in this order."""
        rows = list(rows)
        names = [column.name for column in fields(self) if column.name not in ("pictures", "sentences")]
        columns = {name: [getattr(self, name)[row] for row in rows] for name in names}
        return Posts(**columns, pictures=self.pictures, sentences=self.sentences)

    def words_of(self, name: str) -> list[list[str]]:
        """The words of an input of each post; `ocr`, `alt`, or of a further feature. [] where there are none."""
        own = {"ocr": self.ocr, ALT: self.alt}
        return own[name] if name in own else self._of_pictures(self.pictures.words.get(name))

    def labels_of(self, name: str) -> list[list[str]]:
        """The labels of each post, best first, by `attributes` or a further feature."""
        return self.attributes if name == "attributes" else self._of_pictures(self.pictures.labels.get(name))

    @property
    def cells(self) -> dict[str, Cells]:
        """Input -> its vectors: those of pictures, and the states of sentences."""
        return {**self.pictures.cells, **({TEXT_ENCODER: self.sentences} if self.sentences is not None else {})}

    def numbers(self, name: str) -> np.ndarray:
        """The row of each post in the vectors of an input; -1 where it has none."""
        return np.array(self.sentence if name == TEXT_ENCODER else self.image, np.int64)

    def _of_pictures(self, rows: Sequence[list[str]] | None) -> list[list[str]]:
        return [rows[image] if rows is not None and image >= 0 else [] for image in self.image]


class Reader:
    """The splits of a dataset, with those features in `inputs` that it has. Each feature is read once."""

    def __init__(self, dataset: Dataset, inputs: Collection[str], device: str | torch.device = "cpu") -> None:
        self.dataset = dataset
        available = available_inputs(dataset, sorted(inputs))
        self.reads_alt = ALT in available
        kinds = modalities_of(dataset, (name for name in available if name not in (ALT, TEXT_ENCODER)))
        arrays = {name: read_cells(dataset, feature_name(name)) for name in kinds if kinds[name] == "vision"}
        words = {name: self._lists(name, TOKENS) for name in kinds if kinds[name] == "text"}
        labels = {name: self._lists(name, LABELS) for name in kinds if kinds[name] == "attributes"}
        self.ocr, self.attributes = words.pop("ocr", {}), labels.pop("attributes", {})
        known = [list(found.rows) for found in arrays.values()]
        known += [list(rows) for rows in (*words.values(), *labels.values())]
        self.rows = {image: number for number, image in enumerate(dict.fromkeys(i for rows in known for i in rows))}
        self.pictures = Pictures(
            {name: self._cells(found, torch.device(device)) for name, found in arrays.items()},
            words={name: [rows.get(image, []) for image in self.rows] for name, rows in words.items()},
            labels={name: [rows.get(image, []) for image in self.rows] for name, rows in labels.items()},
        )

    def _cells(self, found: TensorFeature, device: torch.device) -> Cells:
        features, number = found.arrays["features"], found.arrays.get("number")
        return Cells(
            move_if_fits(features, device),
            None if number is None else torch.from_numpy(np.array(number)),
            np.array([found.rows.get(image, -1) for image in self.rows], np.int64),
        )

    @property
    def channels(self) -> dict[str, int]:
        """The width of a cell of every image feature."""
        return {name: cells.channels for name, cells in self.pictures.cells.items()}

    def _lists(self, name: str, column: str) -> dict[str, list[str]]:
        table = self.dataset.table(feature_name(name), ["image_sha256", column])
        return dict(zip(table["image_sha256"].to_pylist(), table[column].to_pylist(), strict=True))

    def split(self, name: str) -> Posts:
        """The posts of a split, or of all splits for `all`, in source order.

        Raises:
            UsageError: the split has no posts.
        """
        table = self.dataset.posts if name == ALL else self.dataset.split(name)
        if not table.num_rows:
            raise UsageError(f"{self.dataset.folder}: no posts in split '{name}'; it has {self._split_counts()}.")
        table = table.sort_by([("source", "ascending"), ("position", "ascending"), ("post_id", "ascending")])
        images = table["image_sha256"].to_pylist()
        return Posts(
            ids=table["post_id"].to_pylist(),
            tokens=table["tokens"].to_pylist(),
            keyphrases=[phrases or [] for phrases in table["keyphrases"].to_pylist()],
            ocr=[self.ocr.get(image, []) for image in images],
            attributes=[self.attributes.get(image, []) for image in images],
            image=[self.rows.get(image, -1) for image in images],
            alt=[words or [] for words in table["alt_tokens"].to_pylist()] if self.reads_alt else [],
            pictures=self.pictures,
        )

    def has_split(self, name: str) -> bool:
        """Whether the split has posts."""
        return bool(self.dataset.split(name).num_rows > 0)

    def _split_counts(self) -> str:
        return ", ".join(f"{name} {self.dataset.split(name).num_rows:,}" for name in SPLITS)

    def training_and_selection(self, train_split: str, select: str) -> tuple[Posts, Posts]:
        """Training posts, and the posts that the best epoch is chosen by. select: a split, or `last:N`.

        Raises:
            UsageError: `select` names the training split, or an impossible N.
        """
        train = self.split(train_split)
        if not select.startswith("last:"):
            if select == train_split:
                raise UsageError(f"--select {select}: these are the training posts. Give another split, or last:N.")
            return train, self.split(select)
        count = select.removeprefix("last:")
        if not count.isdecimal() or not 0 < int(count) < len(train):
            raise UsageError(f"--select {select}: expected last:N with 0 < N < {len(train):,} training posts.")
        return train[: -int(count)], train[-int(count) :]


@dataclass(frozen=True)
class Vocabularies:
    """Vocabularies counted on the training posts alone.

    words: of the texts (once a post), of the images' descriptions where they are read, and of the keyphrases. labels:
    whole keyphrases, `<unk>` at 0. attributes: `<pad>`, `<unk>` and the attributes of the images. further: the same of
    each further feature with labels.
    """

    words: Vocabulary
    labels: Vocabulary
    attributes: Vocabulary
    further: Mapping[str, Vocabulary] = field(default_factory=dict)

    @property
    def of_pictures(self) -> dict[str, Vocabulary]:
        """Input with labels -> its vocabulary."""
        return {"attributes": self.attributes, **self.further}

    @classmethod
    def build(cls, posts: Posts, size: int) -> "Vocabularies":
        """Count the training posts. size: the most words, specials not counted."""
        tokens = [*_flat(posts.tokens), *_flat(posts.alt), *_flat([p.split() for ps in posts.keyphrases for p in ps])]
        return cls(
            Vocabulary.count(tokens, size=size),
            Vocabulary.count(_flat(posts.keyphrases), LABEL_SPECIALS),
            Vocabulary.count(_flat(posts.attributes), ATTRIBUTE_SPECIALS),
            {
                name: Vocabulary.count(_flat(posts.labels_of(name)), ATTRIBUTE_SPECIALS)
                for name in posts.pictures.labels
            },
        )

    def write(self, folder: Path) -> None:
        """words.json, labels.json, attributes.json, and attributes-NAME.json of each further feature."""
        for name, vocabulary in {"words": self.words, "labels": self.labels, **self.of_pictures}.items():
            vocabulary.write(folder / _file(name, name in self.further))

    @classmethod
    def read(cls, folder: Path, further: Iterable[str] = ()) -> "Vocabularies":
        """Inverse of `write`. further: the features with labels besides `attributes`."""
        words, labels, attributes = (
            Vocabulary.read(folder / _file(name)) for name in ("words", "labels", "attributes")
        )
        more = {name: Vocabulary.read(folder / _file(name, further=True)) for name in further}
        return cls(words, labels, attributes, more)


def _file(name: str, further: bool = False) -> str:
    return f"attributes-{name}.json" if further else f"{name}.json"


def _flat(rows: Sequence[Sequence[str]]) -> list[str]:
    return [word for row in rows for word in row]
