"""Tables that commands print fit into a terminal of 80 columns."""

from typing import Any

import pytest

from m3h.model.commands.scoring import COLUMNS, comparison_lines, robustness_lines, subset_lines
from m3h.model.scoring.subsets import subsets
from m3h.model.training.state import Epoch, Means

COLUMNS_OF_A_TERMINAL = 80
SCORES = {name: 0.12345 for name, _ in COLUMNS}


def test_what_each_input_carries() -> None:
    inputs = ("text", "ocr", "vision", "attributes", "objects_of_mine", "all of the picture")
    rows = [
        {"input": name, "way": way, "all": SCORES, "difference": -0.12345, "p": p}
        for name in inputs
        for way in ("without", "shuffle", "noise")
        for p in (8.7e-12, None)
    ]
    lines = robustness_lines({"all": {"f1@1": 0.9}, "rows": rows})
    assert lines[1] == "text               without  0.1235 0.1235 0.1235 0.1235 0.1235  -13.7%  8.7e-12"
    assert max(map(len, lines)) <= COLUMNS_OF_A_TERMINAL


def test_subsets_of_the_posts() -> None:
    groups: dict[str, dict[str, Any]] = {}
    for group, name, _ in subsets({}):
        groups.setdefault(group, {})[name] = {**SCORES, "posts": 53_701}
    lines = subset_lines({**dict.fromkeys(("all", "present", "absent"), SCORES), "subsets": groups, "posts": 53_701})
    assert lines[1].split() == ["all", "53,701", *["0.1235"] * len(COLUMNS)]
    assert max(map(len, lines)) <= COLUMNS_OF_A_TERMINAL


@pytest.mark.parametrize("p", [0.0321, 0.00032])
def test_the_comparison_of_two_runs(p: float) -> None:
    compared = {"difference": -0.12345, "low": -0.23456, "high": 0.0312, "p_bootstrap": 0.0123, "t": -2.345, "p": p}
    part = {name: compared for name, _ in COLUMNS}
    lines = comparison_lines({"against": "runs/copy", "comparison": {**part, "present": part, "absent": part}})
    assert len(lines) == 1 + 3 * len(COLUMNS)
    assert max(map(len, lines)) <= COLUMNS_OF_A_TERMINAL


def test_the_line_of_an_epoch() -> None:
    means = Means(12.3456, 1.0, 1.0)
    line = Epoch(100, 9000, True, 0.001, means, means, 0.87741, 12345.6, 1.0, True).as_text()
    assert line == "epoch 100, aggregating: loss 12.346, valid 12.346, F1@1 (cmkp) 0.8774, 12346/s *"
    assert len(line) <= COLUMNS_OF_A_TERMINAL
