"""docs/architecture.md's picture and lists, made from the source: rooms, who imports whom, what each is for.

`python -m tests.architecture_page` writes both anew; `tests/test_docs.py` says when that is due. Sentences are the
docstrings of the rooms, dots are imports. What no import tells is said here: the order of the rooms, what to read
first, and the three ways through them.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path

from tests.commands import ROOT
from tests.structure import PACKAGES, Checkout

PAGE = Path("docs/architecture.md")
PICTURE = Path("docs/architecture.svg")
BEGIN, END = "<!-- made by python -m tests.architecture_page: begin -->", "<!-- end -->"

ROOMS: Mapping[str, Mapping[str, str]] = {
    "pipeline": {
        "progress": "monitor",
        "runtime": "runner",
        "text": "tokenizer",
        "readers": "formats",
        "cleaning": "text_rules",
        "images": "validator",
        "crawl": "fetch",
        "extractors": "base",
        "engine": "shard_engine",
        "dataset": "publish",
        "attributes": "train",
        "export": "samples",
        "stages": "routing",
        "build": "records_graph",
        "versions": "plan",
        "checks": "verify",
        "records": "why",
        "report": "folder",
        "commands": "build",
    },
    "model": {
        "text": "tokenizer",
        "ranking": "kernel_ridge",
        "data": "posts",
        "networks": "unified",
        "decoding": "predict",
        "scoring": "metrics",
        "training": "trainer",
        "runs": "experiment",
        "study": "reproduce",
        "report": "folder",
        "commands": "training",
    },
}
"""Rooms from the ground up, each with the module to read first. A room imports only what stands before it."""


@dataclass(frozen=True)
class Step:
    """A module on a way, and what goes on from there."""

    module: str
    then: str


@dataclass(frozen=True)
class Way:
    """From a start through modules."""

    title: str
    colour: str
    start: str
    steps: tuple[Step, ...]


WAYS = (
    Way(
        "A record",
        "#1f5fa8",
        "a line of a dump",
        (
            Step("pipeline.readers.formats", "Post, or dropped"),
            Step("pipeline.text.tokenizer", "tokens, keyphrases"),
            Step("pipeline.cleaning.text_rules", "kept, or dropped"),
            Step("pipeline.cleaning.duplicates", "kept, or dropped"),
            Step("pipeline.cleaning.splits", "its split"),
            Step("pipeline.dataset.tables", "posts/, dropped/"),
        ),
    ),
    Way(
        "A picture",
        "#2c7a3f",
        "a file or a URL",
        (
            Step("pipeline.crawl.fetch", "bytes (of a URL)"),
            Step("pipeline.images.validator", "sound, or dropped"),
            Step("pipeline.images.store", "images/"),
            Step("pipeline.extractors.vgg_grid", "a row"),
            Step("pipeline.engine.shard_engine", "a shard"),
            Step("pipeline.dataset.publish", "features/, manifest"),
        ),
    ),
    Way(
        "A post",
        "#b04a12",
        "posts/, features/",
        (
            Step("model.data.posts", "posts of a split"),
            Step("model.data.encoding", "a padded batch"),
            Step("model.networks.unified", "labels, a memory"),
            Step("model.decoding.predict", "ranked keyphrases"),
            Step("model.scoring.metrics", "F1@K, MAP@5"),
        ),
    ),
)


@dataclass(frozen=True)
class House:
    """The rooms of a checkout as its source has them."""

    checkout: Checkout

    def rooms(self, package: str) -> list[str]:
        """Folders of a package that hold modules, as they are found."""
        modules = self.checkout.trees
        return sorted({m.split(".")[1] for m in modules if m.startswith(f"{package}.") and m.count(".") > 1})

    def modules(self, room: str) -> int:
        """How many modules a room holds, `__init__` and folders below it included."""
        return sum(module == room or module.startswith(f"{room}.") for module in self.checkout.trees)

    def sentence(self, module: str) -> str:
        """The first paragraph of a module's docstring, in one line."""
        text = ast.get_docstring(self.checkout.trees[module]) or ""
        return " ".join(text.split("\n\n")[0].split())

    @cached_property
    def imports(self) -> frozenset[tuple[str, str]]:
        """(room, room that it imports), both as `pipeline.stages`; modules at the root of a package are no rooms."""
        edges = ((_room(a), _room(b)) for a, b in self.checkout.imports.edges)
        return frozenset((a, b) for a, b in edges if a != b and a and b)

    def upward(self) -> list[tuple[str, str]]:
        """Imports of a room that stands later."""
        order = [f"{package}.{room}" for package, rooms in ROOMS.items() for room in rooms]
        return sorted((a, b) for a, b in self.imports if order.index(b) > order.index(a))


def _room(module: str) -> str:
    package, _, rest = module.partition(".")
    room = rest.partition(".")[0]
    return f"{package}.{room}" if room in ROOMS.get(package, {}) else ""


BLACK = "#111111"
ROW, CELL, LEFT = 24, 17, 150
HEAD = 92
"""Pixels: a row of a staircase, a column of it, the width of a room's name; the height of a lane."""


def picture(house: House) -> str:
    """The SVG: three ways, and beneath them the staircases of both packages on the contract they share."""
    lanes = [line for i, way in enumerate(WAYS) for line in _lane(way, 44 + i * HEAD)]
    top = 44 + len(WAYS) * HEAD + 40
    height = max(len(rooms) for rooms in ROOMS.values()) * ROW
    stairs = [
        *_staircase(house, "pipeline", 20, top, height),
        *_staircase(house, "model", 640, top, height),
        *_notes(640, top, bool(house.upward())),
    ]
    ground = top + height + 16
    base = [
        _box(20, ground, 1180, 40, "#f3e9d2", "#8a6d1f"),
        _text(36, ground + 25, f"schemas: {_lower(house.sentence('schemas'))}", weight="bold"),
    ]
    whole = ground + 60
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="1220" height="{whole}" viewBox="0 0 1220 {whole}" '
            'font-family="Helvetica, Arial, sans-serif" font-size="13">',
            f'<rect width="1220" height="{whole}" fill="#ffffff"/>',
            _text(20, 26, "The way of a record, of a picture and of a post", size=16, weight="bold"),
            *lanes,
            *stairs,
            *base,
            "</svg>\n",
        ]
    )


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _lane(way: Way, top: int) -> Iterator[str]:
    """One way: its start, then a box a module with what goes on from there below it."""
    width, gap = 146, 22
    yield _text(20, top + 36, way.title, size=14, weight="bold", colour=way.colour)
    boxes = [(way.start, "", ""), *((*_split(step.module), step.then) for step in way.steps)]
    for i, (first, second, then) in enumerate(boxes):
        x = 104 + i * (width + gap - 8)
        if i:
            yield _arrow(x - gap + 8, top + 31, x, way.colour)
            yield _box(x, top + 8, width - 8, 46, "#ffffff", way.colour)
            yield _text(x + (width - 8) / 2, top + 28, first, anchor="middle", weight="bold", size=12)
            yield _text(x + (width - 8) / 2, top + 45, second, anchor="middle", colour="#444444", size=12)
            yield _text(x + (width - 8) / 2, top + 71, f"→ {then}", anchor="middle", colour=way.colour, size=12)
        else:
            yield _text(x + (width - 8) / 2, top + 36, first, anchor="middle", colour=way.colour)


def _split(module: str) -> tuple[str, str]:
    package, room, name = module.split(".")
    return f"{package}/{room}", f"{name}.py"


def _staircase(house: House, package: str, left: int, top: int, height: int) -> Iterator[str]:
    """Rooms as rows, the ground at the bottom; a dot where the row's room imports the column's."""
    names = list(ROOMS[package])
    bottom = top + height
    grid = left + LEFT + 26
    title = bottom - len(names) * ROW - 14
    yield _text(left, title, f"{package}/, from the ground up", size=16, weight="bold")
    for i, name in enumerate(names):
        y = bottom - (i + 1) * ROW
        room = f"{package}.{name}"
        yield _box(left, y, LEFT, ROW - 4, "#e8eef6" if package == "pipeline" else "#f9ece4", "#9aa7b8")
        yield _text(left + 8, y + 15, f"{i + 1}  {name}", weight="bold")
        for j, way in enumerate(way for way in WAYS if any(_room(step.module) == room for step in way.steps)):
            yield f'<circle cx="{left + LEFT - 12 - j * 14}" cy="{y + 10}" r="5" fill="{way.colour}"/>'
        for k, other in enumerate(names):
            x = grid + k * CELL
            if k < i:
                yield f'<rect x="{x}" y="{y}" width="{CELL - 2}" height="{ROW - 4}" fill="#f4f5f7"/>'
            if (room, f"{package}.{other}") in house.imports:
                colour = "#33475f" if k < i else "#d00000"
                yield f'<circle cx="{x + (CELL - 2) / 2}" cy="{y + 10}" r="4" fill="{colour}"/>'
        yield _text(grid + i * CELL + (CELL - 2) / 2, y + 15, str(i + 1), anchor="middle", colour="#8a94a3", size=11)


def _notes(left: int, top: int, upward: bool) -> Iterator[str]:
    lines = [
        "Each box is a room, a folder. It imports only rooms below it.",
        "A dot: the room of this row imports the room of that number.",
        "Coloured: a way above leads through here.",
        "pipeline/ and model/ never import each other. All they share is schemas/.",
    ]
    lines += ["Red: an import against the order."] if upward else []
    for i, line in enumerate(lines):
        yield _text(left, top + 20 + i * 20, line, colour="#444444")


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 13, weight: str = "normal", colour: str = BLACK
) -> str:
    style = f'text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" fill="{colour}"'
    return f'<text x="{x:g}" y="{y:g}" {style}>{escape(text)}</text>'


def _box(x: float, y: float, width: float, height: float, fill: str, line: str) -> str:
    place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
    return f'<rect {place} rx="4" fill="{fill}" stroke="{line}"/>'


def _arrow(x: float, y: float, end: float, colour: str) -> str:
    tip = f"{end:g},{y:g} {end - 7:g},{y - 4:g} {end - 7:g},{y + 4:g}"
    return (
        f'<line x1="{x:g}" y1="{y:g}" x2="{end - 6:g}" y2="{y:g}" stroke="{colour}" stroke-width="1.5"/>'
        f'<polygon points="{tip}" fill="{colour}"/>'
    )


def lists(house: House) -> str:
    """The rooms and the modules of the contract, as Markdown tables."""
    lines: list[str] = []
    for package, rooms in ROOMS.items():
        lines += [f"### {package}/", "", "| | room | what it is for | read first |", "|--|--|--|--|"]
        for i, (room, first) in enumerate(rooms.items()):
            path = f"{package}/{room}"
            link = f"[{first}.py](../{path}/{first}.py)"
            lines.append(f"| {i + 1} | [{room}](../{path}) | {house.sentence(f'{package}.{room}')} | {link} |")
        lines += ["", "At the root: " + "; ".join(_root_modules(house, package)) + ".", ""]
    lines += ["### schemas/", "", "| module | what it is for |", "|--|--|"]
    for module in sorted(house.checkout.trees):
        if module.count(".") == 1 and module.startswith("schemas."):
            name = module.removeprefix("schemas.")
            file = name if any(other.startswith(f"{module}.") for other in house.checkout.trees) else f"{name}.py"
            lines.append(f"| [{file}](../schemas/{file}) | {house.sentence(module)} |")
    return "\n".join(lines)


def _root_modules(house: House, package: str) -> Iterator[str]:
    for module in sorted(house.checkout.trees):
        name = module.removeprefix(f"{package}.")
        if module.startswith(f"{package}.") and "." not in name and name not in ROOMS[package] and name != "__main__":
            yield f"[{name}.py](../{package}/{name}.py), {_lower(house.sentence(module)).rstrip('.')}"


def page(text: str, house: House) -> str:
    """The page's text with its lists made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{lists(house)}\n\n{END}{after}"


def our_house() -> House:
    """Of this checkout."""
    return House(Checkout(ROOT, PACKAGES))


if __name__ == "__main__":
    ours = our_house()
    (ROOT / PICTURE).write_text(picture(ours), encoding="utf-8")
    (ROOT / PAGE).write_text(page((ROOT / PAGE).read_text(encoding="utf-8"), ours), encoding="utf-8")
