"""The documentation as a site: it builds without a warning, its links lead on, it needs no other host, axe reads it."""

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import serious_faults, started_browser, watch
from tests.commands import ROOT

pytestmark = pytest.mark.slow

PAGES = ("index", "train_compare_predict", "architecture")
SCHEMES = ("light", "dark")
ALL_PAGES = (*PAGES, "engines", "make_dataset", "api/model/networks")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return folder


def test_the_site_has_every_page_and_the_docstrings_of_every_package(site: Path) -> None:
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages - {path.stem for path in site.glob("*.html")} == set()
    assert 'id="m3h.pipeline.progress.monitor.Watch"' in (site / "api/pipeline/progress.html").read_text()
    assert 'id="m3h.model.api.load"' in (site / "api/model.html").read_text()


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loads = re.compile(r'<(?:script|img|iframe)\b[^>]*\bsrc="(?:https?:)?//|<link\b[^>]*\bhref="(?:https?:)?//')
    assert [str(path) for path in site.rglob("*.html") if loads.search(path.read_text())] == []
    assert [
        str(path) for path in site.rglob("*.css") if re.search(r"url\(['\"]?(?:https?:)?//", path.read_text())
    ] == []


def test_every_link_of_the_site_leads_to_a_page_and_a_place_in_it(site: Path) -> None:
    texts = {path: path.read_text() for path in site.rglob("*.html") if path.name != "404.html"}
    places = {path: set(re.findall(r'\bid="([^"]+)"', text)) for path, text in texts.items()}
    broken = []
    for path, text in texts.items():
        for link in re.findall(r'<a\b[^>]*\bhref="([^"]+)"', text):
            name, _, place = link.partition("#")
            target = (path.parent / unquote(name)).resolve() if name else path
            if re.match(r"[a-z]+:", link) or target.suffix != ".html":
                continue
            if target not in places or (place and unquote(place) not in {*places[target], "__toc"}):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """With a memory of its own: the theme remembers its colours."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    watch(page, complaints, asked)
    yield page
    page.close()


complaints: list[str] = []
asked: list[str] = []


@pytest.mark.parametrize(
    ("name", "scheme"), [("api/model/networks", "dark"), *((name, scheme) for name in PAGES for scheme in SCHEMES)]
)
def test_a_page_shows_no_fault_and_can_be_read_by_everybody(page: Page, address: str, name: str, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"{address}/{name}.html")
    page.wait_for_load_state("networkidle")
    colours = {"light": "default", "dark": "slate"}[scheme]
    assert page.locator("body").get_attribute("data-md-color-scheme") == colours
    assert serious_faults(page) == []
    assert complaints == []
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


def test_the_search_finds_a_page(page: Page, address: str) -> None:
    page.goto(f"{address}/index.html")
    page.locator(".md-search__input").fill("robots.txt")
    expect(page.locator(".md-search-result__item", has_text="Crawling").first).to_be_visible(timeout=60_000)


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_screen(page: Page, address: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for name in ALL_PAGES:
        page.goto(f"{address}/{name}.html")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
