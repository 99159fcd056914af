"""The documentation as a site: it builds without a warning, loads nothing from elsewhere, and its links lead on."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import pytest

from tests.commands import ROOT


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_hook", ROOT / "docs" / "site_hook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("link", "in_site"),
    [
        ("[a](cleaning.md#groups)", "[a](cleaning.md#groups)"),
        ("[a](../README.md#install)", "[a](overview.md#install)"),
        ("[a](../benchmarks/README.md)", "[a](benchmarks.md)"),
        ("[a](../pipeline/text)", "[a](api/pipeline/text.md)"),
        ("[a](../pipeline/text/tokenizer.py)", "[a](api/pipeline/text.md#m3h.pipeline.text.tokenizer)"),
        ("[a](../schemas/config.py)", "[a](api/schemas.md#m3h.schemas.config)"),
        ("[a](../tests/commands.py)", "a"),
        ("[a](https://x.org/y)", "[a](https://x.org/y)"),
        ("![a](architecture.svg)", "![a](architecture.svg)"),
    ],
)
def test_a_link_of_a_page_leads_to_the_same_in_the_site(hook: ModuleType, link: str, in_site: str) -> None:
    assert hook.linked(link, "docs/index.md", "index.md") == in_site


def test_links_in_blocks_stay(hook: ModuleType) -> None:
    assert hook.in_site("[a](../README.md)\n```text\n[a](../README.md)\n```\n", "index.md").count("README") == 1


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return folder


@pytest.mark.slow
def test_the_site_has_every_page_and_the_docstrings_of_every_package(site: Path) -> None:
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages - {path.stem for path in site.glob("*.html")} == set()
    assert 'id="m3h.pipeline.progress.monitor.Watch"' in (site / "api/pipeline/progress.html").read_text()
    assert 'id="m3h.model.api.load"' in (site / "api/model.html").read_text()


@pytest.mark.slow
def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loads = re.compile(r'<(?:script|img|iframe)\b[^>]*\bsrc="(?:https?:)?//|<link\b[^>]*\bhref="(?:https?:)?//')
    assert [str(path) for path in site.rglob("*.html") if loads.search(path.read_text())] == []
    assert [
        str(path) for path in site.rglob("*.css") if re.search(r"url\(['\"]?(?:https?:)?//", path.read_text())
    ] == []


@pytest.mark.slow
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
