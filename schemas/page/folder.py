"""The folder of a report: a page, its scripts and thumbnails. Every name in it is relative."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from m3h.schemas.errors import UsageError
from m3h.schemas.files import publish_bytes, publish_text
from m3h.schemas.machine import why_unwritable
from m3h.schemas.page.charts import library
from m3h.schemas.page.scripts import script

PAGE, ASSETS = "report.html", "assets"
DATA, THUMBNAILS = "data", "thumbnails"
STYLE, CODE, CHARTS, LIBRARY = "report.css", "report.js", "charts.js", "vega.js"


def prepare(out: Path, dataset: Path) -> Path:
    """The folder of a report, without the records of an earlier one. Thumbnails of an earlier report stay.

    Args:
        out: Where the report goes.
        dataset: What it is about.

    Raises:
        UsageError: `out` lies in the dataset, other files than a report's are in it, or it cannot be written.
    """
    place = out.resolve()
    if place.is_relative_to(dataset.resolve()):
        raise UsageError(f"--out {place}: lies in the dataset. Choose a folder outside of it.")
    if why := why_unwritable(place, is_folder=True):
        raise UsageError(f"--out {place}: {why}. Choose another folder.")
    known = {PAGE, DATA, THUMBNAILS, STYLE, CODE, CHARTS, LIBRARY}
    if place.is_dir() and (others := sorted({path.name for path in place.iterdir()} - known)):
        raise UsageError(f"--out {place}: {others[0]} lies there, which is no part of a report. Choose another folder.")
    return place


def clear_records(place: Path) -> None:
    """Remove the records of an earlier report: there may be fewer now."""
    for path in (place / DATA).glob("*.js"):
        path.unlink()


def write_page(
    place: Path,
    package: str,
    charts: Mapping[str, Any],
    *,
    values: Mapping[str, Any],
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write the page, its style, its code, its charts and the library that draws them.

    Args:
        place: The report's folder.
        package: Has the page's own `report.html.jinja` and `report.js` among its assets.
        charts: Vega-Lite by the name that the page gives it.
        values: What the page is filled with, besides the charts.
        about: What the page's own code finds in `m3hAbout`.
    """
    import jinja2

    shared, own = (files(name) / ASSETS for name in (__package__, package))
    sources = {"page.html.jinja": shared, "parts.html.jinja": shared, "report.html.jinja": own}
    texts = {name: (folder / name).read_text(encoding="utf-8") for name, folder in sources.items()}
    pages = jinja2.Environment(autoescape=True, trim_blocks=True, loader=jinja2.DictLoader(texts))
    text = pages.get_template("report.html.jinja").render(charts=charts, **values)
    publish_bytes(place / STYLE, (shared / "page.css").read_bytes())
    publish_bytes(place / CODE, (shared / "page.js").read_bytes() + (own / "report.js").read_bytes())
    publish_bytes(place / CHARTS, script("const m3hCharts=", charts, "") + script("const m3hAbout=", about or {}, ""))
    publish_text(place / LIBRARY, library())
    publish_text(place / PAGE, text)


def size_of(place: Path) -> int:
    """Bytes of all files of a report."""
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
