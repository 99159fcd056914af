"""Two hundred planted near copies among a thousand other posts, through a real build."""

from pathlib import Path

import pytest

from benchmarks.near_duplicates import measure


@pytest.mark.slow
def test_planted_near_copies_share_a_group_and_others_do_not(m3h_data: Path, tmp_path: Path) -> None:
    found = measure(m3h_data, tmp_path)
    assert len(found.recall) == 7
    assert found.overall >= 0.95, found
    assert min(found.recall.values()) >= 0.85, found
    assert found.false_alarms <= 0.01, found
