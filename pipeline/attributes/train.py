"""`train-attributes`: captions and pictures to a head that `features.attributes.head` reads."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.attributes.captions import read_captions
from pipeline.attributes.config import TrainAttributesConfig
from pipeline.attributes.curve import draw
from pipeline.attributes.fit import Examples, Fit, HeadTrainer
from pipeline.attributes.material import Material, gather, validating
from pipeline.attributes.tagging import Tagger, TextBlobTagger
from pipeline.attributes.vectors import VectorCache, Vectors
from pipeline.attributes.vocabulary import AttributeVocabulary, words_of
from pipeline.extractors.attribute_head import Head, vocabulary_path
from pipeline.extractors.backbone import Backbone
from pipeline.progress import watched
from schemas.config import as_plain
from schemas.errors import UsageError
from schemas.features import canonical_json
from schemas.files import publish_json

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainOptions:
    """What the command line says. vocabulary: a list of the user's, or None to count the captions' words."""

    captions: Path
    images: Path
    out: Path
    vocabulary: Path | None
    config: TrainAttributesConfig
    workers: int = 1


def train_attributes(options: TrainOptions, tagger: Tagger | None = None) -> dict[str, Any]:
    """Train, write OUT, its vocabulary, report and curve, and return the report.

    Killed at any moment, the same call goes on where it was. tagger: TextBlob's where None.
    """
    config = options.config
    if options.out.suffix != ".safetensors":
        raise UsageError(f"--out {options.out}: expected a name that ends in .safetensors.")
    listed = AttributeVocabulary.read(options.vocabulary) if options.vocabulary else None
    captioned = read_captions(options.captions)
    if listed is None:
        tagger = tagger or TextBlobTagger()
        material = gather(captioned, options.images, tagger.nouns_and_adjectives)
    else:
        material = gather(captioned, options.images, words_of)
    cache = VectorCache(Vectors(config.trunk), _cache_folder(options))
    material.leave_out(cache.complete(material.files, options.workers))
    valid = validating(material.files, config.fit.valid_percent, config.fit.seed)
    vocabulary = listed or AttributeVocabulary.count(
        (material.words[key] for key in sorted(material.files) if key not in valid), config.size, config.min_images
    )
    examples = _examples(material, valid, vocabulary, cache)
    trainer = HeadTrainer(examples, config.fit)
    fit = _fit(trainer, options, _signature(examples, vocabulary, config, cache))
    report = {
        "images": len(material.files),
        "missing": len(material.missing),
        "unreadable": len(material.unreadable),
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
    _write(options, trainer, fit, vocabulary, material, report)
    return report


def _cache_folder(options: TrainOptions) -> Path:
    return Path(options.config.cache) if options.config.cache else options.out.parent / "attribute-vectors"


def _checkpoint(out: Path) -> Path:
    return out.with_suffix(".unfinished")


def _examples(material: Material, valid: set[str], vocabulary: AttributeVocabulary, cache: VectorCache) -> Examples:
    keys = sorted(material.files)
    gold = np.zeros((len(keys), len(vocabulary.words)), bool)
    for i, key in enumerate(keys):
        gold[i, vocabulary.labels(material.words[key])] = True
    chosen = np.array([key in valid for key in keys])
    for name, side in (("learn from", ~chosen), ("validate with", chosen)):
        if not gold[side].any():
            raise UsageError(
                f"{side.sum()} of {len(keys)} pictures are there to {name}, and none has one of the "
                f"{len(vocabulary.words)} attributes. Give more pictures, or set fit.valid_percent or min_images."
            )
    return Examples(cache.read(keys), gold, chosen)


def _signature(
    examples: Examples, vocabulary: AttributeVocabulary, config: TrainAttributesConfig, cache: VectorCache
) -> str:
    """Of all that the head's bytes depend on."""
    arrays = [hashlib.sha256(part.tobytes()).hexdigest() for part in (examples.vectors, examples.gold, examples.valid)]
    told = [arrays, vocabulary.words, as_plain(config.fit), cache.folder.name, torch.__version__]
    return hashlib.sha256(canonical_json(told).encode()).hexdigest()


def _fit(trainer: HeadTrainer, options: TrainOptions, signature: str) -> Fit:
    path = _checkpoint(options.out)
    fit = Fit.load(path, signature) or trainer.begin()
    if fit.epochs:
        log.info("going on after epoch %d", len(fit.epochs))
    with watched("epochs", options.config.fit.epochs, lambda: len(fit.epochs)):
        return trainer.run(fit, lambda now: now.save(path, signature))


def _write(
    options: TrainOptions,
    trainer: HeadTrainer,
    fit: Fit,
    vocabulary: AttributeVocabulary,
    material: Material,
    report: Mapping[str, Any],
) -> None:
    out, backbone = options.out, Backbone.of(options.config.trunk)
    Head(vocabulary.words, *trainer.plain(fit.best), backbone.name, backbone.identity()).write(out)
    whole = {**report, "missing_images": material.missing, "unreadable_images": material.unreadable}
    config = as_plain(options.config)
    publish_json(out.with_suffix(".report.json"), {**whole, "epochs": fit.epochs, "config": {**config, "cache": ""}})
    if not draw(out.with_suffix(".png"), fit.epochs, report["most_frequent"], fit.best_epoch):
        log.warning("no curve is drawn without matplotlib: pip install matplotlib")
    log.info("%s and %s", out, vocabulary_path(out).name)
    _checkpoint(out).unlink()
