"""The factor in tiles against values by hand and against the whole matrix."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from m3h.model.ranking.tiled_cholesky import TiledCholesky
from m3h.schemas.errors import MachineError, UsageError


@contextmanager
def factor(matrix_nn: torch.Tensor, tile: int) -> Iterator[TiledCholesky]:
    with tempfile.TemporaryFile() as file:
        n = len(matrix_nn)
        yield TiledCholesky.of(lambda columns: matrix_nn[columns.start :, columns].clone(), n, tile=tile, file=file)


@pytest.mark.parametrize("tile", [1, 2, 3])
def test_factor_solution_and_inverse_by_hand(tile: int) -> None:
    """[[4, 2], [2, 5]] = L L^T, L = [[2, 0], [1, 2]]; its inverse is [[5, -2], [-2, 4]] / 16."""
    with factor(torch.tensor([[4.0, 2.0], [2.0, 5.0]]), tile) as found:
        tiles = [found._tile(i, j).flatten() for i in range(found.number) for j in range(i + 1)]
        assert torch.cat(tiles).tolist() in ([2.0, 1.0, 2.0], [2.0, 0.0, 1.0, 2.0])
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
    with factor(matrix_nn, tile) as found:
        pairs = (inverse_nn @ y_nt, found.solve_(y_nt.clone())), (inverse_nn.diagonal(), found.inverse_diagonal())
    for exact, rounded in pairs:
        assert (rounded - exact).abs().max() <= 0.002 / penalty * max(1.0, float(exact.abs().max()))


def test_what_is_not_positive_definite_is_one_line() -> None:
    with pytest.raises(UsageError, match="ridge_penalty is too small"), factor(torch.ones(4, 4), 2):
        pass


def test_a_full_disk_is_one_line() -> None:
    line = r"No space left on device. The factor of 10,000 posts takes 0.1 GB there"
    with open("/dev/full", "r+b", buffering=0) as full, pytest.raises(MachineError, match=line):
        TiledCholesky(10_000, 1000, full)._keep(0, 0, torch.zeros(1000, 1000, dtype=torch.half))
