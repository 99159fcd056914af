"""No module joins, lists, changes or opens paths inside a dataset but by `schemas/inside.py`; read from the source."""

import ast

import pytest

from tests.commands import ROOT
from tests.schemas.inside.ways import ways_below, ways_in

ONLY_WAY = "schemas/inside.py"

ROOMS = {
    "model/": "a run's folder is the user's; of datasets it knows only `schemas/dataset.py`, see below",
    "pipeline/attributes/": "a head is trained on the user's captions and pictures",
    "pipeline/extractors/": "weights, and pictures by paths that the engine has checked",
    "pipeline/readers/": "dumps, which the command line or this user's own memory names",
    "pipeline/runtime/": "dumps on other file systems",
    "pipeline/export/": "the folder that --out names; pictures by `image_path`",
    "pipeline/report/": "the folder that --out names",
    "schemas/page/": "the folder of a report, which --out names; pictures by `picture_file`",
    "schemas/demo.py": "the folder that --out names",
    "schemas/config.py": "the file that --config names",
    "schemas/reading/known_files.py": "the user's own folder of remembered checks",
    "pipeline/commands/": "files that the command line names",
    "pipeline/text/": "the user's word statistics and mapping, and our own files",
    "pipeline/checks/doctor.py": "the folder of torch's weights",
}
"""Parts of the source that get no path inside a dataset, or one that is checked already, with the reason."""

CHECKED = {
    "pipeline/checks/verify.py": "reads what `file_in` returns",
    "pipeline/versions/rewrite.py": "reads what `file_in` returns",
    "pipeline/dataset/derived.py": "reads what `file_in` returns",
    "pipeline/dataset/publish.py": "removes what `files_in` lists",
    "pipeline/checks/repair.py": "removes what `walk` lists",
    "pipeline/dataset/workspace.py": "removes its own markers, and what `files_in` and `walk` list",
    "pipeline/records/trace_scan.py": "reads what `walk` lists",
    "pipeline/progress/counts.py": "its own file in a folder that this run has made, and what `files_in` lists",
    "pipeline/engine/image_list.py": "the workspace's list, by `file_in`",
    "pipeline/crawl/ledger.py": "its files, by `file_in`",
    "pipeline/crawl/job.py": "a picture by `picture_file`",
    "pipeline/images/jpeg.py": "a picture by `image_path`",
    "schemas/manifest.py": "reads what `file_in` returns",
    "schemas/dataset.py": "a picture by `picture_file`",
}
"""Modules that open or remove paths that `schemas/inside.py` gave them. They join none themselves."""

LIBRARY = {
    "schemas/files.py": "reads and writes the path it is given; the temp file beside it has a random name",
    "schemas/lock.py": "the path it is given, without following a link",
    "schemas/parquet.py": "the path it is given",
    "schemas/shards.py": "the path it is given",
}
"""What all of the above use. Whoever calls it has the path from `schemas/inside.py`, or from the user."""

OTHERS = {
    "pipeline/build/released_features.py: _collect": "the folder of a released dataset, which --dumps names",
    "pipeline/crawl/crawler.py: _alone": "makes the folder that is crawled into",
    "pipeline/crawl/crawler.py: _remove_temp_files": "removes what `walk` lists",
    "pipeline/dataset/remembered.py: _key": "the user's key, in the user's own folder",
    "pipeline/dataset/stored_pictures.py: _Shown.__contains__": "a file of its own temporary folder",
    "pipeline/dataset/stored_pictures.py: _Shown._write": "a file of its own temporary folder, named by hex digits",
    "pipeline/engine/known_rows.py: _file": "a dataclass of that name",
    "pipeline/images/source_folder.py: archived_by_any_post": "names in folders that the user named",
    "pipeline/images/source_folder.py: _rooms": "folders in folders that the user named",
    "pipeline/images/source_folder.py: read": "pictures in folders that the user named",
    "pipeline/images/validator_process.py: _limit_memory": "/proc",
    "pipeline/progress/counts.py: Tally._write": "the temp file beside its own file",
    "pipeline/progress/monitor.py: lines_file": "the file that --progress names",
    "pipeline/records/dropped.py: write_raw.write": "the file that --out names",
    "schemas/machine.py: why_unwritable": "the place that a command names for what it writes",
    "schemas/programs.py: import_alone": "the folder of an installed package",
}


def _is_allowed(place: str, kind: str) -> bool:
    module = place.partition(":")[0]
    if module == ONLY_WAY or module in LIBRARY or place in OTHERS or module.startswith(tuple(ROOMS)):
        return True
    return module in CHECKED and kind != "join"


def test_there_is_no_other_way() -> None:
    ways = list(ways_below(ROOT, ("schemas", "pipeline", "model")))
    assert len(ways) > 150, "the reader of the source finds nothing any more"
    assert [str(way) for way in ways if not _is_allowed(way.place, way.kind)] == []


def test_no_exception_is_left_behind() -> None:
    """What is allowed is also there, so that nothing is allowed by a name that has moved."""
    ways = list(ways_below(ROOT, ("schemas", "pipeline", "model")))
    modules = {way.place.partition(":")[0] for way in ways}
    assert {name for name in (*CHECKED, *LIBRARY) if name not in modules} == set()
    assert {room for room in ROOMS if not any(module.startswith(room) for module in modules)} == set()
    assert set(OTHERS) - {way.place for way in ways} == set()


def test_the_trainer_and_the_exports_join_nothing_to_the_folder_of_a_dataset() -> None:
    """There `dataset` and `data` are a Dataset, whose `folder` only `file_in` and `image_path` get."""
    joined = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for room in ("model", "pipeline/export")
        for path in sorted((ROOT / room).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and "data" in ast.unparse(node.left)
    ]
    assert joined == []


@pytest.mark.parametrize(
    "source",
    [
        "def f(dataset):\n    return dataset / name",
        "def f(self):\n    return self.dataset / 'posts'",
        "def f(data):\n    return data.folder / name",
        "def f(x):\n    return x / f'{name}.jpg'",
        "def f(x):\n    return x.joinpath(name)",
        "def f(out):\n    return list(out.rglob('*'))",
        "def f(out):\n    shutil.rmtree(out)",
        "def f(out):\n    out.unlink()",
        "def f(out):\n    out.replace(other)",
        "def f(out):\n    os.replace(out, other)",
        "def f(out):\n    os.remove(out)",
        "def f(out):\n    return open(out)",
        "def f(out):\n    return out.read_text()",
        "async def f(out):\n    return h5py.File(out)",
        "class A:\n    def f(self, out):\n        return pq.read_table(out)",
        "def f(out):\n    return [entry for entry in os.scandir(out)]",
    ],
)
def test_another_way_is_found(source: str) -> None:
    (way,) = ways_in("pipeline/dataset/new.py", source)
    assert not _is_allowed(way.place, way.kind)
    assert way.place.endswith("f")


@pytest.mark.parametrize(
    "source",
    ["half = total / 2", "share = part / whole", "text.replace('a', 'b')", "replace(row, name='x')", "row.remove(1)"],
)
def test_arithmetic_and_texts_are_no_way(source: str) -> None:
    assert list(ways_in("pipeline/dataset/new.py", source)) == []
