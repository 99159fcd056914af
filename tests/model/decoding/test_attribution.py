"""Where a phrase came from."""

from pathlib import Path
from typing import Any

import pytest
import torch

from m3h.model.config import Config
from m3h.model.data.encoding import encode
from m3h.model.data.posts import Posts, Reader
from m3h.model.decoding.attribution import attributions, word_contributions
from m3h.model.decoding.predict import RankedPhrase, predict
from m3h.model.runs.run import Run, new_run
from m3h.schemas.dataset import Dataset


def run_of(folder: Path, config: Config, **changes: Any) -> tuple[Run, Reader]:
    torch.manual_seed(1)
    dataset = Dataset(folder)
    inputs = ["text", "ocr", "vision", "attributes"]
    reader = Reader(dataset, inputs)
    config = config.model_copy(update=changes)
    return new_run(Path("unused"), config, dataset, reader=reader, inputs=inputs, posts=reader.split("train")), reader


def test_the_parts_add_up_to_the_probability_of_every_word(tiny_dataset: Path, tiny_config: Config) -> None:
    run, reader = run_of(tiny_dataset, tiny_config)
    run.model.eval()
    run.model.aggregate = True
    encoded = run.encode(reader.split("train"))
    pairs = encoded.pairs_batch(encoded.pair_post[:12])
    end_bp = encoded.part_ends(pairs.batch.rows_b)
    parts_btp = word_contributions(run.model, pairs.batch, pairs.target_bt, end_bp=end_bp)
    log_p_n = run.model.log_likelihood(pairs, run.model(pairs.batch))
    torch.testing.assert_close(parts_btp.sum(-1)[pairs.target_mask_bt].log(), log_p_n, rtol=1e-3, atol=1e-4)
    assert (parts_btp[..., 4] > 0).any()


@pytest.mark.parametrize(
    ("switch", "phrase", "attribution"),
    [(30.0, "storm hour", "generated"), (-30.0, "look", "text"), (-30.0, "tonight", "ocr")],
)
def test_a_pointer_that_only_copies_names_the_place(
    switch: float, phrase: str, attribution: str, tiny_dataset: Path, tiny_config: Config
) -> None:
    run, _ = run_of(tiny_dataset, tiny_config, system="gen-copy")
    with torch.no_grad():
        run.model.generator.switch.weight.zero_()
        run.model.generator.switch.bias.fill_(switch)
    posts = Posts(["a"], [["look", "at", "this"]], [[]], [["tonight", "excited", "waiting"]], [[]], [-1])
    encoded = encode(posts, run.vocabularies, inputs=["text", "ocr"])
    assert "tonight" in encoded.sources[0]
    run.model.eval()
    found = attributions(run.model, encoded, run.vocabularies, config=run.config, ranked=[[RankedPhrase(phrase, 1.0)]])
    assert found == [[attribution]]


def test_a_classifier_s_phrases_are_the_classifier_s(tiny_dataset: Path, tiny_config: Config) -> None:
    run, reader = run_of(tiny_dataset, tiny_config, system="cls-max")
    encoded = run.encode(reader.split("test"))
    ranked = predict(run.model, encoded, run.vocabularies, config=run.config)
    found = attributions(run.model, encoded, run.vocabularies, config=run.config, ranked=ranked)
    assert {attribution for post in found for attribution in post} == {"classifier"}


def test_every_phrase_of_the_full_model_has_an_attribution(tiny_dataset: Path, tiny_config: Config) -> None:
    run, reader = run_of(tiny_dataset, tiny_config)
    run.model.aggregate = True
    encoded = run.encode(reader.split("test"))
    ranked = predict(run.model, encoded, run.vocabularies, config=run.config)
    found = attributions(run.model, encoded, run.vocabularies, config=run.config, ranked=ranked)
    assert [len(post) for post in found] == [len(post) for post in ranked]


def test_in_a_combined_list_a_label_improbable_for_the_generator_is_attributed_to_the_classifier(
    tiny_dataset: Path, tiny_config: Config
) -> None:
    """The classifier is sure of `kca`; `look` is no label, and `maga` it thinks all but impossible."""
    run, _ = run_of(tiny_dataset, tiny_config, system="gen-m3h+wording+joint", ranking="rescored")
    kca = run.vocabularies.labels.index["kca"]
    with torch.no_grad():
        run.model.classifier.mlp[-1].bias[kca] = 30.0
    posts = Posts(["a"], [["look", "at", "this"]], [[]], [[]], [[]], [-1])
    encoded = run.encode(posts)
    run.model.eval()
    both = [[RankedPhrase("kca", 0.5), RankedPhrase("look", 0.2), RankedPhrase("maga", 0.1)]]
    found = attributions(run.model, encoded, run.vocabularies, config=run.config, ranked=both)[0]
    assert [attribution == "classifier" for attribution in found] == [True, False, False]
    alone = run.config.model_copy(update={"ranking": "generator"})
    assert "classifier" not in attributions(run.model, encoded, run.vocabularies, config=alone, ranked=both)[0]


def test_a_joint_classifier_s_generator_may_rank_instead(tiny_dataset: Path, tiny_config: Config) -> None:
    run, reader = run_of(tiny_dataset, tiny_config, system="cls-m3h+wording+joint", ranking="generator")
    encoded = run.encode(reader.split("test"))
    ranked = predict(run.model, encoded, run.vocabularies, config=run.config)
    found = attributions(run.model, encoded, run.vocabularies, config=run.config, ranked=ranked)
    assert "classifier" not in {attribution for post in found for attribution in post}
