"""Pictures that a dump holds wait in the workspace by their hash, and records go on without their bytes."""

import hashlib
from pathlib import Path

import pytest

from m3h.pipeline.images.embedded import Embedded
from m3h.pipeline.readers.image_text.members import NO_BYTES
from m3h.pipeline.stages.coders import PostCoder
from m3h.schemas.errors import M3hError
from m3h.schemas.inside import picture_file
from m3h.schemas.posts import Dropped, ImageRef, Post

DATA = b"\xff\xd8\xff the bytes of a picture"
SHA256 = hashlib.sha256(DATA).hexdigest()


def post(*images: ImageRef) -> Post:
    return Post("1", "a text", images=images, source="detected:a.tar", position=7)


def test_a_record_goes_on_with_the_hash_and_its_bytes_lie_under_it(tmp_path: Path) -> None:
    waiting = Embedded(tmp_path, 100)
    aside = waiting.set_aside(post(ImageRef("in/a.jpg", "http://x/a", "a cat", content=DATA)))
    assert isinstance(aside, Post)
    (image,) = aside.images
    assert (image, image.content) == (ImageRef("in/a.jpg", "http://x/a", "a cat", SHA256), b"")
    assert picture_file(tmp_path, SHA256).read_bytes() == DATA == waiting.read(image)
    coder = PostCoder()
    assert coder.decode(coder.encode(aside)) == aside


def test_what_a_power_cut_left_is_written_again(tmp_path: Path) -> None:
    waiting, path = Embedded(tmp_path, 100), picture_file(tmp_path, SHA256)
    path.parent.mkdir()
    path.write_bytes(DATA[:5])
    waiting.set_aside(post(ImageRef("a.jpg", content=DATA)))
    assert path.read_bytes() == DATA


def test_a_record_without_a_picture_of_its_own_is_left_as_it_is(tmp_path: Path) -> None:
    named = post(ImageRef("a.jpg"), ImageRef(url="http://x/b.jpg"))
    assert Embedded(tmp_path, 100).set_aside(named) is named


def test_of_several_pictures_none_is_written_because_the_record_is_dropped_for_their_number(tmp_path: Path) -> None:
    aside = Embedded(tmp_path, 1).set_aside(post(ImageRef("a.jpg", content=DATA), ImageRef("b.jpg", content=DATA)))
    assert isinstance(aside, Post)
    assert [(image.path, image.content, image.embedded) for image in aside.images] == [
        ("a.jpg", b"", ""), ("b.jpg", b"", ""),
    ]  # fmt: skip
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("image", "reason", "detail"),
    [
        (ImageRef("in/a.jpg", content=DATA), "image_too_large", "a.jpg: more than 20 bytes"),
        (ImageRef("in/a.jpg", embedded=NO_BYTES), "image_empty", "a.jpg: 0 bytes"),
    ],
)
def test_too_many_bytes_and_none_drop_the_record_at_the_image_stage(
    tmp_path: Path, image: ImageRef, reason: str, detail: str
) -> None:
    assert Embedded(tmp_path, 20).set_aside(post(image)) == Dropped("image", reason, "1", "detected:a.tar", 7, detail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"other")])
def test_bytes_that_are_gone_are_no_fault_of_the_picture(tmp_path: Path, damage) -> None:
    waiting = Embedded(tmp_path, 100)
    waiting.set_aside(post(ImageRef("a.jpg", content=DATA)))
    damage(picture_file(tmp_path, SHA256))
    with pytest.raises(M3hError, match="The same command reads the dump again"):
        waiting.read(ImageRef("a.jpg", embedded=SHA256))
