"""A record is a line, a member of a list or an indented object, and no record larger than the limit is held."""

import gzip
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.readers import framing
from m3h.pipeline.readers.dumps import DumpFile, raw_record, read_dump
from m3h.pipeline.readers.framing import pieces_of
from m3h.pipeline.rules import ReadRules
from m3h.schemas.errors import UsageError
from m3h.schemas.posts import Post

LIMIT = 1 << 20


def record(i, **fields):
    return {"id": i, "text": f"post {i} #tag", "image": f"{i}.jpg", **fields}


def dump(tmp_path, data, name="d"):
    (tmp_path / name).write_bytes(data)
    return DumpFile(name, str(tmp_path / name))


def results(dump, limit=LIMIT):
    return [
        (item.position, item.post_id if isinstance(item, Post) else item.reason)
        for item in read_dump(dump, ReadRules(max_line_bytes=limit))
    ]


def raws(data, limit=LIMIT):
    return [piece.raw for piece in pieces_of(io.BufferedReader(io.BytesIO(data)), limit)]


# lists


@pytest.mark.parametrize("prefix", ["", "\ufeff", "\n  ", "window.YTD.tweets.part0 = ", "YTD.tweet.part1="])
@pytest.mark.parametrize("suffix", ["", "\n", ";\n", " ; "])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_file_with_one_list_gives_the_members_of_the_list(tmp_path, prefix, suffix, indent):
    data = prefix + json.dumps([record(1), record(2), record(3)], indent=indent) + suffix
    assert results(dump(tmp_path, data.encode())) == [(1, "1"), (2, "2"), (3, "3")]


def test_a_personal_archive_is_read_as_it_is(tmp_path):
    tweet = {"id": "5", "id_str": "5", "full_text": "by the sea", "entities": {"hashtags": []}, "retweet_count": "0"}
    data = "window.YTD.tweets.part0 = " + json.dumps([{"tweet": tweet}], indent=2)
    assert results(dump(tmp_path, data.encode())) == [(1, "5")]


@pytest.mark.parametrize("data", [b"[]", b"window.YTD.tweets.part0 = [ ]\n", b" [\n] "])
def test_an_empty_list_holds_no_records(tmp_path, data):
    assert results(dump(tmp_path, data)) == []


def test_a_broken_member_loses_only_itself(tmp_path):
    members = [
        json.dumps(record(1)), '{"id": 2, "text": "\\x"}', json.dumps(record(3)), "oops", '"text"', "[1, 2]", "",
        '{"a": "} ] { [ \\" , "}', json.dumps(record(9)),
    ]  # fmt: skip
    found = results(dump(tmp_path, f"[{', '.join(members)}]".encode()))
    assert found == [
        (1, "1"), (2, "not_json"), (3, "3"), (4, "not_json"), (5, "not_an_object"), (6, "not_an_object"),
        (7, "unknown_format"), (8, "9"),
    ]  # fmt: skip


@pytest.mark.parametrize("broken", ['{"id": 2, "text": "x', '{"id": 2, "a": {"b": [1', '{"id": 2, "text": "x\\'])
@pytest.mark.parametrize(
    ("start", "between", "end"),
    [("[", ",\n", "]"), ("[\n", ",\n", "\n]"), ("x = [\n  ", ",\r\n  ", "\n]"), ("[ \n\t", "\n\t", "]\n")],
)
def test_a_member_that_is_never_closed_does_not_hide_the_other_members(tmp_path, start, between, end, broken):
    members = [json.dumps(record(1)), broken, json.dumps(record(3)), json.dumps(record(4), indent=8)]
    found = dump(tmp_path, (start + between.join(members) + end).encode())
    assert results(found) == [(1, "1"), (2, "not_json"), (3, "3"), (4, "4")]
    assert raw_record(found, 2) == broken.encode()


def test_an_indented_object_that_is_never_closed_does_not_hide_the_others(tmp_path):
    text = "\n".join(json.dumps(record(i), indent=1) for i in (1, 2, 3)).replace('"text": "post 2', '"text": "po"st 2')
    assert results(dump(tmp_path, text.encode())) == [(1, "1"), (2, "not_json"), (3, "3")]


def test_a_list_laid_out_without_indentation_is_read(tmp_path):
    text = json.dumps([record(1, more=[{"a": 1}, {"b": {"c": 2}}]), record(2)], indent=1)
    flat = "\n".join(line.strip() for line in text.splitlines())
    assert results(dump(tmp_path, flat.encode())) == [(1, "1"), (2, "2")]


@pytest.mark.parametrize(("missing", "whole"), [(1, 2), (2, 1), (40, 1), (53, 1), (54, 0), (90, 0)])
def test_a_cut_off_list_is_reported(tmp_path, missing, whole):
    data = json.dumps([record(1), record(2)]).encode()
    assert len(data) == 1 + 50 + 2 + 50 + 1
    found = results(dump(tmp_path, data[:-missing]))
    assert found == [*[(1, "1"), (2, "2")][:whole], (whole + 1, "unreadable_file")]


def test_lists_and_records_may_follow_line_by_line(tmp_path):
    lines = [[record(1), record(2)], record(3), [record(4)], [1], []]
    data = "\n".join(map(json.dumps, lines)).encode()
    assert results(dump(tmp_path, data)) == [
        (1, "1"), (2, "2"), (3, "3"), (4, "4"), (5, "not_an_object"), (6, "not_an_object"),
    ]  # fmt: skip


def test_indented_objects_are_one_record_each(tmp_path):
    data = "\n".join(json.dumps(record(i), indent=4) for i in (1, 2)) + '\n{\n  "id": '
    assert results(dump(tmp_path, data.encode())) == [(1, "1"), (2, "2"), (3, "not_json")]


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(['"', "\\", "]", "{", ","]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=3), VALUES, max_size=3), min_size=1, max_size=5)


@given(OBJECTS, st.integers(1, 9), st.sampled_from([None, 0, 1, 3]), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_members_are_cut_correctly_wherever_a_block_ends(objects, block, indent, ascii_only, line_end):
    text = json.dumps(objects, indent=indent, ensure_ascii=ascii_only).replace("\n", line_end)
    before, framing.BLOCK = framing.BLOCK, block
    try:
        found = raws(text.encode("utf-8", "surrogatepass"))
    finally:
        framing.BLOCK = before
    assert [json.loads(raw.decode("utf-8", "surrogatepass")) for raw in found] == objects


# long lines


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_line_as_long_as_the_limit_is_read_and_one_byte_more_is_not(tmp_path, end):
    line = json.dumps(record(1)).encode()
    found = dump(tmp_path, end.join([line, line + b" ", b"x" * 1000, json.dumps(record(2)).encode()]))
    assert results(found, len(line)) == [(1, "1"), (2, "line_too_long"), (3, "line_too_long"), (4, "2")]
    assert raw_record(found, 3, ReadRules(max_line_bytes=len(line))) == b"x" * len(line)


def test_a_long_last_line_without_an_end_is_too_long(tmp_path):
    found = dump(tmp_path, b"{}\n" + b"\0" * 200_000)
    assert results(found, 100) == [(1, "unknown_format"), (2, "line_too_long")]


def test_a_long_member_of_a_list_is_too_long_and_the_next_is_read(tmp_path):
    found = dump(tmp_path, json.dumps([record(1), record(2, x="y" * 500_000), record(3)]).encode())
    assert results(found, 1000) == [(1, "1"), (2, "line_too_long"), (3, "3")]
    assert len(raw_record(found, 2, ReadRules(max_line_bytes=1000))) == 1000


def test_the_reason_says_how_long_the_line_is(tmp_path):
    (only,) = read_dump(dump(tmp_path, b"x" * 100_000), ReadRules(max_line_bytes=5000))
    assert only.detail == "100000 bytes, at most 5000 (read.max_line_bytes)"


# encodings


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_byte_order_mark_decides_the_encoding(tmp_path, encoding, pack):
    text = "\n".join(json.dumps(record(i, text="été 😀 #été"), ensure_ascii=False) for i in range(3))
    data = text.encode(encoding)
    if encoding in ("utf-16-le", "utf-16-be"):
        data = "\ufeff".encode(encoding) + data
    found = list(read_dump(dump(tmp_path, pack(data))))
    assert [post.text for post in found] == ["été 😀 #été"] * 3


def test_half_a_character_at_the_end_of_utf_16_is_replaced(tmp_path):
    data = "\ufeff{}\n".encode("utf-16-le") + b"\x00"
    assert results(dump(tmp_path, data)) == [(1, "unknown_format"), (2, "not_json")]


# positions


def page(*ids):
    return {"data": [{"id": str(i), "text": "x", "author_id": "1"} for i in ids]}


def test_a_page_takes_one_position_per_tweet(tmp_path):
    lines = [record(1), None, page(2, 3, 4), "broken", page(), record(9)]
    data = b"\n".join(b"" if line is None else json.dumps(line).encode() for line in lines)
    found = dump(tmp_path, data)
    assert results(found) == [
        (1, "1"), (3, "2"), (4, "3"), (5, "4"), (6, "not_an_object"), (7, "notice"), (8, "9"),
    ]  # fmt: skip
    assert [raw_record(found, place) for place in (3, 4, 5)] == [json.dumps(lines[2]).encode()] * 3
    assert raw_record(found, 8) == json.dumps(lines[5]).encode()


@pytest.mark.parametrize("position", [0, 2, 9, -1])
def test_a_position_without_a_record_is_a_usage_error(tmp_path, position):
    found = dump(tmp_path, b"{}\n\n{}\n")
    with pytest.raises(UsageError, match=f"d: no record at position {position}"):
        raw_record(found, position)


def test_a_raw_line_comes_without_its_line_end(tmp_path):
    found = dump(tmp_path, b" {} \t\r\n\xff\xfe\r\n")
    assert [raw_record(found, place) for place in (1, 2)] == [b" {} \t", b"\xff\xfe"]


def test_raw_lines_of_the_released_dataset(tmp_path):
    (tmp_path / "test_src.txt").write_bytes("a b<sep>k<sep>http://x\nbad é\n".encode())
    released = DumpFile("test_src.txt", str(tmp_path / "test_src.txt"), "cmkp")
    assert [raw_record(released, place).decode() for place in (1, 2)] == ["a b<sep>k<sep>http://x", "bad é"]
