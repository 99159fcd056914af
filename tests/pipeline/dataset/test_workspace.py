"""The workspace of unfinished work: what work of another kind left does not stay behind."""

from pathlib import Path

from m3h.pipeline.dataset.workspace import FOLDER, Workspace
from m3h.schemas.files import publish_json


def test_other_work_that_was_about_to_be_installed_protects_no_old_file(tmp_path: Path) -> None:
    """Killed when the names of its files were noted and none had taken its place; then other work begins.

    The old posts are in one part, the new ones in two. The old part must go, though the killed work had that name.
    """
    old = tmp_path / "posts" / "part-00000-of-00001.parquet"
    old.parent.mkdir()
    old.write_bytes(b"old")
    (tmp_path / FOLDER).mkdir()
    publish_json(tmp_path / FOLDER / "signature.json", {"inputs": "of the killed command"})
    publish_json(tmp_path / FOLDER / "installing.json", [old.relative_to(tmp_path).as_posix()])

    workspace = Workspace(tmp_path)
    workspace.begin({"inputs": "others"})
    assert not workspace.is_installing
    new = [workspace.next / "posts" / f"part-0000{i}-of-00002.parquet" for i in (0, 1)]
    new[0].parent.mkdir(parents=True)
    for path in new:
        path.write_bytes(b"new")
    workspace.install()
    assert sorted(path.name for path in old.parent.iterdir()) == [path.name for path in new]


def test_a_first_build_killed_before_its_manifest_is_finished_by_the_same_command(tmp_path: Path) -> None:
    """It had noted that no file has to leave, and there is no manifest that could say so."""
    workspace = Workspace(tmp_path)
    workspace.schedule_removal(())
    workspace.remove_scheduled()
    assert workspace.in_transit == set()
