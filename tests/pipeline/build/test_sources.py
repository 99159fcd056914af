"""Where records come from: every dump is hashed once a run, whatever a finished dataset was built from before."""

from collections import Counter
from pathlib import Path

import pytest

from m3h.pipeline.build.sources import given_sources, is_released, joined_sources
from m3h.pipeline.readers import dumps
from m3h.schemas.errors import UsageError
from m3h.schemas.manifest import Manifest


def dump_files(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).write_text(f'{{"id": "{name}"}}\n')
    return [str(folder / name) for name in names]


def test_every_dump_is_hashed_once_whether_it_is_new_or_was_there_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: Counter[str] = Counter()
    real = dumps.sha256_of

    def counted(path: str) -> str:
        hashed[Path(path).name] += 1
        return real(path)

    monkeypatch.setattr(dumps, "sha256_of", counted)
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    first = given_sources(dump_files(tmp_path, "a.jsonl", "c.jsonl"), "", tmp_path)
    first.remember(dataset)
    assert hashed == {"a.jsonl": 1, "c.jsonl": 1}
    hashed.clear()
    known = Manifest(inputs=list(first.inputs))
    second = given_sources(dump_files(tmp_path, "b.jsonl", "c.jsonl"), "", tmp_path)
    joined = joined_sources(dataset, known, second)
    assert hashed == {"a.jsonl": 1, "b.jsonl": 1, "c.jsonl": 1}
    assert [entry["name"] for entry in joined.inputs] == [dump.name for dump in joined.dumps] == [
        "a.jsonl", "b.jsonl", "c.jsonl",
    ]  # fmt: skip
    (tmp_path / "c.jsonl").write_text("{}")
    with pytest.raises(UsageError, match="another file of that name"):
        joined_sources(dataset, known, given_sources([str(tmp_path / "c.jsonl")], "", tmp_path))


def test_a_released_dataset_is_known_by_its_format() -> None:
    assert is_released(Manifest(inputs=[{"name": "test_src.txt", "format": "cmkp"}]))
    assert not is_released(Manifest(inputs=[{"name": "a.jsonl", "format": "jsonl"}]))
