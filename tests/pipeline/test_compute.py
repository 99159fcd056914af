"""Where and how exactly networks compute, and what happens when memory runs out."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.extractors.compute import ComputeSettings, Pieces, find_device
from pipeline.extractors.vgg_grid import VggGrid
from pipeline.picture import Picture
from schemas.errors import UsageError
from tests.commands import run
from tests.pipeline.fakes import picture, small_dump

WITHOUT_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="what is tested is the lack of a GPU")


@WITHOUT_CUDA
def test_a_device_that_is_asked_for_and_missing_is_an_error_never_a_silent_cpu(tmp_path: Path) -> None:
    assert find_device("auto", "vgg_grid").type == "cpu"
    with pytest.raises(UsageError, match=r"features.vgg_grid.device=cuda: torch .* finds no CUDA device here"):
        find_device("cuda", "vgg_grid")
    dump, images = small_dump(tmp_path, 1)
    sets = ("features.vgg_grid.weights=random", "features.vgg_grid.device=cuda")
    words = ("--dumps", dump, "--images", images, "--dataset", tmp_path / "d", "--features", "vgg_grid", "--set", *sets)
    done = run("pipeline", "build", *words)
    assert done.code == 2
    assert len(done.err.strip().splitlines()) == 1
    assert not (tmp_path / "d" / "posts").exists()


class Hungry:
    """A computation for which memory suffices for so many rows at once."""

    def __init__(self, limit: int, error: type[RuntimeError] = torch.OutOfMemoryError) -> None:
        self.limit, self.error = limit, error
        self.sizes: list[int] = []

    def __call__(self, piece: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.sizes.append(len(piece))
        if len(piece) > self.limit:
            raise self.error("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")
        return piece * 2, piece.sum(1)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_out_of_memory_halves_what_is_computed_at_once_from_then_on(error: type[RuntimeError]) -> None:
    batch = torch.arange(24.0).reshape(8, 3)
    hungry, pieces = Hungry(3, error), Pieces("probe")
    doubled, sums = pieces(hungry, batch)
    assert hungry.sizes == [8, 4, 2, 2, 2, 2]
    torch.testing.assert_close(doubled, batch * 2, rtol=0, atol=0)
    torch.testing.assert_close(sums, batch.sum(1), rtol=0, atol=0)
    pieces(hungry, batch)
    assert hungry.sizes[6:] == [2, 2, 2, 2], "it is not tried again with a whole batch"


def test_a_single_row_that_does_not_fit_and_any_other_fault_are_raised() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        Pieces("probe")(Hungry(0), torch.zeros(4, 1))
    hungry = Hungry(3, RuntimeError)
    hungry.__class__ = type("Broken", (Hungry,), {"__call__": lambda self, piece: piece @ torch.zeros(9, 9)})
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        Pieces("probe")(hungry, torch.zeros(4, 2))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    folder = tmp_path_factory.mktemp("pictures")
    return [VggGrid(ComputeSettings()).prepare(Picture(picture(folder / f"{i}.jpg", i))) for i in range(4)]


def grids(inputs: list[np.ndarray], pieces: int | None = None, **settings: object) -> np.ndarray:
    extractor = VggGrid(ComputeSettings(weights="random", batch_size=4, **settings))  # type: ignore[arg-type]
    extractor.load()
    extractor._pieces.at_once = pieces
    return np.stack([np.asarray(row["features"]) for row in extractor.extract(inputs)])


def test_a_row_computed_in_smaller_pieces_is_the_same_up_to_rounding(inputs: list[np.ndarray]) -> None:
    whole = grids(inputs)
    assert np.abs(grids(inputs, pieces=1) - whole).max() < 1e-5 * np.abs(whole).max()


def test_half_precision_is_near_fp32_and_has_a_fingerprint_of_its_own(inputs: list[np.ndarray]) -> None:
    exact, half = grids(inputs), grids(inputs, precision="bf16")
    assert half.dtype == np.float32
    assert 0 < np.abs(half - exact).max() < 0.05 * np.abs(exact).max()
    parts = [VggGrid(ComputeSettings(weights="random", precision=p)).fingerprint_parts() for p in ("fp32", "bf16")]  # type: ignore[arg-type]
    assert [part["compute"] for part in parts] == ["float32 channels_last", "bf16 channels_last"]


def test_where_it_is_computed_and_placed_is_no_part_of_a_fingerprint() -> None:
    plain = VggGrid(ComputeSettings(weights="random"))
    placed = VggGrid(ComputeSettings(weights="random", device="cpu", accelerator="type:nvidia-l4;count:1"))
    assert plain.fingerprint_parts() == placed.fingerprint_parts()
    assert VggGrid(ComputeSettings(store="float32")).spec != plain.spec
