"""Systems by name, and their parameters against sums done by hand."""

import pytest
import torch

from model.config import Config
from model.systems import PAPER_SIZES, SYSTEMS, build_model, get_system, parameters_at_paper_size, wanted_inputs
from schemas.errors import UsageError

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
    assert parameters_at_paper_size(get_system(name)) == expected


def test_the_parts_shared_with_the_release_have_its_sizes() -> None:
    assert EMBEDDING == 9_001_200
    assert GRU_IN + GRU_UP == 723_600
    assert VISION == 153_900
    with torch.device("meta"):
        model = build_model(Config(classifier_layers=1), PAPER_SIZES, ("text",))
    assert model.classifier is not None
    assert sum(w.numel() for w in model.classifier.parameters()) == 1_282_862
    assert sum(w.numel() for w in model.generator.gru.parameters()) == 451_800


def test_an_unknown_system_is_told_with_the_nearest() -> None:
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
    ],
)
def test_inputs_are_added_and_dropped(system: str, changes: dict, inputs: list[str]) -> None:
    assert wanted_inputs(get_system(system), Config(system=system, **changes)) == inputs


def test_a_system_without_fusion_cannot_read_images() -> None:
    with pytest.raises(UsageError, match="no part for vision"):
        wanted_inputs(get_system("gen-copy"), Config(add_inputs=("vision",)))
