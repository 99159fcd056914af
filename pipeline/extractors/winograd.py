"""3x3 convolutions on a CPU by Winograd's minimal filtering, with a quarter of the multiplications.

F(4x4, 3x3) of Lavin and Gray (2016): the output is cut into tiles of 4 x 4 cells. A tile depends on 6 x 6 input cells.
A linear transform turns them into 36 factors. A matrix product over the channels turns the factors into 36 products,
and a second transform turns the products into the 4 x 4 results. The values differ from those of a direct convolution
only by rounding: at fp32 by less than 1e-4 of the largest value (tested). On VGG-16 it is 1.3 to 1.7 times as fast as
torch's own convolutions (benchmarks/README.md).

The work is done in parts, each of some rows of some pictures, so that intermediate values stay in the CPU's cache.

Axes: n pictures, y and x cells, t tiles, p products along one side of a tile (6), c input and d output channels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

TILE = 4
PRODUCTS = 6
"""Factors and products along one side of a tile."""
FILTER = ((1 / 4, 0, 0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6), (1 / 24, 1 / 12, 1 / 6),
          (1 / 24, -1 / 12, 1 / 6), (0, 0, 1))  # fmt: skip
"""The paper's matrix G. `to_products` is its B^T and `to_results` its A^T."""
BIAS_PRODUCT = 1
"""The product that occurs once in each of the four results of a side. A bias added to it reaches all of them."""
PART_FACTORS = 1 << 21
"""Factors of a part, 8 MiB. On VGG-16, half as many and twice as many were slower."""


class WinogradConvolution(nn.Module):
    """Replaces a 3x3 convolution, and optionally the ReLU and the 2x2 max pooling after it.

    The convolution must have stride 1 and a padding equal to its dilation. Input and output are channels last.
    """

    filters_pcd: Tensor
    bias_d: Tensor | None

    def __init__(self, convolution: nn.Conv2d, relu: bool = False, pool: bool = False) -> None:
        super().__init__()
        self.register_buffer("filters_pcd", filter_factors(convolution.weight.detach()))
        self.register_buffer("bias_d", None if convolution.bias is None else convolution.bias.detach())
        self.dilation = int(convolution.dilation[0])
        self.relu, self.pool = relu, pool

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, d, h, w). With pooling, h and w are halved and rounded down."""
        x_nyxc = x.permute(0, 2, 3, 1)
        if self.dilation == 1:
            return self._convolved(x_nyxc).permute(0, 3, 1, 2)
        y_nyxd = x_nyxc.new_empty(*x_nyxc.shape[:3], self.filters_pcd.shape[2])
        step = self.dilation
        for first_y in range(step):  # a dilated convolution never combines cells with different remainders
            for first_x in range(step):
                cells = (slice(None), slice(first_y, None, step), slice(first_x, None, step))
                y_nyxd[cells] = self._convolved(x_nyxc[cells])
        return y_nyxd.permute(0, 3, 1, 2)

    def _convolved(self, x_nyxc: Tensor) -> Tensor:
        n, height, width, c = x_nyxc.shape
        shrinkage = 2 if self.pool else 1
        y_nyxd = x_nyxc.new_empty(n, height // shrinkage, width // shrinkage, self.filters_pcd.shape[2])
        tiles = -(-height // TILE)
        factors = PRODUCTS**2 * -(-width // TILE) * max(c, y_nyxd.shape[3])  # of a row of tiles
        rows = min(tiles, max(1, PART_FACTORS // max(1, factors)))
        pictures = max(1, PART_FACTORS // max(1, factors * rows))
        for i in range(0, n, pictures):
            for first in range(0, tiles, rows):
                cells = slice(first * TILE // shrinkage, (first + rows) * TILE // shrinkage)
                part = self._part(x_nyxc[i : i + pictures], first, min(rows, tiles - first))
                target = y_nyxd[i : i + pictures, cells]
                target.copy_(part[:, : target.shape[1], : target.shape[2]])
        return y_nyxd

    def _part(self, x_nyxc: Tensor, first: int, rows: int) -> Tensor:
        """Results of `rows` rows of tiles from row `first`: (n, 4 * rows, 4 * columns, d), halved by pooling."""
        n, d = len(x_nyxc), self.filters_pcd.shape[2]
        cells_nyxc = padded_cells(x_nyxc, first, rows)
        columns, c = cells_nyxc.shape[2] // TILE, cells_nyxc.shape[3]
        sides = x_nyxc.new_empty(PRODUCTS, n, rows, cells_nyxc.shape[2], c)
        to_products([cells_nyxc[:, i : i + TILE * rows - 3 : TILE] for i in range(PRODUCTS)], sides)
        factors = x_nyxc.new_empty(PRODUCTS, PRODUCTS, n, rows, columns, c)
        to_products([sides[..., i : i + TILE * columns - 3 : TILE, :] for i in range(PRODUCTS)], factors)
        products = torch.bmm(factors.view(PRODUCTS**2, -1, c), self.filters_pcd)
        if self.bias_d is not None:
            products[BIAS_PRODUCT * PRODUCTS + BIAS_PRODUCT] += self.bias_d
        sides = x_nyxc.new_empty(PRODUCTS, n, rows, columns, TILE, d)
        to_results(products.view(PRODUCTS, PRODUCTS, n, rows, columns, d), sides.unbind(4))
        results = x_nyxc.new_empty(n, rows, TILE, TILE * columns, d)
        to_results(sides.view(PRODUCTS, n, rows, TILE * columns, d), results.unbind(2))
        if self.pool:
            results = torch.maximum(results[:, :, ::2], results[:, :, 1::2])
            results = torch.maximum(results[..., ::2, :], results[..., 1::2, :])
        return (results.relu_() if self.relu else results).flatten(1, 2)


def with_winograd(layers: nn.Sequential) -> nn.Sequential:
    """`layers` with one WinogradConvolution for each 3x3 convolution and the ReLU and 2x2 pooling after it.

    Convolutions of three input channels stay as they are.
    """
    remaining, result = list(layers), []
    while remaining:
        layer = remaining.pop(0)
        if isinstance(layer, nn.Conv2d) and layer.in_channels > 3:
            relu = bool(remaining) and isinstance(remaining[0], nn.ReLU) and bool(remaining.pop(0))
            pool = bool(remaining) and isinstance(remaining[0], nn.MaxPool2d) and bool(remaining.pop(0))
            layer = WinogradConvolution(layer, relu, pool)
        result.append(layer)
    return nn.Sequential(*result)


def filter_factors(weight_dcyx: Tensor) -> Tensor:
    """A convolution's weights as factors of a tile's 36 products, (36, c, d). Index: 6 * (x product) + y product."""
    d, c = weight_dcyx.shape[:2]
    basis = torch.tensor(FILTER, dtype=torch.float64)
    transform = torch.einsum("jx,iy->yxji", basis, basis).reshape(9, PRODUCTS**2)
    factors = weight_dcyx.double().reshape(d * c, 9) @ transform
    return factors.float().view(d, c, PRODUCTS**2).permute(2, 1, 0).contiguous()


def padded_cells(x_nyxc: Tensor, first: int, rows: int) -> Tensor:
    """The input cells of some rows of tiles, with zeros outside of the picture.

    Args:
        x_nyxc: the input.
        first: the first row of tiles.
        rows: the number of rows of tiles.

    Returns:
        (n, 4 * rows + 2, 4 * columns + 2, c), where `columns` is the number of tiles in a row.
    """
    n, height, width, c = x_nyxc.shape
    start, end = TILE * first - 1, TILE * (first + rows) + 1
    cells = x_nyxc.new_empty(n, end - start, TILE * -(-width // TILE) + 2, c)
    top, bottom = max(start, 0) - start, min(end, height) - start
    cells[:, :top], cells[:, bottom:], cells[:, :, 0], cells[:, :, width + 1 :] = 0, 0, 0, 0
    cells[:, top:bottom, 1 : width + 1] = x_nyxc[:, start + top : start + bottom]
    return cells


def to_products(cells: Sequence[Tensor], products: Tensor) -> None:
    """Transform the six cells of a side into the factors of its six products, written to `products` (6, ...)."""
    a, b, c, d, e, f = cells
    even, odd = torch.sub(e, c, alpha=4), torch.sub(d, b, alpha=4)
    torch.add(even, odd, out=products[1])
    torch.sub(even, odd, out=products[2])
    torch.sub(e, c, out=even)
    torch.sub(d, b, out=odd)
    torch.add(even, odd, alpha=2, out=products[3])
    torch.sub(even, odd, alpha=2, out=products[4])
    torch.sub(even, c, alpha=4, out=products[0]).add_(a, alpha=4)
    torch.sub(f, d, out=products[5]).sub_(odd, alpha=4)


def to_results(products: Tensor, results: Sequence[Tensor]) -> None:
    """Transform the six products of a side (6, ...) into its four results, written to `results`."""
    p12, p34 = products[1] + products[2], products[3] + products[4]
    torch.add(p12, p34, out=results[0]).add_(products[0])
    torch.add(p12, p34, alpha=4, out=results[2])
    torch.sub(products[1], products[2], out=p12)
    torch.sub(products[3], products[4], out=p34)
    torch.add(p12, p34, alpha=2, out=results[1])
    torch.add(p12, p34, alpha=8, out=results[3]).add_(products[5])
