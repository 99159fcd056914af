"""Where and how exactly networks compute, and what happens when memory runs out."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from m3h.pipeline.extractors.compute import BatchSplitter, ComputeSettings, find_device
from m3h.pipeline.extractors.imagenet import imagenet_input
from m3h.pipeline.extractors.network import NetworkExtractor
from m3h.pipeline.extractors.vgg_grid import VggGrid
from m3h.pipeline.images.picture import Picture
from m3h.schemas.errors import UsageError
from m3h.schemas.features import ArraySpec, FeatureSpec, Row
from tests.commands import ROOT, run
from tests.pipeline.fakes import picture, small_dump

WITHOUT_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="what is tested is the lack of a GPU")


@WITHOUT_CUDA
def test_a_missing_device_is_an_error_and_never_falls_back_to_the_cpu(tmp_path: Path) -> None:
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
def test_after_running_out_of_memory_batches_are_computed_in_halves(error: type[RuntimeError]) -> None:
    batch = torch.arange(24.0).reshape(8, 3)
    hungry, pieces = Hungry(3, error), BatchSplitter("probe")
    doubled, sums = pieces(hungry, batch)
    assert hungry.sizes == [8, 4, 2, 2, 2, 2]
    torch.testing.assert_close(doubled, batch * 2, rtol=0, atol=0)
    torch.testing.assert_close(sums, batch.sum(1), rtol=0, atol=0)
    pieces(hungry, batch)
    assert hungry.sizes[6:] == [2, 2, 2, 2], "it is not tried again with a whole batch"


def test_a_single_row_that_does_not_fit_and_any_other_error_are_raised() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        BatchSplitter("probe")(Hungry(0), torch.zeros(4, 1))
    hungry = Hungry(3, RuntimeError)
    hungry.__class__ = type("Broken", (Hungry,), {"__call__": lambda self, piece: piece @ torch.zeros(9, 9)})
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        BatchSplitter("probe")(hungry, torch.zeros(4, 2))


class Tiny(NetworkExtractor):
    """Two convolutions and a mean over the picture."""

    spec = FeatureSpec("tiny", arrays=(ArraySpec("features", (6,)),))

    def weights_identity(self) -> Any:
        return "random"

    def network(self) -> torch.nn.Module:
        torch.manual_seed(0)
        return torch.nn.Sequential(
            torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU(), torch.nn.Conv2d(16, 6, 3), torch.nn.AdaptiveAvgPool2d(1)
        )

    def prepare(self, picture: Picture) -> Any:
        return picture.once(imagenet_input)

    def rows(self, outputs: Sequence[torch.Tensor]) -> list[Row]:
        return [{"features": row} for row in outputs[0].flatten(1).numpy()]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    folder = tmp_path_factory.mktemp("pictures")
    return [Tiny(ComputeSettings()).prepare(Picture(picture(folder / f"{i}.jpg", i))) for i in range(4)]


def features(inputs: list[np.ndarray], pieces: int | None = None, **settings: Any) -> np.ndarray:
    extractor = Tiny(ComputeSettings(batch_size=4, **settings))
    extractor.load()
    extractor._splitter.at_once = pieces
    return np.stack([np.asarray(row["features"]) for row in extractor.extract(inputs)])


def test_a_row_computed_in_smaller_parts_is_the_same_up_to_rounding(inputs: list[np.ndarray]) -> None:
    whole = features(inputs)
    assert np.abs(features(inputs, pieces=1) - whole).max() < 1e-5 * np.abs(whole).max()


def test_half_precision_is_near_fp32_and_has_its_own_fingerprint(inputs: list[np.ndarray]) -> None:
    exact, half = features(inputs), features(inputs, precision="bf16")
    assert half.dtype == np.float32
    assert 0 < np.abs(half - exact).max() < 0.05 * np.abs(exact).max()
    settings = [ComputeSettings(precision="fp32"), ComputeSettings(precision="bf16")]
    assert [Tiny(one).fingerprint_parts()["compute"] for one in settings] == [
        "float32 channels_last",
        "bf16 channels_last",
    ]


def test_the_device_and_the_accelerator_are_not_part_of_a_fingerprint() -> None:
    plain = VggGrid(ComputeSettings(weights="random"))
    placed = VggGrid(ComputeSettings(weights="random", device="cpu", accelerator="type:nvidia-l4;count:1"))
    assert plain.fingerprint_parts() == placed.fingerprint_parts()
    assert VggGrid(ComputeSettings(store="float32")).spec != plain.spec


@WITHOUT_CUDA
def test_a_missing_gpu_is_found_without_importing_torch() -> None:
    code = (
        "import sys; from m3h.pipeline.extractors.compute import has_gpu; sys.exit(has_gpu() or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
