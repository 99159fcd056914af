"""Whole runs: train and score a system, evaluate a finished run, sum several seeds up."""

import logging
import shutil
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.checkpoint import Checkpoints
from model.config import Config
from model.data import FEATURES, TOLD, Posts, Reader, available
from model.evaluate import DEFINITION, predicted, scores_of, use_threads
from model.journal import Journal
from model.parallel import ALONE, World, join
from model.progress import Epoch
from model.run import Facts, Run, finish, fresh_run, is_finished, pick_device, with_embeddings, with_experience
from model.systems import get_system, wanted_inputs
from model.teacher import lessons
from model.train import Progress, Trainer
from schemas.dataset import Dataset
from schemas.errors import UsageError
from schemas.files import publish_json, read_json, temp_files
from schemas.lock import alone

logger = logging.getLogger(__name__)
LOCK = ".lock"


def train_run(
    config: Config,
    dataset: Dataset,
    folder: Path,
    progress: Progress,
    overwrite: bool = False,
    world: World = ALONE,
    reads_test: bool = True,
) -> dict[str, Any]:
    """Train one system with one seed into `folder`, score it, and return its summary. Test is read once, at the end.

    A run that was stopped goes on where it was. Of several processes the first writes, and all return the same.
    """
    use_threads(config)
    inputs = readable_inputs(config, dataset)
    reader = Reader(dataset, {*inputs, *TOLD}, pick_device(config.device))
    train, selection = reader.training_and_selection(config.train_split, config.select)
    torch.manual_seed(config.seed)
    run = with_embeddings(fresh_run(folder, config, dataset, reader, inputs, train))
    run, left_out = with_experience(run, train)
    with _alone(folder) if world.first else nullcontext():
        if world.first:
            claim(run, overwrite)
        world.wait()
        checkpoints = Checkpoints(folder)
        journal = Journal(folder / "log.jsonl", {"run": asdict(run.facts)}, config.tensorboard) if world.first else None
        best = None
        if get_system(config.system).learns:
            encoded = run.encode(train, left_out)
            if config.taught:
                told = lessons(run, checkpoints.lessons, train, selection, progress, world)
                encoded = encoded.with_lessons(told, run.vocabularies, config.taught)
            data = (encoded, run.encode(selection), run.vocabularies, config)
            best = Trainer(run.model, *data, progress, world, checkpoints, journal).run(_report)
        if journal:
            journal.close()
        if world.first:
            _conclude(run, best, train, selection, reader if reads_test else None)
            checkpoints.remove()
        world.wait()
    return finished_run(folder)


def _report(epoch: Epoch) -> None:
    logger.info(epoch.as_text())


def _conclude(run: Run, best: Epoch | None, train: Posts, selection: Posts, reader: Reader | None) -> None:
    """Keep the weights and score them: on the selection posts, and now for the first time on test.

    best: the epoch they are of; None where a system learns nothing. reader: of the test split; None leaves it unread.
    """
    config = run.config
    run.model.aggregate = best is not None and best.aggregate
    run = replace(run, facts=replace(run.facts, aggregate=run.model.aggregate))
    run.save()
    publish_json(run.folder / "keyphrases.json", Counter(phrase for post in train.keyphrases for phrase in set(post)))
    splits = {"select": (config.select.replace(":", "-"), selection)}
    if reader and reader.has_split("test") and config.train_split != "test":
        splits["test"] = ("test", reader.split("test"))
    scores = {part: scores_of(predicted(run, *split), DEFINITION) for part, split in splits.items()}
    summary = {
        "system": config.system,
        "seed": config.seed,
        "best_epoch": best.epoch if best else 0,
        "definition": DEFINITION,
    }
    finish(run.folder, {**summary, **scores})


def finished_run(folder: Path) -> dict[str, Any]:
    """What `train_run` returned."""
    return {"run": str(folder), **read_json(folder / "scores.json")}


def train_seeds(
    configs: Mapping[Path, Config], dataset: Dataset, progress: Progress, overwrite: bool = False
) -> list[dict[str, Any]]:
    """`train_all`, but UsageError where all are finished already."""
    if not overwrite and all(is_finished(folder) and not _has_leftovers(folder) for folder in configs):
        raise UsageError(f"{', '.join(map(str, configs))}: a finished run. Give another --out, or --overwrite.")
    return train_all(configs, dataset, progress, overwrite)


def train_all(
    configs: Mapping[Path, Config],
    dataset: Dataset,
    progress: Progress,
    overwrite: bool = False,
    reads_test: bool = True,
) -> list[dict[str, Any]]:
    """`train_run` of every folder, one after the other; finished ones are only read. What was returned for each."""
    world = join()
    if not world.first:
        logging.getLogger().setLevel(logging.WARNING)
    summaries = []
    for folder, config in configs.items():
        if is_finished(folder) and not overwrite:
            refuse_another(folder, config)
            if world.first and _has_leftovers(folder):
                with _alone(folder):
                    Checkpoints(folder).remove()
            logger.info(f"{folder}: finished before")
            summaries.append(finished_run(folder))
        else:
            summaries.append(train_run(config, dataset, folder, progress, overwrite, world, reads_test))
    return summaries


def _alone(folder: Path) -> AbstractContextManager[None]:
    return alone(folder / LOCK, f"{folder}: another training is writing here; wait for it, or give another --out.")


def _has_leftovers(folder: Path) -> bool:
    """Whether a finished run was killed before it had tidied up."""
    return Checkpoints(folder).folder.exists() or (folder / LOCK).exists()


def claim(run: Run, overwrite: bool) -> None:
    """Make the run's folder ours: new, empty, the same run unfinished, or any run of ours to overwrite."""
    folder, checkpoints = run.folder, Checkpoints(run.folder)
    for rubbish in list(temp_files(folder)):
        rubbish.unlink()
    if any(path.name != LOCK for path in folder.iterdir()):
        if not (folder / "config.json").exists():
            raise UsageError(f"{folder}: not empty, and no run of ours. Give another --out.")
        if overwrite:
            (folder / "scores.json").unlink(missing_ok=True)
            shutil.rmtree(folder / "predictions", ignore_errors=True)
        elif checkpoints.exists:
            refuse_another(folder, run.config)
            _refuse_other_data(folder, run.facts)
            logger.info(f"{folder}: going on where it was stopped")
            return
    checkpoints.remove()
    publish_json(folder / "config.json", run.config.model_dump(mode="json"))
    publish_json(folder / "run.json", asdict(run.facts))


def refuse_another(folder: Path, config: Config) -> None:
    """UsageError where the run there has another configuration than this."""
    before, now = read_json(folder / "config.json"), config.model_dump(mode="json")
    changed = [f"{n} was {before.get(n)!r}, is {now[n]!r}" for n in now if before.get(n) != now[n]]
    if changed:
        raise UsageError(
            f"{folder}: holds a run of another configuration ({'; '.join(changed)}). "
            "Give another --out, or --overwrite."
        )


def _refuse_other_data(folder: Path, facts: Facts) -> None:
    before = read_json(folder / "run.json")["manifest"]
    if before != facts.manifest:
        raise UsageError(
            f"{folder}: was begun on a dataset with manifest {before[:12]}, {facts.dataset} has {facts.manifest[:12]}. "
            "Give another --out, or --overwrite."
        )


def readable_inputs(config: Config, dataset: Dataset) -> list[str]:
    """What the system reads of what this dataset has; says so, and repeats the dataset's own warnings."""
    wanted = wanted_inputs(get_system(config.system), config)
    have = [name for name in wanted if name == "text" or name in available(dataset, wanted)]
    missing = [f"{name} ({FEATURES[name]})" for name in wanted if name not in have]
    left_out = f"; left out, because the dataset has no such feature: {', '.join(missing)}" if missing else ""
    notes = "".join(f"; note: {note}" for note in dataset.manifest.notes)
    logger.info(f"{config.system} reads {', '.join(have)}{left_out}{notes}")
    return have


def summary_of_seeds(folder: Path, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation (of the sample) over seeds, written to summary.json."""
    part = "test" if all("test" in run for run in runs) else "select"
    names = runs[0][part]["all"]
    columns = {name: [run[part]["all"][name] for run in runs] for name in names}
    summary = {
        "runs": list(runs),
        "definition": DEFINITION,
        "split": part,
        "mean": {name: statistics.fmean(values) for name, values in columns.items()},
        "sd": {name: float(np.std(values, ddof=1)) for name, values in columns.items()},
    }
    publish_json(folder / "summary.json", summary)
    return summary
