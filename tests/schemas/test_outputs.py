"""What a command cannot write to is one line and exit code 2, before any work: every command, every kind of place."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from m3h.schemas import command_line
from m3h.schemas.console import WRONG_USE, writable_file
from m3h.schemas.files import publish_text
from m3h.schemas.machine import why_unwritable
from m3h.schemas.programs import programs

NEW = {"build": "--dataset", "featurize": "--dataset"}
"""Commands whose result is a folder that is named by another option than --out."""
FILES = {"predict", "dropped", "ids", "train-attributes"}
"""Commands whose result is one file."""


def writers() -> Iterator[tuple[str, str, bool]]:
    """(command, option, whether the command is about runs) of all that write to where the user says."""
    apps = [(program.app, "Model" in program.title) for program in programs()]
    for app, of_runs in [*apps, (command_line._own, False)]:
        group = typer.main.get_command(app)
        for name, command in group.commands.items():  # type: ignore[attr-defined]
            options = {word for param in command.params for word in param.opts}
            if "--out" in options or name in NEW:
                yield name, NEW.get(name, "--out"), of_runs


WRITERS = list(writers())


def printed_by(capsys: pytest.CaptureFixture[str], writer: tuple[str, str, bool], place: object) -> str:
    """The error line of a command that is asked for nothing but where to write."""
    name, option, of_runs = writer
    words = [name, option, str(place), *(["--dataset", "none"] if name == "report" and not of_runs else [])]
    assert command_line.main(words) == WRONG_USE
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith(f"error: {option} {place}: "), line
    return line


def test_all_that_write_are_known() -> None:
    assert sorted(name for name, _, _ in WRITERS) == [
        *("attend", "build", "crawl", "demo", "dropped", "export", "featurize", "ids", "predict", "report", "report"),
        *("reproduce", "sweep", "train", "train-attributes"),
    ]


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: f"{writer[0]}-{writer[2]:d}")
def test_no_command_works_first_and_fails_to_write_then(
    writer: tuple[str, str, bool], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    through, loop = tmp_path / "file", tmp_path / "loop"
    through.write_text("mine")
    loop.symlink_to(loop)
    assert "no file can be made there" in printed_by(capsys, writer, "/proc/x.txt")
    assert "no file can be made there" in printed_by(capsys, writer, loop)
    assert "File name too long" in printed_by(capsys, writer, tmp_path / ("a" * 300))
    assert f"{through} is no folder" in printed_by(capsys, writer, through / "x.txt")
    kinds = ("file", "device") if writer[0] in FILES else ("folder", "device")
    assert "expected a {}, found a {}".format(*kinds) in printed_by(capsys, writer, os.devnull)
    other = tmp_path if writer[0] in FILES else through
    assert f"expected a {kinds[0]}, found a " in printed_by(capsys, writer, other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "loop"]
    assert through.read_text() == "mine"


def test_a_disk_that_may_only_be_read(tmp_path: Path) -> None:
    """Where this user may mount none, a folder without the right to write; the superuser has that right anyway."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,ro", "tmpfs", str(tmp_path)]
    is_mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        if not is_mounted:
            tmp_path.chmod(0o500)
        why = why_unwritable(tmp_path / "new" / "found.txt", is_folder=False)
        assert ("Read-only file system" if is_mounted else "Permission denied") in why
    finally:
        if is_mounted:
            subprocess.run(["umount", "-l", str(tmp_path)], check=True)
        else:
            tmp_path.chmod(0o700)


def test_where_a_link_leads_is_what_is_tried(tmp_path: Path) -> None:
    """The file there is written, so its folder is asked, not the link's."""
    (tmp_path / "file").write_text("mine")
    for name, target, why in (
        ("away", "/proc/found.txt", "no file can be made there"),
        ("into", "file/found.txt", f"{tmp_path / 'file'} is no folder"),
        ("new", "deep/found.txt", ""),
    ):
        (tmp_path / name).symlink_to(target)
        assert why_unwritable(tmp_path / name, is_folder=False).startswith(why)
        assert bool(why_unwritable(tmp_path / name, is_folder=False)) == bool(why)


def test_every_name_of_a_path_is_as_long_as_the_disk_allows(tmp_path: Path) -> None:
    """Also below folders that are not there yet; and a file of such a name can be written."""
    longest, longer = "a" * 251 + ".txt", "a" * 252 + ".txt"
    for place in (tmp_path / longer, tmp_path / "new" / longer, tmp_path / "new" / longer / "found.txt"):
        for is_folder in (False, True):
            assert "File name too long" in why_unwritable(place, is_folder=is_folder)
    for name in (longest, "é" * 125 + ".txt"):
        assert why_unwritable(tmp_path / "new" / name, is_folder=False) == ""
        publish_text(tmp_path / "new" / name, "found")
        assert (tmp_path / "new" / name).read_text() == "found"


def test_a_place_that_can_be_written_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "found.txt").write_text("earlier")
    for is_folder, name in ((False, "found.txt"), (False, "new.txt"), (True, "."), (True, "new/deep")):
        assert why_unwritable(tmp_path / name, is_folder=is_folder) == ""
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"found.txt": "earlier"}


def test_a_link_to_a_file_is_written_through(tmp_path: Path) -> None:
    """Above all /dev/stdout, which the superuser could replace by a file of that name."""
    (tmp_path / "real").mkdir()
    link, target = tmp_path / "link.txt", tmp_path / "real" / "found.txt"
    target.write_text("earlier")
    link.symlink_to(target)
    app = typer.Typer()

    @app.command()
    def write(out: Path = typer.Option(..., callback=writable_file)) -> None:  # noqa: B008
        out.write_text(str(out))

    typer.main.get_command(app).main(["--out", str(link)], standalone_mode=False)
    assert link.is_symlink()
    assert target.read_text() == str(target)
