"""Thousands of invented personal details, in every way of writing them and in every field that a reader looks at.

They go through a whole build, its reports and an export. None may be left in any file or output.
"""

import io
import json
import sys
import tarfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from m3h.pipeline.readers.dumps import DumpFile, read_dump
from m3h.schemas.posts import Dropped
from tests.commands import Done, run
from tests.pipeline.fakes import WORDS, picture
from tests.pipeline.planted import ACCOUNTS, FORMS, ORDINARY, Detail, detail, left_in

PICTURE = "https://example.org/p0.jpg"


def text_with(i: int, written: str = "") -> str:
    words = (WORDS[i % 14], WORDS[(i // 14) % 14], WORDS[(i // 196) % 14])
    return f"the {words[0]} and the {words[1]} near {written} by the {words[2]} were lovely #river"


def plain(i: int, **fields: Any) -> bytes:
    return json.dumps({"id": i, "text": text_with(i), "image": "p0.jpg", "lang": "en", **fields}).encode()


def v1(i: int, **fields: Any) -> bytes:
    entities = {"hashtags": [{"text": "river"}], "media": [{"type": "photo", "media_url_https": PICTURE}]}
    return json.dumps(
        {"id_str": str(i), "full_text": text_with(i), "user": {}, "entities": entities, **fields}
    ).encode()


def v1_media(i: int, written: str) -> bytes:
    media = [{"type": "photo", "media_url_https": f"https://example.org/{written}/p{i % 40}.jpg", "url": written}]
    return v1(i, entities={"media": media, "hashtags": [{"text": written}, {"text": "river"}]})


def v2(i: int, **fields: Any) -> bytes:
    tweet = {"id": str(i), "text": text_with(i), "author_id": "1", "attachments": {"media_keys": [f"3_{i}"]}}
    return json.dumps({**tweet, **fields}).encode()


def snscrape(i: int, **fields: Any) -> bytes:
    media = [{"_type": "snscrape.modules.twitter.Photo", "fullUrl": PICTURE}]
    item = {"_type": "snscrape.modules.twitter.Tweet", "id": i, "rawContent": text_with(i), "media": media}
    return json.dumps({**item, **fields}).encode()


FIELDS: Mapping[str, Callable[[int, str], bytes]] = {
    "text": lambda i, w: plain(i, text=text_with(i, w)),
    "text, escaped twice": lambda i, w: plain(i, text=text_with(i, json.dumps(w))),
    "id": lambda i, w: plain(i, id=w),
    "hashtags": lambda i, w: plain(i, hashtags=[w, "river"]),
    "lang": lambda i, w: plain(i, lang=w),
    "created_at": lambda i, w: plain(i, created_at=w),
    "collected_at": lambda i, w: plain(i, collected_at=w),
    "split": lambda i, w: plain(i, split=w),
    "image": lambda i, w: plain(i, image=f"photos/{w}.jpg"),
    "image_url": lambda i, w: plain(i, image=f"p{i % 40}.jpg", image_url=f"https://example.org/{w}/p{i % 40}.jpg"),
    "images": lambda i, w: plain(i, images=[f"{w}/p{i % 40}.jpg"]),
    "a field's name": lambda _, w: json.dumps({w: 1, f"{'x' * 180}{w}": 2}).encode(),
    "another type": lambda i, w: plain(i, text=[w]),
    "cut off": lambda i, w: plain(i, text=w)[:-9],
    "no JSON": lambda i, w: f"{i} {w}".encode(),
    "no object": lambda _, w: json.dumps([w, w]).encode(),
    "no UTF-8": lambda i, w: plain(i, text=w).replace(b"}", b"\xff}"),
    "NULs": lambda _, w: w.encode() + b"\0" + w.encode("utf-16-le"),
    "v1 full_text": lambda i, w: v1(i, full_text=text_with(i, w)),
    "v1 id_str": lambda i, w: v1(i, id_str=w),
    "v1 media and hashtags": v1_media,
    "v1 withheld": lambda i, w: v1(i, withheld_in_countries=[w]),
    "v1 edits": lambda i, w: v1(i, edit_control={"edit_tweet_ids": [w, str(i)]}),
    "v2 note": lambda i, w: v2(i, note_tweet={"text": text_with(i, w)}),
    "v2 media key": lambda i, w: v2(i, attachments={"media_keys": [f"3_{w}"]}),
    "v2 error": lambda _, w: json.dumps({"errors": [{"title": w}], "meta": {"result_count": 0}}).encode(),
    "tombstone": lambda _, w: json.dumps({"__typename": "TweetTombstone", "tombstone": {"text": {"text": w}}}).encode(),
    "snscrape content": lambda i, w: snscrape(i, rawContent=text_with(i, w)),
    "snscrape type": lambda i, w: snscrape(i, _type=f"snscrape.modules.twitter.{w}"),
}
"""Field -> the record of a number that has a detail there."""
FOLDERS = ("image", "image_url", "images", "v1 media and hashtags")
"""Where a slash parts folders, so that `202/555-0123` is no number."""


def planted_in(folder: Path) -> list[Detail]:
    """A dump of every form in every field, and an archive whose links have such names; and their pictures."""
    details, lines = [], []
    for seed in range(40):
        picture(folder / "images" / f"p{seed}.jpg", seed)
    for field, record in FIELDS.items():
        for form in FORMS:
            if "/555" in form and field in FOLDERS:
                continue
            details.append(planted := detail(form, len(details)))
            lines.append(record(10_000_000 + len(details), planted.written))
            if field == "image" and not set("/\\") & set(planted.written):
                picture(folder / "images/photos" / f"{planted.written}.jpg", 1000 + len(details))
    (folder / "dump.jsonl").write_bytes(b"\n".join(lines))
    with tarfile.open(folder / "archive.tar", "w") as archive:
        for form in ACCOUNTS:
            details.append(planted := detail(form, len(details)))
            link = tarfile.TarInfo(f"{planted.written}.jsonl")
            link.type, link.linkname = tarfile.SYMTYPE, planted.written
            archive.addfile(link)
    return details


def readable(name: str, data: bytes) -> str:
    """What stands in a file: the rows of a table, the bytes of any other, and its name."""
    text = data.decode("utf-8", errors="replace")
    if name.endswith(".parquet"):
        text = json.dumps(pq.read_table(io.BytesIO(data)).to_pylist(), ensure_ascii=False, default=str)
    if name.endswith(".jpg"):
        text = ""
    return f"{name}\n{text}"


@pytest.mark.slow
@pytest.mark.parametrize("languages", ['["en"]', "[]"], ids=["English", "any language"])
def test_none_of_thousands_of_planted_details_is_left_in_any_file_or_output(tmp_path: Path, languages: str) -> None:
    details = planted_in(tmp_path)
    assert len(details) >= 3_000
    dataset, out = tmp_path / "dataset", tmp_path / "out"
    out.mkdir()
    outputs: list[Done] = []

    def must(*words: object) -> Done:
        outputs.append(done := run("pipeline", *words))
        assert done.code == 0, done.err
        return done

    rules = ["clean.unique_images=false", "clean.near_text=0", "clean.near_images=0", "clean.min_hashtag_count=1"]
    built = must(
        *("build", "--dumps", tmp_path / "dump.jsonl", tmp_path / "archive.tar", "--images", tmp_path / "images"),
        *("--dataset", dataset, "--features", "none", "--workers", 1, "--json", "--progress", "json", "--set", *rules),
        *("clean.unique_texts=false", f"clean.languages={languages}"),
    )
    assert built.json["read"] == len(details)
    must("dropped", "--dataset", dataset, "--json")
    must("dropped", "--dataset", dataset, "--out", out / "dropped.jsonl")
    must("dropped", "--dataset", dataset)
    for suffix in ("txt", "csv", "jsonl"):
        must("ids", "--dataset", dataset, "--out", out / f"ids.{suffix}")
    for command in ("stats", "summary", "verify"):
        must(command, "--dataset", dataset)
        must(command, "--dataset", dataset, "--json")
    must("export", "--dataset", dataset, "--to", "webdataset", "--out", out / "tars")
    texts = [done.out + done.err for done in outputs]
    files = [path for folder in (dataset, out) for path in sorted(folder.rglob("*")) if path.is_file()]
    texts += [readable(path.relative_to(tmp_path).as_posix(), path.read_bytes()) for path in files]
    left = left_in(details, "\n".join(texts))
    dropped = Counter(built.json["dropped"])
    report = f"{len(details)} details, {built.json['kept']} posts kept, {dropped}, {len(files)} files, {len(left)} left"
    sys.stdout.write(f"{report}\n")
    assert left == []
    assert built.json["kept"] > 800
    assert {"not_json", "not_utf8", "unknown_format", "bad_field", "withheld", "image_missing"} <= set(dropped)


def test_what_cannot_be_read_is_told_by_its_place_and_its_fault_alone(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_bytes(b'{"id": 1, "text": "meet bob at noon\n\xff\xfe\n[1, 2\n')
    found = list(read_dump(DumpFile("d.jsonl", str(tmp_path / "d.jsonl"))))
    assert [(item.reason, item.position, item.detail) for item in found if isinstance(item, Dropped)] == [
        ("not_json", 1, "Unterminated string starting at: line 1 column 19 (char 18)"),
        ("not_utf8", 2, "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        ("not_json", 3, "Expecting ',' delimiter: line 1 column 6 (char 5)"),
    ]


def test_ordinary_texts_go_through_a_reader_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_bytes(b"\n".join(plain(i, text=text) for i, text in enumerate(ORDINARY)))
    found = list(read_dump(DumpFile("d.jsonl", str(tmp_path / "d.jsonl"))))
    assert [getattr(item, "text", "") for item in found] == ORDINARY
