"""What a user named when a dataset was built: kept for that user alone, and nobody else's is believed."""

import errno
import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from m3h.pipeline.dataset.remembered import (
    REMEMBERED,
    fields_of,
    own_crawl_settings,
    recall,
    refuse_unnamed_files,
    remember,
)
from m3h.schemas.errors import IntegrityError, UsageError

CONFIG: dict[str, Any] = {
    "text": {"hashtag_map": "/data/map.tsv", "word_statistics": None},
    "features": {"vgg_grid": {"weights": "/data/w.pth"}, "ocr": {"language": "eng"}, "attributes": {"head": "h.st"}},
    "crawl": {"allow": ["127.0.0.0/8"]},
}


@pytest.fixture(autouse=True)
def _own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_what_is_kept_is_recalled_also_after_the_dataset_was_moved_or_copied(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    remember(tmp_path / "d", CONFIG, ("vgg_grid",), dumps=["a"], crawl=False)
    kept = recall(tmp_path / "d")
    assert kept["dumps"] == ["a"]
    assert kept["files"] == [["features.vgg_grid.weights", "/data/w.pth"], ["text.hashtag_map", "/data/map.tsv"]]
    assert recall(shutil.copytree(tmp_path / "d", tmp_path / "copy")) == kept
    assert recall(shutil.move(tmp_path / "d", tmp_path / "moved")) == kept
    assert (tmp_path / "state" / "m3h" / "key").stat().st_mode & 0o777 == 0o600


def test_later_commands_add_files_and_keep_the_sources(tmp_path: Path) -> None:
    remember(tmp_path, {}, (), dumps=["a"])
    remember(tmp_path, CONFIG, ("attributes",))
    assert recall(tmp_path)["dumps"] == ["a"]
    assert recall(tmp_path)["files"] == [["features.attributes.head", "h.st"], ["text.hashtag_map", "/data/map.tsv"]]


@pytest.mark.parametrize("change", ["another key", "another value", "no seal", "a seal that is no text", "é"])
def test_what_another_wrote_is_not_used_and_a_note_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    remember(tmp_path, {}, (), dumps=["a"])
    path = tmp_path / REMEMBERED
    stored = json.loads(path.read_text())
    if change == "another key":
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    else:
        changed = {"another value": {"dumps": ["b"]}, "no seal": {"seal": ""}, "é": {"seal": "é"}}
        path.write_text(json.dumps({**stored, **changed.get(change, {"seal": [1]})}))
    with caplog.at_level(logging.WARNING):
        assert recall(tmp_path) == {}
    assert f"{path}: not written by this user on this machine" in caplog.text


def test_nothing_kept_is_nothing_and_no_json_is_an_error(tmp_path: Path) -> None:
    assert recall(tmp_path) == {}
    (tmp_path / REMEMBERED).write_text("{")
    with pytest.raises(IntegrityError, match="not readable as JSON"):
        recall(tmp_path)


def test_a_relative_state_folder_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the specification of XDG_STATE_HOME; else each working folder would have a key of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    monkeypatch.chdir(tmp_path)
    remember(tmp_path, {}, (), dumps=["a"])
    assert recall(tmp_path)["dumps"] == ["a"]
    assert (tmp_path / "home" / ".local" / "state" / "m3h" / "key").is_file()
    assert not (tmp_path / "state").exists()


def test_a_key_is_kept_without_hard_links_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    remember(tmp_path, {}, (), dumps=["a"])
    assert recall(tmp_path)["dumps"] == ["a"]
    assert [path.name for path in (tmp_path / "state" / "m3h").iterdir()] == ["key"]


def test_where_no_key_can_be_kept_nothing_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        remember(tmp_path, CONFIG, (), dumps=["a"])
    assert "no key can be kept here" in caplog.text
    assert not (tmp_path / REMEMBERED).exists()


@pytest.mark.parametrize(
    ("features", "named", "refused"),
    [
        ((), (), "text.hashtag_map=/data/map.tsv"),
        (("vgg_grid",), ("text.hashtag_map=x",), "features.vgg_grid.weights=/data/w.pth"),
        (("vgg_grid",), ("text={}", "features.vgg_grid={}"), ""),
        (("vgg_grid",), ("text.hashtag_map=x", "features.vgg_grid.weights=y"), ""),
        (("ocr",), ("text.hashtag_map=x",), ""),
        (("attributes",), ("text.hashtag_map=x", "features.attributes.heading=y"), "features.attributes.head=h.st"),
    ],
)
def test_a_file_of_a_manifest_is_refused_until_it_is_named(
    tmp_path: Path, features: tuple[str, ...], named: tuple[str, ...], refused: str
) -> None:
    def check() -> None:
        refuse_unnamed_files(tmp_path, CONFIG, CONFIG, features=features, named=fields_of(named))

    if refused:
        with pytest.raises(UsageError, match=f"--set {refused}$"):
            check()
    else:
        check()
    remember(tmp_path, CONFIG, features)
    refuse_unnamed_files(tmp_path, CONFIG, CONFIG, features=features)


def test_a_name_without_a_slash_counts_as_a_file_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = {"features": {"vgg_grid": {"weights": "id_rsa"}, "attributes": {"weights": "default", "head": "random"}}}
    (tmp_path / "default").write_text("")  # never read: a word of ours
    refuse_unnamed_files(tmp_path, config, config, features=("vgg_grid", "attributes"))
    (tmp_path / "id_rsa").write_text("")
    with pytest.raises(UsageError, match="weights=id_rsa"):
        refuse_unnamed_files(tmp_path, config, config, features=("vgg_grid",))


def test_crawl_settings_of_another_are_left_out(tmp_path: Path) -> None:
    assert own_crawl_settings(tmp_path, CONFIG)["crawl"] == {}
    remember(tmp_path, CONFIG, (), crawl_settings=CONFIG["crawl"])
    assert own_crawl_settings(tmp_path, CONFIG) == CONFIG
    assert own_crawl_settings(tmp_path, {**CONFIG, "crawl": {"robots": False}})["crawl"] == {}
