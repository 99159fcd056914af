"""A tiny multimodal dataset whose keyphrases can be learned: some by copying, some from the picture's attribute."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

from m3h.model.config import Config
from tests.model.fakes import ATTRIBUTES, OCR, VGG_GRID, fake_post, random_grid, write_dataset

settings.register_profile("model", deadline=None)  # a busy machine is no failure
settings.load_profile("model")

TOPICS = ("storm hour", "game night", "new music", "kca", "maga", "flower show")
FILLERS = ("so excited to see", "look at this", "what a day for", "we all love", "waiting for")
SIZES = {"train": 48, "valid": 10, "test": 12}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """70 posts in three splits with OCR words, grids and attributes; the last test image has no feature rows."""
    rng = np.random.default_rng(0)
    posts, ocr, grids, attributes = [], {}, {}, {}
    for split, size in SIZES.items():
        for i in range(size):
            topic = TOPICS[i % len(TOPICS)]
            second = [TOPICS[(i + 1) % len(TOPICS)]] if i % 4 == 0 else []
            text = f"{FILLERS[i % len(FILLERS)]} {topic if i % 2 else 'it'} tonight {split}{i} !"
            post = fake_post(size - i, text, [topic, *second], split)
            posts.append(post)
            if split == "test" and i == 0:
                continue
            image = post.image_sha256
            grids[image] = random_grid(rng)
            attributes[image] = {"labels": [topic.split()[0], "sign", "man", "white", "street"]}
            if i % 3 == 0:
                ocr[image] = {"tokens": ["tonight", "excited", "waiting", "zebra"]}
    features = {OCR: ocr, VGG_GRID: grids, ATTRIBUTES: attributes}
    folder = tmp_path_factory.mktemp("tiny") / "dataset"
    return write_dataset(folder, posts, features, notes=["vgg_grid weights are random"])


@pytest.fixture
def tiny_config() -> Config:
    """A network small enough for a test."""
    return Config(
        word_width=8,
        width=16,
        heads=2,
        head_width=4,
        batch_size=8,
        epochs=2,
        warmup_epochs=1,
        beam=4,
        n_best=3,
        threads=1,
    )
