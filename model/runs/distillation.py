"""Soft labels for distillation: a teacher, `cls-krr+features`, is trained, and its label distributions are stored."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from m3h.model.config import Config
from m3h.model.data.inputs import ALT
from m3h.model.data.posts import Posts
from m3h.model.data.soft_labels import SoftLabels
from m3h.model.decoding.predict import Progress
from m3h.model.networks.classifier import best_labels
from m3h.model.runs.run import Run, with_new_model, with_training_index
from m3h.model.training.distributed import World
from m3h.model.training.trainer import Trainer, TrainingData

logger = logging.getLogger(__name__)
TEACHER = "cls-krr+features"
SHARED_FIELDS = (
    *("seed", "max_source", "max_oov", "tfidf_terms", "ridge_penalty", "ridge_solver", "candidates"),
    *("label_feature_width", "dropout"),
    *("batch_size", "lr_decay", "select_on", "search_batch", "threads", "device"),
)
"""Fields in which the configuration of the teacher is that of the student."""
SOFT_LABELS_PER_POST = 20
"""The likeliest of the teacher's candidates."""


def top_soft_labels(logit_pn: Tensor, k: int) -> SoftLabels:
    """The k likeliest labels of p posts by the teacher's logits, without `<unk>`, label 0."""
    logit_pk, label_pk = best_labels(logit_pn, k)
    return SoftLabels(label_pk.numpy(), logit_pk.softmax(-1).numpy())


def distil(run: Run, file: Path, train: Posts, *, selection: Posts, progress: Progress, world: World) -> SoftLabels:
    """The soft labels of the training posts, from `file` if it exists, else from a teacher that is trained now.

    The teacher reads the text and, where the run reads them, OCR words, attributes, and further words and labels. Its
    distribution for a training post comes from the other training posts alone.

    Raises IntegrityError: `file` does not hold the soft labels of these posts.

    Args:
        run: the student.
        file: where the soft labels are stored.
        train: the training posts.
        selection: the posts that the teacher's best epoch is chosen by.
        progress: shows the progress of an epoch.
        world: the main process writes the file, and all processes read it.
    """
    size = len(train), len(run.vocabularies.labels)
    if file.exists():
        return SoftLabels.read(file, *size)
    config = Config.model_validate({**run.config.model_dump(include=set(SHARED_FIELDS)), "system": TEACHER})
    torch.manual_seed(config.seed)  # with the same inputs the teacher is, to the bit, a run of TEACHER
    unread = {ALT, *run.metadata.channels}
    metadata = replace(run.metadata, inputs=[name for name in run.metadata.inputs if name not in unread], channels={})
    untrained = with_new_model(replace(run, config=config, metadata=metadata))
    teacher, leave_one_out = with_training_index(untrained, train)
    encoded = teacher.encode(train, leave_one_out)
    data = TrainingData(encoded, teacher.encode(selection), run.vocabularies)
    trainer = Trainer(teacher.model, data, config, progress=progress, world=world)
    trainer.run(lambda epoch: logger.info(f"teacher, {epoch.as_text()}"))
    teacher.model.eval()
    with torch.inference_mode():
        batches = np.array_split(np.arange(len(train)), -(-len(train) // config.search_batch))
        logits = (teacher.model(encoded.posts_batch(rows)).logit_bn.cpu() for rows in batches)
        parts = [top_soft_labels(logit_bn, SOFT_LABELS_PER_POST) for logit_bn in logits]
    if world.is_main:
        columns = ([part.label_pk for part in parts], [part.probability_pk for part in parts])
        SoftLabels(*map(np.concatenate, columns)).write(file)
    world.barrier()
    return SoftLabels.read(file, *size)  # the same bits in every process
