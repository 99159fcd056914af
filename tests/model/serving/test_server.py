"""`m3h serve` as a process: its page in a real browser, and two hundred requests at once, most of them bad."""

import base64
import io
import json
import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from m3h.model.serving.messages import MAX_BODY
from tests.browser import LOOKS, serious_faults, started_browser, watch
from tests.model.serving.served import Served
from tests.model.serving.test_app import answered, head

pytestmark = pytest.mark.slow

GROWTH = 400
"""MiB by which the server's memory may grow while it is asked for whatever there is."""


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


complaints: list[str] = []
asked: list[str] = []


@pytest.fixture(scope="module")
def page(served: Served) -> Iterator[Page]:
    with started_browser() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        watch(page, complaints, asked)
        page.goto(served.url)
        yield page


def test_a_post_is_predicted_by_keyboard_alone(page: Page, served: Served, photo: Path) -> None:
    expect(page.locator("#run")).to_contain_text("run")
    page.locator("#text").focus()
    page.keyboard.type("<b>so lovely</b> by the #GoldenSunset tonight")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "file"
    page.locator("#file").set_input_files(photo)
    expect(page.locator("#chosen")).to_contain_text(photo.name)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "clear"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "send"
    page.keyboard.press("Enter")
    expect(page.locator("#result")).to_be_visible(timeout=60_000)
    assert page.evaluate("document.activeElement.id") == "result"
    _, said = served.ask(text="<b>so lovely</b> by the #GoldenSunset tonight", image=encoded(photo.read_bytes()))
    assert page.locator("#keyphrases th").all_text_contents() == [one["phrase"] for one in said["keyphrases"]]
    assert page.locator("#notes").text_content() == "vgg_grid has random weights: for trials only."
    assert {"without ocr", "without vision"} <= set(page.locator("#without-head th").all_text_contents())
    assert complaints == []


def test_words_and_attention_are_drawn_on_the_picture(page: Page) -> None:
    words = page.locator("#boxes .word rect")
    assert words.count() > 2
    assert page.locator("#shown").get_attribute("src", timeout=1000).startswith("blob:")  # type: ignore[union-attr]
    left, wide = page.evaluate("[shown, boxes].map((one) => one.getBoundingClientRect().width)")
    assert left == wide
    page.locator("#show-words").uncheck()
    expect(words.first).to_be_hidden()
    page.locator("#show-words").check()
    options = page.locator("#heads option").all_text_contents()
    assert options[:3] == ["none", "vision, all heads", "vision, head 1"]
    expect(page.locator("#legend")).to_be_hidden()
    page.locator("#heads").select_option("1")
    expect(page.locator("#legend")).to_be_visible()
    assert page.locator("#shown").get_attribute("src").startswith("data:image/png;base64,")  # type: ignore[union-attr]
    assert page.evaluate("shown.decode().then(() => shown.naturalWidth)") > 100
    assert page.locator("#tokens span[style]").count() > 5
    assert complaints == []


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_axe_finds_no_serious_fault_and_nothing_is_wider_than_the_screen(page: Page, width: int, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 844})
    assert serious_faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints == []


def test_a_png_is_made_a_jpeg_and_what_is_no_picture_is_said(page: Page, tmp_path: Path, photo: Path) -> None:
    png, text = tmp_path / "made.png", tmp_path / "notes.jpg"
    Image.open(photo).save(png)
    text.write_text("no picture")
    page.locator("#text").fill("so lovely by the sea tonight")
    page.locator("#file").set_input_files(png)
    expect(page.locator("#chosen")).to_contain_text("made a JPEG by this browser")
    page.locator("#send").click()
    expect(page.locator("#status")).to_have_text(re.compile(r"\d keyphrases"), timeout=60_000)
    page.locator("#file").set_input_files(text)
    page.locator("#send").click()
    expect(page.locator("#error")).to_contain_text("image of text 1: image_not_jpeg", timeout=60_000)
    assert len(complaints) == 1  # the browser itself logs an answer of 422
    complaints.clear()
    page.locator("#clear").click()
    page.locator("#send").click()
    expect(page.locator("#status")).to_have_text(re.compile(r"\d keyphrases"), timeout=60_000)
    expect(page.locator("#picture")).to_be_hidden()
    assert complaints == []


def test_the_page_asks_nobody_else(page: Page, served: Served) -> None:
    assert page.title().startswith("Try a run")
    assert [url for url in asked if not url.startswith((served.url, "data:", f"blob:{served.url}"))] == []


def test_two_hundred_requests_at_once_most_of_them_bad(served: Served, photo: Path) -> None:
    whole = photo.read_bytes()
    noise = np.random.default_rng(0).bytes(9_900_000)
    grey, bomb = io.BytesIO(), io.BytesIO()
    Image.new("L", (64, 64), 90).save(grey, "JPEG")
    Image.new("RGB", (9000, 9000), (200, 30, 30)).save(bomb, "JPEG")
    bodies = {
        name: json.dumps({"text": "so much fun at the book fair", "image": encoded(data)}).encode()
        for name, data in {
            "good": whole, "noise": noise, "cut off": whole[: len(whole) // 2], "grey": grey.getvalue(),
            "too many pixels": bomb.getvalue(), "empty": b"",
        }.items()
    }  # fmt: skip
    bodies["text"] = json.dumps({"text": "so much fun at the book fair"}).encode()
    bodies["no JSON"] = b"{" * 1000
    kinds = {
        "good": (6, 200), "text": (62, 200), "noise": (12, 422), "cut off": (24, 422), "grey": (24, 422),
        "too many pixels": (12, 422), "empty": (20, 422), "no JSON": (20, 400),
    }  # fmt: skip
    jobs = [((head(len(bodies[name])), bodies[name]), status) for name, (n, status) in kinds.items() for _ in range(n)]
    jobs += [((head(len(whole), kind="image/jpeg"), whole), 415)] * 8
    jobs += [((head(MAX_BODY * 100), b"{"), 413)] * 8 + [((head(1000), b"{"), 408)] * 4
    random.Random(0).shuffle(jobs)
    assert len(jobs) == 200
    before = served.peak()
    with ThreadPoolExecutor(200) as pool:
        found = list(pool.map(lambda job: answered(served.address, *job[0], seconds=300)[0], jobs))
    assert found == [status for _, status in jobs]
    assert served.peak() - before < GROWTH
    status, said = answered(served.address, head(0, method="GET", path="/openapi.json"))
    assert (status, json.loads(said)["openapi"]) == (200, "3.1.0")
