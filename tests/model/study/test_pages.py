"""The pages in a real browser, from disk: no fault, nothing asked of the network, axe finds nothing serious."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from m3h.model.cli import main
from m3h.model.study.relations import RELATIONS, read_sheet
from tests.browser import LOOKS, look, started_browser, watch
from tests.model.study.conftest import TRAINING
from tests.model.test_model_cli import only_json

pytestmark = pytest.mark.slow

POST = "test-00003"
complaints: list[str] = []
asked: list[str] = []


@pytest.fixture(scope="module")
def out(pictured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """fig6, fig7, fig8 and the sheet of fig9, of runs that they share."""
    folder = tmp_path_factory.mktemp("paper")
    for words in (["fig6", "--post", POST], ["fig7"], ["fig8", "--post", POST, "test-00000"], ["fig9"]):
        assert main(["reproduce", *words, *base(pictured, folder)]) == 0
    return folder


def base(dataset: Path, out: Path) -> list[str]:
    return ["--dataset", str(dataset), "--out", str(out), "--epochs", "4", *TRAINING]


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with started_browser() as browser:
        page = browser.new_page(accept_downloads=True)
        watch(page, complaints, asked)
        yield page


@pytest.mark.parametrize("name", ["fig6/attention.html", "fig7/fig7.html", "fig8/fig8.html", "fig9/sheet.html"])
def test_a_page_opens_from_disk(page: Page, out: Path, name: str) -> None:
    page.goto((out / name).as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    shown = page.evaluate("Promise.all([...document.images].map(image => image.decode().then(() => image.alt)))")
    assert shown
    assert all(shown)
    assert page.evaluate("window.hit") is None
    for width, scheme in LOOKS:
        look(page, width, scheme)
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert complaints == []


def test_figure_8_leads_to_the_page_of_each_post(page: Page, out: Path) -> None:
    page.goto((out / "fig8" / "fig8.html").as_uri())
    assert page.locator("h2 a").all_text_contents() == [f"Post {POST}", "Post test-00000"]
    page.locator("h2 a").first.click()
    assert page.locator("h1").text_content() == f"Attention in post {POST}"
    assert complaints == []


def test_a_sheet_that_is_filled_in_on_the_page_becomes_the_figure(
    page: Page, out: Path, pictured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page.goto((out / "fig9" / "sheet.html").as_uri())
    posts = page.locator("[data-post]")
    for i, answers in enumerate((("yes", "yes"), ("no", "yes"), ("no", "no"))):
        for question, answer in enumerate(answers):
            posts.nth(i).locator("fieldset").nth(question).get_by_label(answer).check()
    page.reload()  # the answers are kept
    assert page.locator("#done").text_content() == "3 of 6 posts are labelled."
    with page.expect_download() as download:
        page.locator("#save").press("Enter")
    labels = tmp_path / download.value.suggested_filename
    download.value.save_as(labels)
    relations = read_sheet(labels)
    shown, _, commented, neither = RELATIONS.values()
    assert sorted(relations.values()) == sorted([shown, commented, neither])
    capsys.readouterr()
    assert main(["reproduce", "fig9", *base(pictured, out), "--labels", str(labels), "--json"]) == 0
    report = only_json(capsys)
    assert report["posts"] == {shown: 1, commented: 1, neither: 1}
    assert set(report["scores"]) == {"GEN-COPY", "GEN-CLS-M3H-ATT"}
    assert set(report["scores"]["GEN-COPY"]) == set(report["posts"])
    assert (out / "fig9" / "fig9.png").read_bytes().startswith(b"\x89PNG")
    assert complaints == []
