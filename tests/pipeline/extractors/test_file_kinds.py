"""A file that is no weights is called by its name in one line, by every reader, whatever its suffix says."""

import gzip
import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from m3h.pipeline.cli import main
from m3h.pipeline.extractors.butd.caffemodel import read_caffemodel
from m3h.pipeline.extractors.file_kinds import kind_of
from m3h.pipeline.extractors.pickled import read_pickle
from m3h.pipeline.extractors.weights import read_tensors
from m3h.schemas.errors import UsageError

LFS = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 553433881\n".encode()
PAGE = b"\n<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head></html>"
TENSORS = {"weight": torch.arange(3.0)}


def saved(**options: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(TENSORS, buffer, **options)
    return buffer.getvalue()


def zipped(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "content")
    return buffer.getvalue()


def scripted() -> bytes:
    """The members that tell a program of TorchScript."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("net/data.pkl", "net/code/__torch__.py", "net/constants.pkl"):
            archive.writestr(name, "content")
    return buffer.getvalue()


def hdf5() -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["kernel"] = np.zeros(3)
    return buffer.getvalue()


FOUND = {
    "an empty file. Download it again.": b"",
    "a pointer of Git LFS, not the file itself": LFS,
    "a pointer of git-annex": b"/annex/objects/SHA256E-s12--0a.pth\n",
    "a web page": PAGE,
    'a text that begins with \'{"error": "Invalid username or password.': b'{"error": "Invalid username or password."}',
    "a compressed file or an archive. Unpack it": gzip.compress(b"x"),
    "a compressed file or an archive. Unpack it, and": zipped("weights/vgg16.pth"),
    "the beginning of a zip archive": saved()[:-200],
    "a program of TorchScript": scripted(),
    "an HDF5 file, as Keras writes them": hdf5(),
}


@pytest.mark.parametrize("found", FOUND)
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("w.pth", read_tensors),
        ("w.safetensors", read_tensors),
        ("w.pkl", read_pickle),
        ("w.caffemodel", read_caffemodel),
    ],
)
def test_what_is_no_weights_is_named_by_every_reader(
    tmp_path: Path, name: str, read: Callable[[Path], object], found: str
) -> None:
    if read is read_pickle and found.startswith("a text"):
        return  # the oldest pickles are text: the reader itself refuses it
    (tmp_path / name).write_bytes(FOUND[found])
    with pytest.raises(UsageError) as caught:
        read(tmp_path / name)
    said = str(caught.value)
    assert f"found {found}" in said
    assert said.startswith(f"weights {tmp_path / name}: expected ")
    assert (said.count("\n"), len(said) < 300 + len(str(tmp_path))) == (0, True)


@pytest.mark.parametrize(
    ("content", "name", "advice"),
    [
        (saved(), "w.safetensors", "a file of torch.save. Give it a name that ends in .pth"),
        (
            saved(_use_new_zipfile_serialization=False),
            "w.pkl",
            "a file of torch.save. Give it a name that ends in .pth",
        ),
        (pickle.dumps({"a": np.zeros(2)}), "w.pth", "a plain pickle. Give it a name that ends in .pkl"),
    ],
)
def test_a_wrong_suffix_is_said_with_the_right_one(tmp_path: Path, content: bytes, name: str, advice: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=advice):
        (read_pickle if name.endswith(".pkl") else read_tensors)(tmp_path / name)


def test_safetensors_under_another_name_are_named(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "w.bin")
    with pytest.raises(UsageError, match=r"found a file of safetensors\. Give it a name that ends in \.safetensors"):
        read_tensors(tmp_path / "w.bin")


@pytest.mark.parametrize("is_new", [True, False])
def test_both_layouts_of_torch_are_known_and_read(tmp_path: Path, is_new: bool) -> None:
    (tmp_path / "w.pth").write_bytes(saved(_use_new_zipfile_serialization=is_new))
    assert kind_of(tmp_path / "w.pth") == "torch"
    torch.testing.assert_close(read_tensors(tmp_path / "w.pth"), TENSORS, rtol=0, atol=0)


def test_what_is_not_known_is_left_to_the_reader(tmp_path: Path) -> None:
    for content in (bytes(range(256)), b"\n\x05VGG16\xa2\x06\xff", "Ω".encode("utf-16")):
        (tmp_path / "w").write_bytes(content)
        assert kind_of(tmp_path / "w") == ""


def test_a_text_cut_within_a_letter_is_a_text(tmp_path: Path) -> None:
    (tmp_path / "w").write_text("é" + "x" * 510 + "é", encoding="utf-8")
    assert kind_of(tmp_path / "w") == "text"


def test_a_user_sees_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "vgg.pth").write_bytes(LFS)
    assert main(["weights", "add", "vgg", str(tmp_path / "vgg.pth")]) == 2
    assert capsys.readouterr().err == (
        f"error: weights {tmp_path / 'vgg.pth'}: expected a file of torch.save, found a pointer of Git LFS, not the "
        "file itself. Run `git lfs pull` where it was cloned, or download the file.\n"
    )
