"""`build --crawl`, `retry`: pictures fetched by their URLs, each once, over kills and second tries."""

import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from tests.commands import ROOT, command, environment, files_of, run, seen_in
from tests.pipeline.shop import Shop, crawled_dump, opened, words

POSTS = 12
UNFIT: list[dict[str, object]] = [
    {"id": 1, "text": "short #tag"},
    {"id": 2, "text": "a boat on the grey sea today"},
    {"id": 3, "text": "a boat on the grey sea #a #b #c #d #e #f"},
    {"id": 4, "text": "ein Boot auf dem grauen Meer #tag", "lang": "de"},
    {"id": 5, "text": "RT @someone: a boat on the grey sea #tag"},
]
"""One for each rule that needs no picture."""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with opened(tmp_path / "source", POSTS) as shop:
        yield shop


@pytest.fixture
def dump(tmp_path: Path, shop: Shop) -> Path:
    return crawled_dump(shop, tmp_path / "source", tmp_path / "crawled.jsonl")


@pytest.mark.slow
def test_every_picture_is_asked_for_once_and_what_failed_can_be_tried_again(
    dump: Path, shop: Shop, tmp_path: Path
) -> None:
    shop.failing = {"/p3.jpg": 404, "/p4.jpg": 500}
    with dump.open("a") as file:  # no picture of a post that leaves for its text is asked for
        file.writelines(
            json.dumps({"image_url": f"http://localhost:{shop.port}/not.jpg", **post}) + "\n" for post in UNFIT
        )
    dataset = tmp_path / "d"
    done = run("pipeline", *words(dump, dataset, shop, host_rate=100), "--json")
    assert done.code == 0, done.err
    assert (done.json["read"], done.json["kept"]) == (POSTS + len(UNFIT), POSTS - 2)
    unfit = ("too_few_tokens", "no_hashtag", "too_many_hashtags", "other_language", "retweet")
    assert done.json["dropped"] == {"crawl_gone": 1, "crawl_http_5xx": 1, **dict.fromkeys(unfit, 1)}
    assert shop.pictures == Counter({f"/p{i}.jpg": 1 for i in range(POSTS)})
    assert run("pipeline", "verify", "--dataset", dataset).code == 0

    shop.failing = {}
    done = run("pipeline", "retry", "--dataset", dataset, "--reason", "crawl_http_5xx", "--json")
    assert done.code == 0, done.err
    assert (done.json["before"], done.json["after"]) == ({"crawl_http_5xx": 1}, {"crawl_http_5xx": 0})
    assert shop.pictures == Counter({f"/p{i}.jpg": 1 for i in range(POSTS)} | {"/p4.jpg": 2})

    rows = {path.name: path for path in (dataset / "images").glob("images.parquet")}
    before = pq.read_table(rows["images.parquet"]).to_pylist()
    done = run("pipeline", "retry", "--dataset", dataset, "--reason", "crawl_gone", "--recrawl", "--json")
    assert done.code == 0, done.err
    assert (done.json["kept"], shop.unchanged.total()) == (POSTS, POSTS - 1)
    after = pq.read_table(rows["images.parquet"]).to_pylist()
    assert [row for row in after if not row["url"].endswith("/p3.jpg")] == before

    (tmp_path / "ids.txt").write_text("1007\n")
    forgotten = run("pipeline", "forget", "--dataset", dataset, "--ids", tmp_path / "ids.txt")
    assert forgotten.code == 0, forgotten.err
    ledgers = [row["url"] for path in (dataset / "images").glob("crawl-*") for row in pq.read_table(path).to_pylist()]
    assert len(ledgers) == POSTS - 1
    assert not [url for url in ledgers if url.endswith("/p7.jpg")]
    assert run("pipeline", "verify", "--dataset", dataset).code == 0


@pytest.mark.slow
def test_a_crawl_killed_in_the_middle_goes_on_and_asks_for_no_stored_picture_again(
    dump: Path, shop: Shop, tmp_path: Path
) -> None:
    dataset = tmp_path / "d"
    build = subprocess.Popen(
        command("pipeline", *words(dump, dataset, shop, workers=2, host_rate=2, host_concurrency=1)),
        env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT,
    )  # fmt: skip
    while len(stored := {path.name for path in seen_in(dataset, "images/*/[0-9a-f]*.jpg")}) < 3:
        assert build.poll() is None, "the build ended before it was killed"
        time.sleep(0.02)
    family = psutil.Process(build.pid).children(recursive=True)
    build.send_signal(signal.SIGKILL)
    build.wait()
    psutil.wait_procs(family, timeout=20)
    first = shop.pictures
    done = run("pipeline", *words(dump, dataset, shop, host_rate=100))
    assert done.code == 0, done.err
    asked_twice = [path for path, times in shop.pictures.items() if times > 1]
    assert len(asked_twice) <= 2, "at most what was under way, one picture a host"
    again = len(asked_twice)  # stored perhaps, but the kill came before that was noted
    assert first.total() + POSTS - len(stored) + again >= shop.pictures.total()

    assert run("pipeline", *words(dump, tmp_path / "whole", shop, host_rate=100)).code == 0
    assert files_of(dataset) == files_of(tmp_path / "whole")


def test_nothing_is_fetched_without_a_contact_and_nothing_private_without_leave(
    dump: Path, shop: Shop, tmp_path: Path
) -> None:
    nobody = run("pipeline", *words(dump, tmp_path / "d", shop, contact=""))
    assert nobody.code == 2
    assert "crawl.contact" in nobody.error
    done = run("pipeline", *words(dump, tmp_path / "d", shop, allow="[]"), "--json")
    assert done.code == 0, done.err
    assert done.json["dropped"] == {"crawl_forbidden_address": POSTS}
    assert not shop.asked
