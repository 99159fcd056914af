"""The report of runs in a real browser, from disk: no fault, filters and pages work, axe finds nothing serious."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import LOOKS, look, started_browser, watch
from tests.model.report.conftest import Reported

pytestmark = pytest.mark.slow
complaints: list[str] = []
asked: list[str] = []


@pytest.fixture(scope="module")
def page(reported: Reported) -> Iterator[Page]:
    with started_browser() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        watch(page, complaints, asked)
        page.goto(reported.made.page.as_uri())
        yield page


def records(reported: Reported, run: int) -> list[dict]:
    lines = (reported.runs[run] / "predictions" / "test.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def found(page: Page, number: int, of: int) -> None:
    expect(page.locator("#found")).to_have_text(f"{number} of {of} posts")


def test_every_chart_is_drawn_and_nothing_is_asked_of_the_network(page: Page) -> None:
    charts = page.locator("[data-chart]").all()
    assert len(charts) == 6
    for chart in charts:
        chart.scroll_into_view_if_needed()
        expect(chart.locator("svg")).to_be_visible()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert complaints == []


def test_hits_misses_and_runs_are_chosen(page: Page, reported: Reported) -> None:
    """A keyphrase of these posts is right as it stands."""
    for run in (0, 2):
        of = records(reported, run)
        page.locator("#run").select_option(str(run))
        first = [post["predictions"][0]["phrase"] in post["keyphrases"] for post in of]
        any_right = [any(one["phrase"] in post["keyphrases"] for one in post["predictions"]) for post in of]
        for outcome, number in (("first", sum(first)), ("any", sum(any_right)), ("none", len(of) - sum(any_right))):
            page.locator("#outcome").select_option(outcome)
            found(page, number, len(of))
        page.locator("#outcome").select_option("")
        found(page, len(of), len(of))
    assert complaints == []


def test_present_and_absent_search_and_pages(page: Page, reported: Reported) -> None:
    of = records(reported, 2)
    present = sum("a calm sea" in " ".join(post["tokens"]) for post in of)
    page.locator("#presence").select_option("present")
    found(page, present, len(of))
    page.locator("#presence").select_option("")
    page.locator("#query").fill(of[3]["post_id"])
    found(page, 1, len(of))
    page.locator("#query").fill("")
    page.locator("#phrase").fill("<b>bold</b>")
    found(page, sum("<b>bold</b>" in post["keyphrases"] for post in of), len(of))
    page.locator("#phrase").fill("")
    found(page, len(of), len(of))
    page.locator("#next").click()
    expect(page.locator("#page")).to_have_value("2")
    expect(page.locator(".card")).to_have_count(24)
    page.locator("#previous").click()
    assert complaints == []


def test_a_post_opens_with_all_predictions_and_what_they_were_made_from(page: Page) -> None:
    page.locator(".card button").first.click()
    dialog = page.locator("#detail")
    expect(dialog.locator("img")).to_be_visible()
    expect(dialog.locator(".predicted")).to_have_count(3)
    for text in ("v1:d.jsonl, position", "dump sha256 ab", "weights sha256", "stored", "m3h why", "blue 0.9"):
        expect(dialog).to_contain_text(text)
    dialog.locator("a[href^='#run-']").click()
    expect(dialog).to_be_hidden()
    assert page.evaluate("window.hit") is None
    assert complaints == []


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_axe_finds_no_serious_fault_and_nothing_is_wider_than_the_screen(page: Page, width: int, scheme: str) -> None:
    look(page, width, scheme)
