"""Files are whole or absent."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.schemas.errors import IntegrityError, MachineError
from m3h.schemas.files import publish, publish_json, publish_text, read_json, sha256_file, temp_files


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_published_file_is_there_with_its_folders_and_no_temp(tmp_path):
    publish_text(tmp_path / "a" / "b" / "c.txt", "é\n")
    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == "é\n".encode()
    assert names(tmp_path / "a" / "b") == ["c.txt"]


def test_a_name_that_is_too_long_and_a_loop_of_links_are_one_line(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for path, said in (
        (tmp_path / ("a" * 256), "File name too long"),
        (tmp_path / "loop" / "a" / "b", "Too many levels"),
    ):
        with pytest.raises(MachineError, match=said):
            publish_text(path, "a")


@pytest.mark.parametrize("fault", [RuntimeError("torn"), KeyboardInterrupt()])
@pytest.mark.parametrize("old", [None, "old"])
def test_a_writer_that_dies_leaves_what_was_there_and_no_temp(tmp_path, fault, old):
    path = tmp_path / "c.txt"
    if old:
        publish_text(path, old)

    def half(temp):
        temp.write_text("half of it")
        assert temp.parent == tmp_path
        raise fault

    with pytest.raises(type(fault)):
        publish(path, half)
    assert names(tmp_path) == (["c.txt"] if old else [])
    assert not old or path.read_text() == old


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "c.txt"
    publish_text(path, "old")

    def write(temp):
        temp.write_text("new")
        assert path.read_text() == "old"

    publish(path, write)
    assert path.read_text() == "new"


def test_what_killed_writers_left_is_found(tmp_path):
    left = []

    def killed(temp):
        left.append(temp.with_name(temp.name + "-copy"))
        left[0].write_text("half")
        temp.write_text("whole")

    publish(tmp_path / "deep" / "c.txt", killed)
    assert list(temp_files(tmp_path)) == left


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON)
def test_json_comes_back_as_it_was(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "round.json"
    publish_json(path, value)
    assert read_json(path) == value


def test_json_does_not_depend_on_the_order_of_keys(tmp_path):
    publish_json(tmp_path / "a", {"x": 1, "y": {"b": 1, "a": 2}})
    publish_json(tmp_path / "b", {"y": {"a": 2, "b": 1}, "x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("data", [b"{", b"\xff", b""])
def test_a_file_that_is_no_json_is_named(tmp_path, data):
    (tmp_path / "x.json").write_bytes(data)
    with pytest.raises(IntegrityError, match=r"x\.json: not readable as JSON"):
        read_json(tmp_path / "x.json")


def test_a_missing_json_file_is_named(tmp_path):
    with pytest.raises(IntegrityError, match=r"x\.json: no such file"):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize("size", [0, 3, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_the_hash_is_of_all_bytes(tmp_path, size):
    data = bytes(i % 251 for i in range(size))
    (tmp_path / "f").write_bytes(data)
    assert sha256_file(tmp_path / "f") == hashlib.sha256(data).hexdigest()
