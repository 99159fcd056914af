"""A crawl fills the picture store and the ledger. When it is resumed or retried, nothing is requested twice or lost."""

import asyncio
import errno
import fcntl
import hashlib
import json
import signal
import socket
import subprocess
import time
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from m3h.pipeline.crawl.crawler import CrawlSummary, crawl_into
from m3h.pipeline.crawl.fetch import Fetched, Target, crawl
from m3h.pipeline.crawl.ledger import CRAWL_SCHEMA, CrawlRow, Ledger, read_journal, read_table
from m3h.pipeline.crawl.rules import CrawlRules
from m3h.pipeline.images.store import StoredImage
from m3h.schemas.config import resolve
from m3h.schemas.errors import IntegrityError, M3hError, UsageError
from tests.commands import command, environment, run
from tests.pipeline.crawl.conftest import rules_for, validator
from tests.pipeline.crawl.hostile import ADDRESSES, EXPECTED, Server, jpeg


def asked(server: Server, name: str) -> Counter[str]:
    """How often each picture of a behaviour was asked for so far."""
    return Counter(r.path for r in server.log if r.address == ADDRESSES[name] and r.path.endswith(".jpg"))


def table(folder: Path) -> dict[str, CrawlRow]:
    return read_table(folder / "crawl.parquet")


def test_a_row_describes_its_picture_and_the_picture_is_stored(server: Server, tmp_path: Path) -> None:
    url = server.url("has_etag", 1)
    summary = crawl_into(tmp_path, [Target(url)], rules_for(server), validator=validator)
    row = table(tmp_path)[url]
    body = (tmp_path / row.image_sha256[:2] / f"{row.image_sha256}.jpg").read_bytes()
    assert body == jpeg(1)
    assert hashlib.sha256(body).hexdigest() == row.image_sha256
    assert (row.status, row.reason, row.http_status, row.final_url, row.attempts) == ("stored", "", 200, url, 1)
    assert (row.etag, row.last_modified) == ('"v1"', "Wed, 21 Oct 2015 07:28:00 GMT")
    assert (row.bytes, row.width, row.height, row.mode) == (len(body), 48, 48, "RGB")
    assert row.fetched_at.endswith("+00:00")
    assert (summary.known, dict(summary.statuses)) == (0, {"stored": 1})
    assert sorted(path.name for path in tmp_path.iterdir()) == [row.image_sha256[:2], "crawl.parquet"]


def test_a_url_is_requested_once_even_if_it_is_listed_often(server: Server, tmp_path: Path) -> None:
    urls = [server.url("plain", i) for i in (100, 101, 100, 100)]
    first = crawl_into(tmp_path, map(Target, urls), rules_for(server), validator=validator)
    second = crawl_into(
        tmp_path, map(Target, [*urls, server.url("plain", 102)]), rules_for(server), validator=validator
    )
    assert (first.statuses["stored"], first.known) == (2, 2)
    assert (second.statuses["stored"], second.known) == (1, 4)
    assert [asked(server, "plain")[f"/plain/{i}.jpg"] for i in (100, 101, 102)] == [1, 1, 1]


def test_only_failures_of_the_named_reasons_are_tried_again(server: Server, tmp_path: Path) -> None:
    names = ("not_found", "always_500", "plain")
    targets = [Target(server.url(name, 110)) for name in names]
    rules = rules_for(server, retries=0)
    crawl_into(tmp_path, targets, rules, validator=validator)
    again = crawl_into(tmp_path, targets, rules, validator=validator, retry=["crawl_http_5xx"])
    assert (again.known, dict(again.reasons)) == (2, {"crawl_http_5xx": 1})
    assert [asked(server, name)[f"/{name}/110.jpg"] for name in names] == [1, 2, 1]
    assert len(table(tmp_path)) == 3


@pytest.mark.parametrize(("name", "most"), [("throttles_silently", 8), ("throttles_for_an_hour", 4)])
def test_a_host_that_only_asks_for_pauses_is_soon_left_alone(
    server: Server, tmp_path: Path, name: str, most: int
) -> None:
    before = asked(server, name).total()
    targets = [Target(server.url(name, number)) for number in range(300, 330)]
    targets += [Target(server.url("plain", number)) for number in range(400, 405)]
    summary = crawl_into(tmp_path, targets, rules_for(server, retries=3), validator=validator)
    assert dict(summary.reasons) == {"crawl_throttled": 30}
    assert summary.statuses["stored"] == 5
    assert asked(server, name).total() - before <= most
    unasked = [row for row in table(tmp_path).values() if row.attempts == 0]
    assert len(unasked) >= 30 - most
    assert all("takes no request for" in row.detail for row in unasked)
    again = crawl_into(tmp_path, targets, rules_for(server), validator=validator, retry=["crawl_throttled"])
    assert (again.known, again.reasons["crawl_throttled"]) == (5, 30)


def test_a_recrawl_downloads_only_changed_pictures(server: Server, tmp_path: Path) -> None:
    base = server.url("has_etag").rpartition("/")[0]
    same, changing, lost, gone = (f"{base}/{name}.jpg" for name in ("same", "changing", "lost", "changing-lost"))
    rules = rules_for(server)
    crawl_into(tmp_path, map(Target, (same, changing, lost)), rules, validator=validator)
    before = table(tmp_path)
    (tmp_path / before[same].image_sha256[:2] / f"{before[same].image_sha256}.jpg").read_bytes()
    summary = crawl_into(tmp_path, map(Target, (same, changing, gone)), rules, validator=validator, recrawl=True)
    after = table(tmp_path)
    assert dict(summary.statuses) == {"not_modified": 1, "stored": 2}
    assert after[same].image_sha256 == before[same].image_sha256
    assert (after[same].status, after[same].etag, after[same].width) == ("not_modified", '"v1"', 48)
    assert after[changing].image_sha256 == hashlib.sha256(jpeg(2)).hexdigest()
    assert after[changing].etag == '"v2"'
    assert after[lost] == before[lost]


def test_a_picture_that_was_deleted_is_downloaded_again(server: Server, tmp_path: Path) -> None:
    url = server.url("has_etag", 120)
    crawl_into(tmp_path, [Target(url)], rules_for(server), validator=validator)
    digest = table(tmp_path)[url].image_sha256
    path = tmp_path / digest[:2] / f"{digest}.jpg"
    path.unlink()
    crawl_into(tmp_path, [Target(url)], rules_for(server), validator=validator, recrawl=True)
    assert path.read_bytes() == jpeg(1)
    assert table(tmp_path)[url].status == "stored"


def test_the_larger_size_is_tried_first_and_then_the_original_url(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def getaddrinfo(host: str, *rest: Any, **options: Any) -> Any:
        return real(ADDRESSES["has_sizes"] if host == "pbs.twimg.com" else host, *rest, **options)

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    base = f"http://pbs.twimg.com:{server.port}/media"
    urls = [f"{base}/a.jpg:small", f"{base}/only_small.jpg:small"]
    crawl_into(tmp_path, map(Target, urls), rules_for(server, image_size="orig"), validator=validator)
    rows = table(tmp_path)
    assert [rows[url].image_sha256 for url in urls] == [hashlib.sha256(jpeg(n)).hexdigest() for n in (1, 0)]
    assert [rows[url].final_url for url in urls] == [f"{base}/a.jpg?name=orig", f"{base}/only_small.jpg:small"]
    assert [rows[url].attempts for url in urls] == [1, 2]


def test_a_bug_of_the_validator_loses_one_picture_and_keeps_its_traceback(server: Server, tmp_path: Path) -> None:
    def faulty(body: bytes) -> StoredImage:
        if body == jpeg(1):
            raise ZeroDivisionError("a bug")
        return validator(body)

    urls = [server.url("has_etag", 130), server.url("plain", 131)]
    summary = crawl_into(tmp_path, map(Target, urls), rules_for(server), validator=faulty)
    assert summary.bugs == 1
    assert "ZeroDivisionError: a bug" in table(tmp_path)[urls[0]].detail
    assert table(tmp_path)[urls[1]].status == "stored"


def test_a_disk_error_ends_the_crawl_and_the_same_call_continues_it(server: Server, tmp_path: Path) -> None:
    def full(body: bytes) -> StoredImage:
        if body == jpeg(1):
            raise OSError(errno.ENOSPC, "No space left on device")
        return validator(body)

    targets = [Target(server.url("plain", 132)), Target(server.url("has_etag", 132))]
    with pytest.raises(M3hError, match="No space left on device"):
        crawl_into(tmp_path, targets, rules_for(server), validator=full)
    summary = crawl_into(tmp_path, targets, rules_for(server), validator=validator)
    assert {row.status for row in table(tmp_path).values()} == {"stored"}
    assert summary.settled == 2


def test_a_url_that_no_table_can_store_has_a_row(server: Server, tmp_path: Path) -> None:
    crawl_into(tmp_path, [Target("http://h.example/\ud800.jpg ")], rules_for(server), validator=validator)
    (row,) = table(tmp_path).values()
    assert (row.url, row.reason) == ("http://h.example/?.jpg ", "crawl_bad_url")


def test_no_more_bodies_are_in_memory_than_the_concurrency_allows(server: Server) -> None:
    """While the caller keeps a result, no other download takes its place and no target is read."""

    async def story() -> list[int]:
        before = sum(asked(server, "plain").values())
        results = crawl([Target(server.url("plain", i)) for i in range(200, 240)], rules_for(server, concurrency=3))
        seen = []
        async for _ in results:
            await asyncio.sleep(0.3)
            seen.append(sum(asked(server, "plain").values()) - before)
            if len(seen) == 3:
                break
        await results.aclose()  # type: ignore[attr-defined]
        return seen

    seen = asyncio.run(story())
    assert [most <= 3 + i for i, most in enumerate(seen)] == [True] * 3, seen


def test_each_picture_has_its_deadline_and_its_number_of_attempts(server: Server) -> None:
    names = ("plain", "unavailable_once", "always_500", "drips", "robots_forbid")

    async def story() -> dict[str, Fetched]:
        rules = rules_for(server, deadline_seconds=1.0, retries=2, backoff_seconds=0.01)
        return {f.url: f async for f in crawl([Target(server.url(name, 140)) for name in names], rules)}

    found = asyncio.run(story())
    assert [found[server.url(name, 140)].attempts for name in names] == [1, 2, 3, 1, 1]
    assert found[server.url("plain", 140)].body
    assert {f.reason for f in found.values()} == {EXPECTED[name] for name in names}


# the ledger


ROW = CrawlRow("http://h.example/a", "failed", "crawl_gone", "404", 404, "http://h.example/a", attempts=1)
PLAIN = {"recrawl": False, "retry": []}


def began(folder: Path, run: dict[str, Any] = PLAIN) -> Ledger:
    ledger = Ledger(folder)
    ledger.begin(run)
    return ledger


def test_a_row_has_every_column_of_the_table_and_every_field_of_a_stored_picture() -> None:
    assert [field.name for field in fields(CrawlRow)] == CRAWL_SCHEMA.names
    picture = validator(jpeg(3))
    assert CrawlRow("u", "stored", **vars(picture)).picture() == vars(picture)


def test_rows_of_a_killed_run_are_known_when_the_same_run_continues(tmp_path: Path) -> None:
    ledger = began(tmp_path)
    ledger.add(ROW)
    with open(tmp_path / "crawl.journal.jsonl", "a") as file:
        file.write('{"url": "http://h.example/half')
    again = began(tmp_path)
    assert again.done == {ROW.url}
    other = CrawlRow("http://h.example/b", "failed", "crawl_dns")
    again.add(other)
    assert read_journal(tmp_path / "crawl.journal.jsonl") == (PLAIN, {ROW.url: ROW, other.url: other})
    again.finish()
    assert table(tmp_path) == {ROW.url: ROW, other.url: other}
    assert [path.name for path in tmp_path.iterdir()] == ["crawl.parquet"]


@pytest.mark.parametrize("cut", range(0, 300, 7))
def test_a_journal_cut_anywhere_loses_at_most_its_last_row(tmp_path: Path, cut: int) -> None:
    ledger = began(tmp_path)
    rows = [CrawlRow(f"http://h.example/{i}", "failed", "crawl_gone") for i in range(3)]
    for row in rows:
        ledger.add(row)
    ledger.close()
    path = tmp_path / "crawl.journal.jsonl"
    path.write_bytes(path.read_bytes()[: -cut or None])
    again = began(tmp_path)
    kept = path.read_bytes().count(b"\n") - 1
    assert again.done == {row.url for row in rows[:kept]}
    assert kept == 3 - (cut > 0) - (cut > 1 + len(json.dumps(vars(rows[2]))))
    again.finish()
    assert set(table(tmp_path)) == {row.url for row in rows[:kept]}


def test_a_run_with_other_parameters_keeps_the_rows_of_the_killed_run(tmp_path: Path) -> None:
    began(tmp_path).add(ROW)
    other = began(tmp_path, {"recrawl": True, "retry": []})
    assert (other.done, other.rows) == (set(), {ROW.url: ROW})
    assert table(tmp_path) == {ROW.url: ROW}


def test_the_error_for_a_damaged_journal_names_its_line(tmp_path: Path) -> None:
    began(tmp_path).add(ROW)
    path = tmp_path / "crawl.journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"status"', b'"statos"') + b"{}\n")
    with pytest.raises(IntegrityError, match=r"crawl\.journal\.jsonl: line 2 is damaged"):
        began(tmp_path)


def test_the_error_for_another_kind_of_table_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "crawl.parquet").write_bytes(b"PAR1 not a table PAR1")
    with pytest.raises(IntegrityError, match=r"crawl\.parquet: not a readable Parquet file"):
        began(tmp_path)


# wrong use


def test_the_default_settings_are_valid() -> None:
    assert CrawlRules.model_validate(CrawlRules().model_dump(mode="json")) == CrawlRules()


def test_nothing_is_requested_without_a_contact(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^crawl\.contact: missing"):
        crawl_into(tmp_path / "out", [], CrawlRules(), validator=validator)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("contact", ["me", "me @example.org", "me@example.org\r\nX: y", "ü@example.org", "@"])
def test_a_contact_that_a_header_cannot_carry_is_refused(contact: str) -> None:
    with pytest.raises(UsageError, match="contact"):
        resolve(CrawlRules, contact=contact)


@pytest.mark.parametrize("contact", ["me@example.org", "https://example.org/bot", "mailto:me@example.org"])
def test_the_user_agent_has_the_product_and_the_contact(contact: str) -> None:
    assert resolve(CrawlRules, contact=contact).agent_header == f"m3h/0.1 (+{contact})"


def test_two_crawls_do_not_write_one_ledger(tmp_path: Path) -> None:
    with open(tmp_path / ".crawl.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another crawl"):
            crawl_into(tmp_path, [], CrawlRules(contact="me@example.org"), validator=validator)
        crawl_into(tmp_path, [], CrawlRules(contact="me@example.org"), validator=validator, name="part-7")


def test_a_reason_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'crawl_dns'"):
        crawl_into(tmp_path, [], CrawlRules(contact="me@example.org"), validator=validator, retry=["crawl_dsn"])


# the command


@pytest.fixture
def words(server: Server, tmp_path: Path) -> list[object]:
    """The command with rules that reach the server; 40 pictures at 20 a second."""
    urls = tmp_path / "urls.txt"
    urls.write_text("".join(server.url("plain", i) + "\n\n" for i in range(300, 340)))
    config = tmp_path / "build.yaml"
    rules = rules_for(server, host_rate=20, concurrency=4).model_dump(mode="json")
    config.write_text(json.dumps({"crawl": rules}))
    return ["crawl", "--urls", urls, "--out", tmp_path / "out", "--config", config]


def test_a_killed_crawl_continues_and_requests_nothing_twice(
    server: Server, tmp_path: Path, words: list[object]
) -> None:
    process = subprocess.Popen(command("pipeline", *words), env=environment(), stderr=subprocess.PIPE)
    journal = tmp_path / "out" / "crawl.journal.jsonl"
    while not journal.is_file() or journal.read_bytes().count(b"\n") < 8:
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    _, settled = read_journal(journal)
    assert 7 <= len(settled) < 40
    done = run("pipeline", *words, "--json")
    assert done.code == 0, done.err
    assert done.json == {"stored": 40 - len(settled), "not_modified": 0, "failed": {}, "known": len(settled)}
    counts = {path: n for path, n in asked(server, "plain").items() if int(path.split("/")[2][:-4]) in range(300, 340)}
    assert len(counts) == 40
    assert all(counts[url.partition(str(server.port))[2]] == 1 for url in settled)
    assert sum(counts.values()) <= 40 + 4
    rows = table(tmp_path / "out")
    assert {row.status for row in rows.values()} == {"stored"}
    assert len(rows) == 40


def test_an_interrupted_crawl_says_that_the_same_command_continues(tmp_path: Path, words: list[object]) -> None:
    def listen() -> None:
        signal.signal(
            signal.SIGINT, signal.default_int_handler
        )  # a shell starts background jobs with this signal ignored

    started = command("pipeline", *words)
    process = subprocess.Popen(started, env=environment(), stderr=subprocess.PIPE, preexec_fn=listen)
    journal = tmp_path / "out" / "crawl.journal.jsonl"
    while not journal.is_file() or journal.read_bytes().count(b"\n") < 4:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.decode().splitlines()[-1] == "error: interrupted; run the same command again."
    assert len(read_journal(journal)[1]) >= 3


def test_the_command_reports_wrong_use_in_one_line(tmp_path: Path) -> None:
    nothing = run("pipeline", "crawl", "--urls", tmp_path / "no.txt", "--out", tmp_path / "out")
    assert (nothing.code, nothing.error) == (2, f"error: --urls {tmp_path}/no.txt: no such file.")


def test_the_command_reads_urls_from_standard_input(tmp_path: Path) -> None:
    done = run(
        *("pipeline", "crawl", "--urls", "-", "--out", tmp_path / "out", "--set", "crawl.contact=me@example.org"),
        "--json",
        stdin=b"http://10.0.0.7/a.jpg\n\nnot a url\n",
    )
    assert done.code == 0, done.err
    assert done.json["failed"] == {"crawl_bad_url": 1, "crawl_forbidden_address": 1}


def test_a_summary_counts_all_urls_with_a_result() -> None:
    summary = CrawlSummary(known=2, statuses=Counter(stored=3, failed=1))
    assert summary.settled == 6
