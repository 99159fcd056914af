"""Law 2 on Flink: a JobManager and two TaskManagers, with workers that die, write what one process writes."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from m3h.pipeline.dataset.run_history import read_runs
from tests.commands import ROOT, files_of, run
from tests.flink_folder import install
from tests.pipeline.fakes import small_dump
from tests.pipeline.flink import Cluster, cluster, run_and_strike

pytestmark = pytest.mark.slow

POSTS = 18
SETTINGS = [
    *("--set", "clean.min_hashtag_count=1", "features.vgg_grid.weights=random", "features.vgg_grid.batch_size=4"),
    *("shards.images=3", "shards.posts=7"),
]
OTHER_WEIGHTS = ["--set", "features.vgg_grid.seed=5"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return small_dump(tmp_path_factory.mktemp("source"), POSTS)


def build_words(source: tuple[Path, Path], dataset: Path) -> list[object]:
    dump, images = source
    return ["build", "--dumps", dump, "--images", images, "--dataset", dataset, *SETTINGS]


@pytest.fixture(scope="module")
def reference(source: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the embedded runner."""
    dataset = tmp_path_factory.mktemp("embedded") / "dataset"
    done = run("pipeline", *build_words(source, dataset), "--workers", 1)
    assert done.code == 0, done.err
    return dataset


@pytest.fixture(scope="module")
def flink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("flink")) as started:
        yield started


def test_two_task_managers_write_what_one_process_writes(
    source: tuple[Path, Path], reference: Path, flink: Cluster, tmp_path: Path
) -> None:
    done = run("pipeline", *build_words(source, tmp_path / "d"), "--", *flink.flags)
    assert done.code == 0, done.err
    assert files_of(tmp_path / "d") == files_of(reference)
    counters = read_runs(tmp_path / "d")[-1]["counters"]
    assert {counters[f"{stage}.rows"] for stage in ("read", "language", "write", "ocr", "vgg_grid")} == {POSTS}


def test_two_task_managers_decide_about_all_posts_in_rounds_as_one_process_does(flink: Cluster, tmp_path: Path) -> None:
    dumps = [ROOT / "sample" / name for name in ("dump_v1.jsonl.gz", "dump_plain.jsonl")]
    words = ["build", "--dumps", *dumps, "--images", ROOT / "sample" / "images", "--features", "none"]
    rules = ["--set", "clean.drop_near_texts=true", "clean.drop_near_images=true"]
    embedded = run("pipeline", *words, "--dataset", tmp_path / "embedded", "--workers", 1, *rules)
    assert embedded.code == 0, embedded.err
    rules.append("execution.global_steps=rounds")
    done = run("pipeline", *words, "--dataset", tmp_path / "d", *rules, "--", *flink.flags)
    assert done.code == 0, done.err
    assert files_of(tmp_path / "d") == files_of(tmp_path / "embedded")


def test_a_refresh_survives_the_death_of_a_worker(reference: Path, flink: Cluster, tmp_path: Path) -> None:
    embedded, dataset = (shutil.copytree(reference, tmp_path / name) for name in ("embedded", "d"))
    done = run("pipeline", "refresh", "--dataset", embedded, "--workers", 1, *OTHER_WEIGHTS)
    assert done.code == 0, done.err
    finished = run_and_strike(flink, dataset, ["refresh", "--dataset", dataset, *OTHER_WEIGHTS], victim="worker")
    check(dataset, embedded, flink, finished)


def test_flink_inside_the_job_server_writes_the_same(
    source: tuple[Path, Path], reference: Path, tmp_path: Path
) -> None:
    local = ["--runner=FlinkRunner", "--flink_master=[local]", "--parallelism=2"]
    jar = f"--flink_job_server_jar={install() / 'job-server.jar'}"
    done = run("pipeline", *build_words(source, tmp_path / "d"), "--", *local, jar)
    assert done.code == 0, done.err
    assert files_of(tmp_path / "d") == files_of(reference)


def test_a_build_survives_the_death_of_a_task_manager(
    source: tuple[Path, Path], reference: Path, flink: Cluster, tmp_path: Path
) -> None:
    dataset = tmp_path / "d"
    words = build_words(source, dataset)
    assert run("pipeline", *words, "--features", "none", "--workers", 1).code == 0
    finished = run_and_strike(flink, dataset, [*words, "--features", "ocr,vgg_grid"], victim="taskmanager")
    check(dataset, reference, flink, finished)


def check(dataset: Path, reference: Path, flink: Cluster, finished: Mapping[Path, int]) -> None:
    """The same bytes, a fault that Flink met on the way, and no finished shard made anew."""
    assert files_of(dataset) == files_of(reference)
    assert flink.faults_of_last_job() != []
    assert finished == {path: (dataset / path).stat().st_mtime_ns for path in finished}
    assert run("pipeline", "verify", "--dataset", dataset).code == 0
