"""Hosts and folders that fail for a while: what is there stays, what happened is said, and nothing is made up."""

import shutil
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands import files_of
from tests.pipeline.cases import some
from tests.pipeline.failing_host import OUTAGES, ROBOTS, Answer, FailingHost, failing_host
from tests.pipeline.fakes import picture
from tests.pipeline.finished import crawl_rows, differing, is_conserved, shown, strings_in
from tests.pipeline.warm import Warm

POSTS = 6
RULES = ["--workers", 1, "--progress", "none", "--set", "clean.min_hashtag_count=1", "clean.near_text=0"]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FailingHost]:
    with failing_host(tmp_path_factory.mktemp("source"), POSTS + 2) as host:
        yield host


@pytest.fixture(scope="module")
def dumps(host: FailingHost) -> tuple[Path, Path]:
    """Of the first posts, and of the last two."""
    source = host.folder.parent
    lines = (source / "dump.jsonl").read_text().splitlines()
    early, late = lines[:POSTS], lines[POSTS:]
    return host.dump(source / "crawled.jsonl", early), host.dump(source / "crawled_late.jsonl", late)


@pytest.fixture(scope="module")
def crawled_once(
    m3h: Warm, host: FailingHost, dumps: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    host.heal()
    dataset = tmp_path_factory.mktemp("crawled") / "dataset"
    m3h.must(*build_words(dumps[0], dataset, host))
    assert len(shown(dataset)) == POSTS
    return dataset


@pytest.fixture
def crawled(crawled_once: Path, host: FailingHost, tmp_path: Path) -> Path:
    """A dataset whose pictures were all fetched, of a host that is well."""
    host.heal()
    return shutil.copytree(crawled_once, tmp_path / "dataset")


def build_words(dump: Path, dataset: Path, host: FailingHost, **crawl: object) -> list[object]:
    words = ["build", "--dumps", dump, "--crawl", "--dataset", dataset, "--features", "ocr", *RULES]
    return [*words, *host.rules(**crawl)]


def records_of(dataset: Path) -> dict[str, bytes]:
    """What readers see: all files but the ledgers, which tell of the crawl, and what counts or hashes these."""
    own = ("images/crawl-", "manifest.")
    return {name: data for name, data in files_of(dataset).items() if not name.startswith(own)}


def recrawled(m3h: Warm, dataset: Path) -> None:
    m3h.must("retry", "--dataset", dataset, "--recrawl", "--workers", 1, "--progress", "none")
    assert m3h.run("verify", "--dataset", dataset).code == 0
    assert is_conserved(dataset)


def keeps_its_pictures(m3h: Warm, dataset: Path, host: FailingHost, reason: str) -> tuple[set[object], int]:
    """Asked again whether they changed, every picture stays, the new reason beside it.

    Returns the statuses in the ledger, and how many requests for pictures the host saw.
    """
    posts, before, pictures = shown(dataset), records_of(dataset), crawl_rows(dataset)
    recrawled(m3h, dataset)
    assert shown(dataset) == posts
    assert differing(before, records_of(dataset)) == []
    rows = crawl_rows(dataset)
    assert {url: row["image_sha256"] for url, row in rows.items()} == {
        url: row["image_sha256"] for url, row in pictures.items()
    }
    assert {row["reason"] for row in rows.values()} == {reason}
    statuses, asked = {row["http_status"] for row in rows.values()}, host.pictures

    host.heal()  # the host is well again: as if nothing had been
    recrawled(m3h, dataset)
    assert differing(before, records_of(dataset)) == []
    assert {row["reason"] for row in crawl_rows(dataset).values()} == {""}
    return statuses, asked


def slow_but(fast: Collection[str], names: Iterable[str]) -> list[Any]:
    """The `fast` cases, and every second of the others in the slow tier."""
    others = [name for name in names if name not in fast]
    slow = [pytest.param(name, marks=pytest.mark.slow) for name in some(others, (len(others) + 1) // 2)]
    return [*(pytest.param(name) for name in fast), *slow]


@pytest.mark.parametrize("outage", slow_but(("503", "404"), OUTAGES))
def test_a_url_with_a_stored_picture_keeps_it_while_its_host_fails(
    m3h: Warm, crawled: Path, host: FailingHost, outage: str
) -> None:
    host.outage, reason, status = OUTAGES[outage]
    statuses, _ = keeps_its_pictures(m3h, crawled, host, reason)
    unasked = {0} if status == 429 else set()  # a host that refuses again and again rests
    assert statuses - unasked == {status}


@pytest.mark.parametrize("robots", slow_but(("is unreachable", "forbids all, in UTF-16"), ROBOTS))
def test_a_robots_txt_stops_fetching_and_deletes_nothing(
    m3h: Warm, crawled: Path, host: FailingHost, robots: str
) -> None:
    host.robots, reason = ROBOTS[robots]
    _, asked = keeps_its_pictures(m3h, crawled, host, reason)
    assert asked == 0


@pytest.mark.parametrize(
    "robots",
    slow_but(
        ("forbids us, behind a byte-order mark",),
        [name for name, (_, reason) in ROBOTS.items() if reason == "crawl_robots"],
    ),
)
def test_where_robots_txt_forbids_it_no_picture_is_asked_for(
    m3h: Warm, dumps: tuple[Path, Path], host: FailingHost, tmp_path: Path, robots: str
) -> None:
    host.heal()
    host.robots, reason = ROBOTS[robots]
    said = m3h.run(*build_words(dumps[0], tmp_path / "d", host), "--json")
    assert host.pictures == 0
    assert said.json["dropped"] == {reason: POSTS}


def test_a_host_that_is_gone_takes_no_picture_away(m3h: Warm, dumps: tuple[Path, Path], tmp_path: Path) -> None:
    with failing_host(tmp_path / "source", POSTS) as host:
        lines = (tmp_path / "source" / "dump.jsonl").read_text().splitlines()
        dataset = tmp_path / "d"
        m3h.must(*build_words(host.dump(tmp_path / "d.jsonl", lines), dataset, host))
    before = records_of(dataset)
    recrawled(m3h, dataset)
    assert differing(before, records_of(dataset)) == []
    assert {row["reason"] for row in crawl_rows(dataset).values()} == {"crawl_connect"}


def test_one_picture_that_fails_stays_and_the_others_are_not_touched(
    m3h: Warm, crawled: Path, host: FailingHost
) -> None:
    before = records_of(crawled)
    host.outages = {"/p2.jpg": Answer(404)}
    recrawled(m3h, crawled)
    assert differing(before, records_of(crawled)) == []
    reasons = {url.rpartition("/")[2]: row["reason"] for url, row in crawl_rows(crawled).items()}
    assert reasons == {f"p{i}.jpg": "crawl_gone" if i == 2 else "" for i in range(POSTS)}


def test_a_picture_that_did_not_change_is_not_sent_again(m3h: Warm, crawled: Path, host: FailingHost) -> None:
    before = records_of(crawled)
    recrawled(m3h, crawled)
    assert differing(before, records_of(crawled)) == []
    assert {row["status"] for row in crawl_rows(crawled).values()} == {"not_modified"}


def test_a_picture_that_changed_takes_the_place_of_the_old_one(m3h: Warm, crawled: Path, host: FailingHost) -> None:
    before = shown(crawled)
    path = host.folder / "p3.jpg"
    old = path.read_bytes()
    try:
        picture(path, seed=333)
        recrawled(m3h, crawled)
    finally:
        path.write_bytes(old)
    after = shown(crawled)
    assert after.keys() == before.keys()
    assert {post for post in after if after[post] != before[post]} == {"1003"}


@pytest.mark.parametrize("outage", slow_but(("503",), ("503", "404", "a page")))
def test_a_dump_that_is_added_while_the_host_fails_takes_nothing_away(
    m3h: Warm, crawled: Path, dumps: tuple[Path, Path], host: FailingHost, outage: str
) -> None:
    before = shown(crawled)
    host.outage, reason, _ = OUTAGES[outage]
    said = m3h.must(*build_words(dumps[1], crawled, host), "--json")
    assert shown(crawled) == before
    assert said.json["dropped"] == {reason: 2}
    host.heal()
    m3h.must("retry", "--dataset", crawled, "--workers", 1, "--progress", "none")
    assert len(shown(crawled)) == POSTS + 2
    assert m3h.run("verify", "--dataset", crawled).code == 0


def test_a_corrected_dump_without_a_post_takes_its_picture_and_what_is_known_of_its_url(
    m3h: Warm, crawled: Path, dumps: tuple[Path, Path], host: FailingHost, tmp_path: Path
) -> None:
    before, rows = records_of(crawled), crawl_rows(crawled)
    corrected = tmp_path / dumps[0].name
    corrected.write_text("".join(dumps[0].read_text().splitlines(keepends=True)[1:]))
    again = ["retry", "--dataset", crawled, "--workers", 1, "--progress", "none", "--dumps"]
    m3h.must(*again, corrected)
    assert len(shown(crawled)) == POSTS - 1
    assert m3h.run("verify", "--dataset", crawled).code == 0
    assert rows.keys() - crawl_rows(crawled).keys() == {host.url("p0.jpg")}
    assert host.pictures == 0
    recrawled(m3h, crawled)
    m3h.must(*again, dumps[0])
    recrawled(m3h, crawled)
    assert differing(before, records_of(crawled)) == []
    assert crawl_rows(crawled).keys() == rows.keys()


@pytest.mark.slow
def test_a_host_that_no_record_names_any_more_leaves_no_ledger(
    m3h: Warm, crawled: Path, dumps: tuple[Path, Path], tmp_path: Path
) -> None:
    empty = tmp_path / dumps[0].name
    empty.write_text(
        '{"id": 1, "text": "nothing to see here #tag", "lang": "en", "image_url": "http://elsewhere.invalid:9/p.jpg"}\n'
    )
    m3h.must("retry", "--dataset", crawled, "--workers", 1, "--progress", "none", "--dumps", empty)
    assert list(crawl_rows(crawled)) == ["http://elsewhere.invalid:9/p.jpg"]
    assert list((crawled / "images").glob("*/*.jpg")) == []
    assert m3h.run("verify", "--dataset", crawled).code == 0


@pytest.mark.slow
def test_urls_that_name_a_person_are_masked_and_known_again(
    m3h: Warm, dumps: tuple[Path, Path], host: FailingHost, tmp_path: Path
) -> None:
    host.heal()
    names = [f"jane{i}.doe@mail.com.jpg" for i in range(2)]
    lines = (host.folder.parent / "dump.jsonl").read_text().splitlines()[:2]
    for i, name in enumerate(names):
        shutil.copy(host.folder / f"p{i}.jpg", host.folder / name)
        lines[i] = lines[i].replace(f'"p{i}.jpg"', f'"{name}"')
    dataset, dump = tmp_path / "dataset", host.dump(tmp_path / "named.jsonl", lines)
    m3h.must(*build_words(dump, dataset, host))
    posts, ledger = shown(dataset), crawl_rows(dataset)
    assert (len(posts), len(ledger), host.pictures) == (2, 2, 2)
    assert [place for place, text in strings_in(dataset) if "jane" in text and ".build" not in place] == []

    m3h.must(*build_words(dumps[1], dataset, host))  # adding a dump asks for its pictures alone
    assert [host.asked[f"/{name}"] for name in names] == [1, 1]
    host.outage = OUTAGES["503"][0]
    recrawled(m3h, dataset)
    assert shown(dataset).items() >= posts.items()
    rows = crawl_rows(dataset)
    assert set(rows) >= set(ledger)
    assert {(rows[url]["status"], rows[url]["reason"]) for url in ledger} == {("stored", "crawl_http_5xx")}


def test_a_retry_while_the_host_still_fails_takes_nothing_away_either(
    m3h: Warm, crawled: Path, dumps: tuple[Path, Path], host: FailingHost
) -> None:
    """What is stored, too, has the reason by which it is asked for again."""
    before = shown(crawled)
    host.outage, reason, _ = OUTAGES["503"]
    recrawled(m3h, crawled)
    m3h.must(*build_words(dumps[1], crawled, host))
    m3h.must("retry", "--dataset", crawled, "--reason", reason, "--workers", 1, "--progress", "none")
    assert shown(crawled) == before
    assert {row["reason"] for row in crawl_rows(crawled).values()} == {reason}
    assert m3h.run("verify", "--dataset", crawled).code == 0
