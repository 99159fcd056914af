"""Files of equal names are told apart by their paths, and a file keeps the name that a dataset knows it by."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.build.sources import Sources, given_sources, joined_sources
from m3h.pipeline.readers.dumps import DumpFile
from m3h.pipeline.readers.files.names import told_apart
from m3h.pipeline.readers.find import find_dumps
from m3h.schemas.errors import UsageError
from m3h.schemas.manifest import Manifest


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f'{{"id": "{name}"}}\n')
    return folder


def names(*patterns: Path) -> list[str]:
    return [dump.name for dump in find_dumps(list(map(str, patterns)))]


def test_the_layout_of_archive_org_is_read_by_a_glob(tmp_path: Path) -> None:
    files(tmp_path, "2017/01/00.json", "2017/01/01.json", "2017/02/00.json", "2017/02/02.json")
    expected = ["01.json", "01/00.json", "02.json", "02/00.json"]
    assert names(tmp_path / "2017/*/*.json") == expected
    assert names(tmp_path / "2017/*/0[01].json") == ["01.json", "01/00.json", "02/00.json"]


def test_files_of_two_folders_and_of_none_are_told_apart(tmp_path: Path) -> None:
    files(tmp_path, "a/x/d.jsonl", "b/x/d.jsonl", "d.jsonl", "b/y.jsonl")
    assert names(tmp_path / "a", tmp_path / "b", tmp_path / "d.jsonl") == [
        "a/x/d.jsonl", "b/x/d.jsonl", "d.jsonl", "y.jsonl",
    ]  # fmt: skip


def test_files_of_urls_too() -> None:
    dumps = [DumpFile("a.gz", f"gs://bucket/{year}/a.gz") for year in (2017, 2018)]
    assert [dump.name for dump in told_apart(dumps)] == ["2017/a.gz", "2018/a.gz"]


def test_two_released_datasets_stay_refused(tmp_path: Path) -> None:
    files(tmp_path, "a/train_src.txt", "b/train_src.txt")
    with pytest.raises(UsageError, match="two files are named"):
        names(tmp_path / "a", tmp_path / "b")


PATHS = st.sets(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(tuple), min_size=1, max_size=8)


@given(PATHS)
def test_all_files_get_distinct_names_that_their_paths_end_with(paths: set[tuple[str, ...]]) -> None:
    dumps = [DumpFile(path[-1], "/".join(("/raw", *path))) for path in sorted(paths)]
    named = told_apart(dumps)
    assert len({dump.name for dump in named}) == len(dumps)
    assert [dump.path for dump in named] == [dump.path for dump in dumps]
    assert all(f"/{dump.path}".endswith(f"/{dump.name}") for dump in named)


# what a dataset knows


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "dataset").mkdir()
    return files(tmp_path, "2017/00.json", "2018/00.json", "2018/01.json")


def build(tree: Path, known: Manifest, *patterns: str, replacing: bool = False) -> tuple[list[str], Manifest]:
    """The names after a build of these dumps, and its manifest."""
    sources: Sources = given_sources([str(tree / pattern) for pattern in patterns], "", tree)
    if known.inputs:
        sources = joined_sources(tree / "dataset", known, sources, replacing=replacing)
    sources.remember(tree / "dataset")
    assert [dump.name for dump in sources.dumps] == [entry["name"] for entry in sources.inputs]
    found = {dump.name: str(Path(dump.path).relative_to(tree)) for dump in sources.dumps}
    return [f"{name}={path}" for name, path in found.items()], Manifest(inputs=list(sources.inputs))


def test_a_file_of_another_folder_that_is_added_later_gets_a_name_of_its_own(tree: Path) -> None:
    found, known = build(tree, Manifest(), "2017/00.json")
    assert found == ["00.json=2017/00.json"]
    both = ["00.json=2017/00.json", "2018/00.json=2018/00.json"]
    found, later = build(tree, known, "2018/00.json")
    assert found == both
    assert build(tree, later, "2018/00.json")[0] == both
    assert build(tree, later, "2017/00.json")[0] == both
    found, all_of_them = build(tree, later, "*/*.json")
    assert found == ["00.json=2017/00.json", "01.json=2018/01.json", "2018/00.json=2018/00.json"]
    assert build(tree, all_of_them, "*/*.json")[1] == all_of_them


def test_names_that_were_told_apart_stay_when_one_file_is_given_alone(tree: Path) -> None:
    found, known = build(tree, Manifest(), "*/*.json")
    assert found == ["01.json=2018/01.json", "2017/00.json=2017/00.json", "2018/00.json=2018/00.json"]
    assert build(tree, known, "2018/00.json") == (found, known)


def test_a_changed_file_is_refused_as_before_and_replaces_its_old_self_in_retry(tree: Path) -> None:
    known = build(tree, Manifest(), "*/*.json")[1]
    (tree / "2018/00.json").write_text("{}\n")
    with pytest.raises(UsageError, match="was changed since"):
        build(tree, known, "2018/00.json")
    files(tree, "mended/2017/00.json")
    (tree / "2018/00.json").write_text('{"id": "2018/00.json"}\n')
    found = build(tree, known, "mended/2017/00.json", replacing=True)[0]
    assert "2017/00.json=mended/2017/00.json" in found
    assert len(found) == 3


def test_a_changed_file_of_a_plain_name_is_refused_as_before(tree: Path) -> None:
    known = build(tree, Manifest(), "2018/01.json")[1]
    (tree / "2018/01.json").write_text("{}\n")
    with pytest.raises(UsageError, match="another file of that name"):
        build(tree, known, "2018/01.json")


def test_a_copy_of_a_file_beside_it_is_no_file_that_vanishes(tree: Path) -> None:
    known = build(tree, Manifest(), "2017/00.json")[1]
    (tree / "2018/00.json").write_bytes((tree / "2017/00.json").read_bytes())
    found = build(tree, known, "*/00.json")[0]
    assert sorted(line.partition("=")[2] for line in found) == ["2017/00.json", "2018/00.json"]
