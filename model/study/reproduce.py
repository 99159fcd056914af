"""Our scores beside the published ones. Each table and figure trains what it needs, in folders that all share."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from m3h.model.config import Config, resolve_config
from m3h.model.data.inputs import modalities_of
from m3h.model.decoding.predict import Progress
from m3h.model.networks.factory import PAPER_SIZES, Sizes, build_model
from m3h.model.runs.evaluate import load_or_predict
from m3h.model.runs.experiment import readable_inputs, train_all
from m3h.model.scoring.definitions import DEFINITION
from m3h.model.scoring.subsets import subset_scores
from m3h.model.study.published import SCORES, TABLE_1, Row
from m3h.model.systems import INPUTS, TEXT_ENCODER, get_system
from m3h.model.text.stemming import is_present, stem, stem_phrase
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.files import read_json
from m3h.schemas.posts import SPLITS


@dataclass(frozen=True)
class Setting:
    """What is the same for all rows. out: folder of all runs. fields: of the configuration, from the command line."""

    dataset: Dataset
    out: Path
    seeds: Sequence[int]
    file: Path | None
    sets: Sequence[str]
    fields: dict[str, Any]
    progress: Progress

    def configs(self, row: Row) -> dict[Path, Config]:
        """Run folder -> configuration, one for each seed."""
        base = resolve_config(self.file, [*self.sets, *row.sets], **{**self.fields, "system": row.system})
        if not any(INPUTS[name] == "vision" for name in get_system(row.system).inputs):
            base = base.model_copy(update={"vision": None})  # which pictures are read says nothing to this system
        return {self.out / row.folder / f"seed-{seed}": base.model_copy(update={"seed": seed}) for seed in self.seeds}


def untrainable_reason(config: Config, dataset: Dataset) -> str | None:
    """The reason why a system cannot be trained on this dataset, or None."""
    try:
        with torch.device("meta"):
            inputs = readable_inputs(config, dataset)
            build_model(config, _sizes(inputs, dataset), inputs)
    except UsageError as error:
        return str(error)
    return None


def _sizes(inputs: Sequence[str], dataset: Dataset) -> Sizes:
    """The paper's sizes, and any for further features of the dataset."""
    kinds = modalities_of(dataset, (name for name in inputs if name not in (*INPUTS, TEXT_ENCODER)))
    vision = {name: 1 for name in inputs if name == TEXT_ENCODER or kinds.get(name) == "vision"}
    labels = {name: 2 for name, kind in kinds.items() if kind == "attributes"}
    return replace(
        PAPER_SIZES, channels={**PAPER_SIZES.channels, **vision}, attributes={**PAPER_SIZES.attributes, **labels}
    )


def trained_runs(row: Row, setting: Setting) -> list[Path] | str:
    """The folders of the runs of a row, trained if necessary, or the reason why they cannot be trained."""
    configs = setting.configs(row)
    reason = untrainable_reason(next(iter(configs.values())), setting.dataset)
    if reason:
        return reason
    train_all(configs, setting.dataset, setting.progress)
    return list(configs)


def score_table(rows: Sequence[Row], setting: Setting) -> list[dict[str, Any]]:
    """For each row: label, `published`, and `ours`: score -> (mean, sd) in percent; or `left_out`, the reason."""
    table = []
    for row in rows:
        runs = trained_runs(row, setting)
        line: dict[str, Any] = {"label": row.label, "published": dict(zip(SCORES, row.published, strict=True))}
        if isinstance(runs, str):
            table.append({**line, "left_out": runs})
        else:
            scores = [read_json(run / "scores.json")["test"]["all"] for run in runs]
            table.append({**line, "ours": {name: mean_and_sd([run[name] for run in scores]) for name in SCORES}})
    return table


def subset_table(rows: Sequence[Row], groups: Sequence[str], setting: Setting) -> list[dict[str, Any]]:
    """For each row: label, and `subsets`; or `left_out`, the reason.

    `subsets` is "group: subset" -> posts, and score -> (mean, deviation) over seeds in percent.

    Args:
        rows: systems.
        groups: of subsets, see `scoring.subsets`.
        setting: of all rows.
    """
    table: list[dict[str, Any]] = []
    for row in rows:
        runs = trained_runs(row, setting)
        if isinstance(runs, str):
            table.append({"label": row.label, "left_out": runs})
            continue
        scored = [
            subset_scores(
                load_or_predict(run, None, "test", progress=setting.progress),
                read_json(run / "keyphrases.json"),
                DEFINITION,
            )
            for run in runs
        ]
        subsets: dict[str, dict[str, Any]] = {
            f"{group}: {name}": {
                "posts": int(values["posts"]),
                **{score: mean_and_sd([run[group][name][score] for run in scored]) for score in SCORES},
            }
            for group in groups
            for name, values in scored[0].get(group, {}).items()
        }
        table.append({"label": row.label, "subsets": subsets})
    return table


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation, in percent. The deviation of one value is 0."""
    percent = [100 * value for value in values]
    return statistics.fmean(percent), statistics.stdev(percent) if len(percent) > 1 else 0.0


def table1(dataset: Dataset) -> list[dict[str, Any]]:
    """For each statistic: label, `ours` and `published` by split.

    docs/training.md has the definitions that give the published figures.
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
    present = sum(
        is_present(stem_phrase(p), t) for post, t in zip(posts, texts, strict=True) for p in post["keyphrases"]
    )
    words = {word for post in posts for word in [*post["tokens"], *" ".join(post["keyphrases"]).split()]}
    return {
        "posts": len(posts),
        "post_len": sum(len(post["tokens"]) for post in posts) / max(1, len(posts)),
        "keyphrases_per_post": len(phrases) / max(1, len(posts)),
        "unique_keyphrases": len(set(phrases)),
        "keyphrase_len": sum(len(phrase.split()) for phrase in phrases) / max(1, len(phrases)),
        "present_pct": 100 * present / max(1, len(phrases)),
        "vocab": len(words),
    }
