"""The tables of a finished dataset name nobody, and a later crawl finds its URLs in them all the same."""

from pathlib import Path

from m3h.pipeline.crawl.ledger import STABLE_SCHEMA, CrawlRow, Ledger, read_table, write_table
from m3h.pipeline.text.pii import stored_url

URLS = [
    "https://example.org/photos/jane@mail.com/1.jpg",
    "https://example.org/photos/jack@mail.com/1.jpg",
    "https://example.org/photos/river.jpg",
]


def test_masked_urls_stay_apart_and_are_known_again(tmp_path: Path) -> None:
    rows = [CrawlRow(url, "stored", final_url=url, image_sha256=str(i)) for i, url in enumerate(URLS)]
    write_table(tmp_path / "dataset/crawl.parquet", map(CrawlRow.masked, rows), STABLE_SCHEMA)
    stored = read_table(tmp_path / "dataset/crawl.parquet")
    assert len(stored) == 3
    assert not any("jane" in str(row) or "jack" in str(row) for row in stored.values())

    (tmp_path / "work").mkdir()
    ledger = Ledger(tmp_path / "work", earlier=tmp_path / "dataset")
    ledger.begin({"recrawl": True})
    ledger.know_again(URLS)
    ledger.know_again(URLS)
    assert {url: ledger.rows[url].image_sha256 for url in ledger.rows} == dict(zip(URLS, "012", strict=True))
    ledger.add(CrawlRow(URLS[0], "failed", "crawl_http"))
    ledger.finish()
    again = read_table(ledger.table)
    assert sorted(again) == sorted(URLS)
    masked = [CrawlRow.masked(row).url for row in again.values()]
    assert sorted(masked) == sorted(map(stored_url, URLS))
