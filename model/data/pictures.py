"""What is known of pictures: vectors of their cells, words, labels. All posts of a dataset share it.

Axes: p pictures, B batch, n posts, G cells, c channels.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from m3h.model.data.batch import Masked
from m3h.schemas.dataset import Dataset, TensorFeature
from m3h.schemas.errors import IntegrityError
from m3h.schemas.reading.stacked import StackedArray

BLOCK = 256
"""Pictures whose cells are turned into float32 at one time."""


@dataclass(frozen=True)
class Cells:
    """Vectors of pictures: of grid cells, of objects, or one a picture.

    features: (rows, G, c), float16 by default, on the GPU if it fits there, else in the files of the dataset. number:
    how many cells of each row are real, the rest being padding; None where all are. row_p: the row of each picture, -1
    where it has none, as have pictures beyond its end; None where the picture's number is its row.
    """

    features: Tensor | StackedArray
    number: Tensor | None = None
    row_p: np.ndarray | None = None

    @property
    def dtype(self) -> torch.dtype:
        """Of the features as they are stored."""
        features = self.features
        return features.dtype if isinstance(features, Tensor) else torch.from_numpy(np.empty(0, features.dtype)).dtype

    @property
    def channels(self) -> int:
        """Width of a cell."""
        return int(self.features.shape[-1])

    def of(self, picture_b: np.ndarray, device: str | torch.device = "cpu") -> Masked:
        """(B, G, c) and (B, G): the cells of these pictures. A post without a picture, -1, has none."""
        index_b = torch.from_numpy(self.rows(picture_b))
        cell_bgc = self._rows(index_b.clamp_min(0))
        index_b = index_b.to(cell_bgc.device)
        mask_bg = (index_b >= 0)[:, None].expand(cell_bgc.shape[:2])
        if self.number is not None:
            number_b = self.number.to(index_b.device)[index_b.clamp_min(0)]
            mask_bg = mask_bg & (torch.arange(cell_bgc.shape[1], device=index_b.device) < number_b[:, None])
        return Masked(cell_bgc.to(device), mask_bg.to(device))

    def _rows(self, index_b: Tensor) -> Tensor:
        if isinstance(self.features, Tensor):
            return self.features.index_select(0, index_b.to(self.features.device))
        cell_bgc = torch.empty((len(index_b), *self.features.shape[1:]), dtype=self.dtype)
        self.features.take(index_b.numpy(), out=cell_bgc.numpy())
        return cell_bgc

    def rows(self, picture_n: np.ndarray) -> np.ndarray:
        """(n,) the row of each picture in `features`, -1 where it has none."""
        if self.row_p is None:
            return picture_n
        known_n = (picture_n >= 0) & (picture_n < len(self.row_p))
        row_n = np.full(len(picture_n), -1)
        row_n[known_n] = self.row_p[picture_n[known_n]]
        return row_n

    def pooled(self, picture_n: np.ndarray) -> Masked:
        """(n, c) float32 mean of the real cells of each picture, and (n,) bool whether it has any."""
        parts = [(_sum(cell_bgc, mask_bg), mask_bg.sum(1)) for cell_bgc, mask_bg in self._blocks(picture_n)]
        total_nc = torch.cat([total for total, _ in parts] or [torch.zeros(0, self.channels)])
        count_n = torch.cat([count for _, count in parts] or [torch.zeros(0, dtype=torch.long)])
        return Masked(total_nc / count_n.clamp_min(1)[:, None], count_n > 0)

    def statistics(self, picture_n: np.ndarray) -> tuple[Tensor, Tensor]:
        """(c,) mean and (c,) standard deviation of each channel over the real cells of these pictures.

        A channel that hardly varies has a hundredth of the mean deviation, so that no noise in it is blown up. Without
        any cell the mean is 0 and the deviation 1.
        """
        count, total_c, square_c = 0, torch.zeros(self.channels).double(), torch.zeros(self.channels).double()
        for cell_bgc, mask_bg in self._blocks(picture_n):
            count += int(mask_bg.sum())
            total_c += _sum(cell_bgc, mask_bg).sum(0)
            square_c += _sum(cell_bgc.double().square(), mask_bg).sum(0)
        if not count:
            return torch.zeros(self.channels), torch.ones(self.channels)
        mean_c = total_c / count
        deviation_c = (square_c / count - mean_c.square()).clamp_min(0).sqrt()
        floor = float(deviation_c.mean()) / 100 or 1.0
        return mean_c.float(), deviation_c.clamp_min(floor).float()

    def _blocks(self, picture_n: np.ndarray) -> Iterator[Masked]:
        for start in range(0, len(picture_n), BLOCK):
            cell_bgc, mask_bg = self.of(picture_n[start : start + BLOCK])
            yield Masked(cell_bgc.float(), mask_bg)


def _sum(cell_bgc: Tensor, mask_bg: Tensor) -> Tensor:
    return (cell_bgc * mask_bg[..., None]).sum(1)


def no_cells(channels: int) -> Cells:
    """Cells of a feature that no picture has."""
    return Cells(torch.zeros(1, 1, channels), row_p=np.full(1, -1, np.int64))


@dataclass(frozen=True)
class Pictures:
    """Features of p pictures by the name of their input. words, labels: of each picture, [] where it has none."""

    cells: Mapping[str, Cells] = field(default_factory=dict)
    words: Mapping[str, list[list[str]]] = field(default_factory=dict)
    labels: Mapping[str, list[list[str]]] = field(default_factory=dict)


def read_cells(dataset: Dataset, feature: str) -> TensorFeature:
    """The vectors of an image feature, (pictures, G, c); one vector a picture is one cell.

    Raises:
        IntegrityError: `features` are no such numbers, or `number` is not one a picture.
    """
    found = dataset.tensors(feature)
    cells, number = found.arrays.get("features"), found.arrays.get("number")
    if cells is None or cells.ndim not in (2, 3) or 0 in cells.shape[1:] or cells.dtype.kind != "f":
        shape = "none" if cells is None else f"{cells.dtype}{cells.shape}"
        where = next(iter(dataset.shards(feature)), f"{dataset.folder}, feature {feature}")
        raise IntegrityError(
            f"{where}: expected features of (images, cells, width) or (images, width), found {shape}. "
            "Leave it out with drop_inputs, or fix its extractor."
        )
    arrays = {"features": cells.with_axis() if cells.ndim == 2 else cells}
    if number is not None and number.shape == cells.shape[:1] and number.dtype.kind in "iu":
        arrays["number"] = number
    if not found.rows:  # one row that no post shows, so that batches need not ask whether there is any
        rows = {name: np.zeros((1, *of.shape[1:]), of.dtype) for name, of in arrays.items()}
        return TensorFeature({}, {name: StackedArray([row]) for name, row in rows.items()})
    return TensorFeature(found.rows, arrays)


def move_if_fits(grid: StackedArray, device: torch.device) -> Tensor | StackedArray:
    """The grid on the GPU if it takes at most half of the free memory there, else where it is."""
    fits = device.type == "cuda" and grid.nbytes <= torch.cuda.mem_get_info(device)[0] / 2
    return torch.from_numpy(np.array(grid)).to(device) if fits else grid
