"""Image-text sets in folders: pairs of files, and pictures that a table of metadata names."""

import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.readers.dumps import DumpFile, raw_record, read_dump
from m3h.pipeline.readers.find import find_dumps
from m3h.pipeline.readers.held_pictures import holds_pictures
from m3h.pipeline.readers.image_text.metadata import Table
from m3h.pipeline.readers.image_text.samples import Limits
from m3h.pipeline.readers.streams import buffered
from m3h.pipeline.records.inspection import inspect_dump
from m3h.pipeline.rules import ReadRules
from m3h.schemas.posts import Dropped, ImageRef, Post
from tests.pipeline.tars import pair, write_set, zip_of

PICTURE = b"\xff\xd8\xff a picture"


def write(folder: Path, contents: dict[str, bytes | str]) -> Path:
    for name, data in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


def found(records: list[Post | Dropped]) -> list[tuple[str, str]]:
    return [(r.post_id, r.text) if isinstance(r, Post) else (r.record_id, r.reason) for r in records]


# pairs


def test_a_folder_of_pairs_is_one_dump_whose_pictures_stay_where_they_are(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "pics",
        {
            "b.JPEG": PICTURE, "b.txt": "two", "a.jpg": PICTURE, "a.m.png": PICTURE, "a.txt": "one #sea", "a.npy": "1",
            "é.jpg": PICTURE, "é.json": '{"caption": "three"}', "lonely.txt": "four", "silent.gif": PICTURE,
            ".hidden.jpg": PICTURE, ".hidden.txt": "x",
        },
    )  # fmt: skip
    (dump,) = find_dumps([str(folder)])
    assert (dump.name, dump.source, holds_pictures(dump)) == ("pics", "image-text:pics", True)
    records = list(read_dump(dump))
    assert found(records) == [
        ("pics/a", "one #sea"), ("pics/a.m", "no_text"), ("pics/b", "two"), ("pics/lonely", "four"),
        ("pics/silent", "no_text"), ("pics/é", "three"),
    ]  # fmt: skip
    assert [r.images for r in records if isinstance(r, Post)] == [
        (ImageRef("a.jpg"),), (ImageRef("b.JPEG"),), (), (ImageRef("é.jpg"),),
    ]  # fmt: skip
    assert all(not image.content for r in records if isinstance(r, Post) for image in r.images)
    assert [raw_record(dump, position) for position in (1, 2, 6)] == [b"one #sea", b"", b'{"caption": "three"}']


def test_folders_below_are_sets_of_their_own_and_other_files_are_dumps(tmp_path: Path) -> None:
    line = '{"id": 1, "text": "boats", "image": "a.jpg"}'
    folder = write(
        tmp_path / "all",
        {
            "00000/0.jpg": PICTURE, "00000/0.txt": "a", "x/y/0.jpg": PICTURE, "x/y/0.txt": "b",
            "tweets.jsonl": line, "x/more.jsonl": line, ".cache/0.jpg": PICTURE, ".cache/0.txt": "c",
        },
    )  # fmt: skip
    dumps = find_dumps([str(folder)])
    assert [(dump.name, dump.format) for dump in dumps if not dump.name.startswith(".")] == [
        ("00000", "image-text"), ("tweets.jsonl", ""), ("x/more.jsonl", ""), ("x/y", "image-text"),
    ]  # fmt: skip
    assert [found(list(read_dump(dump))) for dump in dumps if dump.is_folder] == [
        [("00000/0", "a")], [("x/y/0", "b")],
    ]  # fmt: skip


def test_a_folder_is_another_dump_once_a_text_or_a_name_has_changed(tmp_path: Path) -> None:
    folder = write(tmp_path / "pics", {"a.jpg": PICTURE, "a.txt": "one"})
    (dump,) = find_dumps([str(folder)])
    seen = [dump.identity()]
    write(folder, {"a.jpg": PICTURE + b" changed"})
    assert dump.identity() == seen[0]
    for name, text in (("a.txt", "two"), ("b.jpg", "another"), ("b.txt", "three")):
        write(folder, {name: text})
        seen.append(dump.identity())
    assert len({entry["sha256"] for entry in seen}) == 4
    assert dump.size() == len("twothree")


def test_a_text_that_cannot_be_read_costs_its_own_record_and_one_that_is_too_long_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "p", {f"{name}.{suffix}": "long text" for name in "abc" for suffix in ("jpg", "txt")})
    opened = Path.open

    def failing(path: Path, *args: object, **named: object) -> object:
        if path.name == "b.txt":
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", failing)
    (dump,) = find_dumps([str(folder)])
    read: list[int] = []
    assert found(list(read_dump(dump, None, read.append))) == [
        ("p/a", "long text"), ("p/b", "unreadable_file"), ("p/c", "long text"),
    ]  # fmt: skip
    assert sum(read) == 2 * len("long text")
    short = found(list(read_dump(dump, ReadRules(max_line_bytes=4))))
    assert short == [("p/a", "line_too_long"), ("p/b", "unreadable_file"), ("p/c", "line_too_long")]


# tables of metadata

ROWS = [
    {"file_name": "0001.png", "text": "one #sea"},
    {"file_name": "./sub/0002.jpg", "caption": "two", "tags": ["Harbour"]},
    {"id": "own", "file_name": "0003.jpg", "text": "three"},
]


def metadata_folder(folder: Path, rows: list[dict[str, object]]) -> Path:
    pictures = dict.fromkeys(("0001.png", "sub/0002.jpg", "0003.jpg", "unnamed.jpg", ".hidden.jpg"), PICTURE)
    return write(folder, {**pictures, "metadata.jsonl": "\n".join(map(json.dumps, rows))})


def test_rows_of_metadata_are_records_and_then_the_pictures_that_none_names(tmp_path: Path) -> None:
    (dump,) = find_dumps([str(metadata_folder(tmp_path / "train", ROWS))])
    records = list(read_dump(dump))
    assert found(records) == [
        ("train/0001", "one #sea"), ("train/sub/0002", "two"), ("own", "three"), ("train/unnamed", "no_text"),
    ]  # fmt: skip
    assert [r.images for r in records if isinstance(r, Post)] == [
        (ImageRef("0001.png"),), (ImageRef("sub/0002.jpg"),), (ImageRef("0003.jpg"),),
    ]  # fmt: skip
    assert [r.hashtags for r in records if isinstance(r, Post)] == [("sea",), ("harbour",), ()]
    assert [r.position for r in records] == [1, 2, 3, 4]
    assert json.loads(raw_record(dump, 2)) == ROWS[1]


def test_metadata_as_csv_says_the_same(tmp_path: Path) -> None:
    table = (
        '\ufefffile_name,text,id\r\n0001.png,"one, and\r\nmore ""#sea""",\r\nsub/0002.jpg,two,7\r\n\r\n0003.jpg,x\r\n'
    )
    folder = write(tmp_path / "d", {"metadata.csv": table, "0001.png": PICTURE, "sub/0002.jpg": PICTURE})
    (dump,) = find_dumps([str(folder)])
    records = list(read_dump(dump))
    assert found(records) == [("d/0001", 'one, and\r\nmore "#sea"'), ("7", "two"), ("", "bad_field")]
    assert [r.position for r in records] == [1, 2, 3]
    assert json.loads(raw_record(dump, 2)) == {"file_name": "sub/0002.jpg", "text": "two", "id": "7"}
    write(folder, {"metadata.csv": b"file_name,text\na.jpg,\xff\nb.jpg,two\n"})
    assert found(list(read_dump(dump)))[:2] == [("", "not_utf8"), ("d/b", "two")]
    write(folder, {"metadata.csv": b"text;file_name\none, two;a.jpg\n"})
    assert found(list(read_dump(dump)))[0] == ("d/a", "one, two")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ('{"file_name": "a.jpg"}', ("d/a", "missing_field")),
        ('{"file_name": "a.jpg", "text": "cut', ("", "not_json")),
        ('["a.jpg"]', ("", "not_an_object")),
        ('{"text": "without a picture"}', ("", "missing_field")),
        ('{"file_name": "../../../etc/passwd", "text": "out"}', ("d/../../../etc/passwd", "out")),
        ('{"file_name": null, "text": "without a picture"}', ("", "missing_field")),
    ],
)
def test_odd_rows_leave_with_a_reason(tmp_path: Path, row: str, expected: tuple[str, str]) -> None:
    first = '{"file_name": "0.jpg", "text": "zero"}'
    folder = write(tmp_path / "d", {"metadata.jsonl": f"{first}\n{row}\n", "0.jpg": PICTURE})
    (dump,) = find_dumps([str(folder)])
    assert found(list(read_dump(dump))) == [("d/0", "zero"), expected]


def test_rows_with_several_pictures_have_several(tmp_path: Path) -> None:
    row = {"file_names": ["a.jpg", "b.jpg"], "mask_file_name": "c.png", "text": "many"}
    folder = write(tmp_path / "d", {"metadata.jsonl": json.dumps(row), "a.jpg": PICTURE, "c.png": PICTURE})
    (dump,) = find_dumps([str(folder)])
    (post,) = read_dump(dump)
    assert isinstance(post, Post)
    assert [image.path for image in post.images] == ["a.jpg", "b.jpg", "c.png"]


def test_splits_of_a_dataset_are_dumps_of_their_own_and_a_table_without_pictures_is_a_dump_as_ever(
    tmp_path: Path,
) -> None:
    metadata_folder(tmp_path / "set" / "train", ROWS)
    metadata_folder(tmp_path / "set" / "test", ROWS)
    write(tmp_path / "set" / "other", {"metadata.jsonl": '{"id": 1, "text": "a", "image": "a.jpg"}'})
    dumps = find_dumps([str(tmp_path / "set")])
    assert [(dump.name, dump.is_folder) for dump in dumps if dump.is_folder or dump.name.endswith("l")] == [
        ("other/metadata.jsonl", False), ("test", True), ("train", True),
    ]  # fmt: skip


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(st.lists(st.fixed_dictionaries({"text": TEXTS, "tags": st.none() | st.lists(TEXTS)}), min_size=1))
def test_each_row_is_one_record_at_its_line(tmp_path_factory: pytest.TempPathFactory, rows: list[dict]) -> None:
    table = tmp_path_factory.mktemp("rows") / "metadata.jsonl"
    named = [{"file_name": f"{i}.jpg", **row} for i, row in enumerate(rows)]
    table.write_text("\n".join(map(json.dumps, named)), encoding="utf-8")
    described = Table("metadata.jsonl", "d", ["x.jpg", "0.jpg"])
    found_rows = list(described.located(buffered(iter([table.read_bytes()])), Limits(10_000, 0)))
    assert [position for position, _, _ in found_rows] == list(range(1, len(rows) + 2))
    assert [json.loads(raw) for _, raw, _ in found_rows[:-1]] == named
    assert [getattr(record[0], "text", None) for _, _, record in found_rows[:-1]] == [
        row["text"].strip() for row in rows
    ]
    assert [getattr(record[0], "reason", "") for _, _, record in found_rows][-1] == "no_text"


# what only tells of a set


@pytest.mark.parametrize("pattern", ["", "*"])
def test_what_img2dataset_writes_beside_a_set_is_named_and_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, pattern: str
) -> None:
    write_set(tmp_path / "00000.tar", [pair("0", PICTURE, "one")])
    write(tmp_path, {"00000.parquet": "PAR1", "00000_stats.json": "{}", "7.parquet": "PAR1", "7_stats.json": "{}"})
    with caplog.at_level(logging.WARNING):
        dumps = find_dumps([str(tmp_path / pattern)])
    assert [dump.name for dump in dumps] == ["00000.tar", "7.parquet", "7_stats.json"]
    assert caplog.messages == ["note: 00000.parquet, 00000_stats.json: about pictures of a set, no records; not read."]


def test_the_same_beside_a_folder_of_pairs(tmp_path: Path) -> None:
    write(tmp_path, {"00000/0.jpg": PICTURE, "00000/0.txt": "one", "00000.parquet": "PAR1", "00000_stats.json": "{}"})
    assert [dump.name for dump in find_dumps([str(tmp_path)])] == ["00000"]


def test_a_readme_and_a_licence_of_a_set_are_no_dumps(tmp_path: Path) -> None:
    metadata_folder(tmp_path / "set" / "train", ROWS)
    write(tmp_path / "set", {"README.md": "# A set", "LICENSE": "CC0", "more/readme.md": "x", "readme.jsonl": "{}"})
    assert [dump.name for dump in find_dumps([str(tmp_path / "set")])] == ["more/readme.md", "readme.jsonl", "train"]


def test_a_table_beside_an_archive_of_dumps_is_a_dump(tmp_path: Path) -> None:
    write_set(tmp_path / "a.tar", [[("a.json", b"{}")]])
    write(tmp_path, {"a.parquet": "PAR1"})
    assert [dump.name for dump in find_dumps([str(tmp_path)])] == ["a.parquet", "a.tar"]


def test_inspect_says_what_a_set_is(tmp_path: Path) -> None:
    members = pair("a", PICTURE, "one #sea")
    write(tmp_path / "pics", dict(members))
    write_set(tmp_path / "s.tar", [members])
    (tmp_path / "s.zip").write_bytes(zip_of(members))
    (folder,) = find_dumps([str(tmp_path / "pics")])
    dumps = [folder, *(DumpFile(name, str(tmp_path / name)) for name in ("s.tar", "s.zip"))]
    found = [inspect_dump(dump, ReadRules()).summary() for dump in dumps]
    assert [(f["layout"], f["formats"], f["posts"]) for f in found] == [
        (f"a {kind} of pictures and their texts", {"image-text": 1}, 1)
        for kind in ("folder", "tar archive", "zip archive")
    ]
