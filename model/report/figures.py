"""The numbers of a report of runs. Nothing here knows how they are shown."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from m3h.model.report.groups import FinishedRun, Group
from m3h.model.runs.evaluate import score_records
from m3h.model.scoring.calibration import Bin, Calibration, Choice, calibration_error, chosen_record, reliability
from m3h.model.scoring.definitions import DEFINITIONS
from m3h.model.scoring.metrics import score
from m3h.model.scoring.predictions import Record
from m3h.model.scoring.significance import COMPARED, compare_seeds
from m3h.model.scoring.subsets import subset_scores

SCORES = {"f1@1": "F1@1", "f1@3": "F1@3", "f1@5": "F1@5", "map@5": "MAP@5", "ndcg@5": "NDCG@5"}
"""Score -> how it is written."""
PARTS = {"all": "all keyphrases", "present": "present in the text", "absent": "absent from the text"}

Row = dict[str, Any]
Scores = Mapping[str, float]


def curves(groups: Sequence[Group]) -> dict[str, list[Row]]:
    """`loss`: of training and of the selection posts by epoch. `selection`: their F1@1, of runs that select by it."""
    loss, selection = [], []
    for group in groups:
        for run in group.runs:
            for epoch in run.epochs:
                about = {"group": group.label, "run": str(run.folder), "epoch": epoch.epoch}
                loss.append({**about, "posts": "training", "loss": epoch.train.joint})
                loss.append({**about, "posts": "selection", "loss": epoch.valid.joint})
                if epoch.f1 is not None:
                    selection.append({**about, "f1": epoch.f1, "best": epoch.epoch == run.best_epoch})
    return {"loss": loss, "selection": selection}


def score_table(groups: Sequence[Group], unseen: Sequence[set[str] | None], definition: str) -> list[Row]:
    """One row a group and part of the keyphrases, and one of the posts that share nothing with training.

    Each has `scores`: name -> `mean` and `sd` over the seeds, None for the deviation of one run.

    Args:
        groups: of runs.
        unseen: of each group, the ids of posts that share nothing with training; None where that is not known.
        definition: of the scores.
    """
    rows = []
    for group, ids in zip(groups, unseen, strict=True):
        plain = [score_records(run.records, definition) for run in group.runs]
        about = {"group": group.label, "runs": len(group.runs)}
        for part, name in PARTS.items():
            rows.append({**about, "part": name, "posts": None, "scores": mean_and_sd([found[part] for found in plain])})
        rows[-3]["posts"] = plain[0]["posts"]
        if ids is not None:
            chosen = [[record for record in run.records if record.post_id in ids] for run in group.runs]
            rows.append({**about, "part": "without leaks", **_of_posts(chosen, definition)})
    return rows


LATER = {"f1@1": "F1@1", "f1@3": "F1@3", "f1@5": "F1@5", "map@5": "MAP@5", "f1@O": "F1@O", "f1@M": "F1@M"}
"""Scores of the table of all definitions."""


def definitions_table(groups: Sequence[Group]) -> list[Row]:
    """One row a group and definition, of all keyphrases: `scores` as in `score_table`, by the names of LATER.

    `auto` are the scores of as many phrases a post as their chances say, `phrases` how many those are; both None where
    a run has no chances.
    """
    rows = []
    for group in groups:
        known = _chances(group)
        chosen = [] if isinstance(known, str) else [_chosen(*pair) for pair in zip(group.runs, known, strict=True)]
        counts = [len(record.predictions) for records in chosen for record in records]
        for definition in DEFINITIONS:
            plain = [_whole(run.records, definition) for run in group.runs]
            auto = [_whole(records, definition) for records in chosen]
            rows.append(
                {
                    **{"group": group.label, "definition": definition, "scores": mean_and_sd(plain, LATER)},
                    **{"auto": mean_and_sd(auto, ("f1@M",))["f1@M"] if auto else None},
                    **{"phrases": statistics.fmean(counts) if counts else None},
                }
            )
    return rows


def _chances(group: Group) -> list[Calibration] | str:
    """Of each run; or why those of the first without are not known."""
    known = [run.chances for run in group.runs]
    unknown = [why for why in known if isinstance(why, str)]
    return unknown[0] if unknown else [one for one in known if isinstance(one, Calibration)]


def _whole(records: Sequence[Record], definition: str) -> Scores:
    """Of all keyphrases alone: present and absent ones are told apart by reading every text."""
    predicted, gold = [record.phrases for record in records], [record.keyphrases for record in records]
    return score(predicted, gold, definition=definition)["all"]


def _chosen(run: FinishedRun, calibration: Calibration) -> list[Record]:
    return [chosen_record(record, Choice(0), calibration) for record in run.records]


def reliabilities(groups: Sequence[Group]) -> dict[str, list[Row]]:
    """Whether chances hold, see `scoring.calibration`.

    `reliability`: rows of group, run, `chance`, `right` and `phrases`. `calibration`: a row a group, with the mean
    `error` of its runs' chances, and `why` that is not known; one of the two is None.
    """
    rows: dict[str, list[Row]] = {"reliability": [], "calibration": []}
    for group in groups:
        found = _reliability(group)
        about: Row = {"group": group.label}
        if isinstance(found, str):
            rows["calibration"].append(about | {"error": None, "why": found})
            continue
        error = statistics.fmean(calibration_error(bins) for bins in found)
        rows["calibration"].append(about | {"error": error, "why": None})
        for run, bins in zip(group.runs, found, strict=True):
            of_run = about | {"run": str(run.folder)}
            shares = ({"chance": of.mean, "right": of.right, "phrases": of.phrases} for of in bins)
            rows["reliability"] += [of_run | share for share in shares]
    return rows


def _reliability(group: Group) -> list[list[Bin]] | str:
    """Of each run; or why it is not known."""
    known = _chances(group)
    if isinstance(known, str):
        return known
    found = [reliability(run.records, calibration) for run, calibration in zip(group.runs, known, strict=True)]
    return found if all(found) else "no post here has a keyphrase and a phrase with a score."


def _of_posts(chosen: Sequence[Sequence[Record]], definition: str) -> Row:
    found = [score_records(records, definition)["all"] for records in chosen]
    return {"posts": len(chosen[0]), "scores": mean_and_sd(found) if chosen[0] else {}}


def mean_and_sd(found: Sequence[Scores], names: Iterable[str] = SCORES) -> dict[str, Row]:
    """Score -> `mean` and sample standard deviation `sd` over runs; None for the deviation of one run."""
    columns = {name: [scores[name] for scores in found] for name in names}
    return {
        name: {"mean": statistics.fmean(values), "sd": statistics.stdev(values) if len(values) > 1 else None}
        for name, values in columns.items()
    }


def subsets(groups: Sequence[Group], definition: str) -> dict[str, list[Row]]:
    """Figure 5: `frequency` and `length`, rows of group, subset, posts, and F1@1 with its mean and deviation."""
    found: dict[str, list[Row]] = {"frequency": [], "length": []}
    for group in groups:
        scored = [subset_scores(run.records, run.frequencies, definition) for run in group.runs]
        for kind, rows in found.items():
            for name, values in scored[0].get(kind, {}).items():
                score = mean_and_sd([of[kind][name] for of in scored])["f1@1"]
                rows.append({"group": group.label, "subset": name, "posts": int(values["posts"]), **score})
    return found


def comparisons(groups: Sequence[Group], definition: str) -> list[Row]:
    """Every group compared with the first one, by all, present and absent keyphrases: rows of group, part and score.

    Raises:
        UsageError: scipy is missing, or no post has a keyphrase.
    """
    rows = []
    for group in groups[1:]:
        found = compare_seeds(_records(group), _records(groups[0]), definition)
        for part, name in PARTS.items():
            compared = found if part == "all" else found.get(part, {})
            scores = [f"{score}@{k}" for score, k in COMPARED]
            rows += [
                {"group": group.label, "part": name, "score": SCORES[score], **compared[score]}
                for score in scores
                if score in compared
            ]
    return rows


def _records(group: Group) -> list[Sequence[Record]]:
    return [run.records for run in group.runs]


def robustness(groups: Sequence[Group], definition: str) -> list[Row]:
    """What each input carries: rows of group, input and way, with the mean F1@1 over the runs that were scored so.

    `lost` is the share of the plain F1@1 that is lost, None where that is 0; `p` is the largest of these runs.

    Args:
        groups: of runs.
        definition: of the scores; those by another one are left out.
    """
    rows = []
    for group in groups:
        every = [run.robustness for run in group.runs]
        found = [of for of in every if of and of.definition == definition]
        for key in found[0].altered if found else ():
            having = [of for of in found if key in of.altered]
            plain = statistics.fmean(of.plain for of in having)
            changed = statistics.fmean(of.altered[key][0] for of in having)
            ps = [p for of in having if (p := of.altered[key][1]) is not None]
            about = {"group": group.label, "runs": len(having), "input": key[0], "way": key[1], "plain": plain}
            lost = (plain - changed) / plain if plain else None
            rows.append({**about, "f1": changed, "lost": lost, "p": max(ps) if len(ps) == len(having) else None})
    return rows


def described(groups: Sequence[Group]) -> list[Row]:
    """What each run is: folder, system, seed, best epoch, inputs."""
    return [{"group": group.label, **_described(run)} for group in groups for run in group.runs]


def _described(run: FinishedRun) -> Row:
    named = {"run": str(run.folder), "system": run.config.system, "seed": run.config.seed}
    return {**named, "best_epoch": run.best_epoch, "epochs": len(run.epochs), "inputs": run.metadata.inputs}
