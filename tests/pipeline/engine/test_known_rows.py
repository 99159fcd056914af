"""Rows of an earlier build: copied where they may be, computed where they must."""

from pathlib import Path

import pyarrow as pa
import pytest

from m3h.pipeline.engine.known_rows import File, KnownRows
from m3h.pipeline.engine.shard_engine import Receipt, ShardTask
from m3h.schemas.files import publish_table, sha256_file
from m3h.schemas.posts import DROPPED_SCHEMA, dropped_row
from m3h.schemas.shards import shard_count, shard_slice
from tests.pipeline.fakes import Probe, run_shard, stored_pictures

PER_SHARD = 4


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, list[str]]:
    """A dataset folder with fourteen pictures in its store, and their hashes in order."""
    dataset = tmp_path / "dataset"
    return dataset, stored_pictures(dataset, 14)


def extract(dataset: Path, images: list[str], out: Path, earlier: KnownRows, probe: Probe) -> list[Receipt]:
    count = shard_count(len(images), PER_SHARD)
    receipts = []
    for index in range(count):
        mine = images[shard_slice(index, PER_SHARD)]
        task = ShardTask("probe", "f" * 16, index, count)
        receipts.append(run_shard(task, mine, probe, dataset, out, earlier.rows(dataset, mine)))
    return receipts


def remembered(dataset: Path, receipts: list[Receipt], retry_reasons: frozenset[str] = frozenset()) -> KnownRows:
    shards = tuple(File(r.file, r.sha256, r.rows, r.first, r.slice) for r in receipts)
    lost = [dropped_row(row) for receipt in receipts for row in receipt.dropped]
    dropped = None
    if lost:
        publish_table(dataset / "dropped/probe.parquet", pa.Table.from_pylist(lost, schema=DROPPED_SCHEMA))
        dropped = File("dropped/probe.parquet", sha256_file(dataset / "dropped/probe.parquet"), len(lost))
    return KnownRows(shards, dropped, retry_reasons)


def bytes_of(folder: Path, receipts: list[Receipt]) -> list[bytes]:
    return [(folder / receipt.file).read_bytes() for receipt in receipts]


@pytest.mark.parametrize("had", [[0, 1, 2], [13], list(range(0, 14, 2)), list(range(5, 12)), list(range(14)), []])
def test_new_pictures_among_old_ones_give_the_bytes_of_a_build_from_nothing(
    stored: tuple[Path, list[str]], tmp_path: Path, had: list[int]
) -> None:
    dataset, images = stored
    before = extract(dataset, [images[i] for i in had], dataset, KnownRows(), Probe())
    probe = Probe()
    after = extract(dataset, images, tmp_path / "new", remembered(dataset, before), probe)
    assert probe.seen == sorted(set(images) - {images[i] for i in had}), "an old picture was computed again"
    scratch = extract(dataset, images, tmp_path / "scratch", KnownRows(), Probe())
    assert after == scratch
    assert bytes_of(tmp_path / "new", after) == bytes_of(tmp_path / "scratch", scratch)


def test_pictures_that_went_leave_no_row(stored: tuple[Path, list[str]], tmp_path: Path) -> None:
    dataset, images = stored
    before = extract(dataset, images, dataset, KnownRows(), Probe())
    probe = Probe()
    after = extract(dataset, images[1::2], tmp_path / "new", remembered(dataset, before), probe)
    assert probe.seen == []
    assert sum(receipt.rows for receipt in after) == 7


def test_rows_of_a_shard_that_was_changed_are_computed_again(stored: tuple[Path, list[str]], tmp_path: Path) -> None:
    dataset, images = stored
    before = extract(dataset, images, dataset, KnownRows(), Probe())
    shard = dataset / before[1].file
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    probe = Probe()
    after = extract(dataset, images, tmp_path / "new", remembered(dataset, before), probe)
    assert probe.seen == images[4:8]
    assert after == before


def test_a_picture_without_a_row_is_tried_again_for_the_reasons_asked_for_alone(
    stored: tuple[Path, list[str]], tmp_path: Path
) -> None:
    dataset, images = stored
    first = Probe({images[3]: RuntimeError("passing")}, unreadable=[images[0], images[9]])
    before = extract(dataset, images, dataset, KnownRows(), first)
    for reasons, tried in (
        (frozenset[str](), [images[3]]),
        (frozenset({"image_broken"}), [images[i] for i in (0, 3, 9)]),
    ):
        earlier = remembered(dataset, before, reasons)
        assert earlier.needs_retry(dataset, images[:4])
        assert earlier.needs_retry(dataset, images[8:12]) == ("image_broken" in reasons)
        probe = Probe()
        after = extract(dataset, images, tmp_path / str(len(reasons)), earlier, probe)
        assert probe.seen == tried
        assert sum(receipt.rows for receipt in after) == 14 - 3 + len(tried)
