"""`m3h doctor` tells all it found, whatever place it is asked about."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from m3h.pipeline.checks import doctor
from m3h.pipeline.checks.doctor import Check, checks
from m3h.pipeline.extractors.computing import engine


def test_a_place_where_nothing_can_be_built_is_one_of_the_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, a name that is too long, or a folder that may not be read, ended the command without a line of it."""
    monkeypatch.setattr(doctor, "_attempt", lambda name, _, **__: Check(name, True, "not asked"))  # they take seconds
    (tmp_path / "file").write_text("mine")
    for place, why in (
        (tmp_path / ("a" * 300), "File name too long"),
        (Path("/proc/here"), "no file can be made there"),
        (tmp_path / "file", "expected a folder, found a file"),
    ):
        found = checks(place)
        (disk,) = [check for check in found if check.name == "disk"]
        assert disk.state == "MISSING"
        assert disk.found.startswith(f"{place}: ")
        assert why in disk.found
        assert len(found) == 11
    assert "GB free at" in next(check for check in checks(tmp_path / "new") if check.name == "disk").found


def test_who_can_compute_here_is_one_of_the_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(package: str) -> str:
        if package == "onnxruntime":
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(engine, "version", without)
    assert doctor._engines() == (
        f"torch {version('torch')}; onnxruntime: onnxruntime is not installed here. Install it: "
        f"pip install 'm3h[onnxruntime]'; openvino {version('openvino')}"
    )
