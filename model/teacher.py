"""A `cls-recall+clues` that is trained for the lessons it gives, and then forgotten."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from model.config import Config
from model.data import Posts
from model.lessons import Lessons
from model.parallel import World
from model.run import Run, with_experience, with_model
from model.train import Progress, Trainer

logger = logging.getLogger(__name__)
TEACHER = "cls-recall+clues"
SHARED = (
    *("seed", "max_source", "max_oov", "grams", "recall_penalty", "candidates", "clue_width", "dropout"),
    *("batch_size", "lr_decay", "select_on", "search_batch", "threads", "device"),
)
"""What a teacher does as its pupil is told to."""
SUGGESTIONS = 20
"""Labels a post is taught: the likeliest of the teacher's candidates."""


def lessons(run: Run, file: Path, train: Posts, selection: Posts, progress: Progress, world: World) -> Lessons:
    """For each training post what the others suggest; read from `file`, or written there.

    The teacher reads what the run reads of text, OCR words and attributes, and the text in any case.
    """
    size = len(train), len(run.vocabularies.labels)
    if file.exists():
        return Lessons.read(file, *size)
    config = Config.model_validate({**run.config.model_dump(include=set(SHARED)), "system": TEACHER})
    torch.manual_seed(config.seed)  # where it reads the same, it is to the bit the run that TEACHER is
    read = ["text", *(name for name in ("ocr", "attributes") if name in run.facts.inputs)]
    teacher, left_out = with_experience(
        with_model(replace(run, config=config, facts=replace(run.facts, inputs=read))), train
    )
    encoded = teacher.encode(train, left_out)
    data = (encoded, teacher.encode(selection), run.vocabularies, config)
    Trainer(teacher.model, *data, progress, world).run(lambda epoch: logger.info(f"teacher, {epoch.as_text()}"))
    teacher.model.eval()
    with torch.inference_mode():
        parts = np.array_split(np.arange(len(train)), -(-len(train) // config.search_batch))
        told = [Lessons.of(teacher.model(encoded.posts_batch(rows)).logit_bn.cpu(), SUGGESTIONS) for rows in parts]
    found = Lessons(*(np.concatenate([getattr(one, name) for one in told]) for name in ("label_pk", "chance_pk")))
    if world.first:
        found.write(file)
    world.wait()
    return Lessons.read(file, *size)  # of several processes all are taught the same, to the bit
