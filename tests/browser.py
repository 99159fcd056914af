"""A page in a real browser, what it complains of, and what axe finds on it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
LOOKS = ((1280, "light"), (390, "dark"))
"""Width in pixels and colours in which pages are looked at."""


@contextmanager
def started_browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, NAMES)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def watch(page: Page, complaints: list[str], asked: list[str]) -> None:
    """From now on collect what the page complains of (its console, errors, failed requests), and every URL it asks."""
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.on("request", lambda request: asked.append(request.url))


def serious_faults(page: Page) -> list[tuple[str, str]]:
    """What axe calls serious or critical, and where."""
    found = Axe().run(page).response["violations"]
    return [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")]


def look(page: Page, width: int, scheme: str) -> None:
    """Look at a page in this width and these colours: it has no serious fault and fits the screen."""
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 844})
    assert serious_faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
