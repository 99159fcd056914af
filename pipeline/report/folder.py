"""Puts a report together: one folder, in which every name is relative, that needs no network and no server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m3h.pipeline.checks.table1 import COLUMNS
from m3h.pipeline.progress.monitor import tracked, watched
from m3h.pipeline.report import charts, gallery
from m3h.pipeline.report.figures import Figures, labels
from m3h.pipeline.report.sharing import clusters, leaks
from m3h.schemas.dataset import Dataset
from m3h.schemas.files import sha256_file
from m3h.schemas.inside import file_in
from m3h.schemas.manifest import MANIFEST
from m3h.schemas.page.charts import altair
from m3h.schemas.page.folder import DATA, PAGE, THUMBNAILS, clear_records, prepare, size_of, write_page
from m3h.schemas.page.pictures import Pictures, Thumbnails, class_names
from m3h.schemas.shards import KEY


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
    altair()
    data, named = Dataset(dataset), class_names(names)
    beside = data.folder.resolve()
    place = prepare(out or beside.with_name(f"{beside.name}-report"), data.folder)
    pictures = Pictures.of(data, named)
    posts = data.posts.select(["post_id", "text", "tokens", KEY, "split", "group", "sensitive"]).to_pylist()
    images = gallery.pictures_of(posts, data)
    thumbnails = Thumbnails(data.folder, place / THUMBNAILS)
    with watched("thumbnails", len(images), lambda: thumbnails.done):
        sizes = thumbnails.make(images, workers)
    clear_records(place)
    steps = (
        lambda: gallery.write_posts(place / DATA, data, pictures, sizes),
        lambda: gallery.write_dropped(place / DATA, data, sizes),
        lambda: _write_page(place, data, pictures, posts, sizes=sizes),
    )
    for step in tracked("page", steps, alike=False):
        step()
    return Report(place / PAGE, len(posts), data.dropped.num_rows, len(sizes), size_of(place))


def _write_page(
    place: Path, data: Dataset, pictures: Pictures, posts: Sequence[dict[str, Any]], *, sizes: Mapping[str, Any]
) -> None:
    figures, together = Figures(data), clusters(posts)
    drawn = charts.charts(_drawn(figures, pictures) | {"clusters": together["sizes"]})
    values = {
        **{"name": data.folder.resolve().name, "manifest": sha256_file(file_in(data.folder, MANIFEST))},
        **{"counts": data.manifest.counts, "notes": data.manifest.notes, "columns": COLUMNS, "has": gallery.HAS},
        **{"funnel": figures.funnel(), "errors": figures.errors(), "table1": figures.table1},
        **{"features": figures.features(), "speeds": figures.speeds(), "sizes": sizes},
        **{"clusters": together, "leaks": leaks(list(posts))},
    }
    write_page(place, __package__, drawn, values=values)


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
