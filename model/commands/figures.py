"""The figures of `reproduce`: how each is made from what `study` computes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3h.model.scoring.definitions import DEFINITION
from m3h.model.study.published import FIGURE_5, FIGURE_6, FIGURE_7, FIGURE_9, SCORES, Row
from m3h.schemas.errors import UsageError

if TYPE_CHECKING:
    from m3h.model.scoring.predictions import Record
    from m3h.model.study.reproduce import Setting
    from m3h.schemas.dataset import Dataset

Report = tuple[dict[str, Any], str]
"""What is printed, as JSON and as text."""


@dataclass(frozen=True)
class Asked:
    """What a figure is asked for. posts: ids; none to choose. labels: made by hand. feature: of the pictures."""

    posts: Sequence[str] = ()
    labels: Path | None = None
    feature: str = "backbone"


def _figure4(setting: "Setting", asked: Asked) -> Report:
    import csv
    import io
    from collections import Counter

    from m3h.model.study.figures import bars
    from m3h.model.study.picture_types import model_for, types_of
    from m3h.schemas.files import publish_text

    model = model_for(setting.dataset, asked.feature, asked.labels)
    rows = types_of(setting.dataset, model, asked.feature)
    if not rows:
        raise UsageError(f"{setting.dataset.folder}: no picture has a row of {asked.feature}.")
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    publish_text(setting.out / "fig4.csv", text.getvalue())
    counts = Counter(dict.fromkeys(model.types, 0))
    counts.update(row["type"] for row in rows)
    percent = {kind: 100 * counts[kind] / len(rows) for kind in model.types}
    bars(setting.out / "fig4.png", {"type of picture": {f"{len(rows):,} pictures": percent}}, "percent of pictures")
    lines = [f"{kind:12} {counts[kind]:>9,} {percent[kind]:6.1f} %" for kind in model.types]
    accuracy = {"accuracy": vars(model.accuracy) if model.accuracy else None, "text": str(model.accuracy)}
    report = {
        "pictures": len(rows),
        "types": dict(counts),
        "classifier": accuracy,
        "file": str(setting.out / "fig4.png"),
    }
    return report, "\n".join([*lines, str(model.accuracy), f"wrote {setting.out / 'fig4.png'} and fig4.csv"])


def _figure5(setting: "Setting", asked: Asked) -> Report:
    from m3h.model.study.figures import bars
    from m3h.model.study.reproduce import subset_table

    rows = subset_table(FIGURE_5, ["frequency", "length"], setting)
    panels: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows:
        for name, values in row.get("subsets", {}).items():
            group, subset = name.split(": ")
            panels.setdefault(group, {}).setdefault(row["label"], {})[subset] = values[SCORES[0]][0]
    if not panels:
        raise UsageError(f"{setting.dataset.folder}: no post to draw.")
    file = setting.out / "fig5.png"
    bars(file, panels, f"{SCORES[0]} ({DEFINITION}), percent")
    return {"rows": rows, "file": str(file)}, f"wrote {file}"


def _figure6(setting: "Setting", asked: Asked) -> Report:
    from m3h.model.runs.evaluate import open_run
    from m3h.model.study.attention_page import draw_attention

    if len(asked.posts) > 1:
        raise UsageError(f"--post: fig6 shows one post, not {len(asked.posts)}. Take fig8 for several.")
    _require_posts(setting.dataset, asked.posts, "all")
    run = open_run(_folders(FIGURE_6[0], setting)[0])
    chosen = asked.posts[0] if asked.posts else run.reader(setting.dataset).split("test").ids[0]
    drawn = draw_attention(run, setting.dataset, chosen, out=setting.out / "fig6")
    return drawn, f"wrote {drawn['page']}: {', '.join(drawn['pairs'])}"


def _require_posts(dataset: "Dataset", posts: Sequence[str], split: str) -> None:
    """UsageError where a wanted post is not in the split, or in none with "all": before hours of training."""
    there = dataset.posts if split == "all" else dataset.split(split)
    known = set(there.column("post_id").to_pylist())
    if missing := [post for post in posts if post not in known]:
        of = "" if split == "all" else f" in the {split} split"
        raise UsageError(f"--post: {dataset.folder} has no post '{missing[0]}'{of}.")


def _folders(row: Row, setting: "Setting") -> list[Path]:
    """The runs of a row. UsageError where they cannot be trained."""
    from m3h.model.study.reproduce import trained_runs

    runs = trained_runs(row, setting)
    if isinstance(runs, str):
        raise UsageError(runs)
    return runs


def _predictions(rows: Sequence[Row], setting: "Setting") -> "tuple[dict[str, list[Record]], list[str]]":
    """The system's label -> the predictions of its first run for test, and a line for each one that is left out.

    UsageError where the last row, the full model, cannot be trained.
    """
    from m3h.model.runs.evaluate import load_or_predict
    from m3h.model.study.reproduce import trained_runs

    found: dict[str, list[Record]] = {}
    left_out = []
    for row in rows:
        runs = _folders(row, setting) if row is rows[-1] else trained_runs(row, setting)
        if isinstance(runs, str):
            left_out.append(f"{row.label} left out: {runs}")
        else:
            found[row.label] = load_or_predict(runs[0], None, "test", progress=setting.progress)
    return found, left_out


def _figure7(setting: "Setting", asked: Asked) -> Report:
    from m3h.model.study.cases import chosen_posts, draw_cases

    _require_posts(setting.dataset, asked.posts, "test")
    records, left_out = _predictions(FIGURE_7, setting)
    numbers = chosen_posts(records, asked.posts)
    drawn = draw_cases(records, numbers, setting.dataset, out=setting.out / "fig7")
    return {**drawn, "left_out": left_out}, "\n".join([*left_out, f"wrote {drawn['page']}"])


def _figure8(setting: "Setting", asked: Asked) -> Report:
    from m3h.model.runs.evaluate import open_run
    from m3h.model.study.cases import chosen_posts, draw_further

    _require_posts(setting.dataset, asked.posts, "test")
    records, _ = _predictions(FIGURE_6, setting)
    (own,) = records.values()
    posts = [own[number].post_id for number in chosen_posts(records, asked.posts)]
    run = open_run(_folders(FIGURE_6[0], setting)[0])
    drawn = draw_further(run, setting.dataset, posts, out=setting.out / "fig8")
    return drawn, f"wrote {drawn['page']}"


def _figure9(setting: "Setting", asked: Asked) -> Report:
    from m3h.model.runs.evaluate import score_records
    from m3h.model.study.figures import bars
    from m3h.model.study.relations import by_relation, check_posts, read_sheet, write_sheet

    if asked.labels is None:
        sheet = write_sheet(setting.dataset, setting.out / "fig9")
        return sheet, (
            f"wrote {sheet['page']} and sheet.csv: {sheet['posts']} posts to label. Then give the sheet with --labels."
        )
    relations = read_sheet(asked.labels)
    others = check_posts(relations, setting.dataset, asked.labels)  # before hours of training
    predictions, left_out = _predictions(FIGURE_9, setting)
    groups = {label: by_relation(records, relations) for label, records in predictions.items()}
    known = next(iter(groups.values()))
    posts = {relation: len(records) for relation, records in known.items()}
    scores = {
        label: {relation: 100 * score_records(own[relation], DEFINITION)["all"][SCORES[0]] for relation in posts}
        for label, own in groups.items()
    }
    named = {label: {_two_lines(r, posts[r]): value for r, value in own.items()} for label, own in scores.items()}
    file = setting.out / "fig9" / "fig9.png"
    bars(file, {"relation of text and picture": named}, f"{SCORES[0]} ({DEFINITION}), percent", width=9)
    lines = [f"{relation:38} {count:>5} posts" + _row(scores, relation) for relation, count in posts.items()]
    if others:
        lines.append(f"{len(others)} labelled posts are not in test and were left out; the first is '{others[0]}'")
    report = {"posts": posts, "not_in_test": len(others), "scores": scores, "file": str(file)}
    return {**report, "left_out": left_out}, "\n".join([*left_out, *lines, f"wrote {file}"])


def _two_lines(relation: str, posts: int) -> str:
    return "\n".join([*relation.split(", "), f"({posts} posts)"])


def _row(scores: dict[str, dict[str, float]], relation: str) -> str:
    return "".join(f"   {label} {own[relation]:.2f}" for label, own in scores.items())


FIGURES: "dict[str, Callable[[Setting, Asked], Report]]" = {
    "fig4": _figure4,
    "fig5": _figure5,
    "fig6": _figure6,
    "fig7": _figure7,
    "fig8": _figure8,
    "fig9": _figure9,
}
