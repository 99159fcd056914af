"""Posts of a dataset in source order, and the vocabularies of the training posts."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from m3h.schemas.dataset import Dataset, TensorFeature
from m3h.schemas.errors import IntegrityError, UsageError
from m3h.schemas.posts import SPLITS
from m3h.schemas.vocab import LABEL_SPECIALS, PAD, UNK, Vocabulary

FEATURES = {"ocr": "ocr", "vision": "vgg_grid", "objects": "butd_objects", "attributes": "attributes"}
"""Input of a system -> the feature of the dataset that holds it."""
ALWAYS_READ = ("ocr", "attributes")
"""Inputs that every run reads, because its predictions are also scored by the contents of the images."""
ALT = "alt"
"""Input that is no feature but a column of the posts: what authors say that their pictures show."""
ATTRIBUTE_SPECIALS = (PAD, UNK)
ALL = "all"


_SHARED = ("grid", "number")
"""Fields of Posts that all posts share: not one entry a post."""


@dataclass(frozen=True)
class Posts:
    """Aligned columns, one entry a post.

    ocr: cleaned words before the vocabulary filter. attributes: labels, best first. Both are [] where an image has
    none. image: row of `grid`, or -1 where the image has no features. grid: (images, cells, channels) float16 of
    vgg_grid or butd_objects, or None; all posts of a dataset share it, and it lies on the GPU if it fits there. number:
    how many objects each image of `grid` has, the rest being padding; None where all cells are real. alt: words of the
    image's description by its author; none at all where they are not read.
    """

    ids: list[str]
    tokens: list[list[str]]
    keyphrases: list[list[str]]
    ocr: list[list[str]]
    attributes: list[list[str]]
    image: list[int]
    alt: list[list[str]] = field(default_factory=list)
    grid: Tensor | None = None
    number: Tensor | None = None

    def __post_init__(self) -> None:
        if not self.alt:
            object.__setattr__(self, "alt", [[]] * len(self.ids))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, part: slice) -> "Posts":
        return self.at(range(*part.indices(len(self))))

    def at(self, rows: Iterable[int]) -> "Posts":
        """The posts of these rows, in this order."""
        rows = list(rows)
        columns = {f.name: [getattr(self, f.name)[row] for row in rows] for f in fields(self) if f.name not in _SHARED}
        return Posts(**columns, grid=self.grid, number=self.number)


def available_inputs(dataset: Dataset, wanted: Collection[str]) -> list[str]:
    """The inputs in `wanted` that the dataset has: features (ocr, vision, objects, attributes), and any description."""
    return [name for name in wanted if (_has_alt(dataset) if name == ALT else _has_feature(dataset, name))]


def _has_feature(dataset: Dataset, name: str) -> bool:
    return name in FEATURES and dataset.has_feature(FEATURES[name])


def _has_alt(dataset: Dataset) -> bool:
    return any(dataset.posts["alt_tokens"].to_pylist())


def move_if_fits(grid: Tensor, device: torch.device) -> Tensor:
    """The grid on the GPU if it takes at most half of the free memory there, else where it is."""
    fits = device.type == "cuda" and grid.nbytes <= torch.cuda.mem_get_info(device)[0] / 2
    return grid.to(device) if fits else grid


def _cells(dataset: Dataset, name: str) -> TensorFeature:
    """The tensors of an image feature. IntegrityError unless `features` are (images, cells, width) numbers."""
    feature = dataset.tensors(name)
    cells = feature.arrays.get("features")
    if cells is None or cells.ndim != 3 or cells.dtype.kind != "f":
        found = "none" if cells is None else f"{cells.dtype}{cells.shape}"
        where = next(iter(dataset.shards(name)), f"{dataset.folder}, feature {name}")
        raise IntegrityError(f"{where}: expected features of (images, cells, width), found {found}.")
    if not feature.rows:  # one row that no post shows, so that batches need not ask whether there is any
        return TensorFeature(
            {}, {array: np.zeros((1, *of.shape[1:]), of.dtype) for array, of in feature.arrays.items()}
        )
    return feature


class Reader:
    """The splits of a dataset, with those features in `inputs` that it has. Each feature is read once."""

    def __init__(self, dataset: Dataset, inputs: Collection[str], device: str | torch.device = "cpu") -> None:
        self.dataset = dataset
        available = available_inputs(dataset, inputs)
        self.ocr = self._lists("ocr", "tokens") if "ocr" in available else {}
        self.attributes = self._lists("attributes", "labels") if "attributes" in available else {}
        vision = next((name for name in ("vision", "objects") if name in available), None)
        grid = _cells(dataset, FEATURES[vision]) if vision else None
        self.reads_alt = ALT in available
        self.rows = grid.rows if grid else {}
        self.grid = move_if_fits(torch.from_numpy(grid.arrays["features"]), torch.device(device)) if grid else None
        self.number = torch.from_numpy(grid.arrays["number"]) if grid and "number" in grid.arrays else None

    def _lists(self, name: str, column: str) -> dict[str, list[str]]:
        table = self.dataset.table(FEATURES[name], ["image_sha256", column])
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
            grid=self.grid,
            number=self.number,
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
    whole keyphrases, `<unk>` at 0. attributes: `<pad>`, `<unk>` and the attributes of the images.
    """

    words: Vocabulary
    labels: Vocabulary
    attributes: Vocabulary

    @classmethod
    def build(cls, posts: Posts, size: int) -> "Vocabularies":
        """Count the training posts. size: the most words, specials not counted."""
        tokens = [*_flat(posts.tokens), *_flat(posts.alt), *_flat([p.split() for ps in posts.keyphrases for p in ps])]
        return cls(
            Vocabulary.count(tokens, size=size),
            Vocabulary.count(_flat(posts.keyphrases), LABEL_SPECIALS),
            Vocabulary.count(_flat(posts.attributes), ATTRIBUTE_SPECIALS),
        )

    def write(self, folder: Path) -> None:
        """words.json, labels.json, attributes.json."""
        for column in fields(self):
            getattr(self, column.name).write(folder / f"{column.name}.json")

    @classmethod
    def read(cls, folder: Path) -> "Vocabularies":
        """Inverse of `write`."""
        return cls(*(Vocabulary.read(folder / f"{column.name}.json") for column in fields(cls)))


def _flat(rows: Sequence[Sequence[str]]) -> list[str]:
    return [word for row in rows for word in row]
