"""Records as bytes across a shuffle, tables written piece by piece: nothing is lost, no byte of a file changes."""

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from apache_beam.coders import FastPrimitivesCoder
from hypothesis import given
from hypothesis import strategies as st

from pipeline.parts import DROPPED
from pipeline.stages.shuffle import pack, pack_post, unpack, unpack_post
from schemas.files import publish_table
from schemas.posts import ImageRef, Post

TEXTS = st.lists(st.text(), max_size=3).map(tuple)
POSTS = st.builds(
    Post, st.text(), st.text(), hashtags=TEXTS, lang=st.none() | st.text(), edit=st.integers(0, 99), source=st.text(),
    images=st.lists(st.builds(ImageRef, st.text(), st.text()), max_size=2).map(tuple), position=st.integers(0),
    split=st.sampled_from([None, "test"]), own_split=st.booleans(), tokens=TEXTS, keyphrases=TEXTS, group=st.text(),
)  # fmt: skip


@given(POSTS)
def test_a_post_comes_out_as_it_went_in(post: Post) -> None:
    assert unpack_post(pack_post(post)) == post


def test_a_packed_post_is_smaller_than_beams_own_form() -> None:
    post = Post("12345678901234567890", "a text of some words", hashtags=("words",), images=(ImageRef("p.jpg", ""),))
    assert len(pack_post(post)) < 0.6 * len(FastPrimitivesCoder().encode(post))


@pytest.mark.parametrize("number", [0, 3, 10_000, 25_013])
def test_rows_written_in_groups_are_the_bytes_of_one_table(tmp_path: Path, number: int) -> None:
    rows: list[dict[str, Any]] = [
        {"record_id": str(i), "stage": "text", "reason": f"r{i % 7}", "detail": str(i * 7919 % 1000), "source": "s",
         "position": i} for i in range(number)
    ]  # fmt: skip
    publish_table(tmp_path / "whole", pa.Table.from_pylist(rows, schema=DROPPED.schema))
    shuffled = random.Random(1).sample(rows, number)
    assert DROPPED.write(tmp_path / "groups", [pack(row) for row in shuffled], unpack) == number
    assert (tmp_path / "groups").read_bytes() == (tmp_path / "whole").read_bytes()
