"""The structure of the code stays within its limits, and what counts it counts right."""

from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.commands import ROOT
from tests.structure import LIMITS, Checkout, report


@pytest.fixture(scope="module")
def ours() -> Checkout:
    return Checkout(ROOT)


def test_no_folder_has_too_many_files(ours: Checkout) -> None:
    folders = ours.files_per_folder()
    assert {folder: len(names) for folder, names in folders.items() if len(names) > LIMITS.files} == {}


def test_no_folder_of_tests_is_passed_over(pytestconfig: pytest.Config) -> None:
    """By its default pytest would not look into `build`."""
    patterns = pytestconfig.getini("norecursedirs")
    folders = {part for path in (ROOT / "tests").rglob("test_*.py") for part in path.relative_to(ROOT).parts[:-1]}
    assert [name for name in sorted(folders) if any(fnmatch(name, pattern) for pattern in patterns)] == []


def test_no_folder_of_a_package_holds_one_module_alone(ours: Checkout) -> None:
    assert ours.lonely_modules() == []


def test_no_modules_import_one_another_not_even_for_types(ours: Checkout) -> None:
    assert ours.circles() == []


def test_no_function_is_too_long(ours: Checkout) -> None:
    assert [str(function) for function in ours.functions if function.lines > LIMITS.lines] == []


def test_no_function_is_too_complex(ours: Checkout) -> None:
    assert ours.too_complex() == []


def write(folder: Path, files: dict[str, str]) -> Checkout:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return Checkout(folder)


@pytest.mark.parametrize("prefix", ["", "m3h."])
def test_a_circle_is_found_also_through_imports_for_types_and_inside_functions(tmp_path: Path, prefix: str) -> None:
    a = f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from {prefix}pipeline.room.b import B\n"
    b = f"def late():\n    from {prefix}pipeline.room import c\n"
    c = f"import {prefix}pipeline.room.a\n"
    d = f"from {prefix}pipeline.room.a import A\n"
    rooms = {f"pipeline/room/{name}.py": text for name, text in zip("abcd", (a, b, c, d), strict=True)}
    checkout = write(tmp_path, {"pipeline/__init__.py": "", "pipeline/room/__init__.py": "", **rooms})
    assert checkout.circles() == [["pipeline.room.a", "pipeline.room.b", "pipeline.room.c"]]


def test_a_relative_import_is_an_import(tmp_path: Path) -> None:
    checkout = write(
        tmp_path,
        {"model/data/a.py": "from .b import x\n", "model/data/b.py": "from ..data import a\n", "model/c.py": ""},
    )
    assert checkout.circles() == [["model.data.a", "model.data.b"]]


def test_a_folder_with_one_module_is_named_and_one_with_folders_below_is_not(tmp_path: Path) -> None:
    files = ["model/__init__.py", "model/cli.py", "model/text/__init__.py", "model/text/tokens.py", "tests/x/test_y.py"]
    assert write(tmp_path, dict.fromkeys(files, "")).lonely_modules() == ["model/text"]


def test_lines_and_parameters_of_a_method_are_counted_without_self(tmp_path: Path) -> None:
    head = 'class A:\n    def f(self, a, b, *, c):\n        """x\n\n        Args:\n            a: x\n        """\n'
    text = f"{head}        def g(): ...\n"
    (method, inner) = write(tmp_path, {"schemas/a.py": text}).functions
    assert (method.name, method.lines, method.parameters, method.positional) == ("A.f", 7, 3, 2)
    assert method.public
    assert method.has_args
    assert (inner.name, inner.parameters, inner.has_args) == ("A.f.g", 0, False)


def test_a_function_that_branches_too_often_is_named_even_where_a_comment_silences_ruff(tmp_path: Path) -> None:
    branches = "".join(f"    if x == {n}:\n        return {n}\n" for n in range(LIMITS.complexity))
    checkout = write(tmp_path, {f"{p}/a.py": "" for p in ("pipeline", "model", "tests")})
    write(tmp_path, {"schemas/a.py": f"def f(x):  # noqa: C901\n{branches}"})
    (found,) = checkout.too_complex()
    assert found.startswith(f"schemas/a.py:1 `f` is too complex ({LIMITS.complexity + 1} >")


def test_the_report_counts_any_and_names_who_imports_beam(tmp_path: Path) -> None:
    text = "from typing import Any\nimport apache_beam as beam\ndef f(a: Any, b: Any, c: Any, d: Any) -> Any: ...\n"
    write(tmp_path, {f"{p}/a.py": "" for p in ("schemas", "model", "tests")})
    lines = list(report(write(tmp_path, {"pipeline/a.py": text})))
    assert "modules that use Any, 5 times: 1" in lines
    assert lines[lines.index("modules that import apache_beam: 1") + 1] == "  pipeline.a"
    assert "public functions of more than 2 parameters without Args: 1" in lines
