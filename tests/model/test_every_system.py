"""Laws that hold for every system, on random weights and posts of different lengths."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from m3h.model.config import Config
from m3h.model.data.batch import BOS_ID, EOS_ID, Batch, Masked, Pairs
from m3h.model.data.evidence import n_features
from m3h.model.decoding.beam_search import SearchOptions, beam_search
from m3h.model.networks.factory import Sizes, build_model
from m3h.model.networks.unified import Encoding, KeyphraseModel
from m3h.model.systems import SYSTEMS
from m3h.schemas.errors import UsageError

V, OOV, LABELS, CHANNELS = 40, 3, 9, 7
LENGTHS = (6, 1, 4, 6, 2)
TRAINABLE = [name for name, system in SYSTEMS.items() if system.trainable]
GENERATING = [name for name in TRAINABLE if SYSTEMS[name].generates]
CLASSIFYING = [name for name in TRAINABLE if SYSTEMS[name].classifies]
SEEING = [name for name in TRAINABLE if {"vision", "objects"} & set(SYSTEMS[name].inputs)]
BEST = "m3h-best"
SMALL = {"word_width": 6, "width": 8, "heads": 2, "head_width": 4, "topics": 3, "topic_width": 5, "glimpses": 2}
SIZES = Sizes(V, LABELS, {"attributes": 6}, {"vision": CHANNELS, "objects": CHANNELS})


def random_model(name: str, seed: int = 0) -> KeyphraseModel:
    torch.manual_seed(seed)
    table_nw = torch.randint(5, V, (LABELS, 2))
    model = build_model(Config(system=name, **SMALL), SIZES, SYSTEMS[name].inputs, label_words_nw=table_nw)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    model.aggregate = model.aggregation is not None
    return model.eval()


def random_posts(seed: int = 1, clues: bool = False) -> Batch:
    """Some words twice, some outside the vocabulary; the second post has no image, the third no attributes."""
    torch.manual_seed(seed)
    posts, longest = len(LENGTHS), max(LENGTHS)
    mask_bl = torch.arange(longest) < torch.tensor(LENGTHS)[:, None]
    copy_bl = torch.randint(5, V + OOV, mask_bl.shape) * mask_bl
    seen_b = torch.tensor([True, False, True, True, True])
    attribute_mask_ba = torch.arange(4) < torch.tensor([4, 2, 0, 3, 4])[:, None]
    return Batch(
        np.arange(posts),
        copy_bl.masked_fill(copy_bl >= V, 3),
        copy_bl,
        mask_bl,
        {
            "vision": Masked(torch.randn(posts, 5, CHANNELS), seen_b[:, None].expand(posts, 5)),
            "attributes": Masked(torch.randint(2, 6, (posts, 4)) * attribute_mask_ba, attribute_mask_ba),
        },
        torch.randn(posts, LABELS),
        torch.stack([torch.randperm(LABELS - 1)[:3] + 1 for _ in range(posts)]),
        torch.arange(3) < torch.tensor([3, 1, 2, 3, 3])[:, None],
        torch.randn(posts, 3, n_features(clues, tuned=clues, phrases=clues)),
    )


def alone(batch: Batch, b: int) -> Batch:
    length = LENGTHS[b]
    known = {field.name: getattr(batch, field.name) for field in fields(batch) if field.name != "pictures"}
    parts = {name: values if values is None else values[b : b + 1] for name, values in known.items()}
    pictures = {bank: Masked(*(part[b : b + 1] for part in masked)) for bank, masked in batch.pictures.items()}
    cut = {name: part[:, :length] if name.endswith("_bl") else part for name, part in parts.items()}
    return Batch(**cut, pictures=pictures)


def with_bank(batch: Batch, bank: str, masked: Masked) -> Batch:
    return replace(batch, pictures={**batch.pictures, bank: masked})


def answers(encoding: Encoding) -> list[torch.Tensor]:
    """What a classifier or a decoder goes on with."""
    logit_bn = None if encoding.logit_bn is None else encoding.logit_bn.nan_to_num(neginf=0.0)
    parts = [encoding.c_fuse_bd, logit_bn, encoding.state_bd]
    parts += [encoding.topics.theta_bk, encoding.topics.loss_b] if encoding.topics else []
    return [part for part in parts if part is not None]


@pytest.mark.parametrize("name", TRAINABLE)
def test_a_lone_post_is_understood_as_in_a_batch(name: str) -> None:
    model, batch = random_model(name), random_posts(clues=name == BEST)
    together = answers(model(batch))
    for b in range(len(LENGTHS)):
        for lone, part in zip(answers(model(alone(batch, b))), together, strict=True):
            torch.testing.assert_close(lone[0], part[b], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", GENERATING)
def test_a_lone_post_is_searched_as_in_a_batch(name: str) -> None:
    model, batch = random_model(name), random_posts(clues=name == BEST)
    model.generator.vocabulary.bias.data[EOS_ID] += 2.0
    together = beam_search(model, batch, SearchOptions(beam=4, n_best=3, max_steps=4))
    for b in range(len(LENGTHS)):
        lone = beam_search(model, alone(batch, b), SearchOptions(beam=4, n_best=3, max_steps=4))
        torch.testing.assert_close(
            lone.score_bn[0].sort().values, together.score_bn[b].sort().values, atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize("name", GENERATING)
def test_a_lone_pair_is_as_likely_as_in_a_batch(name: str) -> None:
    model, batch = random_model(name), random_posts(clues=name == BEST)
    target_bt = torch.tensor([[7, EOS_ID, 0], [V + 1, 8, EOS_ID], [EOS_ID, 0, 0], [9, 9, EOS_ID], [V, EOS_ID, 0]])
    lengths = [2, 3, 1, 3, 2]
    mask_bt = torch.arange(3) < torch.tensor(lengths)[:, None]
    together = model.log_likelihood(Pairs(batch, target_bt, mask_bt, torch.zeros(5)), model(batch)).split(lengths)
    for b, length in enumerate(lengths):
        lone = alone(batch, b)
        pair = Pairs(lone, target_bt[b : b + 1, :length], mask_bt[b : b + 1, :length], torch.zeros(1))
        torch.testing.assert_close(model.log_likelihood(pair, model(lone)), together[b], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", GENERATING)
def test_every_step_gives_a_distribution(name: str) -> None:
    model, batch = random_model(name), random_posts(clues=name == BEST)
    encoding = model(batch)
    memory = model.build_memory(batch, encoding)
    u_bte = model.generator.gru_inputs(model.embed(torch.full((len(LENGTHS), 1), BOS_ID)), memory)
    output = model.generator.step_outputs(u_bte, model.generator.gru_states(u_bte, encoding.decoder_start()[1]), memory)
    total = model.generator.distribution(output, memory, OOV).sum(-1)
    expected = 2 - output.switch_bt if name == "released" else torch.ones_like(total)
    torch.testing.assert_close(total, expected)


@pytest.mark.parametrize("name", SEEING)
def test_the_order_of_cells_and_attributes_changes_nothing(name: str) -> None:
    model, batch = random_model(name), random_posts(clues=name == BEST)
    flipped = {bank: Masked(*(part.flip(1) for part in masked)) for bank, masked in batch.pictures.items()}
    reversed_batch = replace(batch, pictures=flipped)
    for part, reversed_part in zip(answers(model(batch)), answers(model(reversed_batch)), strict=True):
        torch.testing.assert_close(part, reversed_part)


@pytest.mark.parametrize("name", TRAINABLE)
def test_a_system_reads_its_inputs_and_no_others(name: str) -> None:
    model, batch, unrelated = random_model(name), random_posts(1, name == BEST), random_posts(2, name == BEST)
    inputs = set(SYSTEMS[name].inputs)
    changed = {
        "text": replace(batch, source_bl=unrelated.source_bl, copy_bl=unrelated.copy_bl, score_bn=unrelated.score_bn),
        "vision": with_bank(
            batch, "vision", Masked(unrelated.pictures["vision"].values, batch.pictures["vision"].mask)
        ),
        "attributes": replace(
            with_bank(batch, "attributes", unrelated.pictures["attributes"]), score_bn=unrelated.score_bn
        ),
    }
    before = torch.cat([part.flatten() for part in answers(model(batch))])
    for what, posts in changed.items():
        after = torch.cat([part.flatten() for part in answers(model(posts))])
        reads = what in inputs or (what == "vision" and "objects" in inputs)
        assert torch.equal(before, after) != reads, what


@pytest.mark.parametrize("name", TRAINABLE)
def test_every_weight_learns(name: str) -> None:
    model, batch = random_model(name).train(), random_posts(clues=name == BEST)
    encoding = model(batch)
    total = sum(part.sum() for part in answers(encoding)[1:]) if encoding.logit_bn is not None else 0.0
    total = total + sum(part.square().sum() for part in answers(encoding))
    if model.decoder is not None:
        target_bt = torch.tensor([[7, EOS_ID]] * len(LENGTHS))
        pairs = Pairs(batch, target_bt, target_bt > 0, torch.zeros(len(LENGTHS)))
        total = total + model.log_likelihood(pairs, encoding).sum()
    total.backward()
    untrained = {n for n, w in model.named_parameters() if w.grad is None}
    assert untrained == (
        {"aggregation.unused_switch.weight", "aggregation.unused_switch.bias"} & set(dict(model.named_parameters()))
    )


@pytest.mark.parametrize(
    ("name", "inputs"),
    [("cls-ban", ["text"]), ("cls-img-att", ["text"]), ("cls-co-att", ["text"]), ("cls-vgg-max", [])],
)
def test_a_system_that_cannot_be_without_pictures_says_so(name: str, inputs: list[str]) -> None:
    with pytest.raises(UsageError, match=rf"{name} cannot be without vision"):
        build_model(Config(system=name, **SMALL), SIZES, inputs)


@pytest.mark.parametrize("name", TRAINABLE)
def test_the_second_phase_of_the_released_code_trains_its_decoder_alone(name: str) -> None:
    model = random_model(name)
    model.start_second_phase(Config(system=name).second_phase)
    trained = {n.split(".")[0] for n, w in model.named_parameters() if w.requires_grad}
    everything = {n.split(".")[0] for n, _ in model.named_parameters()}
    assert trained == ({"decoder", "aggregation"} if name == "released" else everything)
    assert model.aggregate is SYSTEMS[name].aggregates


def test_the_unified_model_may_rank_labels_by_the_training_posts() -> None:
    """The generator can copy the words of these labels; there is no classifier network."""
    model, batch = random_model("gen-cls-m3h+krr"), random_posts()
    encoding = model(batch)
    assert model.classifier is None
    assert model.ranker is not None
    assert model.aggregation is not None
    ranked_bn = model.ranker(
        batch.score_bn, batch.candidate_bc, batch.candidate_mask_bc, feature_bcf=batch.label_feature_bcf
    )
    torch.testing.assert_close(encoding.logit_bn, ranked_bn)
    memory = model.build_memory(batch, encoding)
    assert memory.beta_bj is not None
    offered_bj = memory.slot_bs[:, -memory.beta_bj.size(1) :]
    for b, best in enumerate(ranked_bn.argmax(-1).tolist()):
        words = set(offered_bj[b][memory.beta_bj[b] > 0].tolist())
        assert set(model.aggregation.label_words_nw[best].tolist()) <= words
