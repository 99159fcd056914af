"""Posts of a dataset in source order, and what is learned from the training ones: the vocabularies."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor

from schemas.dataset import Dataset, TensorFeature
from schemas.errors import IntegrityError, UsageError
from schemas.posts import SPLITS
from schemas.vocab import LABEL_SPECIALS, PAD, UNK, Vocabulary

FEATURES = {"ocr": "ocr", "vision": "vgg_grid", "objects": "butd_objects", "attributes": "attributes"}
"""What a system reads -> the dataset's feature it comes from."""
TOLD = ("ocr", "attributes")
"""What is read for every run, so that its predictions can be scored by what the pictures hold."""
ATTRIBUTE_SPECIALS = (PAD, UNK)
ALL = "all"


@dataclass(frozen=True)
class Posts:
    """Aligned columns, one entry a post.

    ocr: cleaned words before the vocabulary filter; attributes: labels, best first. Both [] where an image has none.
    image: row of `grid`, or -1 where the image has no features. grid: (images, cells, channels) float16 of vgg_grid or
    butd_objects, shared by all selections of one dataset and already on the GPU where it fits, or None. number: how
    many objects each image of `grid` really has, the rest being padding; None where all cells are real.
    """

    ids: list[str]
    tokens: list[list[str]]
    keyphrases: list[list[str]]
    ocr: list[list[str]]
    attributes: list[list[str]]
    image: list[int]
    grid: Tensor | None = None
    number: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, part: slice) -> "Posts":
        columns = {f.name: getattr(self, f.name)[part] for f in fields(self) if f.name not in ("grid", "number")}
        return Posts(**columns, grid=self.grid, number=self.number)


def available(dataset: Dataset, wanted: Collection[str]) -> list[str]:
    """Those of `wanted` (ocr, vision, objects, attributes) that the dataset has a feature for."""
    return [name for name in wanted if name in FEATURES and dataset.has_feature(FEATURES[name])]


def placed(grid: Tensor, device: torch.device) -> Tensor:
    """On the GPU if it takes at most half of the free memory there, else where it is: a batch's rows then follow."""
    fits = device.type == "cuda" and grid.nbytes <= torch.cuda.mem_get_info(device)[0] / 2
    return grid.to(device) if fits else grid


def _cells(dataset: Dataset, name: str) -> TensorFeature:
    """A feature of pictures. IntegrityError unless it has `features`, numbers in rows of cells."""
    found = dataset.tensors(name)
    cells = found.arrays.get("features")
    if cells is None or cells.ndim != 3 or cells.dtype.kind != "f":
        said = "none" if cells is None else f"{cells.dtype}{cells.shape}"
        raise IntegrityError(f"{dataset.shards(name)[0]}: expected features of (images, cells, width), found {said}.")
    return found


class Reader:
    """Splits of one dataset, with the features in `inputs` that it has; each feature is read once."""

    def __init__(self, dataset: Dataset, inputs: Collection[str], device: str | torch.device = "cpu") -> None:
        self.dataset = dataset
        have = available(dataset, inputs)
        self.ocr = self._lists("ocr", "tokens") if "ocr" in have else {}
        self.attributes = self._lists("attributes", "labels") if "attributes" in have else {}
        seen = next((name for name in ("vision", "objects") if name in have), None)
        grid = _cells(dataset, FEATURES[seen]) if seen else None
        self.rows = grid.rows if grid else {}
        self.grid = placed(torch.from_numpy(grid.arrays["features"]), torch.device(device)) if grid else None
        self.number = torch.from_numpy(grid.arrays["number"]) if grid and "number" in grid.arrays else None

    def _lists(self, name: str, column: str) -> dict[str, list[str]]:
        table = self.dataset.table(FEATURES[name], ["image_sha256", column])
        return dict(zip(table["image_sha256"].to_pylist(), table[column].to_pylist(), strict=True))

    def split(self, name: str) -> Posts:
        """The posts of a split, or of `all`, in source order. UsageError where there are none."""
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
            grid=self.grid,
            number=self.number,
        )

    def has_split(self, name: str) -> bool:
        """Whether any post is in it."""
        return self.dataset.split(name).num_rows > 0

    def _split_counts(self) -> str:
        return ", ".join(f"{name} {self.dataset.split(name).num_rows:,}" for name in SPLITS)

    def training_and_selection(self, train_split: str, select: str) -> tuple[Posts, Posts]:
        """Posts to learn from and posts to choose the best epoch by. select: a split, or `last:N`."""
        train = self.split(train_split)
        if not select.startswith("last:"):
            if select == train_split:
                raise UsageError(f"--select {select}: these are the training posts; give another split, or last:N.")
            return train, self.split(select)
        held = select.removeprefix("last:")
        if not held.isdecimal() or not 0 < int(held) < len(train):
            raise UsageError(f"--select {select}: expected last:N with 0 < N < {len(train):,} training posts.")
        return train[: -int(held)], train[-int(held) :]


@dataclass(frozen=True)
class Vocabularies:
    """Counted on training posts alone.

    words: of the texts (once a post) and of the keyphrases; labels: whole keyphrases, `<unk>` at 0;
    attributes: `<pad>`, `<unk>`, and the labels seen.
    """

    words: Vocabulary
    labels: Vocabulary
    attributes: Vocabulary

    @classmethod
    def learn(cls, posts: Posts, size: int) -> "Vocabularies":
        """size: of the words, specials not counted."""
        tokens = [*_flat(posts.tokens), *_flat([p.split() for ps in posts.keyphrases for p in ps])]
        return cls(
            Vocabulary.count(tokens, size=size),
            Vocabulary.count(_flat(posts.keyphrases), LABEL_SPECIALS),
            Vocabulary.count(_flat(posts.attributes), ATTRIBUTE_SPECIALS),
        )

    def write(self, folder: Path) -> None:
        """words.json, labels.json, attributes.json."""
        for field in fields(self):
            getattr(self, field.name).write(folder / f"{field.name}.json")

    @classmethod
    def read(cls, folder: Path) -> "Vocabularies":
        """Inverse of `write`."""
        return cls(*(Vocabulary.read(folder / f"{field.name}.json") for field in fields(cls)))


def _flat(rows: Sequence[Sequence[str]]) -> list[str]:
    return [word for row in rows for word in row]
