"""Where a prediction comes from: the record in its dump, the bytes of its picture, the features with their weights."""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from m3h.model.report.groups import FinishedRun, dataset_of, read_run
from m3h.model.runs.run import manifest_sha256
from m3h.model.scoring.predictions import Record
from m3h.model.text.stemming import is_present, stem, stem_phrase
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.files import sha256_file
from m3h.schemas.shards import KEY, shard_keys

Row = dict[str, Any]


@dataclass(frozen=True)
class Lineage:
    """Of the posts of a dataset."""

    data: Dataset

    @cached_property
    def posts(self) -> dict[str, Row]:
        """The rows of posts by id."""
        return {row["post_id"]: row for row in self.data.posts.to_pylist()}

    @cached_property
    def _images(self) -> dict[str, Row]:
        return {row[KEY]: row for row in self.data.images.select([KEY, "status", "path", "url"]).to_pylist()}

    def record(self, post: Row) -> Row:
        """The dump that a post was read from, its sha256, and the post's position there."""
        name = post["source"].partition(":")[2]
        dumps = [dump for dump in self.data.manifest.inputs if name.startswith(str(dump["name"]))]
        sha256 = max(dumps, key=lambda dump: len(dump["name"]))["sha256"] if dumps else ""
        return {"source": post["source"], "position": post["position"], "dump_sha256": sha256}

    def picture(self, post: Row) -> Row:
        """The sha256 of a post's picture, and where it was found."""
        known = self._images.get(post[KEY], {})
        return {KEY: post[KEY], **{name: known[name] for name in ("status", "path", "url") if known.get(name)}}

    def features(self, run: FinishedRun) -> list[Row]:
        """The versions of features that a run was trained on, with their weights, as far as the dataset has them."""
        return [self._feature(name, version) for name, version in run.metadata.features.items()]

    def _feature(self, name: str, fingerprint: str) -> Row:
        known = self.data.manifest.version(name, fingerprint)
        found: Row = {"feature": name, "fingerprint": fingerprint, "is_there": known is not None}
        if known is None:
            return found
        current = self.data.fingerprint(name) == fingerprint
        return {**found, "current": current, "weights": known.weights, "random": known.is_random}

    def shard(self, name: str, fingerprint: str, image: str) -> str:
        """The file with a picture's row in a version of a feature; "" where it has none."""
        known = self.data.manifest.version(name, fingerprint)
        if known is None:
            return ""
        filled = [(part.first, shard) for part, shard in zip(known.slices, known.shards, strict=True) if part.first]
        place = bisect_right([first for first, _ in filled], image) - 1
        if place < 0 or image not in self.data.read(filled[place][1], shard_keys):
            return ""
        return filled[place][1]


def judged(record: Record) -> Row:
    """The predictions and keyphrases of a post compared as the scores compare them, by stems.

    `predictions`: phrase, score, attribution, `right` and `present`. `keyphrases`: phrase, `present`, and `rank` of the
    prediction that is right, from 1 on; 0 where none is.
    """
    text = f" {' '.join(map(stem, record.tokens))} "
    gold = [stem_phrase(phrase) for phrase in record.keyphrases]
    found = [stem_phrase(one.phrase) for one in record.predictions]
    predictions = [
        {**one.model_dump(), "right": phrase in gold, "present": is_present(phrase, text)}
        for one, phrase in zip(record.predictions, found, strict=True)
    ]
    keyphrases = [
        {"phrase": name, "present": is_present(of, text), "rank": found.index(of) + 1 if of in found else 0}
        for name, of in zip(record.keyphrases, gold, strict=True)
    ]
    return {"predictions": predictions, "keyphrases": keyphrases}


def run_lineage(run: FinishedRun, data: Dataset) -> Row:
    """What a run was trained with, and the sha256 of its weights."""
    return {
        "folder": str(run.folder),
        "system": run.config.system,
        "seed": run.config.seed,
        "best_epoch": run.best_epoch,
        "inputs": run.metadata.inputs,
        "weights_sha256": sha256_file(run.folder / "model.safetensors"),
        "dataset": run.metadata.dataset,
        "manifest": run.metadata.manifest,
        "dataset_is_unchanged": manifest_sha256(data) == run.metadata.manifest,
    }


def prediction_lineage(folder: Path, post_id: str, split: str | None, dataset_folder: Path | None) -> Row:
    """What a run predicted for a post, and what that was made from.

    Raises UsageError: there is no finished run or no such post. Raises IntegrityError: a file is damaged.

    Args:
        folder: the run.
        post_id: of the post.
        split: the post's; None for the one that the dataset has it in.
        dataset_folder: where the post is; None for the dataset that the run was trained on.
    """
    lineage = Lineage(dataset_of(folder, dataset_folder))
    post = lineage.posts.get(post_id)
    if post is None:
        raise UsageError(
            f"{lineage.data.folder}: no post {post_id}. `m3h why --dataset DIR --id ID` says what became of it."
        )
    run = read_run(folder, dataset_folder, split or post["split"])
    record = next((one for one in run.records if one.post_id == post_id), None)
    if record is None:
        raise UsageError(f"{folder}: its predictions of {run.split} have no post {post_id}.")
    features = [{**row, "shard": lineage.shard(row["feature"], row["fingerprint"], post[KEY])}
                for row in lineage.features(run)]  # fmt: skip
    return {
        **{"post_id": post_id, "split": post["split"], "text": post["text"], **judged(record)},
        **{"run": run_lineage(run, lineage.data), "record": lineage.record(post)},
        **{"picture": lineage.picture(post), "features": features},
    }
