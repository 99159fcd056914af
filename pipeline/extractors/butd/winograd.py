"""A 3x3 convolution dilated by 2 on 14 x 14 cells, by Winograd's minimal filtering: a third of the multiplications.

Cells of like parity meet only each other, so the map is four maps of 7 x 7 under an ordinary 3x3 convolution. Each is
two tiles a side, and a tile of 4 x 4 results takes 36 products instead of 144: F(4x4, 3x3) of Lavin and Gray (2016).
Both changes of basis are matrices over a whole side of 14, so that nothing is cut or padded.

Equal to the direct convolution but for rounding: at fp32 within 1e-4 of the largest value (tested).

Axes: n regions, y and x cells, c channels in, d out, s = 24 places of a side in the products' basis: 6 products, by
2 parities and 2 tiles.
"""

import torch
from torch import Tensor, nn

SIDE = 14
INPUT = ((4, 0, -5, 0, 1, 0), (0, -4, -4, 1, 1, 0), (0, 4, -4, -1, 1, 0), (0, -2, -1, 2, 1, 0), (0, 2, -1, -2, 1, 0),
         (0, 4, 0, -5, 0, 1))  # fmt: skip
FILTER = ((1 / 4, 0, 0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6), (1 / 24, 1 / 12, 1 / 6),
          (1 / 24, -1 / 12, 1 / 6), (0, 0, 1))  # fmt: skip
OUTPUT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))
"""The paper's B^T, G and A^T."""


def sides() -> tuple[Tensor, Tensor]:
    """(24, 14) from a side of cells into the products' basis, and (14, 24) back."""
    there, back = torch.zeros(6, 2, 2, SIDE), torch.zeros(SIDE, 6, 2, 2)
    for parity in range(2):
        for tile in range(2):
            first = 4 * tile - 1  # of the tile's six, among the seven cells of this parity; beyond them lies padding
            for i, row in enumerate(INPUT):
                for k, factor in enumerate(row):
                    if 0 <= first + k < SIDE // 2:
                        there[i, parity, tile, 2 * (first + k) + parity] = factor
            for o, row in enumerate(OUTPUT):
                if 4 * tile + o < SIDE // 2:
                    back[2 * (4 * tile + o) + parity, :, parity, tile] = torch.tensor(row, dtype=torch.float32)
    return there.view(24, SIDE), back.view(SIDE, 24)


class DilatedConvolution(nn.Module):
    """In place of a folded `ConvNorm` of res5. Input and output are channels last."""

    there_sy: Tensor
    back_ys: Tensor
    filters_pcd: Tensor
    bias_d: Tensor | None

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        there_sy, back_ys = sides()
        basis = torch.tensor(FILTER, dtype=torch.float64)
        filters = torch.einsum("ik,dckl,jl->ijcd", basis, convolution.weight.double(), basis)
        self.register_buffer("there_sy", there_sy)
        self.register_buffer("back_ys", back_ys)
        self.register_buffer("filters_pcd", filters.flatten(0, 1).float().contiguous())
        self.register_buffer("bias_d", None if convolution.bias is None else convolution.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, 14, 14) -> (n, d, 14, 14)."""
        n, c = x.shape[:2]
        d = self.filters_pcd.shape[2]
        rows = torch.matmul(self.there_sy, x.permute(0, 2, 3, 1).reshape(n, SIDE, SIDE * c))
        both = torch.matmul(self.there_sy, rows.view(n * 24, SIDE, c)).view(n, 6, 4, 6, 4, c)
        products = torch.bmm(both.permute(1, 3, 0, 2, 4, 5).reshape(36, n * 16, c), self.filters_pcd)
        both = products.view(6, 6, n, 4, 4, d).permute(2, 0, 3, 1, 4, 5).reshape(n, 24, 24 * d)
        rows = torch.matmul(self.back_ys, both).view(n * SIDE, 24, d)
        y = torch.matmul(self.back_ys, rows).view(n, SIDE, SIDE, d)
        if self.bias_d is not None:
            y += self.bias_d
        return y.permute(0, 3, 1, 2)
