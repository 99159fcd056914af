"""The run folder: everything needed to repeat a run, or to use it from a fresh process.

config.json          the resolved configuration
run.json             dataset, fingerprints, what is read, versions
words.json labels.json attributes.json   vocabularies of the training posts
log.jsonl            run.json's content as a header, then lines of steps and epochs
checkpoint/          where an unfinished run goes on
model.safetensors    the best epoch's weights
grams.json experience.safetensors   what a system that recalls remembers of the training posts
keyphrases.json      how many training posts have each keyphrase
predictions/         SPLIT.jsonl, see `predictions.py`
scores.json          written last: a run with it is finished
"""

import logging
import platform
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pydantic
import torch

from model.assemble import Sizes, build_model
from model.batches import Encoded, encode, sources_of
from model.checkpoint import load_tensors, save_tensors
from model.classifier import label_table
from model.config import Config
from model.data import FEATURES, TOLD, Posts, Reader, Vocabularies
from model.embeddings import coverage, fill, read_vectors
from model.evidence import Evidence, Experience
from model.unified import KeyphraseModel
from schemas.dataset import Dataset
from schemas.errors import IntegrityError, UsageError
from schemas.files import publish_json, read_json, sha256_file, told_of
from schemas.manifest import MANIFEST

logger = logging.getLogger(__name__)
SCORES = "scores.json"


@dataclass(frozen=True)
class Facts:
    """What a run is besides its configuration.

    dataset: its folder. manifest: its manifest's sha256. features: name -> fingerprint, of those read.
    inputs: of text, ocr, vision, attributes, what the model reads. channels: width of a grid cell, 0 without.
    aggregate: whether the best epoch aggregates. lineage: versions and processor. embeddings: where the word vectors
    came from, and how many words had one.
    """

    dataset: str
    manifest: str
    features: dict[str, str]
    inputs: list[str]
    channels: int = 0
    aggregate: bool = False
    lineage: dict[str, Any] | None = None
    embeddings: dict[str, Any] | None = None


def lineage() -> dict[str, Any]:
    """What may change a last bit: versions, processor, threads."""
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    return {**versions, "machine": platform.machine(), "threads": torch.get_num_threads()}


@dataclass(frozen=True)
class Run:
    """A trained system, in memory."""

    folder: Path
    config: Config
    facts: Facts
    vocabularies: Vocabularies
    model: KeyphraseModel
    experience: Experience | None = None

    @property
    def device(self) -> str:
        """Where the model lies."""
        return str(next(self.model.parameters(), torch.empty(0)).device)

    def encode(self, posts: Posts, left_out: Evidence | None = None) -> Encoded:
        """Posts as this run's model reads them. left_out: of the training posts, each by the others."""
        config = self.config
        facts = self.facts
        limits = (config.max_source, config.max_oov)
        encoded = encode(posts, self.vocabularies, *limits, facts.inputs, facts.channels, self.device)
        if self.experience is None:
            return encoded
        seen = as_read(posts, facts.inputs)
        return encoded.with_evidence(left_out or self.experience.evidence(seen, encoded.sources))

    def save(self) -> None:
        """The vocabularies, run.json and the weights."""
        self.vocabularies.write(self.folder)
        if self.experience:
            self.experience.write(self.folder)
        publish_json(self.folder / "run.json", asdict(self.facts))
        save_tensors(self.folder / "model.safetensors", self.model.state_dict())

    def reader(self, dataset: Dataset) -> Reader:
        """Of a dataset whose features are those this run was trained on; UsageError where they are others."""
        for name, trained in self.facts.features.items():
            if dataset.has_feature(name) and dataset.fingerprint(name) != trained:
                raise UsageError(
                    f"{dataset.folder}: its {name} is {dataset.fingerprint(name)}, but {self.folder} was trained on "
                    f"{trained}. Make that one current (use), or train again."
                )
        missing = [name for name in self.facts.features if not dataset.has_feature(name)]
        if missing:
            logger.info(f"{dataset.folder} has no {', '.join(missing)}: read as if no image had any")
        return Reader(dataset, {*self.facts.inputs, *TOLD}, self.device)


def fresh_run(folder: Path, config: Config, dataset: Dataset, reader: Reader, inputs: list[str], posts: Posts) -> Run:
    """Vocabularies of the training `posts` and a model with random weights."""
    vocabularies = Vocabularies.learn(posts, config.vocab_size)
    used = [FEATURES[name] for name in inputs if name in FEATURES]
    facts = Facts(
        str(dataset.folder.resolve()),
        manifest_sha256(dataset),
        {name: dataset.fingerprint(name) for name in used},
        inputs,
        reader.grid.shape[-1] if reader.grid is not None else 0,
        lineage=lineage(),
    )
    return Run(folder, config, facts, vocabularies, _model(config, facts, vocabularies))


def with_model(run: Run) -> Run:
    """With fresh weights for its configuration and what it reads."""
    return replace(run, model=_model(run.config, run.facts, run.vocabularies))


def with_embeddings(run: Run) -> Run:
    """The word embeddings as the configuration says: from a file or random, frozen or not."""
    config, words, model = run.config, run.vocabularies.words, run.model
    if config.embeddings == "random" and not config.freeze_embeddings:
        return run
    if model.text is None:
        raise UsageError(f"{config.system} reads no text: it has no use for embeddings.")
    told = None
    if config.embeddings != "random":
        path = Path(config.embeddings)
        attributes = run.vocabularies.attributes
        vectors = read_vectors(path, {*words.words, *attributes.words}, config.word_width)
        told = coverage(path, words, fill(model.embedding, words, vectors))
        if model.attributes is not None:
            fill(model.attributes.embedding, attributes, vectors)
    model.embedding.weight.requires_grad_(not config.freeze_embeddings)
    return replace(run, facts=replace(run.facts, embeddings=told))


def with_experience(run: Run, posts: Posts) -> tuple[Run, Evidence | None]:
    """What a system that ranks by them remembers of the training `posts`, and their evidence."""
    config, ranker = run.config, run.model.ranker
    if ranker is None:
        return run, None
    words, labels = run.vocabularies.words, run.vocabularies.labels
    sources = sources_of(posts, words, config.max_source, run.facts.inputs)
    how = (config.recall_penalty, config.candidates, "attributes" in run.facts.inputs, config.grams)
    experience, evidence = Experience.learn(as_read(posts, run.facts.inputs), sources, labels, *how)
    ranker.measure(evidence.clue_mf)
    return replace(run, experience=experience), evidence


def as_read(posts: Posts, inputs: Collection[str]) -> Posts:
    """Without OCR words where they are not read: the posts have them all the same, to be scored by."""
    return posts if "ocr" in inputs else replace(posts, ocr=[[]] * len(posts))


def load_run(folder: Path) -> Run:
    """A finished run. IntegrityError that names the file where one is missing or does not fit."""
    with told_of(folder / "config.json") as path:
        config = Config.model_validate(read_json(path))
    with told_of(folder / "run.json") as path:
        facts = _facts(read_json(path))
    vocabularies = Vocabularies.read(folder)
    path = folder / "model.safetensors"
    try:
        tensors = load_tensors(path)
    except IntegrityError as error:
        raise IntegrityError(f"{path}: not this run's weights ({error}). Train again.") from error
    _refuse_misfit(path, tensors, config, facts, vocabularies)
    model = _model(config, facts, vocabularies)
    model.load_state_dict(tensors)
    model.aggregate = facts.aggregate
    run = Run(folder, config, facts, vocabularies, model.eval())
    if model.ranker is None:
        return run
    how = (config.candidates, "attributes" in facts.inputs)
    with told_of(folder / "grams.json"):
        return replace(run, experience=Experience.read(folder, vocabularies.labels, *how))


def _facts(raw: Mapping[str, Any]) -> Facts:
    """As pydantic checks them against their types."""
    return pydantic.TypeAdapter(Facts).validate_python(dict(raw))


def _refuse_misfit(
    path: Path, tensors: Mapping[str, torch.Tensor], config: Config, facts: Facts, vocabularies: Vocabularies
) -> None:
    """Before the model takes memory: configuration and vocabularies may ask for any size, the file cannot."""
    try:
        with torch.device("meta"):
            wanted = _build(config, facts, vocabularies).state_dict()
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        raise IntegrityError(f"{path.parent / 'config.json'}: no such model can be ({error}). Train again.") from error
    expected = {name: tuple(tensor.shape) for name, tensor in wanted.items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            said = f"{name}: expected {expected.get(name)}, found {found.get(name)}"
            raise IntegrityError(f"{path}: not this run's weights by its config.json ({said}). Train again.")


def _model(config: Config, facts: Facts, vocabularies: Vocabularies) -> KeyphraseModel:
    return _build(config, facts, vocabularies).to(pick_device(config.device))


def _build(config: Config, facts: Facts, vocabularies: Vocabularies) -> KeyphraseModel:
    table_nw = label_table(vocabularies.labels.words, vocabularies.words)
    sizes = Sizes(len(vocabularies.words), len(vocabularies.labels), len(vocabularies.attributes), facts.channels)
    return build_model(config, sizes, facts.inputs, table_nw)


def pick_device(name: str) -> torch.device:
    """`auto` is cuda where there is one. UsageError where the device is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device '{name}': {str(error).splitlines()[0]} Known here: auto, cpu.") from error


def manifest_sha256(dataset: Dataset) -> str:
    """Of the dataset's manifest."""
    return sha256_file(dataset.folder / MANIFEST)


def is_finished(folder: Path) -> bool:
    """Whether a run lies there whole."""
    return (folder / SCORES).exists()


def finish(folder: Path, scores: dict[str, Any]) -> None:
    """scores.json: from now on the run is finished."""
    publish_json(folder / SCORES, scores)
