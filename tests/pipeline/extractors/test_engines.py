"""Engines: they agree with torch, with the same bits for the same input; what they cannot do is one line."""

import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from m3h.pipeline.engine.shard_engine import ShardTask, Work, run_shards
from m3h.pipeline.extractors import extractor_class, make_extractor
from m3h.pipeline.extractors.compute import AUTO, ComputeSettings
from m3h.pipeline.extractors.computing.catalog import ENGINES
from m3h.pipeline.extractors.network import NetworkExtractor
from m3h.pipeline.images.picture import Picture
from m3h.schemas.errors import UsageError
from tests.commands import ROOT, environment, run
from tests.pipeline.extractors.test_compute import Tiny
from tests.pipeline.fakes import picture, small_dump, stored_pictures

GRAPHS = [name for name in ENGINES if name != "torch"]
BATCH = 3
"""Pictures of a batch. Of five, the last one is smaller."""
LARGEST = 2e-5
"""Difference from torch's numbers, in shares of the largest."""

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "vgg": ("vgg_grid", {}),
    "attributes": ("attributes", {"head": "random", "backbone": "resnet18"}),
    "small": ("backbone", {"weights": "default"}),
    "timm": ("backbone", {"network": "timm:test_vit"}),
    "torchvision": ("backbone", {"network": "torchvision:mobilenet_v3_small", "form": "pooled"}),
    "resnet152": ("attributes", {"head": "random"}),
    "open_clip": ("backbone", {"network": "open_clip:ViT-B-32", "form": "pooled"}),
}
SLOW = ("resnet152", "open_clip")


def made(name: str, **settings: Any) -> NetworkExtractor:
    given = {"store": "float32", "weights": "random", "device": "cpu", "batch_size": BATCH, **settings}
    found = make_extractor(name, extractor_class(name).Settings(**given))
    assert isinstance(found, NetworkExtractor)
    return found


def numbers(extractor: NetworkExtractor, inputs: Sequence[Any], at_once: int = BATCH) -> np.ndarray:
    """(inputs, n): the network's outputs, in batches."""
    parts = [inputs[i : i + at_once] for i in range(0, len(inputs), at_once)]
    return np.concatenate([extractor.outputs(part)[0].flatten(1).numpy() for part in parts])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    return [picture(folder / f"{seed}.jpg", seed, (160 + 30 * seed, 200)) for seed in range(5)]


@pytest.mark.parametrize("network", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in NETWORKS])
def test_engines_agree_with_torch_and_a_row_has_the_same_bits_wherever_it_stands(
    pictures: list[Path], network: str
) -> None:
    name, settings = NETWORKS[network]
    with_torch = made(name, **settings)
    with_torch.load()
    inputs = [with_torch.prepare(Picture(path)) for path in pictures]
    expected = numbers(with_torch, inputs)
    for engine in GRAPHS:
        extractor = made(name, engine=engine, **settings)
        extractor.load()
        found = numbers(extractor, inputs)
        assert np.abs(found - expected).max() < LARGEST * np.abs(expected).max()
        np.testing.assert_array_equal(numbers(extractor, inputs), found)
        np.testing.assert_array_equal(numbers(extractor, inputs[::-1])[::-1], found)
        alone = numbers(extractor, inputs, at_once=1)
        assert np.abs(alone - found).max() < LARGEST * np.abs(expected).max()
        rows = extractor.extract(inputs[:BATCH])
        for row in rows:
            extractor.spec.check(row, engine)


@pytest.mark.parametrize("engine", GRAPHS)
def test_a_network_that_is_exported_again_gives_the_same_bits_and_nothing_is_logged(
    pictures: list[Path], engine: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    found = []
    for _ in range(2):
        extractor = Tiny(ComputeSettings(batch_size=BATCH, engine=engine))
        extractor.load()
        found.append(numbers(extractor, [extractor.prepare(Picture(path)) for path in pictures]))
    np.testing.assert_array_equal(*found)
    assert not caplog.records


def test_the_engine_is_part_of_a_fingerprint_only_where_it_is_not_torch() -> None:
    parts = {name: made("vgg_grid", engine=name).fingerprint_parts() for name in ENGINES}
    assert set(get_args(ComputeSettings.model_fields["engine"].annotation)) == {AUTO, *ENGINES}
    assert parts["torch"] == made("vgg_grid").fingerprint_parts()
    assert [parts[name]["compute"] for name in ENGINES] == [
        "float32 channels_last",
        f"float32 onnxruntime {version('onnxruntime')}",
        f"float32 openvino {version('openvino')}",
    ]


@pytest.mark.parametrize("engine", GRAPHS)
def test_a_row_has_the_same_bits_whichever_layer_another_feature_of_its_network_reads(
    tmp_path: Path, engine: str
) -> None:
    """In a graph that gives its first convolution too, the normalisation cannot be made a part of this convolution."""
    dataset = tmp_path / "dataset"
    images = stored_pictures(dataset, 5)

    def work(layer: str, form: str) -> Work:
        extractor = made("backbone", network="timm:test_resnet", layer=layer, form=form, engine=engine)
        extractor.load()
        return Work(ShardTask("backbone", form[:1] * 16, 0, 1), extractor)

    first, last = ("conv1.0", "grid"), ("", "pooled")
    alone = [run_shards([work(*read)], images, dataset, out=tmp_path / "alone")[0] for read in (first, last)]
    for reads, expected in (((first, last), alone), ((last, first), alone[::-1])):
        together = run_shards([work(*read) for read in reads], images, dataset, out=tmp_path / "together")
        assert together == expected


@pytest.mark.parametrize("engine", GRAPHS)
@pytest.mark.parametrize(
    ("feature", "settings", "said"),
    [
        ("vgg_grid", {"precision": "bf16"}, r"precision=bf16: engine={} computes at fp32 on a CPU only. Set precision"),
        ("vgg_grid", {"device": "cuda"}, r"device=cuda: engine={} computes at fp32 on a CPU only. Set device=cpu, or"),
        ("butd_objects", {"batch_size": 1}, r"engine={}: the detector of butd_objects is .* Set engine=torch."),
    ],
)
def test_what_an_engine_cannot_do_is_said_before_any_work(
    engine: str, feature: str, settings: dict[str, Any], said: str
) -> None:
    extractor = made(feature, engine=engine, **settings)
    for refused in (extractor.identity, extractor.require, extractor.load):  # the first one is all that a plan asks for
        with pytest.raises(UsageError, match=rf"^features\.{feature}\.{said.format(engine)}"):
            refused()
    assert not extractor.accelerated


HIDES = """
import importlib.metadata as metadata
found = metadata.version
def version(name):
    if name == "{}":
        raise metadata.PackageNotFoundError(name)
    return found(name)
metadata.version = version
"""


@pytest.mark.parametrize(("engine", "missing"), [("onnxruntime", "onnxruntime"), ("openvino", "onnxscript")])
def test_a_package_that_is_missing_is_one_line_of_a_build(tmp_path: Path, engine: str, missing: str) -> None:
    """Its metadata are hidden from the process by a module that Python imports at its start."""
    (tmp_path / "sitecustomize.py").write_text(HIDES.format(missing))
    dump, images = small_dump(tmp_path, 1)
    sets = ("features.vgg_grid.weights=random", f"features.vgg_grid.engine={engine}")
    words = ("--dumps", dump, "--images", images, "--dataset", tmp_path / "d", "--features", "vgg_grid", "--set", *sets)
    done = run("pipeline", "build", *words, folders=(tmp_path,))
    assert done.code == 2
    assert done.err.strip().splitlines() == [
        f"error: features.vgg_grid.engine={engine}: {missing} is not installed here. Install it: "
        f"pip install 'm3h[{engine}]'; or set engine=torch, for another version of it."
    ]


LOADS = """
import sys
from m3h.pipeline.extractors.compute import ComputeSettings
from tests.pipeline.extractors.test_compute import Tiny
Tiny(ComputeSettings(engine=sys.argv[1])).load()
"""
CONTINUOUS_INTEGRATION = ("CI", "TF_BUILD", "JENKINS_URL")
"""Where one of these is set OpenVINO keeps quiet by itself."""


@pytest.mark.parametrize("engine", GRAPHS)
def test_nobody_is_told_of_a_network_that_is_loaded(tmp_path: Path, engine: str) -> None:
    """Both libraries first write down who this is: a file in the user's folders that outlives the process."""
    given = {name: value for name, value in environment().items() if name not in CONTINUOUS_INTEGRATION}
    own = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "TMPDIR"), str(tmp_path))
    done = subprocess.run([sys.executable, "-c", LOADS, engine], env={**given, **own}, cwd=ROOT, check=False)
    assert done.returncode == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


class Branching(torch.nn.Module):
    """Its path depends on the values, which no graph can say."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch * 2 if batch.sum().item() > 0 else batch.flip(0)


class Unwritable(Tiny):
    def network(self) -> torch.nn.Module:
        return Branching()


def test_a_network_that_cannot_be_exported_is_named_in_one_line() -> None:
    with pytest.raises(UsageError) as caught:
        Unwritable(ComputeSettings(engine="openvino")).load()
    said = str(caught.value)
    assert said.startswith(
        "features.tiny.engine=openvino: torch cannot export the network tiny as a graph. Set engine=torch. ("
    )
    assert "\n" not in said


SCARCE = """
import resource, sys
from pathlib import Path
import numpy as np
from m3h.pipeline.extractors.compute import ComputeSettings
from tests.pipeline.extractors.test_compute import Tiny
extractor = Tiny(ComputeSettings(engine=sys.argv[1]))
extractor.load()
inputs = list(np.random.default_rng(0).standard_normal((128, 3, 224, 224), dtype=np.float32))
few = extractor.outputs(inputs[-2:])[0]
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000, resource.RLIM_INFINITY))
found = extractor.outputs(inputs)[0]
assert found.shape[0] == 128 and extractor._splitter.at_once < 128, (found.shape, extractor._splitter.at_once)
assert abs(found[-2:] - few).max() < 2e-5 * abs(few).max()
"""
"""A batch whose first layer alone is 400 MB large."""


@pytest.mark.skipif(sys.platform != "linux", reason="limits on memory hold on Linux")
@pytest.mark.parametrize("engine", GRAPHS)
def test_after_running_out_of_memory_an_engine_computes_batches_in_halves(engine: str) -> None:
    """OpenVINO does not say so: it gives the outputs of the batch before."""
    done = subprocess.run(
        [sys.executable, "-c", SCARCE, engine], env=environment(), cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "out of memory; continuing with 64 at once" in done.stderr
