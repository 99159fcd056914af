"""A dataset with a row of every extractor's feature, none of them computed, and the knobs that may be turned on it."""

import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from m3h.pipeline.config import BuildConfig
from m3h.pipeline.dataset.built_feature import BuiltFeature
from m3h.pipeline.dataset.publish import describe_features
from m3h.pipeline.dataset.remembered import remember
from m3h.pipeline.dataset.stored_pictures import stored_images
from m3h.pipeline.engine.shard_engine import Receipt, ShardTask, slice_digest
from m3h.pipeline.extractors import extractor_class, imagenet, tesseract
from m3h.pipeline.extractors.attribute_head import Head, vocabulary_path
from m3h.pipeline.extractors.base import Extractor
from m3h.pipeline.extractors.vgg_grid import VggGrid
from m3h.schemas.config import as_plain, resolve
from m3h.schemas.features import FeatureSpec, Row, fingerprint
from m3h.schemas.files import sha256_file
from m3h.schemas.manifest import Manifest
from m3h.schemas.shards import write_shard
from tests.pipeline.made import CONFIG, make

FEATURES = ("ocr", "vgg_grid", "butd_objects", "attributes")
WEIGHTS = ("vgg_grid", "butd_objects", "attributes")
WORDS = ("sea", "sky", "red")
"""The vocabulary of the head of `attributes`."""


@dataclass
class World:
    """What a knob may turn: code, through `patch`, and files in `folder`, where weights lie."""

    patch: pytest.MonkeyPatch
    folder: Path

    def weights(self, feature: str) -> Path:
        return self.folder / f"{feature}.pth"


Turn = Callable[[World], Collection[str]]
"""Turns a knob; returns what `--set` says."""


def say(*sets: str) -> Turn:
    return lambda _: sets


def code(target: str, value: Any) -> Turn:
    def turn(world: World) -> Collection[str]:
        world.patch.setattr(target, value)
        return ()

    return turn


def weights(feature: str, change: Callable[[bytes], bytes]) -> Turn:
    """Another file of weights, made of the first one."""

    def turn(world: World) -> Collection[str]:
        other = world.folder / f"other-{feature}.pth"
        other.write_bytes(change(world.weights(feature).read_bytes()))
        return (f"features.{feature}.weights={other}",)

    return turn


def one_byte(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def language_data(world: World) -> Collection[str]:
    real = tesseract.data_file

    def changed(name: str) -> Path:
        other = world.folder / f"{name}.traineddata"
        other.write_bytes(one_byte(real(name).read_bytes()))
        return other

    world.patch.setattr(tesseract, "data_file", changed)
    return ()


def preprocessing(world: World) -> Collection[str]:
    world.patch.setitem(imagenet.PREPROCESSING, "resize", [256, 256, "lanczos"])
    return ()


def stated_digest(world: World) -> Collection[str]:
    return (f"features.butd_objects.weights_sha256={sha256_file(world.weights('butd_objects'))}",)


def head(words: Collection[str] = WORDS, bias: float = 0.0) -> Turn:
    """Attributes by another head, as one training on other captions, or another training, makes it."""

    def turn(world: World) -> Collection[str]:
        path = world.folder / "other-head.safetensors"
        write_head(world, path, words, bias)
        return (f"features.attributes.head={path}",)

    return turn


def moved_head(world: World) -> Collection[str]:
    other = world.folder / "moved.safetensors"
    for path in (lambda head: head, vocabulary_path):
        shutil.copyfile(path(world.folder / "head.safetensors"), path(other))
    return (f"features.attributes.head={other}",)


def write_head(world: World, path: Path, words: Collection[str], bias: float) -> None:
    trunk = f"sha256:{sha256_file(world.weights('attributes'))}"
    weight, biases = torch.zeros(len(words), 4), torch.full((len(words),), bias)
    Head(tuple(words), weight, biases, "resnet152", trunk).write(path)


OCR, VGG, BUTD, ATTRIBUTES = {"ocr"}, {"vgg_grid"}, {"butd_objects"}, {"attributes"}
NOTHING: set[str] = set()

KNOBS: dict[str, tuple[Turn, set[str]]] = {
    "no knob at all": (say(), NOTHING),
    # ocr
    "Tesseract's version": (code("m3h.pipeline.extractors.tesseract.engine_version", lambda _: "tesseract 9"), OCR),
    "a byte of the language's data": (language_data, OCR),
    "page segmentation": (say("features.ocr.page_segmentation=6"), OCR),
    "least confidence": (say("features.ocr.min_confidence=30"), OCR),
    "rotation": (say("features.ocr.rotate=true"), OCR),
    "enlarging": (say("features.ocr.scale=2"), OCR),
    "the side below which nothing is enlarged": (say("features.ocr.min_side=500"), NOTHING),
    "deadline of ocr": (say("features.ocr.timeout_seconds=5"), NOTHING),
    "the tokenizer's rules": (code("m3h.pipeline.text.tokenizer.TEXT_VERSION", 99), OCR),
    "word statistics": (code("m3h.pipeline.text.word_statistics.statistics_identity", lambda _: "others"), OCR),
    # vgg_grid
    "a byte of VGG's weights": (weights("vgg_grid", one_byte), VGG),
    "VGG's weights in another file": (weights("vgg_grid", bytes), NOTHING),
    "random weights": (say("features.vgg_grid.weights=random"), VGG),
    "a seed where nothing is random": (say("features.vgg_grid.seed=7"), NOTHING),
    "precision": (say("features.vgg_grid.precision=bf16"), VGG),
    "stored type": (say("features.vgg_grid.store=float32"), VGG),
    "batch size": (say("features.vgg_grid.batch_size=4"), VGG),
    "device": (say("features.vgg_grid.device=cpu"), NOTHING),
    "a cluster's accelerator": (say("features.vgg_grid.accelerator=type:nvidia-l4"), NOTHING),
    "resize of what was trained on ImageNet": (preprocessing, VGG | ATTRIBUTES),
    "version of VGG's code": (
        code("m3h.pipeline.extractors.vgg_grid.VggGrid.spec", replace(VggGrid.spec, version=9)),
        VGG,
    ),
    # butd_objects
    "a byte of the detector's weights": (weights("butd_objects", one_byte), BUTD),
    "the digest of the detector's weights, stated": (stated_digest, NOTHING),
    "suppression": (say("features.butd_objects.class_overlap=0.5"), BUTD),
    "suppression of proposals": (say("features.butd_objects.proposal_overlap=0.6"), BUTD),
    "confidence of objects": (say("features.butd_objects.confidence=0.1"), BUTD),
    "selection of objects": (say("features.butd_objects.selection=regressed"), BUTD),
    "number of objects": (say("features.butd_objects.max_objects=100"), BUTD),
    "the detector's resize": (say("features.butd_objects.resize=pil"), BUTD),
    "the detector's precision": (say("features.butd_objects.precision=bf16"), BUTD),
    # attributes
    "the captions' vocabulary": (head(("sea", "sky", "blue")), ATTRIBUTES),
    "a head trained otherwise": (head(bias=0.5), ATTRIBUTES),
    "the same head in another file": (moved_head, NOTHING),
    "number of attributes": (say("features.attributes.top=3"), ATTRIBUTES),
    "precision of attributes": (say("features.attributes.precision=fp16"), ATTRIBUTES),
    # several, and what belongs to none
    "two at once": (say("features.ocr.page_segmentation=6", "features.vgg_grid.store=float32"), OCR | VGG),
    "the crawl's pace": (say("crawl.host_rate=3"), NOTHING),
}
"""Each knob with the features that are computed by it."""


def dataset_with_all(folder: Path) -> World:
    """`folder`/dataset: rows of zeros under the fingerprints that the extractors state now."""
    world = World(pytest.MonkeyPatch(), folder)
    for feature in WEIGHTS:
        world.weights(feature).write_bytes(feature.encode())
    sets = [f"features.{feature}.weights={world.weights(feature)}" for feature in WEIGHTS]
    write_head(world, folder / "head.safetensors", WORDS, 0.0)
    sets.append(f"features.attributes.head={folder / 'head.safetensors'}")
    config = resolve(BuildConfig, as_plain(CONFIG), sets)
    dataset = make(folder / "dataset", range(1, 7), versions=())
    images = list(stored_images(dataset))
    features = [_zeros(dataset, extractor_class(name)(getattr(config.features, name)), images) for name in FEATURES]
    describe_features(dataset, config, features, known=Manifest.read(dataset)).write(dataset)
    remember(dataset, as_plain(config), FEATURES)
    return world


def _zeros(dataset: Path, extractor: Extractor, images: list[str]) -> BuiltFeature:
    spec, parts = extractor.spec, extractor.fingerprint_parts()
    task = ShardTask(spec.name, fingerprint(spec, parts), 0, 1)
    name = task.file_name(spec.suffix)
    write_shard(dataset / name, spec, {image: zero_row(spec) for image in images}, fingerprint=task.fingerprint)
    receipt = Receipt(name, sha256_file(dataset / name), len(images), images[0], slice_digest(images))
    return BuiltFeature(spec, task.fingerprint, parts, [receipt], settings=as_plain(extractor.settings))


def zero_row(spec: FeatureSpec) -> Row:
    if spec.is_table:
        return {name: "" if str(kind) == "string" else [] for name, kind in spec.columns}
    return {array.name: np.zeros(array.shape, array.dtype) for array in spec.arrays}


def copied(world: World, folder: Path, patch: pytest.MonkeyPatch) -> World:
    """The same world for one test, which may change it."""
    shutil.copytree(world.folder, folder, dirs_exist_ok=True)
    return World(patch, folder)
