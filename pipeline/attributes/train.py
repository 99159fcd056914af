"""The command `train-attributes`: trains a head for `features.attributes.head` from captions and pictures."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from m3h.pipeline.attributes.captions import read_captions
from m3h.pipeline.attributes.config import TrainAttributesConfig
from m3h.pipeline.attributes.curve import draw
from m3h.pipeline.attributes.fit import Examples, Fit, HeadTrainer
from m3h.pipeline.attributes.samples import TrainingImages, gather, validation_images
from m3h.pipeline.attributes.tagging import Tagger, TextBlobTagger
from m3h.pipeline.attributes.vectors import VectorCache, Vectors
from m3h.pipeline.attributes.vocabulary import AttributeVocabulary, words_of
from m3h.pipeline.extractors.attribute_head import Head, vocabulary_path
from m3h.pipeline.extractors.backbones.trunk import Backbone
from m3h.pipeline.progress.monitor import watched
from m3h.schemas.config import as_plain
from m3h.schemas.errors import UsageError
from m3h.schemas.features import canonical_json
from m3h.schemas.files import publish_json

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainOptions:
    """The options of the command line. vocabulary: the user's list, or None to count the words of the captions."""

    captions: Path
    images: Path
    out: Path
    vocabulary: Path | None
    config: TrainAttributesConfig
    workers: int = 1


def train_attributes(options: TrainOptions, tagger: Tagger | None = None) -> dict[str, Any]:
    """Train a head, write it with its vocabulary, report and curve, and return the report.

    A call that was killed continues when it is repeated. tagger: finds nouns and adjectives; TextBlob's if None.
    """
    config = options.config
    if options.out.suffix != ".safetensors":
        raise UsageError(f"--out {options.out}: expected a name that ends in .safetensors.")
    listed = AttributeVocabulary.read(options.vocabulary) if options.vocabulary else None
    captioned = read_captions(options.captions)
    if listed is None:
        tagger = tagger or TextBlobTagger()
        images = gather(captioned, options.images, tagger.nouns_and_adjectives)
    else:
        images = gather(captioned, options.images, words_of)
    cache = VectorCache(Vectors(config.trunk), _cache_folder(options))
    images.leave_out(cache.complete(images.files, options.workers))
    valid = validation_images(images.files, config.fit.valid_percent, config.fit.seed)
    vocabulary = listed or AttributeVocabulary.count(
        (images.words[key] for key in sorted(images.files) if key not in valid), config.size, config.min_images
    )
    examples = _examples(images, valid, vocabulary, cache=cache)
    trainer = HeadTrainer(examples, config.fit)
    fit = _fit(trainer, options, _signature(examples, vocabulary, config, cache=cache))
    report = {
        "images": len(images.files),
        "missing": len(images.missing),
        "unreadable": len(images.unreadable),
        "train": len(examples.valid) - len(valid),
        "valid": len(valid),
        "attributes": len(vocabulary.words),
        "from": f"captions, {tagger.identity}" if tagger and listed is None else "a list",
        "backbone": config.trunk.backbone,
        "weights": cache.extractor.weights_identity(),
        "epoch": fit.best_epoch,
        "map": fit.epochs[fit.best_epoch - 1]["map"],
        "recall_at_5": fit.epochs[fit.best_epoch - 1]["recall_at_5"],
        "most_frequent": trainer.baseline(),
    }
    weight, bias = trainer.unstandardised(fit.best)
    backbone = Backbone.of(config.trunk)
    Head(vocabulary.words, weight, bias, backbone.name, backbone.identity()).write(options.out)
    _write_report(options, fit, images, report=report)
    _checkpoint(options.out).unlink()
    return report


def _cache_folder(options: TrainOptions) -> Path:
    return Path(options.config.cache) if options.config.cache else options.out.parent / "attribute-vectors"


def _checkpoint(out: Path) -> Path:
    return out.with_suffix(".unfinished")


def _examples(
    images: TrainingImages, valid: set[str], vocabulary: AttributeVocabulary, *, cache: VectorCache
) -> Examples:
    keys = sorted(images.files)
    gold = np.zeros((len(keys), len(vocabulary.words)), bool)
    for i, key in enumerate(keys):
        gold[i, vocabulary.labels(images.words[key])] = True
    is_valid = np.array([key in valid for key in keys])
    for purpose, selected in (("training", ~is_valid), ("validation", is_valid)):
        if not gold[selected].any():
            raise UsageError(
                f"{selected.sum()} of {len(keys)} pictures are for {purpose}, and none of them has one of the "
                f"{len(vocabulary.words)} attributes. Give more pictures, or set fit.valid_percent or min_images."
            )
    return Examples(cache.read(keys), gold, is_valid)


def _signature(
    examples: Examples, vocabulary: AttributeVocabulary, config: TrainAttributesConfig, *, cache: VectorCache
) -> str:
    """A hash of everything that the head's bytes depend on."""
    arrays = [hashlib.sha256(part.tobytes()).hexdigest() for part in (examples.vectors, examples.gold, examples.valid)]
    parts = [arrays, vocabulary.words, as_plain(config.fit), cache.folder.name, torch.__version__]
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def _fit(trainer: HeadTrainer, options: TrainOptions, signature: str) -> Fit:
    path = _checkpoint(options.out)
    fit = Fit.load(path, signature) or trainer.begin()
    if fit.epochs:
        log.info("continuing after epoch %d", len(fit.epochs))
    with watched("epochs", options.config.fit.epochs, lambda: len(fit.epochs)):
        return trainer.run(fit, lambda current: current.save(path, signature))


def _write_report(options: TrainOptions, fit: Fit, images: TrainingImages, *, report: Mapping[str, Any]) -> None:
    out = options.out
    full_report = {**report, "missing_images": images.missing, "unreadable_images": images.unreadable}
    config = {**as_plain(options.config), "cache": ""}
    publish_json(out.with_suffix(".report.json"), {**full_report, "epochs": fit.epochs, "config": config})
    if not draw(out.with_suffix(".png"), fit.epochs, report["most_frequent"], best_epoch=fit.best_epoch):
        log.warning("no curve is drawn without matplotlib: pip install matplotlib")
    log.info("%s and %s", out, vocabulary_path(out).name)
