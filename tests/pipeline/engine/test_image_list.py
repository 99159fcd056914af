"""The list of pictures in a file is the list, a shard at a time."""

import hashlib
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.engine.image_list import ImageList
from m3h.schemas.shards import shard_count, shard_slice


@given(number=st.integers(0, 40), per_shard=st.integers(1, 12))
def test_shards_are_slices_of_the_list(number: int, per_shard: int) -> None:
    images = sorted(hashlib.sha256(bytes([i])).hexdigest() for i in range(number))
    with tempfile.TemporaryDirectory() as folder:
        written = ImageList(Path(folder) / "images.txt", per_shard)
        written.write(iter(images))
        assert written.shards == shard_count(number, per_shard)
        assert [written.shard(i) for i in range(written.shards)] == [
            images[shard_slice(i, per_shard)] for i in range(written.shards)
        ]
