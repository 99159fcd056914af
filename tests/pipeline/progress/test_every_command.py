"""Commands that look at a whole dataset show how far they are: each stage, from its first item to its last."""

from collections.abc import Callable
from pathlib import Path

import pytest

from m3h.pipeline.checks.doctor import checks as doctor
from m3h.pipeline.checks.table1 import statistics
from m3h.pipeline.checks.verify import verify
from m3h.pipeline.export import export
from m3h.pipeline.export.samples import ExportRequest
from m3h.pipeline.progress import monitor
from m3h.pipeline.progress.monitor import Look, tracked
from m3h.pipeline.readers.find import find_dumps
from m3h.pipeline.records.forget import forget
from m3h.pipeline.records.inspection import inspect_dump
from m3h.pipeline.rules import ReadRules
from m3h.pipeline.versions.plan import plan
from m3h.schemas.dataset import Dataset

Shown = dict[str, tuple[int, int | None]]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """Each stage that was shown, with how many were done in the end, and of how many."""
    seen: Shown = {}

    class Seen:
        def __init__(self, look: Look, *, alike: bool = True) -> None:
            self.look = look

        def __enter__(self) -> None:
            seen.update({name: (count.rows, total) for name, (count, total) in self.look().items()})
            assert [rows for rows, _ in seen.values() if rows == 0], "nothing is done before it begins"

        def __exit__(self, *_: object) -> None:
            seen.update({name: (count.rows, total) for name, (count, total) in self.look().items()})

    monkeypatch.setattr(monitor, "Watch", Seen)
    return seen


@pytest.mark.parametrize(
    ("command", "stages"),
    [
        (verify, {"files", "pictures", "laws"}),
        (lambda dataset: statistics(Dataset(dataset)), {"splits"}),
        (plan, {"features"}),
        (doctor, {"checks"}),
    ],
    ids=["verify", "stats", "plan", "doctor"],
)
def test_a_command_shows_its_stages_to_their_ends(
    whole: Path, shown: Shown, command: Callable[[Path], object], stages: set[str]
) -> None:
    command(whole)
    assert stages <= set(shown)
    assert {name: done for name, done in shown.items() if done[0] != done[1]} == {}


def test_export_shows_each_split(whole: Path, shown: Shown, tmp_path: Path) -> None:
    export(whole, "webdataset", tmp_path / "tars", request=ExportRequest(splits=("train", "test")))
    assert set(shown) == {"train", "test"}
    assert all(done == total for done, total in shown.values())


def test_forget_shows_what_it_writes_and_what_it_searches(dataset: Path, shown: Shown) -> None:
    first = Dataset(dataset).posts["post_id"][0].as_py()
    assert forget(dataset, [first]).posts == 1
    files = sum(path.is_file() for path in dataset.rglob("*") if ".build" not in path.parts)
    searched, total = shown["searched"]
    assert searched == total
    assert searched >= files
    assert shown["rows"][0] > 0


def test_inspect_counts_the_records_of_a_dump(shown: Shown, tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text('{"id": 1, "text": "a", "image": "a.jpg"}\n' * 3 + "no json\n")
    (dump,) = find_dumps([str(tmp_path / "d.jsonl")])
    assert inspect_dump(dump, ReadRules()).records == 4
    assert shown["records"] == (4, None)


def test_an_item_counts_when_it_is_done(shown: Shown) -> None:
    items = tracked("items", ["a", "b"])
    assert next(items) == "a"
    assert shown["items"] == (0, 2)
    assert list(items) == ["b"]
    assert shown["items"] == (2, 2)


def test_what_is_broken_off_is_not_shown_as_done(shown: Shown) -> None:
    items = tracked("items", range(5))
    next(items)
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert shown["items"] == (1, 5)
