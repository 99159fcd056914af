"""Pictures that lie in a zip archive beside its posts are found by the names that count in a folder."""

import hashlib
import json
from pathlib import Path

import pytest

from m3h.pipeline.images.zip_pictures import pictures_in
from m3h.pipeline.readers.dumps import DumpFile
from m3h.pipeline.readers.held_pictures import holds_pictures, pictures_of
from m3h.pipeline.readers.image_text.members import NO_BYTES
from m3h.schemas.posts import ImageRef, Post
from tests.pipeline.fakes import picture
from tests.pipeline.finished import dropped, shown
from tests.pipeline.tars import Member, zip_of
from tests.pipeline.warm import Warm

PICTURE = b"\xff\xd8\xff a picture"
FILES: list[Member] = [
    ("archive/data/tweets_media/7-M1.jpg", PICTURE),
    ("archive/media/files/a.jpg", b"a"),
    ("archive/media/files/empty.jpg", b""),
    ("archive/one/same.jpg", b"1"),
    ("archive/two/same.jpg", b"2"),
    ("top.jpg", b"top"),
]


def dump(folder: Path, members: list[Member]) -> DumpFile:
    (folder / "archive.zip").write_bytes(zip_of(members))
    return DumpFile("archive.zip", str(folder / "archive.zip"))


@pytest.mark.parametrize(
    ("image", "content"),
    [
        (ImageRef(url="https://pbs.twimg.com/media/M1.jpg"), PICTURE),
        (ImageRef(url="https://pbs.twimg.com/media/M1?format=jpg&name=large"), PICTURE),
        (ImageRef(path="archive/media/files/a.jpg"), b"a"),
        (ImageRef(path="media/files/a.jpg"), b"a"),
        (ImageRef(path="elsewhere/top.jpg"), b"top"),
        (ImageRef(path="two/same.jpg"), b"2"),
        (ImageRef(path="same.jpg"), b""),
        (ImageRef(path="../same.jpg"), b""),
        (ImageRef(path="/etc/passwd", url="http://[x"), b""),
        (ImageRef(path="a.jpg", content=b"own"), b"own"),
    ],
)
def test_a_post_has_the_one_picture_that_its_names_lead_to(tmp_path: Path, image: ImageRef, content: bytes) -> None:
    with pictures_in(dump(tmp_path, FILES), 100) as pictures:
        assert pictures
        post = pictures.added_to(Post("7", "a text", images=(image,)))
        assert (post.images[0].content, post.images) == (content, (image,))
        empty = pictures.added_to(Post("7", "a text", images=(ImageRef("empty.jpg"),)))
        assert empty.images[0].embedded == NO_BYTES
        several = Post("7", "a text", images=(ImageRef("top.jpg"), ImageRef("a.jpg")))
        assert pictures.added_to(several) is several
    with pictures_in(dump(tmp_path, FILES), 3) as pictures:
        assert pictures
        assert pictures.added_to(Post("7", "", images=(ImageRef("7-M1.jpg"),))).images[0].content == PICTURE[:4]


def test_a_dump_without_pictures_has_none(tmp_path: Path) -> None:
    (tmp_path / "cut.zip").write_bytes(zip_of(FILES)[:50])
    (tmp_path / "lines").write_bytes(b"{}")
    others = [DumpFile(name, str(tmp_path / name)) for name in ("cut.zip", "lines", "none")]
    for file in [dump(tmp_path, [("tweets.js", b"[]")]), *others]:
        assert not holds_pictures(file)
        with pictures_in(file, 9) as pictures:
            assert pictures is None


def test_pictures_of_zips_are_found_again_by_their_hash(tmp_path: Path) -> None:
    file = dump(tmp_path, FILES)
    assert holds_pictures(file)
    digest = hashlib.sha256(b"2").hexdigest()
    assert dict(pictures_of([file], {digest}, 100)) == {digest: b"2"}


def test_a_build_of_an_archive_needs_no_folder_of_pictures(m3h: Warm, tmp_path: Path) -> None:
    """A personal archive of two posts, one of whose pictures it lacks."""
    media = [{"type": "photo", "url": "https://t.co/a", "media_url_https": "https://pbs.twimg.com/media/M.jpg"}]
    tweets = []
    for i, text in enumerate(("a long walk by the river #river", "nobody expected so many at the market #food")):
        entities = {"hashtags": [{"text": text.rpartition("#")[2]}], "media": media, "urls": []}
        tweet = {"id_str": str(7 + i), "id": str(7 + i), "full_text": text, "lang": "en", "entities": entities}
        tweets.append({"tweet": tweet | {"created_at": "Mon Nov 24 12:00:00 +0000 2025"}})
    script = f"window.YTD.tweets.part0 = {json.dumps(tweets)}".encode()
    colour = picture(tmp_path / "a.jpg", 1).read_bytes()
    file = dump(tmp_path, [("data/tweets.js", script), ("data/tweets_media/7-M.jpg", colour)])
    options = ["--features", "none", "--workers", 1, "--progress", "none", "--set", "clean.min_hashtag_count=1"]
    m3h.must("build", "--dumps", file.path, "--dataset", tmp_path / "d", *options)
    assert shown(tmp_path / "d") == {"7": hashlib.sha256(colour).hexdigest()}
    assert [(row["record_id"], row["reason"]) for row in dropped(tmp_path / "d")] == [("8", "image_missing")]
