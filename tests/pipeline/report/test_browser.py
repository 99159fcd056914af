"""The report in a real browser, from disk: no fault, filters, search and pages work, axe finds nothing serious."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from m3h.pipeline.report.folder import report
from tests.browser import LOOKS, look, started_browser, watch
from tests.pipeline.report.shown import DROPPED_SHOWN, NUMBER, make

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The report of one dataset in one browser. What the browser complains of fails the test that sees it."""
    made = report(make(tmp_path_factory.mktemp("browser") / "harbour"), workers=2)
    with started_browser() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        watch(page, complaints, asked)
        page.goto(made.page.as_uri())
        yield page


complaints: list[str] = []
asked: list[str] = []


def found(page: Page, number: int, what: str = "posts") -> None:
    """Wait until that many records are found."""
    of = NUMBER if what == "posts" else len(DROPPED_SHOWN)
    expect(page.locator("#found")).to_have_text(f"{number} of {of} {what}")


def test_every_chart_is_drawn_and_nothing_is_asked_of_the_network(page: Page) -> None:
    for chart in page.locator("[data-chart]").all():
        chart.scroll_into_view_if_needed()
        expect(chart.locator("svg")).to_be_visible()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert complaints == []


def test_pages_turn(page: Page) -> None:
    found(page, NUMBER)
    cards = page.locator(".card")
    expect(cards).to_have_count(24)
    expect(page.locator("#pages")).to_have_text("of 13")
    page.locator("#page").fill("13")
    page.locator("#page").press("Enter")
    expect(cards).to_have_count(12)
    expect(page.locator("#next")).to_be_disabled()
    page.locator("#previous").click()
    expect(cards).to_have_count(24)
    assert complaints == []


def test_filters_and_search_find_what_is_there(page: Page) -> None:
    page.locator("#lang").select_option("de")
    found(page, 100)
    page.locator("#phrase").fill("<b>bold</b>")
    found(page, 50)
    page.locator("#split").select_option("valid")
    found(page, 20)
    for name in ("#lang", "#split"):
        page.locator(name).select_option("")
    page.locator("#phrase").fill("")
    page.locator("#query").fill("kettle TEAPOT w5")
    found(page, 15)
    page.locator("#query").fill("")
    page.locator("#has").select_option("description by the author")
    found(page, 150)
    page.locator("#has").select_option("")
    found(page, NUMBER)
    assert complaints == []


def test_a_record_opens_with_its_boxes_and_words_and_a_hostile_text_stays_text(page: Page) -> None:
    page.locator(".card button").first.click()
    dialog = page.locator("#detail")
    expect(dialog.locator("img")).to_be_visible()
    assert dialog.locator(".object text").all_text_contents() == ["class 1", "class 2"]
    assert dialog.locator(".word text").first.text_content() == "teapot"
    expect(dialog).to_contain_text("<script>window.hit = 1</script>")
    expect(dialog).to_contain_text("blue 0.9")
    dialog.get_by_text("Close").click()
    page.locator("#boxes").uncheck()
    expect(page.locator(".card .object").first).to_be_hidden()
    page.locator("#boxes").check()
    assert page.evaluate("window.hit") is None
    assert complaints == []


def test_dropped_records_are_shown_with_their_reason(page: Page) -> None:
    page.locator("#kind").select_option("dropped")
    found(page, len(DROPPED_SHOWN), "dropped records")
    page.locator("#reason").select_option("duplicates: near_duplicate_image")
    found(page, 1, "dropped records")
    expect(page.locator(".card img")).to_be_visible()
    page.locator(".card button").click()
    expect(page.locator("#detail")).to_contain_text("has nearly the same picture")
    page.keyboard.press("Escape")
    page.locator("#reason").select_option("")
    page.locator("#kind").select_option("posts")
    found(page, NUMBER)
    assert complaints == []


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_axe_finds_no_serious_fault_and_nothing_is_wider_than_the_screen(page: Page, width: int, scheme: str) -> None:
    look(page, width, scheme)
