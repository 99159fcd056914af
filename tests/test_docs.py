"""The documentation is whole: every page is in the index, and every link and every path leads to a file."""

import re
from pathlib import Path

import pytest

from tests.architecture_page import PAGE, PICTURE, ROOMS, WAYS, House, our_house, page, picture
from tests.commands import ROOT
from tests.structure import Checkout

PAGES = sorted((ROOT / "docs").glob("*.md"))
OTHERS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "sample/README.md", "benchmarks/README.md")
TEXTS = [*PAGES, *(ROOT / name for name in OTHERS)]
MAKE = "run `make architecture`"

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_PATH = re.compile(
    r"\b(?:schemas|pipeline|model|tests|benchmarks|docs|docker|sample)/[\w./-]*\w\.(?:py|md|sh|yaml|xml)\b"
)


def links(text: str) -> list[str]:
    """Where a Markdown text's links lead, those to other sites aside."""
    found = _LINK.findall(_FENCE.sub("", text))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(text: str) -> set[str]:
    """The names that GitHub gives to a text's headings."""
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading_that_exist(path: Path) -> None:
    broken = []
    for link in links(path.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = (path.parent / name) if name else path
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_is_named_exists(path: Path) -> None:
    named = set(_PATH.findall(path.read_text(encoding="utf-8")))
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_the_index_leads_to_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / link).resolve() for link in links(index.read_text(encoding="utf-8"))}
    assert [path.name for path in PAGES if path != index and path not in linked] == []


def test_readme_leads_to_the_index() -> None:
    assert "docs/index.md" in links((ROOT / "README.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def house() -> House:
    return our_house()


def test_the_picture_is_what_the_imports_say(house: House) -> None:
    assert (ROOT / PICTURE).read_text(encoding="utf-8") == picture(house), MAKE


def test_the_lists_of_rooms_are_what_the_docstrings_say(house: House) -> None:
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    assert text == page(text, house), MAKE


@pytest.mark.parametrize("package", ROOMS)
def test_every_folder_of_a_package_is_a_room_with_a_sentence_and_something_to_read_first(
    house: House, package: str
) -> None:
    assert sorted(ROOMS[package]) == house.rooms(package)
    assert [room for room in ROOMS[package] if not house.sentence(f"{package}.{room}")] == []
    first = [f"{package}.{room}.{module}" for room, module in ROOMS[package].items()]
    assert [module for module in first if module not in house.checkout.trees] == []


def test_every_way_leads_through_modules_that_exist(house: House) -> None:
    modules = [step.module for way in WAYS for step in way.steps]
    assert [module for module in modules if module not in house.checkout.trees] == []


def test_no_room_imports_one_that_stands_later(house: House) -> None:
    assert house.upward() == []


def test_an_import_against_the_order_is_drawn_in_red(tmp_path: Path) -> None:
    for name, text in {"pipeline/text/a.py": "", "pipeline/build/a.py": "from m3h.pipeline.text import a\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "__init__.py").write_text('"""The contract."""\n')
    assert "#d00000" not in picture(House(Checkout(tmp_path, ("schemas", "pipeline"))))
    (tmp_path / "pipeline/text/a.py").write_text("from m3h.pipeline.build import a\n")
    upward = House(Checkout(tmp_path, ("schemas", "pipeline")))
    assert upward.upward() == [("pipeline.text", "pipeline.build")]
    assert "#d00000" in picture(upward)


def test_links_in_code_are_no_links_and_anchors_are_githubs() -> None:
    assert links("[a](b.md) [c](https://d)\n```\n[e](f)\n```\n") == ["b.md"]
    assert anchors("# Text, hashtags, and what names a person\n") == {"text-hashtags-and-what-names-a-person"}
