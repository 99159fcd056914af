"""Systems by name, and their parameters against sums done by hand."""

from pathlib import Path

import pytest
import torch

from m3h.model.config import Config, resolve_config
from m3h.model.data.posts import Posts
from m3h.model.decoding.predict import extraction_oracle, phrases
from m3h.model.networks.factory import PAPER_SIZES, build_model, count_parameters
from m3h.model.networks.paper_parameters import PAPER_PARAMETERS
from m3h.model.scoring.metrics import score
from m3h.model.systems import SYSTEMS, get_system, resolve_inputs
from m3h.model.text.phrase_lines import read_lines
from m3h.schemas.errors import UsageError

D, E, V, LABELS, ATTRIBUTES = 300, 200, 45_006, 4_262, 1_002
EMBEDDING = V * E
GRU_IN = 2 * (3 * 150 * (E + 150) + 2 * 3 * 150)
GRU_UP = 2 * (3 * 150 * (D + 150) + 2 * 3 * 150)
MLP = D * D + D + D * LABELS + LABELS
SEEN = E + 2 * D
DECODER = (
    (3 * D * (E + D) + 2 * 3 * D)  # GRU
    + (D * D + D + D * D + D)  # additive attention
    + (SEEN * D + D + D * V + V)  # hidden and vocabulary
    + (SEEN + 1)  # switch
)
LAYER = 4 * D * 256 + 2 * (D * D + D) + 4 * D
FUSE = D * D + D
VISION = 512 * D + D
ATTRIBUTE = ATTRIBUTES * E + E * D + D


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cls-max", EMBEDDING + GRU_IN + GRU_UP + FUSE + MLP),
        ("gen-copy", EMBEDDING + GRU_IN + GRU_UP + DECODER),
        ("gen-cls-m3h", EMBEDDING + GRU_IN + GRU_UP + VISION + ATTRIBUTE + 10 * LAYER + FUSE + MLP + DECODER),
    ],
)
def test_parameters_by_hand(name: str, expected: int) -> None:
    assert count_parameters(get_system(name)).first == expected


def test_the_list_of_systems_has_the_parameters_that_the_networks_have() -> None:
    counted = {name: count_parameters(system) for name, system in SYSTEMS.items()}
    assert {name: (found.first, found.second) for name, found in counted.items()} == PAPER_PARAMETERS


def test_the_released_model_has_the_released_sizes_part_by_part() -> None:
    with torch.device("meta"):
        model = build_model(Config(system="released"), PAPER_SIZES, get_system("released").inputs)
    decoder = model.generator
    assert decoder.context is not None
    assert decoder.switch is not None
    parts = {
        "embedding": [model.embedding],
        "text": [model.text],
        "vision": [model.vision],
        "attention block": [model.fusion],
        "classifier": [model.classifier],
        "decoder GRU": [decoder.gru],
        "decoder attention": [decoder.attention, decoder.context],
        "vocabulary": [decoder.hidden, decoder.vocabulary],
        "switch": [decoder.switch],
    }
    sizes = {name: sum(w.numel() for part in group for w in part.parameters()) for name, group in parts.items()}
    assert sizes == {
        "embedding": 9_001_200,
        "text": 723_600,
        "vision": 153_900,
        "attention block": 798_036,
        "classifier": 1_282_862,
        "decoder GRU": 451_800,
        "decoder attention": 360_900,
        "vocabulary": 13_727_106,
        "switch": 801,
    }


def test_the_released_model_trains_what_its_authors_report() -> None:
    parameters = count_parameters(get_system("released"))
    assert (parameters.first, parameters.second) == (26_500_205, 14_541_408)


def test_explicit_settings_override_a_preset() -> None:
    assert Config(system="released").head_width == 128
    assert Config(system="released", head_width=64).head_width == 64
    assert Config(system="gen-cls-m3h").head_width == 64
    assert resolve_config(sets=["system=released", "width=32"]).pairs == ("vision_to_text",)
    config = Config(system="released", heads=8)
    assert Config.model_validate(config.model_dump(mode="json")) == config


def test_an_encoder_set_to_nothing_is_none() -> None:
    assert resolve_config(None, ["text_encoder="], system="m3h-best").text_encoder == ""


def test_an_unknown_system_is_reported_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match=r"no system named 'gen-copi'\. Did you mean 'gen-copy'"):
        get_system("gen-copi")


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_s_name_is_its_key(name: str) -> None:
    assert get_system(name).name == name


@pytest.mark.parametrize(
    ("system", "changes", "inputs"),
    [
        ("gen-cls-m3h", {}, ["text", "ocr", "vision", "attributes"]),
        ("gen-cls-m3h", {"drop_inputs": ("vision", "attributes")}, ["text", "ocr"]),
        ("gen-copy", {"add_inputs": ("ocr",)}, ["text", "ocr"]),
        ("cls-max", {"add_inputs": ("vision",)}, ["text", "vision"]),
        ("cls-m3h", {"add_inputs": ("objects",), "drop_inputs": ("vision",)}, ["text", "objects"]),
        ("cls-m3h", {"add_inputs": ("objects",)}, ["text", "vision", "objects"]),
        ("gen-cls-m3h", {"vision": ("butd_objects", "vgg_grid")}, ["text", "ocr", "vision", "objects", "attributes"]),
        ("gen-cls-m3h", {"vision": (), "wordings": ("alt",)}, ["text", "alt"]),
        ("cls-krr", {"vision": ("vgg_grid",)}, ["text", "ocr", "vision", "attributes"]),
    ],
)
def test_inputs_are_added_and_dropped(system: str, changes: dict, inputs: list[str]) -> None:
    assert resolve_inputs(get_system(system), Config(system=system, **changes)) == inputs


@pytest.mark.parametrize(
    ("system", "added", "says"),
    [
        ("gen-copy", "vision", "no part for vision"),
        ("cls-ban", "attributes", "no part for attributes"),
        ("cls-tmn", "objects", "no part for objects"),
        ("cls-vgg-max", "ocr", "reads no text"),
    ],
)
def test_an_input_without_a_part_for_it_is_refused(system: str, added: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        resolve_inputs(get_system(system), Config(add_inputs=(added,)))


def test_the_oracle_scores_on_the_released_test_posts_as_the_paper_says(m3h_data: Path) -> None:
    fields = [line.split("<sep>") for line in read_lines(m3h_data / "cmkp" / "test_src.txt")]
    tokens, keyphrases = [text.split() for text, *_ in fields], [joined.split(";") for _, joined, _ in fields]
    n = len(fields)
    found = extraction_oracle(Posts([""] * n, tokens, keyphrases, [[]] * n, [[]] * n, [-1] * n))
    scores = score([post or [""] for post in phrases(found)], keyphrases, definition="fixed-k")["all"]
    percent = {name: round(100 * scores[name], 2) for name in ("f1@1", "f1@3", "map@5")}
    assert percent == {"f1@1": 39.62, "f1@3": 23.23, "map@5": 39.36}  # the paper: 39.50, 23.20, 39.26
