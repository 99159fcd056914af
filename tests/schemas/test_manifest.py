"""The manifest comes back as written, or not at all."""

import contextlib
import json
import os
from dataclasses import asdict

import pytest

from m3h.schemas.errors import IntegrityError
from m3h.schemas.feature_versions import FeatureVersion, FeatureVersions
from m3h.schemas.files import publish_json, sha256_file
from m3h.schemas.manifest import MANIFEST, MANIFEST_HASH, FileEntry, Manifest


def manifest():
    return Manifest(
        config={"clean": {"min_tokens": 4}, "features": {"ocr": {"timeout": 10}}},
        inputs=[{"name": "d.jsonl", "format": "v1", "sha256": "ab"}],
        text={"version": 1},
        counts={
            "read": 3,
            "kept": 1,
            "dropped": {"image": {"no_image": 2}},
            "unread_fields": {"split": 2},
            "splits": {"train": 1},
            "leaks": {"groups": 0, "posts": 0},
        },
        features={"ocr": FeatureVersions.first("f" * 16, FeatureVersion(0, {}, (), (), {}, {}, ()))},
        files={"posts/part-00000-of-00001.parquet": FileEntry("cd" * 32, 123, 1)},
        lineage={"python": "3.11"},
        notes=["é"],
    )


def test_it_comes_back_as_it_was(tmp_path):
    manifest().write(tmp_path)
    assert Manifest.read(tmp_path) == manifest()


def test_the_hash_file_is_what_sha256sum_checks(tmp_path):
    manifest().write(tmp_path)
    assert (tmp_path / MANIFEST_HASH).read_text() == f"{sha256_file(tmp_path / MANIFEST)}  {MANIFEST}\n"


def test_equal_manifests_are_equal_bytes(tmp_path):
    first, second = manifest(), manifest()
    second.counts = dict(reversed(second.counts.items()))
    for folder, one in (("a", first), ("b", second)):
        one.write(tmp_path / folder)
    assert (tmp_path / "a" / MANIFEST).read_bytes() == (tmp_path / "b" / MANIFEST).read_bytes()


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_killed_while_it_is_replaced_the_old_one_or_the_new_one_stands(tmp_path, monkeypatch, done):
    manifest().write(tmp_path)
    renamed = []

    def dying_replace(source, target):
        if len(renamed) == done:
            raise KeyboardInterrupt
        renamed.append(target)
        replace(source, target)

    replace = os.replace
    monkeypatch.setattr(os, "replace", dying_replace)
    newer = manifest()
    newer.notes = ["newer"]
    with contextlib.suppress(KeyboardInterrupt):
        newer.write(tmp_path)
    assert Manifest.read(tmp_path) == (manifest() if done < 2 else newer)


@pytest.mark.parametrize("place", [0, 40, -2])
def test_a_changed_byte_is_found(tmp_path, place):
    manifest().write(tmp_path)
    data = bytearray((tmp_path / MANIFEST).read_bytes())
    data[place] ^= 1
    (tmp_path / MANIFEST).write_bytes(data)
    with pytest.raises(IntegrityError, match=r"manifest\.json: sha256 is .* one of the two was changed"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("stated", [None, b"", b"\n", b"\xff\xff"])
def test_without_a_readable_hash_there_is_no_manifest(tmp_path, stated):
    manifest().write(tmp_path)
    (tmp_path / MANIFEST_HASH).unlink()
    if stated is not None:
        (tmp_path / MANIFEST_HASH).write_bytes(stated)
    with pytest.raises(IntegrityError, match=r"manifest\.sha256: missing or unreadable"):
        Manifest.read(tmp_path)


def test_a_folder_without_one_is_no_finished_dataset(tmp_path):
    with pytest.raises(IntegrityError, match=r"no manifest\.json, so no finished dataset"):
        Manifest.read(tmp_path)


def test_another_schema_version_is_refused(tmp_path):
    manifest().write(tmp_path)
    raw = {**json.loads((tmp_path / MANIFEST).read_text()), "schema_version": 999}
    publish_json(tmp_path / MANIFEST, raw)
    (tmp_path / MANIFEST_HASH).write_text(f"{sha256_file(tmp_path / MANIFEST)}  {MANIFEST}\n")
    with pytest.raises(IntegrityError, match="schema version 999, this m3h reads 2"):
        Manifest.read(tmp_path)


def test_an_entry_describes_the_file_that_lies_there(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    entry = FileEntry.of(tmp_path / "f", rows=2)
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert asdict(entry) == {"sha256": abc, "bytes": 3, "rows": 2}


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"features": {"ocr": {"timeout": 20}}}, True),
        ({"clean": {"min_tokens": 5}}, False),
    ],
)
def test_the_signature_holds_the_rules_but_not_the_features(change, same):
    other = manifest()
    other.config = {**other.config, **change}
    assert (other.signature == manifest().signature) is same
