"""Puts a report together: one folder, in which every name is relative, that needs no network and no server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from m3h.pipeline.checks.table1 import COLUMNS
from m3h.pipeline.progress.monitor import watched
from m3h.pipeline.report import charts, gallery
from m3h.pipeline.report.figures import Figures, labels
from m3h.pipeline.report.pictures import Pictures, Thumbnails, class_names
from m3h.pipeline.report.sharing import clusters, leaks
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.files import publish_bytes, publish_text, sha256_file
from m3h.schemas.inside import file_in
from m3h.schemas.manifest import MANIFEST
from m3h.schemas.shards import KEY

PAGE, ASSETS = "report.html", "assets"
DATA, THUMBNAILS = "data", "thumbnails"


@dataclass(frozen=True)
class Report:
    """What was written. page: the file to open. posts, dropped: records in the gallery. pictures: with a thumbnail."""

    page: Path
    posts: int
    dropped: int
    pictures: int
    bytes: int


def report(dataset: Path, out: Path | None = None, *, workers: int, names: Path | None = None) -> Report:
    """Write the report of a finished dataset.

    Args:
        dataset: Its folder.
        out: The report's folder. An earlier report there is replaced, its thumbnails are kept. None for a folder beside
            the dataset that is named after it.
        workers: Threads that make thumbnails.
        names: File with the names of a detector's classes.

    Raises:
        UsageError: altair is not installed, `out` lies in the dataset, or other files than a report's are in it.
        IntegrityError: A file of the dataset is missing or changed.
    """
    charts.altair()
    data, named = Dataset(dataset), class_names(names)
    place = _place(data.folder, out)
    pictures = Pictures.of(data, named)
    posts = data.posts.select(["post_id", "text", "tokens", KEY, "split", "group", "sensitive"]).to_pylist()
    images = gallery.pictures_of(posts, data)
    thumbnails = Thumbnails(data.folder, place / THUMBNAILS)
    with watched("thumbnails", len(images), lambda: thumbnails.done):
        sizes = thumbnails.make(images, workers)
    _clear(place / DATA)
    gallery.write_posts(place / DATA, data, pictures, sizes)
    gallery.write_dropped(place / DATA, data, sizes)
    _write_page(place, data, pictures, posts, sizes=sizes)
    written = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    return Report(place / PAGE, len(posts), data.dropped.num_rows, len(sizes), written)


def _place(dataset: Path, out: Path | None) -> Path:
    place = (out or dataset.resolve().with_name(f"{dataset.resolve().name}-report")).resolve()
    if place.is_relative_to(dataset.resolve()):
        raise UsageError(f"--out {place}: lies in the dataset. Choose a folder outside of it.")
    if place.exists() and not place.is_dir():
        raise UsageError(f"--out {place}: expected a folder, found a file.")
    known = {PAGE, DATA, THUMBNAILS, "report.css", "report.js", "charts.js", "vega.js"}
    if place.is_dir() and (others := sorted({path.name for path in place.iterdir()} - known)):
        raise UsageError(f"--out {place}: {others[0]} lies there, which is no part of a report. Choose another folder.")
    return place


def _clear(folder: Path) -> None:
    """Remove the records of an earlier report: there may be fewer now."""
    for path in folder.glob("*.js"):
        path.unlink()


def _write_page(
    place: Path, data: Dataset, pictures: Pictures, posts: Sequence[dict[str, Any]], *, sizes: Mapping[str, Any]
) -> None:
    import jinja2

    figures, together = Figures(data), clusters(posts)
    drawn = charts.charts(_drawn(figures, pictures) | {"clusters": together["sizes"]})
    assets = files(__package__) / ASSETS
    page = jinja2.Environment(autoescape=True, trim_blocks=True).from_string(
        (assets / "report.html.jinja").read_text(encoding="utf-8")
    )
    text = page.render(
        name=data.folder.resolve().name, manifest=sha256_file(file_in(data.folder, MANIFEST)),
        counts=data.manifest.counts, notes=data.manifest.notes, charts=drawn, columns=COLUMNS, has=gallery.HAS,
        funnel=figures.funnel(), errors=figures.errors(), table1=figures.table1, features=figures.features(),
        speeds=figures.speeds(), clusters=together, leaks=leaks(list(posts)), sizes=sizes,
    )  # fmt: skip
    for name in ("report.css", "report.js"):
        publish_bytes(place / name, (assets / name).read_bytes())
    publish_bytes(place / "charts.js", gallery.script("const m3hCharts=", drawn, ""))
    publish_text(place / "vega.js", charts.library())
    publish_text(place / PAGE, text)


def _drawn(figures: Figures, pictures: Pictures) -> dict[str, Any]:
    words = figures.words(pictures.readings)
    return {
        "funnel": figures.funnel(),
        "lengths": figures.lengths(),
        "keyphrases": figures.keyphrases(),
        "ranks": figures.ranks(),
        "together": figures.together(),
        "languages": figures.languages(),
        "months": figures.months(),
        "sizes": figures.sizes(),
        "words": words["top"],
        "word_numbers": words["numbers"],
        "attributes": labels([[label for label, _ in row] for row in pictures.attributes.values()], "attribute"),
        "objects": labels([[row[0] for row in found] for found in pictures.objects.values()], "object"),
    }
