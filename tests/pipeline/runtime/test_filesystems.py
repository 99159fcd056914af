"""Dumps at a URL, through Beam's registry of filesystems: found, told apart, hashed and read as local ones are."""

import gzip
import hashlib
import io
import json
from pathlib import Path

import pytest
from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem

from m3h.pipeline.build.build import BuildOptions, build
from m3h.pipeline.config import BuildConfig
from m3h.pipeline.readers.dumps import DumpFile, raw_record, read_dump
from m3h.pipeline.readers.find import find_dumps
from m3h.pipeline.runtime.filesystems import give_options, is_remote, sha256_of
from m3h.schemas.errors import M3hError, UsageError
from tests.pipeline.fakes import small_dump

SCHEME = "shelf"


class Shelf(LocalFileSystem):
    """A store of its own scheme, backed by a folder, as an object store is: flat names, no folders."""

    root = Path()
    broken_after: int | None = None

    @classmethod
    def scheme(cls):
        return SCHEME

    @staticmethod
    def _path(url):
        return Shelf.root / url.removeprefix(f"{SCHEME}://")

    def has_dirs(self):
        return False

    def _list(self, dir_or_prefix):
        for path in sorted(self.root.rglob("*")):
            url = f"{SCHEME}://{path.relative_to(self.root).as_posix()}"
            if path.is_file() and url.startswith(dir_or_prefix):
                yield FileMetadata(url, path.stat().st_size)

    def exists(self, path):
        return self._path(path).is_file()

    def metadata(self, path):
        return FileMetadata(path, self._path(path).stat().st_size)

    def open(self, path, mime_type="application/octet-stream", compression_type=CompressionTypes.AUTO):
        assert compression_type == CompressionTypes.UNCOMPRESSED
        data = self._path(path).read_bytes()
        return io.BytesIO(data) if self.broken_after is None else Breaking(data[: self.broken_after])


class Breaking(io.BytesIO):
    """A connection that ends before the file does."""

    def read1(self, size=-1):
        if not (block := super().read1(size)):
            raise BeamIOError("connection\nreset")
        return block


def record(i):
    return json.dumps({"id": i, "text": f"post {i} #tag", "image": f"{i}.jpg"}).encode() + b"\n"


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    give_options([])
    monkeypatch.setattr(Shelf, "root", tmp_path / "shelf")
    for name, ids in (("bucket/a.jsonl", (1, 2)), ("bucket/b.jsonl.gz", (3,)), ("bucket/deep/c.jsonl", (4,))):
        path = Shelf.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = b"".join(map(record, ids))
        path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    (Shelf.root / "bucket" / ".hidden").write_bytes(b"x")
    return f"{SCHEME}://bucket"


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("/a.jsonl", ["a.jsonl"]),
        ("/*.jsonl*", ["a.jsonl", "b.jsonl.gz"]),
        ("/**.jsonl", ["a.jsonl", "c.jsonl"]),
        ("/?.jsonl", ["a.jsonl"]),
        ("/", ["a.jsonl", "b.jsonl.gz", "deep/c.jsonl"]),
        ("", ["a.jsonl", "b.jsonl.gz", "deep/c.jsonl"]),
        ("/deep", ["c.jsonl"]),
    ],
)
def test_urls_globs_and_folders_lead_to_files(shelf, pattern, names):
    found = find_dumps([shelf + pattern])
    assert [dump.name for dump in found] == names
    assert all(is_remote(dump.path) and dump.absolute() == dump for dump in found)


def test_a_remote_file_is_read_hashed_and_searched_as_a_local_one(shelf, tmp_path):
    for remote in find_dumps([shelf]):
        local = DumpFile(remote.name, str(Shelf.root / "bucket" / remote.name))
        assert list(read_dump(remote)) == list(read_dump(local))
        assert remote.identity() == local.identity()
        assert remote.size() == local.size() > 0
        assert raw_record(remote, 1) == raw_record(local, 1)
    assert sha256_of(f"{shelf}/a.jsonl") == hashlib.sha256(record(1) + record(2)).hexdigest()


def test_local_and_remote_dumps_are_built_together(shelf, tmp_path):
    local, images = small_dump(tmp_path / "local", 6)
    lines = local.read_bytes().splitlines(keepends=True)
    local.write_bytes(b"".join(lines[:3]))
    (Shelf.root / "bucket" / "a.jsonl").write_bytes(b"".join(lines[3:]))
    config = BuildConfig(clean={"min_hashtag_count": 1})
    options = {"images": images, "features": (), "config": config, "workers": 1}
    done = build(BuildOptions([str(local), f"{shelf}/a.*"], tmp_path / "dataset", **options))
    assert (done.manifest.counts["read"], done.manifest.counts["kept"]) == (6, 6)
    assert [known["name"] for known in done.manifest.inputs] == ["a.jsonl", "dump.jsonl"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("shelf://bucket/none.jsonl", "none.jsonl: no such file, folder or match."),
        ("shelf://bucket/*.zip", "*.zip: no such file, folder or match."),
        ("nowhere://x/y", "--dumps nowhere://x/y: no filesystem is known for nowhere://; expected azfs://, gs://"),
        ("s3://b/x.jsonl", "--dumps s3://b/x.jsonl: s3:// needs a library: pip install 'apache-beam[aws]'."),
        ("hdfs://h/x.jsonl", "hdfs:// needs a library: pip install 'apache-beam[hadoop]'."),
    ],
)
def test_a_url_that_leads_nowhere_is_wrong_use(shelf, pattern, message, monkeypatch):
    monkeypatch.setattr("m3h.pipeline.runtime.filesystems.find_spec", lambda module: None)
    with pytest.raises(UsageError) as caught:
        find_dumps([pattern])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_filesystem_lacks_is_said_in_its_own_words(shelf, monkeypatch):
    def __init__(self, pipeline_options):
        raise ValueError("shelf_host is not set")

    monkeypatch.setattr(Shelf, "__init__", __init__)
    with pytest.raises(UsageError, match=r"--dumps shelf://bucket/a.jsonl: shelf_host is not set"):
        find_dumps([f"{shelf}/a.jsonl"])


def test_a_forced_released_dataset_must_be_local(shelf):
    with pytest.raises(UsageError, match="format cmkp is a local folder"):
        find_dumps([f"{shelf}/a.jsonl"], "cmkp")


def test_a_broken_connection_ends_the_run_and_is_no_broken_file(shelf, monkeypatch):
    monkeypatch.setattr(Shelf, "broken_after", 60)
    dump = DumpFile("a.jsonl", f"{shelf}/a.jsonl")
    with pytest.raises(M3hError, match=r"shelf://bucket/a.jsonl: cannot be read \(connection reset"):
        list(read_dump(dump))
    with pytest.raises(M3hError, match="The same command tries again"):
        dump.identity()
