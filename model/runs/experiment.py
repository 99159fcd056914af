"""Whole runs: train and score a system, with one seed or with several."""

import logging
import shutil
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from m3h.model.config import Config, stored_config
from m3h.model.data.inputs import available_inputs, further_modalities
from m3h.model.data.posts import ALWAYS_READ, Posts, Reader
from m3h.model.decoding.predict import Progress, scored_phrases
from m3h.model.decoding.reranking import phrase_occurrences
from m3h.model.runs.chances import selection_name
from m3h.model.runs.distillation import distil
from m3h.model.runs.evaluate import configure_cpu, predict_split, score_records
from m3h.model.runs.finished import is_finished
from m3h.model.runs.run import (
    Run,
    RunMetadata,
    new_run,
    pick_device,
    with_embeddings,
    with_label_names,
    with_standardized_vision,
    with_training_index,
    write_scores,
)
from m3h.model.scoring.definitions import DEFINITION
from m3h.model.systems import FEATURES, get_system, resolve_inputs
from m3h.model.training.checkpoint import Checkpoints
from m3h.model.training.distributed import SINGLE_PROCESS, World, init_world
from m3h.model.training.reranker import fit_reranker, held_out_f1
from m3h.model.training.run_log import RunLog
from m3h.model.training.state import Epoch
from m3h.model.training.trainer import Trainer, TrainingData
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.files import publish_json, read_json, temp_files
from m3h.schemas.lock import alone

logger = logging.getLogger(__name__)
LOCK = ".lock"


def train_run(
    config: Config,
    dataset: Dataset,
    folder: Path,
    *,
    progress: Progress,
    overwrite: bool = False,
    world: World = SINGLE_PROCESS,
    reads_test: bool = True,
) -> dict[str, Any]:
    """Train one system with one seed, score it, and return its summary. A stopped run is resumed.

    The test split is read once, at the end. Of several processes the main process writes, and all return the same.

    Raises UsageError: the configuration does not fit the dataset, or the folder has another run. Raises IntegrityError:
    a file of the dataset or of the checkpoint is damaged. Raises M3hError: the loss or the gradient is no finite
    number.

    Args:
        config: of the run.
        dataset: a finished dataset.
        folder: the run folder.
        progress: shows the progress of an epoch.
        overwrite: replace another run in the folder.
        world: this process among those that train together.
        reads_test: whether to score the test split.
    """
    configure_cpu(config)
    inputs = readable_inputs(config, dataset)
    reader = Reader(dataset, {*inputs, *ALWAYS_READ}, pick_device(config.device))
    train, selection = reader.training_and_selection(config.train_split, config.select)
    torch.manual_seed(config.seed)
    run = new_run(folder, config, dataset, reader=reader, inputs=inputs, posts=train)
    run = with_label_names(with_embeddings(run))
    train, selection = run.with_sentences(train, keep=True), run.with_sentences(selection, keep=True)
    run, leave_one_out = with_training_index(with_standardized_vision(run, train), train)
    with _locked(folder) if world.is_main else nullcontext():
        if world.is_main:
            prepare_folder(run, overwrite)
        world.barrier()
        checkpoints = Checkpoints(folder)
        best = None
        with closing(_open_log(run)) if world.is_main else nullcontext() as run_log:
            if get_system(config.system).trainable:
                encoded = run.encode(train, leave_one_out)
                if config.distillation_weight:
                    file = checkpoints.soft_labels
                    soft_labels = distil(run, file, train, selection=selection, progress=progress, world=world)
                    encoded = encoded.with_soft_labels(soft_labels, run.vocabularies, config.distillation_weight)
                data = TrainingData(encoded, run.encode(selection), run.vocabularies)
                trainer = Trainer(
                    run.model, data, config, progress=progress, world=world, checkpoints=checkpoints, run_log=run_log
                )
                best = trainer.run(lambda epoch: logger.info(epoch.as_text()))
        if world.is_main:
            _finish(*(run, best, train), selection=selection, reader=reader if reads_test else None, progress=progress)
            checkpoints.remove()
        world.barrier()
    return finished_run(folder)


def _open_log(run: Run) -> RunLog:
    return RunLog(run.folder / "log.jsonl", {"run": asdict(run.metadata)}, run.config.tensorboard)


def _finish(
    run: Run, best: Epoch | None, train: Posts, *, selection: Posts, reader: Reader | None, progress: Progress
) -> None:
    """Store the weights and the reranker, and score them on the selection posts and on test.

    best: the epoch of the weights; None for a system without training. reader: of the test split; None leaves it
    unread.
    """
    config = run.config
    run.model.aggregate = best is not None and best.aggregate
    run = replace(run, metadata=replace(run.metadata, aggregate=run.model.aggregate))
    run, reranked = with_reranker(run, train, selection=selection, progress=progress)
    run.save()
    publish_json(run.folder / "keyphrases.json", Counter(phrase for post in train.keyphrases for phrase in set(post)))
    splits = {"select": (selection_name(config), selection)}
    if reader and reader.has_split("test") and config.train_split != "test":
        splits["test"] = ("test", reader.split("test"))
    scores = {part: score_records(predict_split(run, *split, progress), DEFINITION) for part, split in splits.items()}
    summary = {
        "system": config.system,
        "seed": config.seed,
        "best_epoch": best.epoch if best else 0,
        "definition": DEFINITION,
    }
    write_scores(run.folder, {**summary, **reranked, **scores})


def with_reranker(run: Run, train: Posts, *, selection: Posts, progress: Progress) -> tuple[Run, dict[str, float]]:
    """The run with a reranker fitted on the selection posts, and `reranked_f1@1` of `held_out_f1`.

    A system that lacks a classifier or a generator has neither.

    Args:
        run: with trained weights.
        train: the training posts.
        selection: the selection posts.
        progress: shows how far it is.
    """
    system = get_system(run.config.system)
    if not (system.classifies and system.generates):
        return run, {}
    scored = scored_phrases(run.model, run.encode(selection), run.vocabularies, config=run.config, progress=progress)
    occurrences = phrase_occurrences(train, run.vocabularies.labels)
    f1 = held_out_f1(scored, selection, occurrences)
    logger.info(f"ranking=reranked: F1@1 {100 * f1:.1f} on the selection posts, by folds")
    return replace(run, reranker=fit_reranker(scored, selection, occurrences)), {"reranked_f1@1": f1}


def finished_run(folder: Path) -> dict[str, Any]:
    """The summary of a finished run, as `train_run` returned it."""
    return {"run": str(folder), **read_json(folder / "scores.json")}


def train_seeds(
    configs: Mapping[Path, Config], dataset: Dataset, progress: Progress, *, overwrite: bool = False
) -> list[dict[str, Any]]:
    """As `train_all`, but not if all runs are finished already.

    Args:
        configs: run folder -> configuration, one a seed.
        dataset: a finished dataset.
        progress: shows the progress of an epoch.
        overwrite: train finished runs again.

    Raises:
        UsageError: all runs are finished; and as `train_run`.
    """
    if not overwrite and all(is_finished(folder) and not _has_leftovers(folder) for folder in configs):
        raise UsageError(f"{', '.join(map(str, configs))}: a finished run. Give another --out, or --overwrite.")
    return train_all(configs, dataset, progress, overwrite=overwrite)


def train_all(
    configs: Mapping[Path, Config],
    dataset: Dataset,
    progress: Progress,
    *,
    overwrite: bool = False,
    reads_test: bool = True,
) -> list[dict[str, Any]]:
    """The summary of every run. Unfinished runs are trained, one after the other; finished ones are only read.

    Raises UsageError: as `train_run`.

    Args:
        configs: run folder -> configuration.
        dataset: a finished dataset.
        progress: shows the progress of an epoch.
        overwrite: train finished runs again.
        reads_test: whether to score the test split.
    """
    world = init_world()
    if not world.is_main:
        logging.getLogger().setLevel(logging.WARNING)
    summaries = []
    for number, (folder, config) in enumerate(configs.items(), start=1):
        if len(configs) > 1:
            logger.info(f"run {number} of {len(configs)}: {folder.name}")
        if is_finished(folder) and not overwrite:
            check_same_config(folder, config)
            if world.is_main and _has_leftovers(folder):
                with _locked(folder):
                    Checkpoints(folder).remove()
            logger.info(f"{folder}: finished before")
            summaries.append(finished_run(folder))
        else:
            summary = train_run(
                *(config, dataset, folder),
                progress=progress,
                overwrite=overwrite,
                world=world,
                reads_test=reads_test,
            )
            summaries.append(summary)
    return summaries


def _locked(folder: Path) -> AbstractContextManager[None]:
    return alone(folder / LOCK, f"{folder}: another training is writing here; wait for it, or give another --out.")


def _has_leftovers(folder: Path) -> bool:
    """Whether a finished run was killed before its checkpoint and its lock were removed."""
    return Checkpoints(folder).folder.exists() or (folder / LOCK).exists()


def prepare_folder(run: Run, overwrite: bool) -> None:
    """Prepare the run folder. It may be new, empty, or have the same run unfinished, which then is resumed.

    Raises:
        UsageError: the folder has something else, or another run without `overwrite`.
    """
    folder, checkpoints = run.folder, Checkpoints(run.folder)
    for leftover in list(temp_files(folder)):
        leftover.unlink()
    if any(path.name != LOCK for path in folder.iterdir()):
        if not (folder / "config.json").exists():
            raise UsageError(f"{folder}: not empty, and not a run folder. Give another --out.")
        if overwrite:
            (folder / "scores.json").unlink(missing_ok=True)
            shutil.rmtree(folder / "predictions", ignore_errors=True)
            for scored in folder.glob("robustness-*.json"):
                scored.unlink()
        elif checkpoints.exists:
            check_same_config(folder, run.config)
            _check_same_data(folder, run.metadata)
            logger.info(f"{folder}: resuming from its checkpoint")
            return
    checkpoints.remove()
    publish_json(folder / "config.json", run.config.model_dump(mode="json"))
    publish_json(folder / "run.json", asdict(run.metadata))


def check_same_config(folder: Path, config: Config) -> None:
    """Compare the configuration of the run there with this one.

    Raises:
        UsageError: they differ. The message names the fields.
    """
    before, now = stored_config(folder / "config.json"), config.model_dump(mode="json")
    changed = [f"{n} was {before.get(n)!r}, is {now[n]!r}" for n in now if before.get(n) != now[n]]
    if changed:
        raise UsageError(
            f"{folder}: holds a run of another configuration ({'; '.join(changed)}). "
            "Give another --out, or --overwrite."
        )


def _check_same_data(folder: Path, metadata: RunMetadata) -> None:
    stored = read_json(folder / "run.json")
    before = stored["manifest"]
    if before != metadata.manifest:
        raise UsageError(
            f"{folder}: was begun on a dataset with manifest {before[:12]}, {metadata.dataset} has "
            f"{metadata.manifest[:12]}. Give another --out, or --overwrite."
        )
    encoder = stored.get("text_encoder")
    if encoder != metadata.text_encoder:
        raise UsageError(
            f"{folder}: was begun with a text_encoder of sha256 {str(encoder)[:12]}, whose files now have "
            f"{str(metadata.text_encoder)[:12]}. Put the old files back, give another --out, or --overwrite."
        )


def readable_inputs(config: Config, dataset: Dataset) -> list[str]:
    """The inputs of the system that this dataset has. They are logged, with the notes of the dataset.

    Raises UsageError: as `resolve_inputs` and `further_modalities`.
    """
    wanted = resolve_inputs(get_system(config.system), config, further_modalities(dataset, config))
    present = [name for name in wanted if name == "text" or name in available_inputs(dataset, wanted)]
    of = {name: FEATURES.get(name, "no post has one") for name in wanted if name not in present}
    missing = [name if feature == name else f"{name} ({feature})" for name, feature in of.items()]
    left_out = f"; left out, because the dataset has no such feature: {', '.join(missing)}" if missing else ""
    notes = "".join(f"; note: {note}" for note in dataset.manifest.notes)
    logger.info(f"{config.system} reads {', '.join(present)}{left_out}{notes}")
    return present


def summarize_seeds(folder: Path, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and sample standard deviation over seeds. They are also written to summary.json."""
    part = "test" if all("test" in run for run in runs) else "select"
    names = [name for name in runs[0][part]["all"] if all(name in run[part]["all"] for run in runs)]  # some are older
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
