"""Counts of words and labels, as a run stores them."""

import pytest

from m3h.model.ranking.occurrences import MOST, Occurrences


@pytest.mark.parametrize("count", [-1, 0.5, True, "1", None, MOST + 1])
def test_a_stored_count_is_a_whole_number_that_a_float_has(count: object) -> None:
    assert Occurrences.from_json({"seen": {"word: a": MOST}, "marked": {}}).seen == {"word: a": MOST}
    with pytest.raises(ValueError, match="a count of"):
        Occurrences.from_json({"seen": {}, "marked": {"word: a": count}})
