"""The factor in tiles against values by hand and against the whole matrix."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from m3h.model.ranking.tiled_cholesky import TiledCholesky
from m3h.schemas.errors import UsageError


def factor(matrix_nn: torch.Tensor, tile: int) -> TiledCholesky:
    return TiledCholesky.of(lambda columns: matrix_nn[columns.start :, columns].clone(), len(matrix_nn), tile)


@pytest.mark.parametrize("tile", [1, 2, 3])
def test_factor_solution_and_inverse_by_hand(tile: int) -> None:
    """[[4, 2], [2, 5]] = L L^T, L = [[2, 0], [1, 2]]; its inverse is [[5, -2], [-2, 4]] / 16."""
    found = factor(torch.tensor([[4.0, 2.0], [2.0, 5.0]]), tile)
    assert torch.cat([tile_bb.flatten() for row in found.tiles for tile_bb in row if tile_bb.any()]).tolist() in (
        [2.0, 1.0, 2.0],
        [2.0, 0.0, 1.0, 2.0],
    )
    assert found.inverse_diagonal().tolist() == [5 / 16, 4 / 16]
    assert found.solve_(torch.tensor([[16.0], [32.0]])).tolist() == [[1.0], [6.0]]


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 60), tile=st.integers(1, 70), seed=st.integers(0, 10**6), penalty=st.sampled_from([0.1, 0.3, 2.0])
)
def test_any_size_of_tile_gives_what_the_whole_matrix_gives(n: int, tile: int, seed: int, penalty: float) -> None:
    """Within what half precision of cosines costs, the more the smaller the penalty."""
    random = torch.Generator().manual_seed(seed)
    row_nf = torch.nn.functional.normalize(torch.rand(n, 30, generator=random), dim=1)
    matrix_nn = row_nf @ row_nf.mT + penalty * torch.eye(n)
    y_nt = torch.randn(n, 3, generator=random)
    inverse_nn = torch.linalg.inv(matrix_nn.double()).float()
    found = factor(matrix_nn, tile)
    for exact, rounded in (
        (inverse_nn @ y_nt, found.solve_(y_nt.clone())),
        (inverse_nn.diagonal(), found.inverse_diagonal()),
    ):
        assert (rounded - exact).abs().max() <= 0.002 / penalty * max(1.0, float(exact.abs().max()))


def test_what_is_not_positive_definite_is_one_line() -> None:
    with pytest.raises(UsageError, match="ridge_penalty is too small"):
        factor(torch.ones(4, 4), 2)
