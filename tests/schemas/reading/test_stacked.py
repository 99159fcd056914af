"""Arrays in several files answer as one array in memory would."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.schemas.reading.stacked import LONG_ROW, StackedArray

LENGTHS = st.lists(st.integers(0, 5), min_size=1, max_size=5).filter(any)


@given(LENGTHS, st.data())
def test_rows_are_those_of_the_arrays_one_after_the_other(lengths: list[int], data: st.DataObject) -> None:
    whole = np.arange(sum(lengths) * 6, dtype=np.float16).reshape(-1, 2, 3)
    stacked = StackedArray(np.split(whole, np.cumsum(lengths)[:-1]))
    row_n = np.array(data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=8)), np.int64)
    assert (stacked.shape, stacked.ndim, stacked.nbytes, len(stacked)) == (whole.shape, 3, whole.nbytes, len(whole))
    assert np.array_equal(stacked.take(row_n), whole[row_n])
    assert stacked.take(row_n).dtype == np.float16
    assert all(np.array_equal(stacked[row], whole[row]) for row in (*row_n, -1))
    assert np.array_equal(stacked.with_axis(), whole[:, None])
    assert np.array_equal(np.asarray(stacked, np.float32), whole)


def test_long_rows_are_copied_alike() -> None:
    whole = np.arange(5 * LONG_ROW).reshape(5, -1)
    row_n = np.array([4, 0, 2, 2])
    assert np.array_equal(StackedArray([whole[:1], whole[1:3], whole[3:]]).take(row_n), whole[row_n])


def test_rows_are_copied_to_where_they_are_wanted() -> None:
    stacked, out = StackedArray([np.arange(6.0).reshape(3, 2), np.arange(6.0, 8.0).reshape(1, 2)]), np.zeros((2, 2))
    assert stacked.take(np.array([3, 1]), out) is out
    assert out.tolist() == [[6.0, 7.0], [2.0, 3.0]]


@pytest.mark.parametrize("row", [4, -5])
def test_a_row_that_is_not_there_is_refused(row: int) -> None:
    for stacked in (StackedArray([np.zeros((4, 2))]), StackedArray([np.zeros((3, 2)), np.zeros((1, 2))])):
        with pytest.raises(IndexError, match=f"row {row} of 4"):
            stacked[row]
        with pytest.raises(IndexError, match="of 4"):
            stacked.take(np.array([0, row]))


def test_parts_of_two_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape and dtype"):
        StackedArray([np.zeros((1, 2)), np.zeros((1, 3))])
