"""Puts a report of runs together: one folder, in which every name is relative, that needs no network and no server."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m3h.model.decoding.predict import Progress, in_silence
from m3h.model.report import figures
from m3h.model.report.charts import charts
from m3h.model.report.gallery import POST_BITS, RUN_BITS, write_posts, write_run
from m3h.model.report.groups import FinishedRun, Group, dataset_of, grouped, read_run
from m3h.model.report.lineage import Lineage, run_lineage
from m3h.model.runs.unseen import unseen_posts
from m3h.model.scoring.significance import scipy_stats
from m3h.schemas.errors import M3hError, UsageError
from m3h.schemas.page.charts import altair
from m3h.schemas.page.folder import DATA, PAGE, THUMBNAILS, clear_records, prepare, size_of, write_page
from m3h.schemas.page.pictures import Pictures, Thumbnails, class_names
from m3h.schemas.page.scripts import Names
from m3h.schemas.shards import KEY

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunReport:
    """What was written. page: the file to open. runs, groups, posts: in it. pictures: with a thumbnail."""

    page: Path
    runs: int
    groups: int
    posts: int
    pictures: int
    bytes: int


@dataclass(frozen=True)
class Wanted:
    """What a report shows. dataset: where the posts are; None for what the runs were trained on. names: of classes."""

    split: str
    definition: str
    dataset: Path | None = None
    names: Path | None = None
    workers: int = 1


def report(folders: Sequence[Path], out: Path | None, wanted: Wanted, progress: Progress = in_silence) -> RunReport:
    """Write the report of finished runs.

    Args:
        folders: of the runs, which were scored on the same posts.
        out: the report's folder. An earlier report there is replaced. None for a folder beside the first run.
        wanted: what it shows.
        progress: shows how far a prediction is.

    Raises:
        UsageError: there is no finished run, the runs have other posts, a library is missing, or other files than a
            report's are in `out`.
        IntegrityError: a file of a run or of the dataset is missing or changed.
    """
    if not folders:
        raise UsageError("report: name finished runs, or give --dataset DIR for the report of a dataset.")
    altair()
    data, first = dataset_of(folders[0], wanted.dataset), folders[0].resolve()
    place = prepare(out or first.with_name(f"{first.name}-report"), data.folder)
    runs = [read_run(folder, wanted.dataset, wanted.split, progress) for folder in folders]
    groups = grouped(runs)
    if len(groups) > 1:
        scipy_stats()
    lineage, pictures = Lineage(data), Pictures.of(data, class_names(wanted.names))
    unseen = [_unseen(group.runs[0], wanted.dataset) for group in groups]
    images = _images(runs[0], lineage)
    logger.info(f"thumbnails of {len(images):,} pictures")
    sizes = Thumbnails(data.folder, place / THUMBNAILS).make(images, wanted.workers)
    clear_records(place)
    in_order, origins = [run for group in groups for run in group.runs], Names()
    write_posts(
        place / DATA, runs[0], lineage, pictures=pictures, sizes=sizes, unseen=set.intersection(*map(_known, unseen))
    )
    for number, run in enumerate(in_order):
        write_run(place / DATA, number, run, origins)
    _write(place, groups, lineage, unseen=unseen, origins=origins, wanted=wanted)
    return RunReport(place / PAGE, len(runs), len(groups), len(runs[0].records), len(sizes), size_of(place))


def _unseen(run: FinishedRun, dataset: Path | None) -> set[str] | None:
    try:
        return unseen_posts(run.config, run.metadata, dataset)
    except M3hError as error:
        logger.warning(f"{run.folder}: which posts share nothing with training is not known: {error}")
        return None


def _known(ids: set[str] | None) -> set[str]:
    return ids or set()


def _images(run: FinishedRun, lineage: Lineage) -> list[str]:
    """The stored pictures of the posts, sorted."""
    posts = [lineage.posts[record.post_id] for record in run.records if record.post_id in lineage.posts]
    return sorted({post[KEY] for post in posts if lineage.picture(post).get("status") == "stored"})


def _write(
    place: Path,
    groups: Sequence[Group],
    lineage: Lineage,
    *,
    unseen: Sequence[set[str] | None],
    origins: Names,
    wanted: Wanted,
) -> None:
    """Write the page."""
    labels = [group.label for group in groups]
    subsets, robustness = figures.subsets(groups, wanted.definition), figures.robustness(groups, wanted.definition)
    chances = figures.reliabilities(groups)
    drawn = charts({**figures.curves(groups), **subsets, **chances, "robustness": robustness}, labels)
    first = groups[0].runs[0]
    lineages = [run_lineage(run, lineage.data) for group in groups for run in group.runs]
    name = first.folder.resolve().name if len(lineages) == 1 else f"{len(lineages)} runs"
    values: dict[str, Any] = {
        **{"name": name, "split": wanted.split, "definition": wanted.definition},
        **{"posts": len(first.records), "labels": labels, "runs": figures.described(groups)},
        **{"columns": list(figures.SCORES.items()), "subsets": subsets, "robustness": robustness},
        **{"scores": figures.score_table(groups, unseen, wanted.definition)},
        **{"comparisons": figures.comparisons(groups, wanted.definition)},
        **{"definitions": figures.definitions_table(groups), "later": list(figures.LATER.items())},
        **{"calibration": chances["calibration"]},
        **{"features": _features(groups, lineage), "dataset": lineage.data.folder.resolve().name},
        **{"lineages": lineages, "notes": lineage.data.manifest.notes, "origins": list(origins.numbers)},
    }
    write_page(place, __package__, drawn, values=values, about=_about(groups, lineage, lineages))


def _about(groups: Sequence[Group], lineage: Lineage, lineages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the page's code must know of the runs, in their order, and of the versions of features by name."""
    found: list[dict[str, Any]] = []
    for group in groups:
        for run in group.runs:
            read = [f"{name}-{version}" for name, version in run.metadata.features.items()]
            label = f"{group.label}, seed {run.config.seed}"
            weights = lineages[len(found)]["weights_sha256"]
            found.append({"label": label, "folder": str(run.folder), "weights": weights, "features": read})
    features = {
        f"{row['feature']}-{row['fingerprint']}": " ".join(
            (row["feature"], row["fingerprint"], row.get("weights", ""), "(random)" if row.get("random") else "")
        ).strip()
        for row in _features(groups, lineage)
    }
    return {"runs": found, "features": features, "postBits": POST_BITS, "runBits": RUN_BITS}


def _features(groups: Sequence[Group], lineage: Lineage) -> list[dict[str, Any]]:
    """Every version that a run was trained on, once."""
    rows = [row for group in groups for run in group.runs for row in lineage.features(run)]
    return list({(row["feature"], row["fingerprint"]): row for row in rows}.values())
