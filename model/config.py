"""Every knob of a run, with the paper's values as defaults (§5.1 unless another § stands beside it)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from schemas.config import Settings, resolve
from schemas.errors import UsageError

Input = Literal["ocr", "vision", "objects", "attributes"]
Pool = Literal["max", "avg"]
Pair = Literal["vision_to_text", "attributes_to_text", "text_to_vision", "text_to_attributes"]
Gram = Literal["words", "pairs", "stems", "pieces"]
Style = Literal["paper", "released"]
"""As the paper says, or as the code that its authors released does."""
Ranking = Literal["system", "classifier", "generator", "product", "probabilities", "turns", "ranks"]
Share = float
"""A probability, 0 to 1."""


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
    "cls-recall": {"clue_width": 0, "learning_rate": 0.01},
    "cls-recall+clues": {"learning_rate": 0.01},
    "gen-cls-m3h+recall": {"warmup_epochs": 3},
    "gen-cls-m3h+taught": {"taught": 0.5},
    "gen-cls-m3h+taught+product": {"taught": 0.7, "epochs": 25, "patience": 8, "generator_weight": 0.85},
}
"""Fields whose defaults a system changes. Whatever a file or the command line says comes before them."""


class Config(Settings):
    """One field a knob. Values the paper leaves open are marked (open)."""

    # what is read
    system: str = "gen-cls-m3h"
    seed: NonNegativeInt = 23  # (open)
    train_split: str = "train"
    select: str = "valid"  # a split, or last:N, the last N training posts in source order
    add_inputs: tuple[Input, ...] = ()  # read also these, such as ocr in a text-only system ("+ image wording")
    drop_inputs: tuple[Input, ...] = ()  # leave these out, to measure what they give
    vocab_size: PositiveInt = 45_000  # most frequent training words, §4
    max_source: PositiveInt | None = 100  # tokens of text, <sep> and OCR together; None leaves all (open)
    max_oov: NonNegativeInt = 15  # copyable types a post that are not in the vocabulary (open)

    # the network
    word_width: PositiveInt = 200
    embeddings: str = "random"  # or a file of word vectors, .txt or .gz; the paper: Twitter GloVe of 200 numbers
    freeze_embeddings: bool = False  # word embeddings are not trained
    width: PositiveInt = Field(default=300, multiple_of=2)  # d: banks, queries and decoder state
    encoder_layers: PositiveInt = 2
    heads: PositiveInt = 4
    head_width: PositiveInt = 64
    text_layers: PositiveInt = 4  # L_text: vision and attribute queries over text
    vision_layers: PositiveInt = 1  # L_vis: the text query over vision
    attribute_layers: PositiveInt = 1  # L_attr: the text query over attributes
    pairs: tuple[Pair, ...] = Pair.__args__  # type: ignore[attr-defined]  # who asks whose memory, §3.2
    attention: Style = "paper"  # released: with biases, other normalisation, and no fusion layer
    text_pool: Pool = "max"
    vision_pool: Pool = "avg"
    attribute_pool: Pool = "max"
    classifier_layers: PositiveInt = 2  # 1: the released code's single linear layer
    dropout: Share = Field(default=0.1, ge=0, lt=1)  # (open)
    embedding_dropout: Share = Field(default=0.0, ge=0, lt=1)  # whole positions of the word embeddings (open)
    decoder: Style = "paper"  # released: the context sees the state; the vocabulary does not see the last word
    top_labels: PositiveInt = 5  # K labels whose words are aggregated, §3.4 (open)
    copy_share: Share = Field(default=0.5, ge=0, le=1)  # a of Eq. (11); b = 1 - a
    aggregation: Style = "paper"  # released: a = b = 1, which sums to more than one

    # the systems compared with
    hops: PositiveInt = 2  # of the stacked attention (Yang et al. 2016)
    glimpses: PositiveInt = 4  # of the bilinear attention (Kim et al. 2018 use up to 8)
    topics: PositiveInt = 50  # K of the topic model (Zeng et al. 2018)
    topic_width: PositiveInt = 500  # its hidden layers
    topic_words: PositiveInt = 10_000  # words it counts, the most frequent ones (open)
    topic_stop_words: NonNegativeInt = 100  # but for so many of the very most frequent; a tenth of all at most (open)
    topic_weight: NonNegativeFloat = 1.0  # of its loss

    # labels by the training posts, which is ours (cls-recall, cls-recall+clues, gen-cls-m3h+recall, and who teaches)
    grams: tuple[Gram, ...] = Gram.__args__  # type: ignore[attr-defined]  # what texts are compared by
    recall_penalty: PositiveFloat = 0.3  # of the ridge regression
    candidates: PositiveInt = (
        40  # labels with the best scores that are looked at more closely, beside those in the post
    )
    clue_width: NonNegativeInt = 32  # hidden units that weigh the clues; 0: by the scores alone

    # training
    taught: Share = Field(default=0.0, ge=0, le=1)  # of what is learned, how much is taught: see `lessons`
    batch_size: PositiveInt = 64  # post-keyphrase pairs (open)
    epochs: PositiveInt = 15  # both phases together (open)
    warmup_epochs: NonNegativeInt = 5  # with a = 1, b = 0, before aggregation begins, §3.4 ("several")
    learning_rate: PositiveFloat = 1e-3
    lr_decay: PositiveFloat = 0.5  # after an epoch whose validation loss is no better
    clip: PositiveFloat = 5.0  # norm of the whole gradient
    gamma: float = 1.0  # weight of the classification loss, Eq. (12)
    loss_over: Literal["pairs", "batch"] = "pairs"  # what a step descends: the mean over pairs, or the sum (released)
    second_phase: Style = "paper"  # released: the decoder learns alone, by its own loss, at second_rate
    second_rate: PositiveFloat = 1e-4  # of the released second phase; the paper's goes on at the rate it had
    patience: PositiveInt = 5  # epochs without a better selection score
    select_on: Literal["f1", "loss"] = "f1"  # F1@1 of the selection posts, or their loss
    accumulate: PositiveInt = 1  # parts in which a batch is computed, one after the other: less memory, the same step

    # search
    beam: PositiveInt = 10
    n_best: PositiveInt = 5
    max_steps: PositiveInt = 6  # words and <eos> together (open)
    length_power: NonNegativeFloat = 1.0  # a score is the sum of log P over length^this: 1 the mean, 0 the sum
    search: Literal["per-post", "released"] = "per-post"  # released: see `search`
    ranking: Ranking = "system"  # whose list is given, or how both are joined: `product`, see `weigh`; else see `merge`
    generator_weight: Share = Field(default=0.5, ge=0, le=1)  # where both are joined; the classifier has the rest
    drop_duplicates: bool = True  # phrases equal after stemming, in favour of the next ones
    search_batch: PositiveInt = 32  # posts searched together; no effect on what is found

    # the machine
    threads: PositiveInt | None = None  # None: torch's choice
    device: str = "auto"  # cuda where there is one, else cpu
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16: the training steps under autocast; all else stays fp32
    compile: bool = False  # the training step through torch.compile
    checkpoint_steps: PositiveInt = 500  # steps between two checkpoints; one more at every epoch's end
    log_steps: PositiveInt = 50  # steps between two lines of log.jsonl
    tensorboard: bool = False  # the log also for TensorBoard, which then must be installed

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, values: Any) -> Any:
        return {**PRESETS.get(str(values.get("system")), {}), **values} if isinstance(values, dict) else values


SEARCH_FIELDS = {
    *("beam", "n_best", "max_steps", "length_power", "search", "ranking", "generator_weight", "drop_duplicates"),
    *("search_batch", "threads", "device"),
}
"""What can still be changed when a system is trained."""


def resolve_config(
    file: Path | None = None, sets: Sequence[str] = (), epochs: int | None = None, **fields: str | None
) -> Config:
    """The defaults, `file`, `sets` and command-line `fields` over one another; UsageError names a bad field."""
    return resolve(Config, file, sets, epochs=epochs, **fields)


def changed_search(file: Path, sets: Sequence[str]) -> Config:
    """A finished run's config.json with `sets` over it; UsageError where one of them needs another training."""
    before, now = resolve(Config, file), resolve(Config, file, sets)
    trained = [name for name in Config.model_fields if getattr(before, name) != getattr(now, name)]
    refused = [name for name in trained if name not in SEARCH_FIELDS]
    if refused:
        known = ", ".join(sorted(SEARCH_FIELDS))
        raise UsageError(f"--set {refused[0]}: a finished run can only change how it searches ({known}).")
    return now
