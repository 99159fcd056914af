"""3x3 convolutions by Winograd's minimal filtering on a CPU: a quarter of the multiplications.

F(4x4, 3x3) of Lavin and Gray (2016): the map is cut into tiles of 4 x 4 results. A tile needs 6 x 6 cells, which a
change of basis turns into 36 products' factors; a matrix product over the channels and the way back give the results.
Equal to the direct convolution but for rounding: at fp32 within 1e-4 of the largest value (tested).

Work goes on in parts of some rows of some pictures, so that what stands between the steps stays in the cache.

Axes: n pictures, y and x cells, t tiles, p products of a side (6), c channels in, d out.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

TILE = 4
PRODUCTS = 6
"""Of a side of a tile."""
FILTER = ((1 / 4, 0, 0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6), (1 / 24, 1 / 12, 1 / 6),
          (1 / 24, -1 / 12, 1 / 6), (0, 0, 1))  # fmt: skip
"""The paper's G. Its B^T is `to_products`, its A^T `to_results`."""
EVERYWHERE = 1
"""The product that each of a side's four results contains once: what is added to it is added to all of them."""
AT_ONCE = 1 << 21
"""Factors of a part: 8 MiB. Measured on VGG-16: half and twice as many are slower."""


class QuickConvolution(nn.Module):
    """In place of a 3x3 convolution of stride 1, padded by its dilation, and of the ReLU and 2x2 pooling after it.

    Input and output are channels last.
    """

    filters_pcd: Tensor
    bias_d: Tensor | None

    def __init__(self, convolution: nn.Conv2d, relu: bool = False, pool: bool = False) -> None:
        super().__init__()
        self.register_buffer("filters_pcd", in_products(convolution.weight.detach()))
        self.register_buffer("bias_d", None if convolution.bias is None else convolution.bias.detach())
        self.dilation = int(convolution.dilation[0])
        self.relu, self.pool = relu, pool

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, d, h, w), halved and rounded down where it pools."""
        x_nyxc = x.permute(0, 2, 3, 1)
        if self.dilation == 1:
            return self._convolved(x_nyxc).permute(0, 3, 1, 2)
        y_nyxd = x_nyxc.new_empty(*x_nyxc.shape[:3], self.filters_pcd.shape[2])
        step = self.dilation
        for first_y in range(step):  # cells of unlike remainder never meet
            for first_x in range(step):
                one = (slice(None), slice(first_y, None, step), slice(first_x, None, step))
                y_nyxd[one] = self._convolved(x_nyxc[one])
        return y_nyxd.permute(0, 3, 1, 2)

    def _convolved(self, x_nyxc: Tensor) -> Tensor:
        n, height, width, c = x_nyxc.shape
        halved = 2 if self.pool else 1
        y_nyxd = x_nyxc.new_empty(n, height // halved, width // halved, self.filters_pcd.shape[2])
        tiles = -(-height // TILE)
        factors = PRODUCTS**2 * -(-width // TILE) * max(c, y_nyxd.shape[3])  # of a row of tiles
        rows = min(tiles, max(1, AT_ONCE // max(1, factors)))
        pictures = max(1, AT_ONCE // max(1, factors * rows))
        for i in range(0, n, pictures):
            for first in range(0, tiles, rows):
                cells = slice(first * TILE // halved, (first + rows) * TILE // halved)
                part = self._part(x_nyxc[i : i + pictures], first, min(rows, tiles - first))
                into = y_nyxd[i : i + pictures, cells]
                into.copy_(part[:, : into.shape[1], : into.shape[2]])
        return y_nyxd

    def _part(self, x_nyxc: Tensor, first: int, rows: int) -> Tensor:
        """Results of `rows` rows of tiles from the `first` on, (n, 4 * rows, 4 * columns, d), halved where it pools."""
        n, d = len(x_nyxc), self.filters_pcd.shape[2]
        cells_nyxc = padded(x_nyxc, first, rows)
        columns, c = cells_nyxc.shape[2] // TILE, cells_nyxc.shape[3]
        sides = x_nyxc.new_empty(PRODUCTS, n, rows, cells_nyxc.shape[2], c)
        to_products([cells_nyxc[:, i : i + TILE * rows - 3 : TILE] for i in range(PRODUCTS)], sides)
        factors = x_nyxc.new_empty(PRODUCTS, PRODUCTS, n, rows, columns, c)
        to_products([sides[..., i : i + TILE * columns - 3 : TILE, :] for i in range(PRODUCTS)], factors)
        products = torch.bmm(factors.view(PRODUCTS**2, -1, c), self.filters_pcd)
        if self.bias_d is not None:
            products[EVERYWHERE * PRODUCTS + EVERYWHERE] += self.bias_d
        sides = x_nyxc.new_empty(PRODUCTS, n, rows, columns, TILE, d)
        to_results(products.view(PRODUCTS, PRODUCTS, n, rows, columns, d), sides.unbind(4))
        results = x_nyxc.new_empty(n, rows, TILE, TILE * columns, d)
        to_results(sides.view(PRODUCTS, n, rows, TILE * columns, d), results.unbind(2))
        if self.pool:
            results = torch.maximum(results[:, :, ::2], results[:, :, 1::2])
            results = torch.maximum(results[..., ::2, :], results[..., 1::2, :])
        return (results.relu_() if self.relu else results).flatten(1, 2)


def quickened(layers: nn.Sequential) -> nn.Sequential:
    """`layers` with each 3x3 convolution, and the ReLU and 2x2 pooling behind it, as one. Of three channels none is."""
    left, quick = list(layers), []
    while left:
        layer = left.pop(0)
        if isinstance(layer, nn.Conv2d) and layer.in_channels > 3:
            relu = bool(left) and isinstance(left[0], nn.ReLU) and bool(left.pop(0))
            pool = bool(left) and isinstance(left[0], nn.MaxPool2d) and bool(left.pop(0))
            layer = QuickConvolution(layer, relu, pool)
        quick.append(layer)
    return nn.Sequential(*quick)


def in_products(weight_dcyx: Tensor) -> Tensor:
    """A convolution's weights as factors of a tile's products, (36, c, d): products of x first, of y within them."""
    d, c = weight_dcyx.shape[:2]
    basis = torch.tensor(FILTER, dtype=torch.float64)
    both = torch.einsum("jx,iy->yxji", basis, basis).reshape(9, PRODUCTS**2)
    factors = weight_dcyx.double().reshape(d * c, 9) @ both
    return factors.float().view(d, c, PRODUCTS**2).permute(2, 1, 0).contiguous()


def padded(x_nyxc: Tensor, first: int, rows: int) -> Tensor:
    """The cells that `rows` rows of tiles need, from the `first` on: (n, 4 * rows + 2, 4 * columns + 2, c)."""
    n, height, width, c = x_nyxc.shape
    start, end = TILE * first - 1, TILE * (first + rows) + 1
    cells = x_nyxc.new_empty(n, end - start, TILE * -(-width // TILE) + 2, c)
    top, bottom = max(start, 0) - start, min(end, height) - start
    cells[:, :top], cells[:, bottom:], cells[:, :, 0], cells[:, :, width + 1 :] = 0, 0, 0, 0
    cells[:, top:bottom, 1 : width + 1] = x_nyxc[:, start + top : start + bottom]
    return cells


def to_products(cells: Sequence[Tensor], products: Tensor) -> None:
    """Six cells of a side to its six products' factors, written to `products` (6, ...)."""
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
    """Six products of a side (6, ...) to its four results, written to `results`."""
    near, far = products[1] + products[2], products[3] + products[4]
    torch.add(near, far, out=results[0]).add_(products[0])
    torch.add(near, far, alpha=4, out=results[2])
    torch.sub(products[1], products[2], out=near)
    torch.sub(products[3], products[4], out=far)
    torch.add(near, far, alpha=2, out=results[1])
    torch.add(near, far, alpha=8, out=results[3]).add_(products[5])
