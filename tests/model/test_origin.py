"""Where a phrase came from."""

from pathlib import Path
from typing import Any

import pytest
import torch

from model.batches import encode
from model.config import Config
from model.data import Posts, Reader
from model.infer import Ranked, predict
from model.origin import added, origins
from model.run import Run, fresh_run
from schemas.dataset import Dataset


def run_of(folder: Path, config: Config, **changes: Any) -> tuple[Run, Reader]:
    torch.manual_seed(1)
    dataset = Dataset(folder)
    inputs = ["text", "ocr", "vision", "attributes"]
    reader = Reader(dataset, inputs)
    config = config.model_copy(update=changes)
    return fresh_run(Path("unused"), config, dataset, reader, inputs, reader.split("train")), reader


def test_the_parts_add_up_to_the_probability_of_every_word(tiny_dataset: Path, tiny_config: Config) -> None:
    run, reader = run_of(tiny_dataset, tiny_config)
    run.model.eval()
    run.model.aggregate = True
    encoded = run.encode(reader.split("train"))
    pairs = encoded.pairs_batch(encoded.pair_post[:12])
    text_b = torch.tensor([len(reader.split("train").tokens[row]) for row in pairs.batch.rows_b])
    shares_btp = added(run.model, pairs.batch, pairs.target_bt, text_b)
    log_p_n = run.model.log_likelihood(pairs, run.model(pairs.batch))
    torch.testing.assert_close(shares_btp.sum(-1)[pairs.target_mask_bt].log(), log_p_n, rtol=1e-3, atol=1e-4)
    assert (shares_btp[..., 3] > 0).any()


@pytest.mark.parametrize(
    ("switch", "phrase", "origin"),
    [(30.0, "storm hour", "generated"), (-30.0, "look", "text"), (-30.0, "tonight", "ocr")],
)
def test_a_pointer_that_only_copies_names_the_place(
    switch: float, phrase: str, origin: str, tiny_dataset: Path, tiny_config: Config
) -> None:
    run, _ = run_of(tiny_dataset, tiny_config, system="gen-copy")
    with torch.no_grad():
        run.model.generator.switch.weight.zero_()
        run.model.generator.switch.bias.fill_(switch)
    posts = Posts(["a"], [["look", "at", "this"]], [[]], [["tonight", "excited", "waiting"]], [[]], [-1])
    encoded = encode(posts, run.vocabularies, inputs=["text", "ocr"])
    assert "tonight" in encoded.sources[0]
    run.model.eval()
    told = origins(run.model, encoded, run.vocabularies, run.config, [[Ranked(phrase, 1.0)]])
    assert told == [[origin]]


def test_a_classifier_s_phrases_are_the_classifier_s(tiny_dataset: Path, tiny_config: Config) -> None:
    run, reader = run_of(tiny_dataset, tiny_config, system="cls-max")
    encoded = run.encode(reader.split("test"))
    ranked = predict(run.model, encoded, run.vocabularies, run.config)
    told = origins(run.model, encoded, run.vocabularies, run.config, ranked)
    assert {origin for post in told for origin in post} == {"classifier"}


def test_every_phrase_of_the_full_model_has_an_origin(tiny_dataset: Path, tiny_config: Config) -> None:
    run, reader = run_of(tiny_dataset, tiny_config)
    run.model.aggregate = True
    encoded = run.encode(reader.split("test"))
    ranked = predict(run.model, encoded, run.vocabularies, run.config)
    told = origins(run.model, encoded, run.vocabularies, run.config, ranked)
    assert [len(post) for post in told] == [len(post) for post in ranked]


def test_of_a_joined_list_a_label_that_the_generator_would_hardly_write_is_the_classifier_s(
    tiny_dataset: Path, tiny_config: Config
) -> None:
    """The classifier is sure of `kca`; `look` is no label, and `maga` it thinks all but impossible."""
    run, _ = run_of(tiny_dataset, tiny_config, system="gen-m3h+wording+joint", ranking="product")
    kca = run.vocabularies.labels.index["kca"]
    with torch.no_grad():
        run.model.classifier.mlp[-1].bias[kca] = 30.0
    posts = Posts(["a"], [["look", "at", "this"]], [[]], [[]], [[]], [-1])
    encoded = run.encode(posts)
    run.model.eval()
    both = [[Ranked("kca", 0.5), Ranked("look", 0.2), Ranked("maga", 0.1)]]
    told = origins(run.model, encoded, run.vocabularies, run.config, both)[0]
    assert [origin == "classifier" for origin in told] == [True, False, False]
    alone = run.config.model_copy(update={"ranking": "generator"})
    assert "classifier" not in origins(run.model, encoded, run.vocabularies, alone, both)[0]


def test_a_joint_classifier_s_generator_may_rank_instead(tiny_dataset: Path, tiny_config: Config) -> None:
    run, reader = run_of(tiny_dataset, tiny_config, system="cls-m3h+wording+joint", ranking="generator")
    encoded = run.encode(reader.split("test"))
    ranked = predict(run.model, encoded, run.vocabularies, run.config)
    told = origins(run.model, encoded, run.vocabularies, run.config, ranked)
    assert "classifier" not in {origin for post in told for origin in post}
