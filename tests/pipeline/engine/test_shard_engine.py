"""The shard engine: fixed batches, bisecting, receipts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest

from m3h.pipeline.engine.extract_job import ExtractJob, grouped
from m3h.pipeline.engine.image_list import ImageList
from m3h.pipeline.engine.shard_engine import UNEXPECTED, Receipt, ShardTask, Work, finished, run_shards
from m3h.pipeline.extractors.compute import ComputeSettings
from m3h.pipeline.images.jpeg import decode
from m3h.pipeline.images.picture import Picture
from m3h.pipeline.images.store import image_path
from m3h.pipeline.stages.extract import ExtractShards
from m3h.schemas.errors import FeatureError
from m3h.schemas.features import ArraySpec, FeatureSpec, Row
from m3h.schemas.shards import read_tensor_shard
from tests.pipeline.fakes import Probe, run_shard, stored_pictures

TASK = ShardTask("probe", "f" * 16, 0, 1)


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, list[str]]:
    """A dataset folder with ten pictures in its store, and their hashes in order."""
    dataset = tmp_path / "dataset"
    return dataset, stored_pictures(dataset, 10)


def rows_of(dataset: Path) -> dict[str, np.ndarray]:
    keys, arrays = read_tensor_shard(dataset / TASK.file_name(".h5"))
    return dict(zip(keys, arrays["features"], strict=True))


def test_every_batch_has_exactly_the_fixed_size(stored: tuple[Path, list[str]]) -> None:
    dataset, images = stored
    extractor = Probe()
    receipt = run_shard(TASK, images, extractor, dataset, dataset)
    assert extractor.batches == [4, 4, 4]  # 10 pictures: 4 + 4 + 2 and two of padding
    assert (receipt.rows, receipt.dropped) == (10, [])


def test_one_poisoned_picture_costs_only_itself_whatever_its_place(stored: tuple[Path, list[str]]) -> None:
    dataset, images = stored
    run_shard(TASK, images, Probe(), dataset, dataset)
    healthy = rows_of(dataset)
    for culprit in images:
        extractor = Probe({culprit: ZeroDivisionError("no such pixel")})
        receipt = run_shard(TASK, images, extractor, dataset, dataset)
        assert [row.record_id for row in receipt.dropped] == [culprit]
        assert receipt.dropped[0].reason == UNEXPECTED
        assert "ZeroDivisionError: no such pixel" in receipt.dropped[0].detail
        assert set(extractor.batches) == {4}
        left = rows_of(dataset)
        assert sorted(left) == [image for image in images if image != culprit]
        assert all((left[image] == healthy[image]).all() for image in left)


def test_a_whole_batch_of_poison_leaves_the_other_batches_alone(stored: tuple[Path, list[str]]) -> None:
    dataset, images = stored
    receipt = run_shard(TASK, images, Probe(dict.fromkeys(images[4:8], ValueError("bad"))), dataset, dataset)
    assert sorted(row.record_id for row in receipt.dropped) == images[4:8]
    assert sorted(rows_of(dataset)) == images[:4] + images[8:]


def test_an_expected_fault_is_a_reason_and_an_unexpected_one_keeps_its_traceback(
    stored: tuple[Path, list[str]],
) -> None:
    dataset, images = stored
    receipt = run_shard(TASK, images, Probe({images[5]: KeyError("lost")}, unreadable=images[:1]), dataset, dataset)
    reasons = {row.record_id: row for row in receipt.dropped}
    assert reasons[images[0]].reason == "image_broken"
    assert reasons[images[0]].detail == f"{images[0]}.jpg"
    assert "Traceback" in reasons[images[5]].detail
    assert not receipt.is_clean
    assert receipt.rows + len(receipt.dropped) == len(images)


def test_a_row_of_the_wrong_shape_is_caught_before_it_is_written(stored: tuple[Path, list[str]]) -> None:
    dataset, images = stored

    class Wrong(Probe):
        def extract(self, inputs):  # type: ignore[no-untyped-def]
            return [{"features": np.zeros(5)} for _ in inputs]

    receipt = run_shard(TASK, images[:1], Wrong(), dataset, dataset)
    assert FeatureError.__name__ in receipt.dropped[0].detail
    assert "expected features(3,), got features(5,)" in receipt.dropped[0].detail


def test_a_shards_bytes_depend_on_its_pictures_alone(stored: tuple[Path, list[str]]) -> None:
    dataset, images = stored
    first = run_shard(TASK, images, Probe(), dataset, dataset)
    again = run_shard(TASK, images, Probe(), dataset, dataset)
    fewer = run_shard(TASK, images[:9], Probe(), dataset, dataset)
    assert first == again
    assert first.sha256 != fewer.sha256


def test_a_finished_shard_is_recognised_until_a_byte_of_it_changes(
    stored: tuple[Path, list[str]], tmp_path: Path
) -> None:
    dataset, images = stored
    note = tmp_path / "receipt.json"
    assert finished(note, [dataset], images) is None
    receipt = run_shard(TASK, images, Probe(unreadable=images[:1]), dataset, dataset)
    receipt.write(note)
    assert finished(note, [dataset], images) == receipt == Receipt.read(note)
    shard = dataset / receipt.file
    assert finished(note, [dataset], images[:9]) is None, "another picture set is another shard"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    assert finished(note, [dataset], images) is None


def test_a_shard_that_met_an_unforeseen_fault_is_done_again(stored: tuple[Path, list[str]], tmp_path: Path) -> None:
    dataset, images = stored
    note = tmp_path / "receipt.json"
    run_shard(TASK, images, Probe({images[3]: RuntimeError("passing")}), dataset, dataset).write(note)
    assert finished(note, [dataset], images) is None


def test_a_picture_that_vanished_from_the_store_is_a_dropped_row(stored: tuple[Path, list[str]]) -> None:
    dataset, images = stored
    image_path(dataset, images[2]).unlink()
    receipt = run_shard(TASK, images, Probe(), dataset, dataset)
    assert [row.record_id for row in receipt.dropped] == [images[2]]


class Grey(Probe):
    """Another feature of the same pictures, with batches of its own."""

    spec = FeatureSpec("grey", arrays=(ArraySpec("features", (3,), "float32"),))
    batch_size = 3


def test_features_asked_for_together_decode_each_picture_once(
    stored: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, images = stored
    alone = run_shard(TASK, images, Probe(unreadable=images[4:5]), dataset, dataset)
    decoded: list[str] = []
    monkeypatch.setattr("m3h.pipeline.images.picture.decode", lambda path: decoded.append(path.stem) or decode(path))
    probe, grey = Probe(unreadable=images[4:5]), Grey({images[7]: ValueError("dark")})
    other = ShardTask("grey", "e" * 16, 0, 1)
    works = [Work(TASK, probe), Work(other, grey, {images[0]: {"features": np.zeros(3)}})]
    first, second = run_shards(works, images, dataset, out=dataset)
    assert sorted(decoded) == images
    assert first == alone, "a feature's shard does not depend on the others made with it"
    assert (set(probe.batches), set(grey.batches)) == ({4}, {3})
    assert [row.record_id for row in second.dropped] == [images[7]]
    assert (first.computed, second.computed, second.rows) == (10, 9, 9)


class Spared(Probe):
    """Another feature of its network has computed for it, for 1,000 seconds."""

    def extract(self, inputs: Sequence[Any]) -> list[Row]:
        self.spared_seconds = 1000.0
        return super().extract(inputs)


def test_the_time_of_a_shard_is_that_of_its_feature_alone(stored: tuple[Path, list[str]]) -> None:
    dataset, images = stored
    receipt = run_shard(TASK, images, Spared(), dataset, dataset)
    assert 1000 < receipt.seconds < 2000


def test_a_picture_all_features_know_is_not_decoded(stored: tuple[Path, list[str]]) -> None:
    dataset, images = stored
    for image in images[:9]:
        image_path(dataset, image).write_bytes(b"not a picture any more")
    known: dict[str, Any] = {image: {"features": np.full(3, i)} for i, image in enumerate(images[:9])}
    receipt = run_shard(TASK, images, Probe(), dataset, dataset, known)
    assert (receipt.rows, receipt.computed, receipt.dropped) == (10, 1, [])
    assert rows_of(dataset)[images[8]].tolist() == [8, 8, 8]


def test_features_of_one_slice_go_together_unless_a_worker_would_idle() -> None:
    tasks = [ShardTask(name, "f" * 16, index, 2) for index in range(2) for name in ("ocr", "vgg_grid", "butd_objects")]
    cpu = dict.fromkeys(("ocr", "vgg_grid", "butd_objects"), False)
    alone = dict.fromkeys(cpu, "")
    assert [len(group) for group in grouped(tasks, cpu, workers=2, networks=alone)] == [3, 3]
    assert [len(group) for group in grouped(tasks, cpu, workers=3, networks=alone)] == [1] * 6
    on_gpu = grouped(tasks, {**cpu, "vgg_grid": True}, workers=2, networks=alone)
    assert [[task.feature for task in group] for group in on_gpu[:2]] == [["ocr", "butd_objects"], ["vgg_grid"]]


def test_features_of_one_network_stay_together_also_where_a_worker_idles() -> None:
    networks = {"ocr": "", "attributes": "", "backbone": "small", "backbone_labels": "small"}
    tasks = [ShardTask(name, "f" * 16, 0, 1) for name in networks]
    parts = grouped(tasks, dict.fromkeys(networks, False), workers=4, networks=networks)
    assert [[task.feature for task in part] for part in parts] == [
        ["ocr"],
        ["attributes"],
        ["backbone", "backbone_labels"],
    ]


def test_what_two_features_make_of_the_pixels_alike_is_made_once(stored: tuple[Path, list[str]]) -> None:
    dataset, images = stored
    made: list[int] = []

    def corner(pixels: Any) -> tuple[int, ...]:
        made.append(1)
        return pixels.getpixel((0, 0))

    shown = Picture(image_path(dataset, images[0]))
    assert shown.once(corner) == shown.once(corner) == shown.pixels.getpixel((0, 0))
    assert len(made) == 1


class OnGpu(Grey):
    """A feature that computes on a GPU, with a hint for clusters."""

    memory_gb = 6.0
    accelerated = True

    def __init__(self) -> None:
        super().__init__()
        self.settings = ComputeSettings(device="cuda", accelerator="type:nvidia-l4;count:1")


def test_a_cluster_is_told_where_a_gpu_is_needed_and_how_much_memory(tmp_path: Path) -> None:
    root = beam.Pipeline()
    job = ExtractJob(tmp_path, tmp_path, ImageList(tmp_path / "list", 4), tmp_path, {}, {})
    root | beam.Create([(TASK,), (ShardTask("grey", "e" * 16, 0, 1),)]) | ExtractShards(job, [Probe(), OnGpu()])
    placed = root.to_runner_api().components
    hints = {
        name: dict(placed.environments[one.environment_id].resource_hints)
        for one in placed.transforms.values()
        for name in ("CPU", "GPU")
        if f"extract on {name}" in one.unique_name and one.environment_id
    }
    ram, gpu = "beam:resources:min_ram_bytes:v1", "beam:resources:accelerator:v1"
    assert hints == {"CPU": {ram: b"1000000000"}, "GPU": {ram: b"6000000000", gpu: b"type:nvidia-l4;count:1"}}
