"""The pictures in README and docs: pages of the demo's dataset and run, as a browser shows them.

    python -m tests.guide.screenshots DEMO

DEMO is the folder that `make demo` made; `make screenshots` does both. The pictures are written to docs/assets.
They are made by hand before a release: fonts and browsers differ between machines, so no test compares them.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect

from m3h.schemas.dataset import Dataset
from m3h.schemas.inside import picture_file
from tests.browser import started_browser
from tests.commands import ROOT, command, environment

POST = "1084067481769032701"
"""A test post whose text does not mention the sea that its picture shows."""
SIZE = {"width": 1280, "height": 860}
ASSETS = ROOT / "docs" / "assets"


def m3h(*words: object) -> None:
    """Run a command of ours."""
    subprocess.run(command("m3h", *words), env=environment(), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def served(run: Path) -> Iterator[str]:
    """The address of the page to try a run."""
    process = subprocess.Popen(
        command("m3h", "serve", run, "--port", 0), env=environment(), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"http://\S+", line):
                yield found[0]
                return
    finally:
        process.terminate()
        process.wait()


def keep(page: Page, name: str) -> None:
    """The page's screen as a PNG."""
    page.screenshot(path=ASSETS / f"{name}.png")


def main() -> None:
    """Make the pictures."""
    demo = Path(sys.argv[1]).resolve()
    data = Dataset(demo / "dataset")
    table = data.posts.select(["post_id", "text", "image_sha256"]).to_pylist()
    (post,) = (row for row in table if row["post_id"] == POST)
    photo = picture_file(demo / "dataset" / "images", post["image_sha256"])
    with tempfile.TemporaryDirectory() as temp, started_browser() as browser:
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        m3h("report", "--dataset", demo / "dataset", "--out", f"{temp}/dataset")
        page.goto(Path(f"{temp}/dataset/report.html").as_uri())
        page.wait_for_load_state("networkidle")
        keep(page, "report")
        page.locator(".card").first.scroll_into_view_if_needed()
        page.wait_for_timeout(500)
        keep(page, "gallery")
        m3h("attend", demo / "run", "--post", POST, "--out", f"{temp}/attention")
        page.goto(Path(f"{temp}/attention/attention.html").as_uri())
        page.locator("section", has=page.locator(".tiles")).first.evaluate("(one) => one.scrollIntoView()")
        page.wait_for_timeout(500)
        keep(page, "attention")
        with served(demo / "run") as address:
            page.goto(address)
            page.locator("#text").fill(post["text"])
            page.locator("#file").set_input_files(photo)
            page.locator("#send").click()
            expect(page.locator("#result")).to_be_visible(timeout=60_000)
            page.locator("#heads").select_option(index=1)
            keep(page, "serve")


if __name__ == "__main__":
    main()
