"""Pictures are found inside the folder alone, and what lies there in a picture's place is never trusted."""

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.images.source_folder import locate, read
from m3h.schemas.errors import ImageFault
from m3h.schemas.posts import ImageRef


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "images"
    for name in ("a.jpg", "sub/a.jpg", "sub/b.jpg", "é x.jpg"):
        (inside / name).parent.mkdir(parents=True, exist_ok=True)
        (inside / name).write_bytes(name.encode())
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    return inside


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (ImageRef("a.jpg"), "a.jpg"),
        (ImageRef("sub/a.jpg"), "sub/a.jpg"),
        (ImageRef("elsewhere/a.jpg"), "a.jpg"),
        (ImageRef("/abs/a.jpg"), "a.jpg"),
        (ImageRef("../a.jpg"), "a.jpg"),
        (ImageRef("gone.jpg", "http://x/y/a.jpg?name=large"), "a.jpg"),
        (ImageRef(url="http://x/y/a.jpg:large"), "a.jpg"),
        (ImageRef(url="http://x/y/a?format=jpg&name=large"), "a.jpg"),
        (ImageRef(url="https://x/%C3%A9%20x.jpg"), "é x.jpg"),
        (ImageRef("sub/a.jpg", "http://x/a.jpg"), "sub/a.jpg"),
    ],
)
def test_by_path_then_by_name_then_by_the_urls_name(folder, reference, expected):
    assert locate(reference, [folder]) == folder / expected


@pytest.mark.parametrize(
    "reference",
    [
        ImageRef("../secret.jpg"),
        ImageRef("sub/../../secret.jpg"),
        ImageRef(url="http://x/../secret.jpg"),
        ImageRef(url="http://x/%2e%2e%2fsecret.jpg"),
        ImageRef(".."),
        ImageRef("."),
        ImageRef("b.jpg"),
        ImageRef("a\0.jpg"),
        ImageRef("a" * 5000),
        ImageRef(url="http://[half/a.jpg"),
        ImageRef(url="http://x/"),
        ImageRef(),
    ],
)
def test_what_is_not_inside_the_folder_is_missing(folder, reference):
    with pytest.raises(ImageFault) as caught:
        locate(reference, [folder])
    assert (caught.value.reason, caught.value.detail) == ("image_missing", reference.path or reference.url)


def test_an_absolute_path_is_never_followed(folder):
    with pytest.raises(ImageFault, match="image_missing"):
        locate(ImageRef(str(folder.parent / "secret.jpg")), [folder])


NAMES = st.sampled_from(["..", ".", "", "sub", "a.jpg", "secret.jpg", "%2e%2e", "~"])
PARTS = st.lists(NAMES, max_size=6).map("/".join)


@given(PARTS, PARTS)
def test_no_reference_leads_out_of_the_folder(tmp_path_factory, path, url):
    base = tmp_path_factory.getbasetemp() / "outside"
    (base / "images" / "sub").mkdir(parents=True, exist_ok=True)
    (base / "secret.jpg").write_bytes(b"secret")
    (base / "images" / "sub" / "a.jpg").write_bytes(b"a")
    try:
        found = locate(ImageRef(path, f"http://x/{url}"), [base / "images"])
    except ImageFault:
        return
    assert found.resolve().is_relative_to((base / "images").resolve())


# what lies there


def fault_of(name: str, folder: Path) -> tuple[str, str]:
    with pytest.raises(ImageFault) as caught:
        read(locate(ImageRef(name), [folder]), 100)
    return caught.value.reason, caught.value.detail


def test_a_file_is_read_up_to_the_limit(folder: Path) -> None:
    (folder / "big.jpg").write_bytes(b"x" * 100)
    assert read(locate(ImageRef("big.jpg"), [folder]), 100) == b"x" * 100
    (folder / "big.jpg").write_bytes(b"x" * 101)
    assert fault_of("big.jpg", folder) == ("image_too_large", "101 bytes, at most 100")
    (folder / "big.jpg").write_bytes(b"")
    assert fault_of("big.jpg", folder) == ("image_empty", "0 bytes")


def test_what_is_no_file_is_named_and_never_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "folder.jpg").mkdir()
    os.mkfifo(folder / "pipe.jpg")  # to open it would wait for a writer, forever
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(folder)  # a socket's whole name has at most about 100 letters
        server.bind("socket.jpg")
    for name, kind in (("folder", "a folder"), ("pipe", "a named pipe"), ("socket", "a socket")):
        assert fault_of(f"{name}.jpg", folder) == ("image_not_a_file", f"{name}.jpg: {kind}, expected a file")
    assert fault_of("zero", Path("/dev")) == ("image_not_a_file", "zero: a device, expected a file")


def test_a_link_out_of_the_folder_is_not_followed(folder: Path) -> None:
    (folder / "file.jpg").symlink_to(folder.parent / "secret.jpg")
    (folder / "up").symlink_to(folder.parent)
    (folder / "device.jpg").symlink_to("/dev/zero")
    for name in ("file.jpg", "up/secret.jpg", "device.jpg"):
        detail = f"{name}: a link out of the folder; put the file itself there"
        assert fault_of(name, folder) == ("image_outside", detail)


def test_links_within_the_folder_are_followed_and_the_folder_may_be_one(folder: Path) -> None:
    (folder / "same.jpg").symlink_to("sub/b.jpg")
    (folder.parent / "linked").symlink_to(folder)
    assert locate(ImageRef("same.jpg"), [folder.parent / "linked"]) == folder / "sub" / "b.jpg"


def test_links_that_lead_nowhere_are_missing_or_unreadable(folder: Path) -> None:
    (folder / "gone.jpg").symlink_to("not/there.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    assert fault_of("gone.jpg", folder) == ("image_missing", "gone.jpg")
    assert fault_of("loop.jpg", folder) == ("image_unreadable", "loop.jpg: Too many levels of symbolic links")


def test_what_took_the_files_place_since_it_was_found_is_not_followed(folder: Path) -> None:
    found = locate(ImageRef("a.jpg"), [folder])
    found.unlink()
    found.symlink_to(folder.parent / "secret.jpg")
    with pytest.raises(ImageFault, match="image_unreadable"):
        read(found, 100)
    found.unlink()
    os.mkfifo(found)
    with pytest.raises(ImageFault, match="image_not_a_file"):
        read(found, 100)


def test_a_picture_under_the_next_name_is_taken_where_the_first_is_none(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "a.jpg").mkdir()
    assert locate(ImageRef("other/a.jpg"), [folder]) == folder / "a.jpg"


def test_the_first_folder_that_has_it_counts_whatever_the_name_it_has_it_under(folder: Path) -> None:
    second = folder.parent / "second"
    (second / "sub").mkdir(parents=True)
    (second / "sub" / "a.jpg").write_bytes(b"second")
    assert locate(ImageRef("sub/a.jpg"), [folder, second]) == folder / "sub" / "a.jpg"
    (folder / "sub" / "a.jpg").unlink()
    assert locate(ImageRef("sub/a.jpg"), [folder, second]) == folder / "a.jpg"
    (folder / "a.jpg").unlink()
    os.mkfifo(folder / "a.jpg")
    assert locate(ImageRef("sub/a.jpg"), [folder, second]) == second / "sub" / "a.jpg"


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A folder that everybody may enter, seen by a user who is not root: root may read everything."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        for inside in ("closed.jpg", "closed/a.jpg"):
            path = Path(name, inside)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"x")
            path.chmod(0)
        Path(name, "closed").chmod(0)
        before = os.geteuid()
        if before == 0:
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            os.seteuid(before)
            Path(name, "closed").chmod(stat.S_IRWXU)


def test_what_we_may_not_read_is_said(nobody: Path) -> None:
    assert fault_of("closed.jpg", nobody) == ("image_unreadable", "Permission denied")
    assert fault_of("closed/a.jpg", nobody) == ("image_unreadable", "closed/a.jpg: Permission denied")
