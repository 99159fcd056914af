"""A shuffle by way of the disk gives what Beam's own gives, however little stays in memory."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.coders import BytesCoder, IterableCoder, StrUtf8Coder, TupleCoder
from apache_beam.coders.coders import GlobalWindowCoder, WindowedValueCoder
from apache_beam.runners.portability.fn_api_runner.execution import GroupingBuffer, ListBuffer
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.window import GlobalWindows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from m3h.pipeline.runtime import disk_shuffle
from m3h.pipeline.runtime.disk_shuffle import DiskGroups, DiskList
from m3h.pipeline.runtime.runner import run_pipeline
from m3h.schemas.errors import MachineError
from tests.commands import ROOT

RECORDS = TupleCoder((StrUtf8Coder(), BytesCoder()))
WRITTEN = WindowedValueCoder(RECORDS, GlobalWindowCoder())
GROUPS = WindowedValueCoder(TupleCoder((StrUtf8Coder(), IterableCoder(BytesCoder()))), GlobalWindowCoder())
PAIRS = st.lists(st.tuples(st.text(max_size=3), st.binary(max_size=6)), max_size=12)
WINDOW = GlobalWindows.windowed_value


@pytest.fixture(params=[0, 30, disk_shuffle.KEPT])
def kept(request: pytest.FixtureRequest) -> Iterator[int]:
    """Nothing, some and all of what the tests write stays in memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk_shuffle, "KEPT", request.param)
        yield request.param


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker processes find the functions of this file."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def sent(pairs: Iterable[tuple[str, bytes]]) -> bytes:
    """A message of these records."""
    return b"".join(WRITTEN.get_impl().encode_nested(WINDOW(pair)) for pair in pairs)


def received(share: Iterable[bytes], coder: WindowedValueCoder) -> list[Any]:
    return [one.value for message in share for one in coder.get_impl().decode_all(message)]


def groups(buffer: GroupingBuffer, workers: int) -> list[tuple[str, list[bytes]]]:
    shares = buffer.partition(workers)
    assert len(shares) == workers
    return sorted((key, sorted(values)) for share in shares for key, values in received(share, GROUPS))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the same for each example
@pytest.mark.usefixtures("kept")
@given(messages=st.lists(PAIRS, max_size=6), later=st.lists(PAIRS, max_size=2), workers=st.integers(1, 4))
def test_groups_are_those_that_beam_makes(messages: list[Any], later: list[Any], workers: int) -> None:
    ours, other = (DiskGroups(WRITTEN, GROUPS, Windowing(GlobalWindows())) for _ in range(2))
    theirs = GroupingBuffer(WRITTEN, GROUPS, Windowing(GlobalWindows()))
    for message in messages:
        ours.append(sent(message))
        theirs.append(sent(message))
    for message in later:  # another stage's, for the same GroupByKey
        other.append(sent(message))
        theirs.append(sent(message))
    ours.extend(other)
    found = groups(ours, workers)
    assert found == groups(theirs, workers)
    assert len({key for key, _ in found}) == len(found)
    assert groups(ours, workers) == found  # a second stage may read it, too


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.usefixtures("kept")
@given(messages=st.lists(PAIRS, max_size=6), workers=st.integers(1, 4))
def test_a_list_is_what_was_written(messages: list[Any], workers: int) -> None:
    buffer = DiskList(WRITTEN.get_impl())
    for message in messages:
        buffer.append(sent(message))
    copied, doubled = buffer.copy(), buffer.copy()
    doubled.extend(buffer)
    expected = Counter(pair for message in messages for pair in message)
    assert Counter(received(buffer, WRITTEN)) == expected
    for one, times in ((buffer, 1), (copied, 1), (doubled, 2)):
        shares = one.partition(workers)
        assert len(shares) == workers
        assert Counter(pair for share in shares for pair in received(share, WRITTEN)) == Counter(
            {pair: times * number for pair, number in expected.items()}
        )
    buffer.clear()
    for use in (lambda: buffer.partition(workers), lambda: list(buffer), lambda: buffer.append(b"")):
        with pytest.raises(RuntimeError, match="cleared"):
            use()


def test_both_stand_in_for_beams() -> None:
    """Beam asks for its own classes in places."""
    assert issubclass(DiskList, ListBuffer)
    assert issubclass(DiskGroups, GroupingBuffer)


def put(folder: Path, name: str, value: Any) -> None:
    (folder / name).write_text(json.dumps(value))


def every_way(root: beam.Pipeline, folder: Path) -> None:
    """Two collections that join, a GroupByKey with two readers, a side input, and groups of very different sizes."""
    words = root | beam.Create([f"w{i}" * (i % 7) for i in range(3000)]) | beam.Reshuffle()
    more = root | "more" >> beam.Create(["w1"] * 500) | "more apart" >> beam.Reshuffle()
    counted = (words, more) | beam.Flatten() | beam.Map(lambda word: (word[:3], len(word))) | beam.GroupByKey()
    sums = counted | "sums" >> beam.Map(lambda group: (group[0], sum(group[1])))
    sums | "all sums" >> beam.combiners.ToDict() | beam.Map(lambda found: put(folder, "sums", found))
    most = beam.pvalue.AsSingleton(sums | beam.Values() | beam.CombineGlobally(max))
    shares = counted | beam.FlatMap(lambda group, most: [(group[0], len(list(group[1])), most)], most)
    shares | beam.combiners.ToList() | beam.Map(lambda found: put(folder, "shares", sorted(found)))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.usefixtures("importable", "kept")
def test_a_pipeline_gives_what_plain_python_gives(workers: int, tmp_path: Path) -> None:
    run_pipeline(lambda root: every_way(root, tmp_path), (), workers)
    lengths: dict[str, list[int]] = {}
    for word in (*(f"w{i}" * (i % 7) for i in range(3000)), *["w1"] * 500):
        lengths.setdefault(word[:3], []).append(len(word))
    sums = {key: sum(numbers) for key, numbers in lengths.items()}
    assert json.loads((tmp_path / "sums").read_text()) == sums
    assert json.loads((tmp_path / "shares").read_text()) == [
        [key, len(lengths[key]), max(sums.values())] for key in sorted(lengths)
    ]


@pytest.mark.usefixtures("importable")
def test_a_share_that_cannot_be_read_ends_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(disk_shuffle, "KEPT", 1000)  # so that the workers have begun

    def lost(*_: object) -> bytes:
        return b""

    monkeypatch.setattr(disk_shuffle._File, "read", lost)
    with pytest.raises(Exception, match="a temporary file lost"):
        run_pipeline(lambda root: every_way(root, tmp_path), (), 2)


@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize("kept", [0, 1000])
def test_a_full_disk_is_told_by_its_place(kept: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before any worker has begun, and after the first one has."""

    def made(**_: Any) -> Any:
        return open("/dev/full", "wb", 0)

    monkeypatch.setattr(disk_shuffle, "KEPT", kept)
    monkeypatch.setattr(disk_shuffle.tempfile, "TemporaryFile", made)
    with pytest.raises(MachineError, match=r"\(\$TMPDIR\): No space left on device. Make room there"):
        run_pipeline(lambda root: every_way(root, tmp_path), (), 2)
