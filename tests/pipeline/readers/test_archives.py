"""Sound and hostile tar archives: every member gives records or a reason, and nothing is written to disk."""

import bz2
import gzip
import io
import json
import tarfile
import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.readers.dumps import DumpFile, raw_record, read_dump
from m3h.schemas.posts import Dropped, Post


def lines(*ids):
    return b"".join(json.dumps({"id": i, "text": f"post {i} #t", "image": "a.jpg"}).encode() + b"\n" for i in ids)


def tar(*members, mode="w", format=tarfile.PAX_FORMAT):
    """members: (name, bytes), or a TarInfo of something else than a file."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode, format=format) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return file.getvalue()


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def dump(tmp_path, data):
    (tmp_path / "d.tar").write_bytes(data)
    return DumpFile("d.tar", str(tmp_path / "d.tar"))


def read(tmp_path, data):
    return list(read_dump(dump(tmp_path, data)))


def results(found):
    return [item.post_id if isinstance(item, Post) else item.reason for item in found]


NESTED = (
    special("2017", tarfile.DIRTYPE),
    ("2017/01/00.json.bz2", bz2.compress(lines(1, 2))),
    ("2017/01/01.json.gz", gzip.compress(lines(3))),
    ("2017/02/long" + "x" * 200 + ".json", lines(4) + b"{\n"),
    ("2017/02/empty.json", b""),
    ("2017/02/02.json.zst", zstandard.ZstdCompressor().compress(lines(5))),
)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_folders_of_compressed_files_are_read_in_order(tmp_path, pack, format):
    found = read(tmp_path, pack(tar(*NESTED, format=format)))
    assert results(found) == ["1", "2", "3", "4", "not_json", "5"]
    assert [item.position for item in found] == [1, 2, 3, 4, 5, 6]
    assert {item.source for item in found} == {"detected:d.tar"}
    assert found[4].detail.startswith("2017/02/longx")
    assert raw_record(dump(tmp_path, pack(tar(*NESTED))), 5) == b"{"


def test_links_and_devices_have_a_reason_and_member_names_are_harmless(tmp_path):
    found = read(
        tmp_path,
        tar(
            ("/etc/cron.d/x.json", lines(1)),
            ("../../../../tmp/up.json", lines(2)),
            special("a", tarfile.SYMTYPE, "/etc/passwd"),
            special("b", tarfile.LNKTYPE, "../x"),
            special("c", tarfile.CHRTYPE),
            special("d", tarfile.FIFOTYPE),
            ("a", lines(3)),
            ("a", lines(4)),
        ),
    )
    assert results(found) == ["1", "2", *["not_a_file"] * 4, "3", "4"]
    assert [item.detail for item in found[2:5]] == [
        "a: a link to /etc/passwd", "b: a link to ../x", "c: a device or a sparse file",
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["d.tar"]


def test_a_damaged_member_loses_only_itself(tmp_path):
    packed = bz2.compress(lines(*range(1000)))
    found = read(tmp_path, tar(("a.bz2", packed[: len(packed) // 2]), ("b.json", lines(5)), ("c.gz", b"\x1f\x8b bad")))
    reasons = [item for item in results(found) if not item.isdigit()]
    assert reasons == ["unreadable_file", "unreadable_file"]
    assert [item for item in results(found) if item.isdigit()][-1] == "5"
    assert [item.detail[:6] for item in found if isinstance(item, Dropped)] == ["a.bz2:", "c.gz: "]


@pytest.mark.parametrize(
    ("size", "whole"), [(530, 0), (600, 1), (1024, 3), (1100, 3), (1536, 3), (1560, 3), (2048, 4), (2100, 4)]
)
def test_a_cut_off_archive_keeps_its_whole_members_and_reports_the_cut(tmp_path, size, whole):
    data = tar(("a.json", lines(1, 2, 3)), ("b.json", lines(4)))  # for each a header and one block
    assert results(read(tmp_path, data[:size])) == [*["1", "2", "3", "4"][:whole], "unreadable_file"]


def test_an_archive_ends_with_zeros(tmp_path):
    whole = tar(("a.json", lines(1)))
    assert results(read(tmp_path, whole[:1024])) == ["1", "unreadable_file"]
    assert results(read(tmp_path, whole[:1536])) == ["1"]
    assert results(read(tmp_path, whole + whole)) == ["1", "unreadable_file"]
    damaged = whole[:1024] + b"no header" + bytes(503) + whole[1024:]
    assert results(read(tmp_path, damaged)) == ["1", "unreadable_file"]


def claiming(size, kind=tarfile.REGTYPE, data=b""):
    info = tarfile.TarInfo("big.json")
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT) + data


@pytest.mark.parametrize("size", [1 << 20, 1 << 33, 1 << 60])
@pytest.mark.parametrize(
    "kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.DIRTYPE, tarfile.CHRTYPE]
)
def test_a_member_that_claims_a_huge_size_is_unreadable_and_takes_little_memory(tmp_path, size, kind):
    data = dump(tmp_path, claiming(size, kind, lines(1) + bytes(9 << 10)))
    tracemalloc.start()
    found = results(read_dump(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found[-1] == "unreadable_file"
    assert peak < 8 << 20


def test_endlessly_nested_headers_are_unreadable(tmp_path):
    assert results(read(tmp_path, claiming(0, tarfile.XHDTYPE) * 5000)) == ["unreadable_file"]


def test_a_sparse_file_is_not_read(tmp_path):
    info = tarfile.TarInfo("holes.json")
    info.size = 4
    info.pax_headers = {"GNU.sparse.map": "0,4", "GNU.sparse.size": str(1 << 50), "GNU.sparse.numblocks": "1"}
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(b"{}\n\n"))
    assert results(read(tmp_path, file.getvalue())) == ["not_a_file"]


def test_an_archive_inside_an_archive_is_unreadable(tmp_path):
    found = read(tmp_path, tar(("in.tar.gz", gzip.compress(tar(("a.json", lines(1))))), ("b.json", lines(2))))
    assert results(found) == ["unreadable_file", "2"]
    assert "unpack it first" in found[0].detail


def test_an_empty_archive_holds_no_records(tmp_path):
    assert results(read(tmp_path, tar(special("d", tarfile.DIRTYPE)))) == []


WHOLE = tar(*NESTED)


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=20)), max_size=4))
def test_a_damaged_archive_gives_records_and_reasons_and_never_crashes(tmp_path_factory, damages):
    data = bytearray(WHOLE)
    for at, new in damages:
        data[at : at + len(new)] = new
    path = tmp_path_factory.getbasetemp() / "damaged.tar"
    path.write_bytes(data)
    found = list(read_dump(DumpFile("damaged.tar", str(path))))
    places = [item.position for item in found]
    assert places == sorted(set(places))
    assert damages or results(found) == ["1", "2", "3", "4", "not_json", "5"]
