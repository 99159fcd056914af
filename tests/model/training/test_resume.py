"""A run that was killed goes on, and ends as if it had not been."""

import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m3h.model.config import Config
from m3h.model.runs.experiment import train_run, train_seeds
from m3h.model.training.checkpoint import Checkpoints
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import IntegrityError, UsageError
from m3h.schemas.files import sha256_file
from m3h.schemas.lock import alone
from tests.commands import command, environment, files_of
from tests.kills import Victim, kill_again_and_again, temps, zygote

EVERY_STEP = {"log_steps": 1, "checkpoint_steps": 3, "epochs": 3, "warmup_epochs": 1, "dropout": 0.2}
TIMED = {"seconds", "pairs_per_second", "run"}


class Stop(Exception):
    """Raised where a run is to be stopped."""


class StopAt:
    """A progress bar that stops the run before its step number `step`, counted from where it began or went on."""

    def __init__(self, step: int | None) -> None:
        self.left = step

    def __call__(self, batches: list[np.ndarray], title: str) -> Iterable[np.ndarray]:
        return self._until(batches)

    def _until(self, batches: list[np.ndarray]) -> Iterator[np.ndarray]:
        for batch in batches:
            if self.left == 0:
                raise Stop
            self.left = None if self.left is None else self.left - 1
            yield batch


def train(dataset: Path, config: Config, out: Path, stop: int | None = None) -> None:
    try:
        train_run(config, Dataset(dataset), out, progress=StopAt(stop))
    except Stop:
        assert stop is not None


def result(out: Path) -> tuple[list[dict[str, Any]], str, str]:
    """All that must be equal: the log without times, the weights' hash, the scores."""
    logged = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    lines = [{name: value for name, value in line.items() if name not in TIMED} for line in logged[1:]]
    return lines, sha256_file(out / "model.safetensors"), (out / "scores.json").read_text()


@pytest.fixture(scope="module")
def unbroken(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "unbroken"
    train(tiny_dataset, small(), out)
    return out


def small(**changes: Any) -> Config:
    sizes = {"word_width": 8, "width": 16, "heads": 2, "head_width": 4, "batch_size": 8, "beam": 4, "threads": 1}
    return Config(**{**sizes, **EVERY_STEP, **changes})


def test_a_run_that_is_stopped_leaves_no_file_open(tiny_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(Stop) as stopped:  # its traceback keeps everything alive that is not closed
        train_run(small(), Dataset(tiny_dataset), tmp_path / "run", progress=StopAt(2))
    assert stopped.tb is not None
    assert (tmp_path / "run" / "log.jsonl").is_file()
    assert not [link for link in open_files() if link.is_relative_to(tmp_path)]


def open_files() -> list[Path]:
    """The files that this process has open."""
    return [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.exists()]


def test_every_step_is_logged_once_and_the_checkpoint_is_gone(unbroken: Path) -> None:
    lines, _, _ = result(unbroken)
    steps = [line["step"] for line in lines if "loss" in line]
    assert steps == list(range(1, 25))
    assert [line["epoch"] for line in lines if "f1" in line] == [1, 2, 3]
    assert not (unbroken / "checkpoint").exists()


@pytest.mark.parametrize("stops", [(0,), (8,), (11, 0, 4, 6), (23,)])
def test_a_run_stopped_anywhere_ends_as_the_unbroken_one(
    stops: tuple[int, ...], unbroken: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    for stop in stops:
        train(tiny_dataset, small(), tmp_path / "run", stop)
        assert not (tmp_path / "run" / "scores.json").exists()
    train(tiny_dataset, small(), tmp_path / "run")
    assert result(tmp_path / "run") == result(unbroken)


def test_the_released_second_phase_resumes(tiny_dataset: Path, tmp_path: Path) -> None:
    """There only the decoder learns, with an optimizer begun anew."""
    config = small(second_phase="released", second_phase_rate=0.003, epochs=2)
    train(tiny_dataset, config, tmp_path / "unbroken")
    for stop in (13, None):
        train(tiny_dataset, config, tmp_path / "run", stop)
    assert result(tmp_path / "run") == result(tmp_path / "unbroken")


def test_a_ranker_of_evidence_resumes(tiny_dataset: Path, tmp_path: Path) -> None:
    """Its training index is built again, the same."""
    config = small(system="cls-krr+features", epochs=2)
    train(tiny_dataset, config, tmp_path / "unbroken")
    for stop in (11, None):
        train(tiny_dataset, config, tmp_path / "run", stop)
    assert result(tmp_path / "run") == result(tmp_path / "unbroken")


@pytest.mark.parametrize("stop", [0, 9])
@pytest.mark.parametrize("who", ["teacher", "student"])
def test_a_run_with_distillation_resumes(who: str, stop: int, tiny_dataset: Path, tmp_path: Path) -> None:
    """Whether the teacher or the student was being trained."""
    config, out = small(system="gen-cls-m3h+distilled", epochs=2), tmp_path / "run"
    train(tiny_dataset, config, tmp_path / "unbroken")
    at = StopAt(stop)

    def stopping(batches: list[np.ndarray], title: str) -> Iterable[np.ndarray]:
        is_student = Checkpoints(out).soft_labels.exists()
        return at(batches, title) if is_student == (who == "student") else batches

    with pytest.raises(Stop):
        train_run(config, Dataset(tiny_dataset), out, progress=stopping)
    train(tiny_dataset, config, out)
    assert result(out) == result(tmp_path / "unbroken")


def test_soft_labels_of_an_abandoned_run_are_not_used_by_another_one(tiny_dataset: Path, tmp_path: Path) -> None:
    """Stopped before its first checkpoint, a run can be begun anew with another configuration."""
    first, second = (small(system="cls-max", epochs=1, distillation_weight=0.5, ridge_penalty=by) for by in (0.3, 30.0))
    train(tiny_dataset, second, tmp_path / "unbroken")
    stop = StopAt(0)

    def stopping(batches: list[np.ndarray], title: str) -> Iterable[np.ndarray]:
        return stop(batches, title) if Checkpoints(tmp_path / "run").soft_labels.exists() else batches

    with pytest.raises(Stop):
        train_run(first, Dataset(tiny_dataset), tmp_path / "run", progress=stopping)
    train(tiny_dataset, second, tmp_path / "run")
    assert result(tmp_path / "run") == result(tmp_path / "unbroken")


def kill_at(step: int, argv: list[str], log: Path) -> int:
    """Start a training, SIGKILL it once its log has `step`; its exit code."""
    process = subprocess.Popen(argv, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        if log.exists() and f'"step": {step},' in log.read_text(errors="replace"):
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    return process.wait(timeout=120)


def words(dataset: Path, config: Config, out: Path) -> list[str]:
    """The command that trains as `train` does."""
    file = out.parent / "config.yaml"
    file.write_text(json.dumps(config.model_dump(mode="json", exclude_defaults=True)))
    return command("model", "train", "--dataset", dataset, "--config", file, "--out", out)


def test_a_killed_process_is_no_different(unbroken: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert kill_at(10, words(tiny_dataset, small(), out), out / "log.jsonl") == -signal.SIGKILL
    train(tiny_dataset, small(), out)
    assert result(out) == result(unbroken)


@pytest.mark.slow
def test_ten_kills_at_random_steps_change_no_bit(tiny_dataset: Path, tmp_path: Path) -> None:
    config = small(epochs=12, warmup_epochs=4, patience=12, checkpoint_steps=2)
    train(tiny_dataset, config, tmp_path / "unbroken")
    steps = sorted(random.Random(7).sample(range(2, 90), 10))
    out = tmp_path / "run"
    codes = [kill_at(step, words(tiny_dataset, config, out), out / "log.jsonl") for step in steps]
    assert codes == [-signal.SIGKILL] * 10
    train(tiny_dataset, config, out)
    assert result(out) == result(tmp_path / "unbroken")


@pytest.mark.slow
def test_kills_before_any_change_of_a_file_change_no_bit(tiny_dataset: Path, tmp_path: Path) -> None:
    config = small(epochs=4, checkpoint_steps=5)
    places = [tmp_path / name / "run" for name in ("whole", "killed")]
    for place in places:
        place.parent.mkdir()
    with zygote("model") as model:
        whole, killed = (Victim(model, words(tiny_dataset, config, place)[3:], place) for place in places)
        assert not whole.run()
        kill_again_and_again(killed, whole, kills=5, seed=8, after=lambda: None)
    assert result(places[0]) == result(places[1])
    assert sorted(files_of(places[0])) == sorted(files_of(places[1]))
    assert temps(places[1]) == []


def test_a_run_killed_while_it_tidied_up_is_finished_by_the_same_command(
    unbroken: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(unbroken, tmp_path / "run")
    (out / "checkpoint").mkdir()
    (out / ".lock").touch()
    done = train_seeds({out: small()}, Dataset(tiny_dataset), StopAt(0))
    assert done[0]["run"] == str(out)
    assert sorted(files_of(out)) == sorted(files_of(unbroken))
    with pytest.raises(UsageError, match="a finished run"):
        train_seeds({out: small()}, Dataset(tiny_dataset), StopAt(0))


def test_two_trainings_at_once_are_refused(tiny_dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with alone(out / ".lock", ""), pytest.raises(UsageError, match="another training is writing here"):
        train(tiny_dataset, small(), out)
    train(tiny_dataset, small(epochs=1), out)
    assert not (out / ".lock").exists()


def test_another_configuration_or_dataset_does_not_go_on(tiny_dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(tiny_dataset, small(), out, stop=5)
    with pytest.raises(UsageError, match=r"another configuration \(dropout was 0.2, is 0.3\)"):
        train(tiny_dataset, small(dropout=0.3), out)
    metadata = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps({**metadata, "manifest": "f" * 64}))
    with pytest.raises(UsageError, match="was begun on a dataset with manifest ffffffffffff"):
        train(tiny_dataset, small(), out)
    (out / "run.json").write_text(json.dumps({**metadata, "text_encoder": "e" * 64}))
    with pytest.raises(UsageError, match="was begun with a text_encoder of sha256 eeeeeeeeeeee"):
        train(tiny_dataset, small(), out)


def test_a_damaged_checkpoint_is_refused_by_name(tiny_dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(tiny_dataset, small(), out, stop=5)
    (file,) = (out / "checkpoint").glob("step-*.safetensors")
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(IntegrityError, match=rf"{file.name}: sha256 is"):
        train(tiny_dataset, small(), out)


def test_of_several_seeds_only_unfinished_ones_are_trained(tiny_dataset: Path, tmp_path: Path) -> None:
    configs = {tmp_path / str(seed): small(seed=seed, epochs=1, system="cls-max") for seed in (1, 2)}
    first, _second = configs
    train_run(configs[first], Dataset(tiny_dataset), first, progress=StopAt(None))
    before = (first / "scores.json").stat().st_mtime_ns
    summaries = train_seeds(configs, Dataset(tiny_dataset), StopAt(None))
    assert [summary["seed"] for summary in summaries] == [1, 2]
    assert (first / "scores.json").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="a finished run"):
        train_seeds(configs, Dataset(tiny_dataset), StopAt(None))
