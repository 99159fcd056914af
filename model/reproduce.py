"""Our figures beside the paper's: each table and figure trains what it needs, in folders that later ones share."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from model.assemble import PAPER_SIZES, build_model
from model.config import Config, resolve_config
from model.evaluate import DEFINITION, predictions_of
from model.experiment import readable_inputs, train_all
from model.metrics import is_present, stem, stem_phrase
from model.paper import SCORES, TABLE_1, Row
from model.subsets import scores_of_parts
from model.train import Progress
from schemas.dataset import Dataset
from schemas.errors import UsageError
from schemas.files import read_json
from schemas.posts import SPLITS


@dataclass(frozen=True)
class Setting:
    """What is the same for all rows. out: where the runs lie. fields: of the configuration, as the command has them."""

    dataset: Dataset
    out: Path
    seeds: Sequence[int]
    file: Path | None
    sets: Sequence[str]
    fields: dict[str, Any]
    progress: Progress

    def configs(self, row: Row) -> dict[Path, Config]:
        """Run folder -> configuration, one a seed."""
        base = resolve_config(self.file, [*self.sets, *row.sets], **{**self.fields, "system": row.system})
        return {self.out / row.folder / f"seed-{seed}": base.model_copy(update={"seed": seed}) for seed in self.seeds}


def why_not(config: Config, dataset: Dataset) -> str | None:
    """Why a system cannot be trained on this dataset, or None."""
    try:
        with torch.device("meta"):
            build_model(config, PAPER_SIZES, readable_inputs(config, dataset))
    except UsageError as error:
        return str(error)
    return None


def runs_of(row: Row, setting: Setting) -> list[Path] | str:
    """The folders of the row's finished runs, or why there can be none."""
    configs = setting.configs(row)
    reason = why_not(next(iter(configs.values())), setting.dataset)
    if reason:
        return reason
    train_all(configs, setting.dataset, setting.progress)
    return list(configs)


def table(rows: Sequence[Row], setting: Setting) -> list[dict[str, Any]]:
    """Of each row: label, `ours` score -> (mean, deviation) in percent, `published`, or `left_out` and why."""
    told = []
    for row in rows:
        runs = runs_of(row, setting)
        line: dict[str, Any] = {"label": row.label, "published": dict(zip(SCORES, row.published, strict=True))}
        if isinstance(runs, str):
            told.append({**line, "left_out": runs})
        else:
            scores = [read_json(run / "scores.json")["test"]["all"] for run in runs]
            told.append({**line, "ours": {name: spread([one[name] for one in scores]) for name in SCORES}})
    return told


def parts_table(rows: Sequence[Row], groups: Sequence[str], setting: Setting) -> list[dict[str, Any]]:
    """Of each row: label, and `parts` "group: part" -> posts, and score -> (mean, deviation) over seeds in percent."""
    told: list[dict[str, Any]] = []
    for row in rows:
        runs = runs_of(row, setting)
        if isinstance(runs, str):
            told.append({"label": row.label, "left_out": runs})
            continue
        scored = [
            scores_of_parts(predictions_of(run, None, "test"), read_json(run / "keyphrases.json"), DEFINITION)
            for run in runs
        ]
        parts: dict[str, dict[str, Any]] = {
            f"{group}: {part}": {
                "posts": int(values["posts"]),
                **{name: spread([one[group][part][name] for one in scored]) for name in SCORES},
            }
            for group in groups
            for part, values in scored[0].get(group, {}).items()
        }
        told.append({"label": row.label, "parts": parts})
    return told


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation of the sample, in percent; the deviation of one value is 0."""
    percent = [100 * value for value in values]
    return statistics.fmean(percent), statistics.stdev(percent) if len(percent) > 1 else 0.0


def table1(dataset: Dataset) -> list[dict[str, Any]]:
    """Of each statistic: label, `ours` and `published` by split. The definitions that give the paper's figures are in
    docs/training.md.
    """
    columns = {split: _column(dataset, split) for split in SPLITS}
    return [
        {"label": label, "ours": {split: columns[split][name] for split in SPLITS}, "published": published}
        for name, (label, published) in TABLE_1.items()
    ]


def _column(dataset: Dataset, split: str) -> dict[str, float]:
    posts = dataset.split(split).select(["tokens", "keyphrases"]).to_pylist()
    phrases = [phrase for post in posts for phrase in post["keyphrases"]]
    texts = [f" {' '.join(map(stem, post['tokens']))} " for post in posts]
    found = sum(is_present(stem_phrase(p), t) for post, t in zip(posts, texts, strict=True) for p in post["keyphrases"])
    words = {word for post in posts for word in [*post["tokens"], *" ".join(post["keyphrases"]).split()]}
    return {
        "posts": len(posts),
        "post_len": sum(len(post["tokens"]) for post in posts) / max(1, len(posts)),
        "keyphrases_per_post": len(phrases) / max(1, len(posts)),
        "unique_keyphrases": len(set(phrases)),
        "keyphrase_len": sum(len(phrase.split()) for phrase in phrases) / max(1, len(phrases)),
        "present_pct": 100 * found / max(1, len(phrases)),
        "vocab": len(words),
    }
