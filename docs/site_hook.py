"""MkDocs hook: what the site has beside the pages of docs/, and links that lead there as they lead on GitHub.

The README and other texts at the top become pages of the site, and every room of the three packages becomes a page of
the API, made of its docstrings. A link from a page to a module leads to that module's part of the API.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
PACKAGES = ("schemas", "pipeline", "model")
TEXTS = {
    "README.md": "overview.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
    "sample/README.md": "sample.md",
}
"""Texts outside of docs/, and the names of their pages in the site."""

_FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of the API into the navigation."""
    config.nav = [*(config.nav or []), {"API": [{name: list(_api_entries(name))} for name in PACKAGES]}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the texts at the top, their pictures, and the pages of the API."""
    for source, name in TEXTS.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text(encoding="utf-8")))
    for picture in (ROOT / "benchmarks").glob("*.png"):
        files.append(File.generated(config, picture.name, abs_src_path=str(picture)))
    for package in PACKAGES:
        for title, modules in _rooms(package).items():
            files.append(File.generated(config, _api_page(title), content=_api_text(title, modules)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that lead out of docs/ into links within the site."""
    return in_site(markdown, page.file.src_uri)


def in_site(markdown: str, name: str) -> str:
    """A text with its links as the site needs them. name: of its page."""
    source = next((text for text, target in TEXTS.items() if target == name), f"docs/{name}")
    parts = _FENCE.split(markdown)
    return "".join(part if part.startswith("```") else linked(part, source, name) for part in parts)


def linked(text: str, source: str, name: str) -> str:
    """The same, of a text without blocks. source: its file in the repository."""

    def link(found: re.Match[str]) -> str:
        mark, words, address = found.groups()
        if re.match(r"[a-z]+:|#", address):
            return found[0]
        path, _, anchor = address.partition("#")
        target = _page(posixpath.normpath(posixpath.join(posixpath.dirname(source), path)))
        if target is None:  # such as a test or a Dockerfile, of which the site has no page
            return words
        address = posixpath.relpath(target, posixpath.dirname(name) or ".")
        return f"{mark}[{words}]({address}{'#' if anchor and '#' not in address else ''}{anchor})"

    return _LINK.sub(link, text)


def _page(path: str) -> str | None:
    """The page of the site that shows a file or folder of the repository, with the anchor of a module."""
    if path in TEXTS:
        return TEXTS[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path.endswith(".png"):
        return posixpath.basename(path)
    package = path.split("/")[0]
    if package not in PACKAGES:
        return None
    if not path.endswith(".py"):
        return _api_page(path)
    return f"{_api_page(posixpath.dirname(path))}#m3h.{path.removesuffix('.py').replace('/', '.')}"


def _api_page(room: str) -> str:
    return f"api/{room}.md"


def _api_entries(package: str) -> Iterator[dict[str, str]]:
    for room in _rooms(package):
        yield {room.removeprefix(f"{package}/") if room != package else f"{package}/": _api_page(room)}


def _rooms(package: str) -> dict[str, list[str]]:
    """Folders of a package with their modules, as paths: the package itself, then each folder that holds modules."""
    rooms: dict[str, list[str]] = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        if path.name != "__main__.py":
            rooms.setdefault(path.parent.relative_to(ROOT).as_posix(), []).append(path.stem)
    return rooms


def _api_text(room: str, modules: list[str]) -> str:
    dotted = f"m3h.{room.replace('/', '.')}"
    names = [dotted if module == "__init__" else f"{dotted}.{module}" for module in modules]
    only_itself = "\n    options:\n      members: []\n" if "__init__" in modules else ""
    return f"# {room}/\n\n" + "\n".join(f"::: {name}{only_itself if name == dotted else ''}\n" for name in names)
