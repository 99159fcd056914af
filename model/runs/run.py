"""The run folder: everything needed to repeat a run, or to use it from another process.

config.json          the resolved configuration
run.json             dataset, fingerprints, inputs, versions
words.json labels.json attributes.json   vocabularies of the training posts; attributes-NAME.json of further features
log.jsonl            the content of run.json as a header, then lines of steps and epochs
checkpoint/          what an unfinished run resumes from
model.safetensors    the weights of the best epoch
tfidf.json training_index.safetensors    the training index of a system that ranks labels by the training posts
tuned_encoder.safetensors   the tuned layers of the sentence encoder and what ranks labels by them, where it is tuned
occurrences.json     how often words and labels stood in texts of training posts, of a system that reads it
reranker.json        weights and counts for `ranking=reranked`, of a system with a classifier and a generator
keyphrases.json      how many training posts have each keyphrase
predictions/         SPLIT.jsonl, see `scoring.predictions`
scores.json          written last: a run that has it is finished
"""

import logging
import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import torch

from m3h.model.config import Config, Input, stored_config
from m3h.model.data.encoding import Encoded, build_sources, encode
from m3h.model.data.evidence import TFIDF_FILE, Evidence, IndexOptions, TrainingIndex
from m3h.model.data.posts import ALWAYS_READ, Posts, Reader, Vocabularies
from m3h.model.data.sentences import MANY, SentenceEncoder
from m3h.model.data.tensor_files import load_tensors, save_tensors
from m3h.model.data.word_vectors import coverage, fill_embedding, read_vectors
from m3h.model.decoding.reranking import Reranker
from m3h.model.networks.classifier import label_table
from m3h.model.networks.encoder import AttributeEncoder, VisionEncoder
from m3h.model.networks.factory import Sizes, build_model
from m3h.model.networks.label_names import NameClassifier
from m3h.model.networks.tuned_encoder import TunedEncoder
from m3h.model.networks.unified import KeyphraseModel
from m3h.model.ranking.tuned_scores import TunedScores
from m3h.model.runs.finished import SCORES
from m3h.model.runs.tuned import TUNED_FILE, new_tuned, read_tuned, tuning_options, tuning_posts
from m3h.model.systems import INPUTS, TEXT_ENCODER, Modality, bank_names, feature_name, get_system
from m3h.model.training.allocator import give_back
from m3h.model.training.tuning import out_of_fold, scores_of
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import IntegrityError, UsageError
from m3h.schemas.files import publish_json, read_json, sha256_file, validating
from m3h.schemas.inside import file_in
from m3h.schemas.manifest import MANIFEST

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunMetadata:
    """What describes a run besides its configuration: run.json.

    dataset: its folder. manifest: the sha256 of its manifest. features: name -> fingerprint of those read. inputs:
    what the model reads. channels: image feature among them -> width of a cell. labels: those that are labels.
    aggregate: whether the best epoch aggregates. lineage: versions and processor. embeddings: the file of the
    word vectors, and how many words had one. text_encoder: the sha256 over the files of the sentence encoder.
    """

    dataset: str
    manifest: str
    features: dict[str, str]
    inputs: list[Input]
    channels: dict[Input, int] = field(default_factory=dict)
    labels: list[Input] = field(default_factory=list)
    aggregate: bool = False
    lineage: dict[str, Any] | None = None
    embeddings: dict[str, Any] | None = None
    text_encoder: str | None = None

    @property
    def kinds(self) -> dict[str, Modality]:
        """The modality of each input that is no text."""
        return {**dict.fromkeys(self.channels, "vision"), **dict.fromkeys(self.labels, "attributes")}


def lineage() -> dict[str, Any]:
    """What can change the last bit of a result: versions, processor, threads."""
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    return {**versions, "machine": platform.machine(), "threads": torch.get_num_threads()}


@dataclass(frozen=True)
class Run:
    """A system in memory: its configuration, vocabularies and model."""

    folder: Path
    config: Config
    metadata: RunMetadata
    vocabularies: Vocabularies
    model: KeyphraseModel
    training_index: TrainingIndex | None = None
    text_encoder: SentenceEncoder | None = None
    tuned: TunedEncoder | None = None
    reranker: Reranker | None = None

    @property
    def device(self) -> str:
        """Where the model is."""
        return str(next(self.model.parameters(), torch.empty(0)).device)

    def encode(self, posts: Posts, leave_one_out: Evidence | None = None) -> Encoded:
        """Posts as the model of this run reads them. leave_one_out: the evidence of the training posts."""
        config, metadata = self.config, self.metadata
        posts = self.with_sentences(posts)
        encoded = encode(
            posts,
            self.vocabularies,
            config.max_source,
            max_oov=config.max_oov,
            inputs=metadata.inputs,
            channels=metadata.channels,
            device=self.device,
        )
        if config.label_pointer:
            encoded = encoded.with_label_spans(self.vocabularies.labels)
        if self.training_index is None:
            return encoded
        readable = drop_unread_ocr(posts, metadata.inputs)
        if leave_one_out is not None:
            return encoded.with_evidence(leave_one_out)
        tuned = self._tuned_scores(posts, encoded.sources)
        return encoded.with_evidence(self.training_index.evidence(readable, encoded.sources, tuned))

    def _tuned_scores(self, posts: Posts, sources: Sequence[Sequence[str]]) -> TunedScores | None:
        """What the tuned encoder says of posts; None where none is tuned, or where the posts are to be without it."""
        if self.tuned is None or self.text_encoder is None or (posts.numbers(TEXT_ENCODER) < 0).all():
            return None
        read = tuning_posts(self.text_encoder, posts, sources, labels=self.vocabularies.labels, config=self.config)
        return scores_of(self.tuned, read, np.arange(len(posts)))

    def with_sentences(self, posts: Posts, *, keep: bool = False) -> Posts:
        """The posts with the states of the sentence encoder, if the run reads them.

        Of MANY posts and more only the means, unless the network reads the states. keep: in the user's cache, for
        further runs on the same posts.
        """
        if self.text_encoder is None or posts.sentences is not None:
            return posts
        logger.info(f"{len(posts):,} texts are encoded by {self.config.text_encoder}, or taken from the cache")
        pooled = len(posts) >= MANY and TEXT_ENCODER not in self.picture_encoders()
        words = self.config.word_states or self.config.label_pointer
        return self.text_encoder.attach(posts, keep=keep, pooled=pooled, words=words)

    def picture_encoders(self) -> dict[str, VisionEncoder | AttributeEncoder]:
        """Input -> its encoder, for all that the network reads of pictures."""
        encoders, metadata = self.model.picture_encoders(), self.metadata
        banks = bank_names(metadata.inputs, metadata.kinds)
        return {name: encoders[bank] for name, bank in banks.items() if bank in encoders}

    def save(self) -> None:
        """Write the vocabularies, run.json, the training index, the reranker and the weights."""
        self.vocabularies.write(self.folder)
        if self.training_index:
            self.training_index.write(self.folder)
        if self.tuned:
            save_tensors(self.folder / TUNED_FILE, self.tuned.state_dict())
        if self.reranker:
            self.reranker.write(self.folder)
        publish_json(self.folder / "run.json", asdict(self.metadata))
        save_tensors(self.folder / "model.safetensors", self.model.state_dict())

    def reader(self, dataset: Dataset) -> Reader:
        """A reader of a dataset with the inputs of this run.

        Raises:
            UsageError: a feature of the dataset has another fingerprint than the one this run was trained on.
        """
        for name, trained in self.metadata.features.items():
            if dataset.has_feature(name) and dataset.fingerprint(name) != trained:
                raise UsageError(
                    f"{dataset.folder}: its {name} is {dataset.fingerprint(name)}, but {self.folder} was trained on "
                    f"{trained}. Make that one current (use), or train again."
                )
        missing = [name for name in self.metadata.features if not dataset.has_feature(name)]
        if missing:
            logger.info(f"{dataset.folder} has no {', '.join(missing)}: read as if no image had any")
        return Reader(dataset, {*self.metadata.inputs, *ALWAYS_READ}, self.device)


def new_run(folder: Path, config: Config, dataset: Dataset, *, reader: Reader, inputs: list[str], posts: Posts) -> Run:
    """A run with new vocabularies and a model with random weights.

    Args:
        folder: the run folder. Nothing is written yet.
        config: of the run.
        dataset: what it is trained on.
        reader: of the dataset.
        inputs: what the model reads.
        posts: the training posts.
    """
    vocabularies = Vocabularies.build(posts, config.vocab_size)
    features = [feature_name(name) for name in inputs if dataset.has_feature(feature_name(name))]
    encoder = SentenceEncoder.find(config.text_encoder) if TEXT_ENCODER in inputs else None
    channels = {**reader.channels, **({TEXT_ENCODER: encoder.width} if encoder else {})}
    metadata = RunMetadata(
        str(dataset.folder.resolve()),
        manifest_sha256(dataset),
        {name: dataset.fingerprint(name) for name in features},
        inputs,
        {name: channels[name] for name in inputs if name in channels},
        [name for name in inputs if name in vocabularies.of_pictures],
        lineage=lineage(),
        text_encoder=encoder.sha256 if encoder else None,
    )
    model = _model(config, metadata, vocabularies)
    return Run(folder, config, metadata, vocabularies, model, text_encoder=encoder)


def with_new_model(run: Run) -> Run:
    """The run with a new model for its configuration and inputs."""
    return replace(run, model=_model(run.config, run.metadata, run.vocabularies))


def with_embeddings(run: Run) -> Run:
    """The run with the word embeddings that its configuration names: from a file or random, frozen or not.

    Raises:
        UsageError: the system reads no text, or the file cannot be used.
    """
    config, words, model = run.config, run.vocabularies.words, run.model
    if config.embeddings == "random" and not config.freeze_embeddings:
        return run
    if model.text is None:
        raise UsageError(f"{config.system} reads no text: it has no use for embeddings.")
    found = None
    if config.embeddings != "random":
        path = Path(config.embeddings)
        vocabularies = run.vocabularies.of_pictures
        labels = {label for vocabulary in vocabularies.values() for label in vocabulary.words}
        vectors = read_vectors(path, {*words.words, *labels}, config.word_width)
        count = fill_embedding(model.embedding, words, vectors)
        found = coverage(path, words, count, unreadable=vectors.unreadable)
        for name, encoder in run.picture_encoders().items():
            if isinstance(encoder, AttributeEncoder):
                fill_embedding(encoder.embedding, vocabularies[name], vectors)
    model.embedding.weight.requires_grad_(not config.freeze_embeddings)
    return replace(run, metadata=replace(run.metadata, embeddings=found))


def with_label_names(run: Run) -> Run:
    """The run, whose classifier knows the vectors of the labels' names by the sentence encoder, if it compares them.

    They are kept with the weights: model.safetensors has them.
    """
    if isinstance(run.model.classifier, NameClassifier) and run.text_encoder is not None:
        run.model.classifier.fit(run.text_encoder.vectors(run.vocabularies.labels.words))
    return run


def with_standardized_vision(run: Run, posts: Posts) -> Run:
    """The run, whose vision encoders know mean and deviation of each channel in the training `posts`, if they use them.

    They are weights: model.safetensors has them.
    """
    posts = run.with_sentences(posts)
    for name, encoder in run.picture_encoders().items():
        if isinstance(encoder, VisionEncoder) and encoder.standardize:
            encoder.fit(*posts.cells[name].statistics(posts.numbers(name)))
    return run


def with_training_index(run: Run, posts: Posts) -> tuple[Run, Evidence | None]:
    """The run with an index of the training `posts`, and their leave-one-out evidence.

    A system that does not rank labels by the training posts has neither.
    """
    config, ranker = run.config, run.model.ranker
    if ranker is None:
        return run, None
    words, labels = run.vocabularies.words, run.vocabularies.labels
    sources = build_sources(posts, words, config.max_source, inputs=run.metadata.inputs)
    readable = drop_unread_ocr(run.with_sentences(posts), run.metadata.inputs)
    options = _index_options(config, run.metadata)
    names = run.text_encoder.vectors(labels.words) if options.clues and run.text_encoder else None
    tuned, scores = None, None
    if options.tuned and run.text_encoder is not None and names is not None:
        read = tuning_posts(run.text_encoder, posts, sources, labels=labels, config=config, training=True)
        ids = [sorted(set(labels.encode(phrases))) for phrases in posts.keyphrases]
        new = partial(new_tuned, run.text_encoder, config, names)
        give_back()  # what the encoder took for the texts
        tuned, scores = out_of_fold(new, read, ids, tuning_options(config, len(posts)))
        give_back()
    index, evidence = TrainingIndex.build(readable, sources, labels, options=options, name_nv=names, tuned=scores)
    ranker.fit_normalization(evidence.feature_mf)
    return replace(run, training_index=index, tuned=tuned), evidence


def _index_options(config: Config, metadata: RunMetadata) -> IndexOptions:
    return IndexOptions(
        *(config.ridge_penalty, config.candidates, config.tfidf_terms),
        labels=metadata.labels,
        weights=compared_weights(config, metadata.channels),
        clues=config.label_features == "all",
        tuned=config.tunes_sentences,
        phrases=config.phrase_candidates,
        all_scores=not config.label_feature_width,
        solver=config.ridge_solver,
    )


def compared_weights(config: Config, names: Collection[str]) -> dict[str, float]:
    """Input of vectors -> its weight beside texts: features of pictures share `picture_weight` equally."""
    pictures = [name for name in names if name != TEXT_ENCODER]
    shared = {name: config.picture_weight / len(pictures) for name in pictures}
    return {name: shared.get(name, config.sentence_weight) for name in names}


def drop_unread_ocr(posts: Posts, inputs: Collection[str]) -> Posts:
    """The posts without OCR words, unless `inputs` has ocr. Every reader reads them, because scoring needs them."""
    return posts if "ocr" in inputs else replace(posts, ocr=[[]] * len(posts))


def read_description(folder: Path) -> tuple[Config, RunMetadata]:
    """config.json and run.json of a run.

    Raises:
        IntegrityError: one is missing or damaged. The message names it.
    """
    with validating(folder / "config.json") as path:
        config = Config.model_validate(stored_config(path))
    with validating(folder / "run.json") as path:
        return config, _metadata(read_json(path))


def dataset_for(folder: Path, metadata: RunMetadata, given: Path | None) -> Dataset:
    """The dataset whose posts a run is asked about.

    Raises UsageError: there is no such dataset. Raises IntegrityError: its manifest is damaged.

    Args:
        folder: of the run.
        metadata: of the run.
        given: the dataset's folder; None for the one that the run was trained on.
    """
    if given is None and not Path(metadata.dataset).is_dir():
        raise UsageError(
            f"{folder} was trained on {metadata.dataset}: no such dataset folder. Name where it is now with --dataset."
        )
    return Dataset(given or metadata.dataset)


def load_run(folder: Path) -> Run:
    """A finished run.

    Raises:
        IntegrityError: a file is missing, damaged, or does not fit the others. The message names it.
    """
    config, metadata = read_description(folder)
    vocabularies = Vocabularies.read(folder, [name for name in metadata.labels if name not in INPUTS])
    path = folder / "model.safetensors"
    try:
        tensors = load_tensors(path)
    except IntegrityError as error:
        raise IntegrityError(f"{path}: not this run's weights ({error}). Train again.") from error
    _check_weights(path, tensors, config, metadata=metadata, vocabularies=vocabularies)
    model = _model(config, metadata, vocabularies)
    model.load_state_dict(tensors)
    model.aggregate = metadata.aggregate
    encoder = _same_encoder(folder, config, metadata) if metadata.text_encoder else None
    system = get_system(config.system)
    reranker = Reranker.read(folder) if system.classifies and system.generates else None
    run = Run(folder, config, metadata, vocabularies, model.eval(), text_encoder=encoder, reranker=reranker)
    if model.ranker is None:
        return run
    with validating(folder / TFIDF_FILE):
        index = TrainingIndex.read(folder, vocabularies.labels, _index_options(config, metadata))
    tuned = read_tuned(folder, encoder, config, len(vocabularies.labels)) if encoder and index.options.tuned else None
    return replace(run, training_index=index, tuned=tuned)


def _same_encoder(folder: Path, config: Config, metadata: RunMetadata) -> SentenceEncoder:
    """The sentence encoder of a run; UsageError if it is not here, or is another one."""
    encoder = SentenceEncoder.find(config.text_encoder)
    if encoder.sha256 != metadata.text_encoder:
        raise UsageError(
            f"{folder}: trained with text_encoder={config.text_encoder} of sha256 {str(metadata.text_encoder)[:12]}, "
            f"but {encoder.folder} now is {encoder.sha256[:12]}. Put the old files back, or train again."
        )
    return encoder


def _metadata(raw: Mapping[str, Any]) -> RunMetadata:
    """run.json, checked against the types of the fields.

    A run of before any feature could be an input has the width of its only image feature, and no list of labels.
    """
    values = dict(raw)
    if not isinstance(values.get("channels", {}), dict):
        vision = [name for name in values["inputs"] if INPUTS[name] == "vision"]
        labels = [name for name in values["inputs"] if INPUTS[name] == "attributes"]
        values |= {"channels": dict.fromkeys(vision, values["channels"]), "labels": labels}
    return pydantic.TypeAdapter(RunMetadata).validate_python(values)


def _check_weights(
    path: Path,
    tensors: Mapping[str, torch.Tensor],
    config: Config,
    *,
    metadata: RunMetadata,
    vocabularies: Vocabularies,
) -> None:
    """IntegrityError unless the weights have the shapes that the configuration asks for.

    This is checked before the model takes memory: configuration and vocabularies may ask for any size.
    """
    try:
        with torch.device("meta"):
            model_state = _build(config, metadata, vocabularies).state_dict()
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        raise IntegrityError(
            f"{path.parent / 'config.json'}: no model has these settings ({error}). Train again."
        ) from error
    expected = {name: tuple(tensor.shape) for name, tensor in model_state.items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            difference = f"{name}: expected {expected.get(name)}, found {found.get(name)}"
            raise IntegrityError(f"{path}: not this run's weights by its config.json ({difference}). Train again.")


def _model(config: Config, metadata: RunMetadata, vocabularies: Vocabularies) -> KeyphraseModel:
    return _build(config, metadata, vocabularies).to(pick_device(config.device))


def _build(config: Config, metadata: RunMetadata, vocabularies: Vocabularies) -> KeyphraseModel:
    table_nw = label_table(vocabularies.labels.words, vocabularies.words)
    labels = {name: len(vocabulary) for name, vocabulary in vocabularies.of_pictures.items() if name in metadata.labels}
    sizes = Sizes(len(vocabularies.words), len(vocabularies.labels), labels, metadata.channels)
    return build_model(config, sizes, metadata.inputs, label_words_nw=table_nw)


def pick_device(name: str) -> torch.device:
    """The device of that name; `auto` is cuda where there is one.

    Raises:
        UsageError: the device does not exist here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device '{name}': {str(error).splitlines()[0]} Known here: auto, cpu.") from error


def manifest_sha256(dataset: Dataset) -> str:
    """The sha256 of the dataset's manifest."""
    return sha256_file(file_in(dataset.folder, MANIFEST))


def is_own_dataset(metadata: RunMetadata, given: Path | None) -> bool:
    """Whether a run was trained on a dataset as it is now.

    Raises UsageError: there is no such dataset. Raises IntegrityError: its manifest is damaged.

    Args:
        metadata: of the run.
        given: the dataset's folder; None for the one that the run was trained on.
    """
    return given is None or manifest_sha256(Dataset(given)) == metadata.manifest


def write_scores(folder: Path, scores: dict[str, Any]) -> None:
    """Write scores.json. From now on the run is finished."""
    publish_json(folder / SCORES, scores)


def predictions_file(folder: Path, split: str) -> Path:
    """Where a run stores its predictions of a split."""
    return folder / "predictions" / f"{split}.jsonl"
