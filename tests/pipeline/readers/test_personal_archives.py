"""Personal archives of Twitter, as folders and zips of all years: only their posts are records."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from m3h.pipeline.build.build import BuildOptions, build
from m3h.pipeline.config import BuildConfig
from m3h.pipeline.images.source_folder import locate, own_folders
from m3h.pipeline.readers.dumps import DumpFile, read_dump
from m3h.pipeline.readers.files.personal_archives import record_files
from m3h.pipeline.readers.find import find_dumps
from m3h.schemas.config import resolve
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import ImageFault, UsageError
from m3h.schemas.posts import ImageRef, Post
from tests.commands import files_of
from tests.pipeline.fakes import picture

OWNER = {"account": {"email": "owner@example.org", "username": "the_owner", "accountId": "7"}}


def status(post_id: int, **fields: Any) -> dict[str, Any]:
    return {"id_str": str(post_id), "id": str(post_id), "full_text": f"post {post_id} #Walk", "entities": {}, **fields}


def script(name: str, records: list[Any]) -> bytes:
    return f"window.YTD.{name}.part0 = {json.dumps(records, indent=2)}".encode()


def month(records: list[Any]) -> bytes:
    return b"Grailbird.data.tweets_2013_04 = \n " + json.dumps(records, indent=1).encode()


PAGES = {
    "Your archive.html": b"<html>the_owner</html>",
    "assets/js/runtime.js": b"var the_owner;",
    "assets/fonts/a.woff": b"wOFF",
}
ACCOUNT = {
    "manifest.js": b'window.__THAR_CONFIG = {"userInfo": {"userName": "the_owner"}}',
    "account.js": script("account", [OWNER]),
    "like.js": script("like", [{"like": {"tweetId": "9", "fullText": "liked #Walk"}}]),
    "tweet-headers.js": script("tweet_headers", [{"tweet": {"tweet_id": "1", "user_id": "7"}}]),
    "README.txt": b"of the_owner",
    "profile_media/7-x.jpg": b"\xff\xd8",
    "direct_messages_media/5-x.txt": b"secret",
}


def below(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": data for name, data in files.items()}


NEW = {
    **PAGES,
    **below("data", ACCOUNT),
    "data/tweets.js": script("tweets", [{"tweet": status(1)}, {"tweet": status(2)}]),
    "data/tweets-part1.js": script("tweets", [{"tweet": status(3)}]),
    "data/community-tweet.js": script("community_tweet", [{"tweet": status(4)}]),
    "data/deleted-tweets.js": script(
        "deleted_tweets", [{"tweet": status(5, deleted_at="Mon Nov 24 07:05:11 +0000 2025")}]
    ),
    "data/note-tweet.js": script("note_tweet", [{"noteTweet": {"core": {"text": "long"}}}]),
    "data/tweets_media/1-a.jpg": b"\xff\xd8",
}
OF_2018 = {**ACCOUNT, "tweet.js": script("tweet", [status(1), status(2)]), "tweet_media/1-a.jpg": b"\xff\xd8"}
OLD = {
    "data/js/tweets/2013_04.js": month([status(1), status(2)]),
    "data/js/tweets/2013_05.js": month([status(3)]),
    "data/js/tweet_index.js": b"var tweet_index = []",
    "data/js/user_details.js": b'var user_details = {"screen_name": "the_owner"}',
    "data/csv/2013_04.csv": b"tweet_id,text\n1,x\n",
    "tweets.csv": b"tweet_id,text\n1,x\n",
    "index.html": b"<html>the_owner</html>",
    "README.txt": b"of the_owner",
    "js/application.js": b"var x",
    "img/sprite.png": b"\x89PNG",
}
ARCHIVES = {
    "new": (NEW, ["1", "2", "3", "4", "deleted", "supplement"]),
    "data alone": ({k.removeprefix("data/"): v for k, v in NEW.items() if k.startswith("data/")},
                   ["1", "2", "3", "4", "deleted", "supplement"]),
    "2018": (OF_2018, ["1", "2"]),
    "old": (OLD, ["1", "2", "3"]),
    "several": ({**below("anna", NEW), **below("ben", OLD)},
                [*"112233", "4", "deleted", "supplement"]),
}  # fmt: skip


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def results(dumps: list[DumpFile]) -> list[str]:
    found = [item for dump in dumps for item in read_dump(dump)]
    assert "the_owner" not in repr(found) + repr([dump.name for dump in dumps])
    return sorted(item.post_id if isinstance(item, Post) else item.reason for item in found)


@pytest.mark.parametrize(("files", "expected"), ARCHIVES.values(), ids=list(ARCHIVES))
def test_of_an_unzipped_archive_only_the_posts_are_records(
    tmp_path: Path, files: dict[str, bytes], expected: list[str]
) -> None:
    assert results(find_dumps([str(written(tmp_path / "archive", files))])) == expected


@pytest.mark.parametrize(("files", "expected"), ARCHIVES.values(), ids=list(ARCHIVES))
def test_of_a_zip_too(tmp_path: Path, files: dict[str, bytes], expected: list[str]) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    assert results(find_dumps([str(tmp_path / "archive.zip")])) == expected


def test_of_files_that_a_glob_finds_too(tmp_path: Path) -> None:
    found = find_dumps([str(written(tmp_path, NEW) / "data" / "*.js")])
    assert [dump.name for dump in found] == [
        "community-tweet.js", "deleted-tweets.js", "note-tweet.js", "tweets-part1.js", "tweets.js",
    ]  # fmt: skip


def test_other_dumps_beside_an_archive_stay_dumps(tmp_path: Path) -> None:
    more = {"data/posts.jsonl": b"{}\n", "more.jsonl": b"{}\n", "notes/own.js": b"[]"}
    names = [dump.name for dump in find_dumps([str(written(tmp_path, {**NEW, **more}))])]
    assert set(more) <= set(names)
    assert len(names) == 5 + len(more)


def test_without_an_archive_every_file_but_pictures_and_videos_stays():
    names = ["a.js", "b.html", "assets/c.jsonl", "data/tweets.js", "d_media/e", "README.txt", "x.JPG", "y.mp4"]
    assert record_files(names, lambda _: b"[{}]") == names[:-2]


@pytest.mark.parametrize("files", [{"a.jpg": b"\xff\xd8"}, below("data", ACCOUNT)])
def test_a_folder_without_any_posts_is_a_usage_error(tmp_path: Path, files: dict[str, bytes]) -> None:
    with pytest.raises(UsageError, match="no file with posts"):
        find_dumps([str(written(tmp_path / "archive", files))])


def test_months_of_an_old_archive_have_their_dates(tmp_path: Path) -> None:
    (tmp_path / "2013_04.js").write_bytes(month([status(1, created_at="2013-04-30 22:33:33 +0000", user={"id": 7})]))
    (post,) = read_dump(DumpFile("2013_04.js", str(tmp_path / "2013_04.js")))
    assert isinstance(post, Post)
    assert (post.created_at, post.hashtags) == ("2013-04-30 22:33:33 +0000", ("walk",))


def test_photos_of_old_archives_have_no_type_and_stills_of_videos_are_none(tmp_path: Path) -> None:
    media = [
        {"media_url_https": f"https://pbs.twimg.com/{path}"} for path in ("media/a.jpg", "tweet_video_thumb/b.jpg")
    ]
    (tmp_path / "2013_04.js").write_bytes(month([status(1, entities={"media": media})]))
    (post,) = read_dump(DumpFile("2013_04.js", str(tmp_path / "2013_04.js")))
    assert isinstance(post, Post)
    assert post.images == (ImageRef(url="https://pbs.twimg.com/media/a.jpg"),)


# pictures

URL = "https://pbs.twimg.com/media/Gx-y_z.jpg"


@pytest.mark.parametrize(
    "name",
    ["tweets_media/12-Gx-y_z.jpg", "data/tweets_media/12-Gx-y_z.jpg", "data/tweet_media/12-Gx-y_z.jpg",
     "tweet_media/12-Gx-y_z.jpg", "data/community_tweet_media/12-Gx-y_z.jpg", "12-Gx-y_z.jpg"],
)  # fmt: skip
def test_a_picture_is_found_by_its_post_and_its_media_name(tmp_path: Path, name: str) -> None:
    written(tmp_path, {name: b"x", "tweets_media/13-other.jpg": b"y"})
    assert locate(ImageRef(url=URL), [tmp_path], ["11", "12"]) == tmp_path / name
    assert locate(ImageRef(url=f"{URL}:large"), [tmp_path], ["12"]) == tmp_path / name


@pytest.mark.parametrize("post_ids", [[], ["2"], ["1/../../x"], [".."]])
def test_the_picture_of_another_post_is_not_taken(tmp_path: Path, post_ids: list[str]) -> None:
    written(tmp_path, {"tweets_media/12-Gx-y_z.jpg": b"x"})
    with pytest.raises(ImageFault, match="image_missing"):
        locate(ImageRef(url=URL), [tmp_path], post_ids)


def test_a_picture_of_the_plain_name_comes_first(tmp_path: Path) -> None:
    written(tmp_path, {"Gx-y_z.jpg": b"x", "tweets_media/12-Gx-y_z.jpg": b"y"})
    assert locate(ImageRef(url=URL), [tmp_path], ["12"]) == tmp_path / "Gx-y_z.jpg"


def test_a_link_out_of_the_archive_is_not_followed(tmp_path: Path) -> None:
    written(tmp_path, {"secret/12-Gx-y_z.jpg": b"x", "archive/tweets.js": b""})
    (tmp_path / "archive" / "tweets_media").symlink_to(tmp_path / "secret")
    with pytest.raises(ImageFault, match="image_outside"):
        locate(ImageRef(url=URL), [tmp_path / "archive"], ["12"])


def test_an_archive_is_its_own_folder_of_pictures(tmp_path: Path) -> None:
    written(tmp_path, {"a/data/tweets_media/12-a.jpg": b"x", "b/tweet_media/1-b.jpg": b"x", "c/d.jsonl": b""})
    files = [tmp_path / name for name in ("a/data/tweets.js", "a/data/note-tweet.js", "b/tweet.js", "c/d.jsonl")]
    assert own_folders(files) == [tmp_path / "a" / "data", tmp_path / "b"]


# whole builds


def zipped(folder: Path, files: dict[str, bytes]) -> DumpFile:
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return DumpFile("archive.zip", str(folder / "archive.zip"))


def photo(url: str) -> dict[str, Any]:
    return {"extended_entities": {"media": [{"type": "photo", "media_url_https": url}]}}


TEXT = "the morning by the river and the bridge was lovely"


@pytest.mark.parametrize("as_zip", [True, False])
def test_a_personal_archive_is_built_with_its_pictures_and_without_its_owner(tmp_path: Path, as_zip: bool) -> None:
    urls = {12: URL, 13: "https://pbs.twimg.com/media/none.jpg"}
    texts = {i: f"{TEXT} {i} #Walk{i}" for i in urls}
    tweets = [{"tweet": status(i, full_text=texts[i], lang="en", **photo(url))} for i, url in urls.items()]
    files = NEW | {"data/tweets.js": script("tweets", tweets)}
    files["data/tweets_media/12-Gx-y_z.jpg"] = picture(tmp_path / "made.jpg", 1).read_bytes()
    given = zipped(tmp_path, files).path if as_zip else str(written(tmp_path / "archive", files))
    config = resolve(BuildConfig, None, ["clean.min_hashtag_count=1"])
    dataset = tmp_path / "dataset"
    options = BuildOptions([given], dataset, features=(), config=config, workers=1, progress="none")
    dropped = build(options).summary()["dropped"]
    assert dropped == {"deleted": 1, "supplement": 1, "no_image": 2, "image_missing": 1}
    assert [row["post_id"] for row in Dataset(dataset).posts.to_pylist()] == ["12"]
    assert not any(b"the_owner" in data or b"owner@example.org" in data for data in files_of(dataset).values())
