"""Pickles of arrays are read; nothing in a pickle is ever run."""

import os
import pickle
import resource
from collections import OrderedDict

import numpy as np
import pytest
import torch

from m3h.pipeline.extractors import pickled
from m3h.pipeline.extractors.pickled import read_pickle
from m3h.schemas.errors import UsageError


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_of_every_protocol_are_read(tmp_path, protocol):
    kept = {
        "rows": np.arange(6, dtype=np.float32).reshape(2, 3),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "number": np.float32(0.5),
        "ordered": OrderedDict(a=[1, "two", None, True]),
    }
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(kept, protocol))
    found = read_pickle(tmp_path / "a.pkl")
    assert {name: value.tolist() for name, value in found.items() if name != "ordered"} == {
        "rows": [[0, 1, 2], [3, 4, 5]],
        "columns": [[0, 1, 2], [3, 4, 5]],
        "number": 0.5,
    }
    assert found["ordered"] == kept["ordered"]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_tensors_of_every_protocol_are_read(tmp_path, protocol):
    kept = torch.arange(12.0).view(3, 4)[1:, ::2]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"t": kept}, protocol))
    assert read_pickle(tmp_path / "a.pkl")["t"].tolist() == [[4, 6], [8, 10]]


class Runs:
    """Pickles as a call, and then a state."""

    def __init__(self, function, *arguments, state=None):
        self.call = function, arguments, state

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("hostile", "named"),
    [
        (lambda mark: Runs(os.system, f"touch {mark}"), "posix.system"),
        (lambda mark: Runs(exec, f"open({str(mark)!r}, 'w')"), "builtins.exec"),
        (lambda mark: Runs(getattr, str(mark), "join"), "builtins.getattr"),
        (lambda mark: Runs(np.load, str(mark)), "numpy.load"),
        (lambda mark: Runs(torch.load, str(mark)), "torch.serialization.load"),
    ],
)
def test_a_pickle_that_would_run_code_is_refused_and_the_code_is_not_run(tmp_path, hostile, named):
    mark = tmp_path / "mark"
    payload = {"model": {"a": np.zeros(3), "b": hostile(mark)}}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(payload))
    with pytest.raises(UsageError, match=f"{named}, which would run code. Nothing was run"):
        read_pickle(tmp_path / "a.pkl")
    assert not mark.exists()


def test_a_nested_storage_cannot_run_code(tmp_path):
    inner = pickle.dumps(Runs(os.system, f"touch {tmp_path / 'mark'}"), protocol=2)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(Runs(torch.storage._load_from_bytes, inner)))
    with pytest.raises(UsageError):
        read_pickle(tmp_path / "a.pkl")
    assert not (tmp_path / "mark").exists()


def test_reading_takes_no_more_memory_than_the_file_is_long(tmp_path):
    storage = torch.zeros(4).untyped_storage()
    typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.float32, _internal=True)
    huge = Runs(torch._utils._rebuild_tensor_v2, typed, 0, (10**12,), (1,), False, OrderedDict())
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(huge))
    with pytest.raises(UsageError, match="needs 1000000000000 numbers, the file has 4"):
        read_pickle(tmp_path / "a.pkl")
    (tmp_path / "b.pkl").write_bytes(pickle.dumps(Runs(np.ndarray, (10**12,))))
    assert read_pickle(tmp_path / "b.pkl").size == 0  # an array takes its length from its values, and has none


def test_a_few_bytes_take_neither_gigabytes_nor_a_long_time(tmp_path):
    far = b"\x80\x02K\x01r\xff\xff\xff\x0f."  # the number 1, to be remembered as the 268,435,455th thing
    long = b"\x80\x05\x96" + (10**15).to_bytes(8, "little") + b"few."
    nested = b"\x80\x02}(K\x01" + b"q\x00h\x00\x86" * 60 + b"K\x01u."  # a key of 2**60 ones
    for content in (far, long, nested):
        (tmp_path / "a.pkl").write_bytes(content)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if content == far:
            assert read_pickle(tmp_path / "a.pkl") == 1
        else:
            with pytest.raises(UsageError, match="not readable as a pickle of arrays"):
                read_pickle(tmp_path / "a.pkl")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KB


def test_sets_are_refused(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"a": {1, 2}}))
    with pytest.raises(UsageError, match="not readable as a pickle of arrays"):
        read_pickle(tmp_path / "a.pkl")


def test_a_type_of_numpy_is_one_number(tmp_path):
    """A pickle may ask for a type made of others, whose parts lie where the pickle says."""
    number = np.float64(0).__reduce__()[0]
    for code, state in (("V8", {"a": (np.dtype("f8"), 0)}), ("f8", {"a": (np.dtype("f8"), 0)})):
        far = Runs(np.dtype, code, False, True, state=(3, "|", None, ("a",), state, 8, 1, 16))
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(Runs(number, far, bytes(8))))
        with pytest.raises(UsageError, match="expected numbers, found"):
            read_pickle(tmp_path / "a.pkl")


def test_an_array_of_objects_is_refused(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(np.array([{}, []], dtype=object)))
    found = read_pickle(tmp_path / "a.pkl")
    assert found.dtype.hasobject  # dictionaries and lists alone; who wants numbers looks at the type


@pytest.mark.parametrize("data", [b"", b"hello", pickle.dumps({"a": np.zeros(9)})[:-20], b"\x80\x05\x95"])
def test_a_file_that_is_not_a_pickle_is_a_usage_error(tmp_path, data):
    (tmp_path / "a.pkl").write_bytes(data)
    with pytest.raises(UsageError, match=r"a\.pkl"):
        read_pickle(tmp_path / "a.pkl")


def test_a_pickle_above_the_size_limit_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(pickled, "MAX_BYTES", 10)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps("long enough"))
    with pytest.raises(UsageError, match="a pickle of at most 10 bytes"):
        read_pickle(tmp_path / "a.pkl")
