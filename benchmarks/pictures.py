"""Whether pictures help: text alone, text and picture, text and somebody else's picture, text and noise.

    python -m benchmarks.pictures --dataset data/tw --feature vgg_grid --systems cls-krr gen-cls-m3h --seeds 23 24 25

Trains each system on each of the four, or of those that `--reads` names, with each seed, and compares the first with
the others on the test posts by a paired t-test over posts, of the mean over seeds. `shuffled` gives every picture the
features of another one, always the same: it has all that a picture has but what it shows. `noise` has normal numbers
with the mean and the deviation of the feature. The same command resumes a stopped benchmark.
"""

import argparse
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from m3h.model.config import resolve_config
from m3h.model.data.posts import Reader
from m3h.model.runs.evaluate import load_or_predict
from m3h.model.runs.experiment import train_all
from m3h.model.scoring.metrics import match_posts, per_post_values
from m3h.model.scoring.significance import paired_t
from m3h.schemas.dataset import Dataset
from m3h.schemas.features import ArraySpec, FeatureSpec
from m3h.schemas.manifest import FileEntry, Manifest
from m3h.schemas.shards import shard_keys, write_shard

Alter = Callable[[np.ndarray, np.random.Generator], np.ndarray]
ALTERED: dict[str, Alter] = {
    "shuffled": lambda values, rng: values[rng.permutation(len(values))],
    "noise": lambda values, rng: rng.normal(values.mean(), values.std(), values.shape).astype(values.dtype),
}
READS = ("picture", "text", *ALTERED)
SCORES = {"MAP@5": ("all", "map", 5), "F1@1": ("all", "f1", 1), "absent MAP@5": ("absent", "map", 5)}


def altered_dataset(dataset: Dataset, feature: str, folder: Path, alter: Alter) -> Dataset:
    """A copy of the dataset with other values of one feature, in place of its own."""
    prefix = f"features/{feature}/{dataset.fingerprint(feature)}/shard-"
    if folder.exists():
        return Dataset(folder)
    found = dataset.tensors(feature)
    rng = np.random.default_rng(0)
    arrays = {name: np.array(array) for name, array in found.arrays.items()}
    arrays["features"] = alter(arrays["features"].astype(np.float32), rng).astype(arrays["features"].dtype)
    spec = FeatureSpec(feature, tuple(ArraySpec(n, a.shape[1:], str(a.dtype)) for n, a in sorted(arrays.items())))
    temp = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(temp, ignore_errors=True)
    for name in dataset.manifest.files:
        if name.startswith(("posts/", "features/")):
            (temp / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(dataset.checked(name), temp / name)
    manifest = Manifest.read(dataset.folder)
    manifest.files = {name: entry for name, entry in manifest.files.items() if (temp / name).exists()}
    for name in dataset.names(prefix):
        keys = shard_keys(dataset.checked(name))
        write_shard(temp / name, spec, {key: {n: a[found.rows[key]] for n, a in arrays.items()} for key in keys})
        manifest.files[name] = FileEntry.of(temp / name, len(keys))
    manifest.write(temp)
    temp.rename(folder)
    return Dataset(folder)


def values_of(runs: Sequence[Path]) -> dict[str, np.ndarray]:
    """Score -> its value in each test post that has such a keyphrase, the mean over the runs."""
    found: dict[str, list[np.ndarray]] = {score: [] for score in SCORES}
    for run in runs:
        records = load_or_predict(run, None, "test")
        columns = ([r.phrases for r in records], [r.keyphrases for r in records], [r.tokens for r in records])
        matched = match_posts(*columns)
        for score, (part, name, k) in SCORES.items():
            found[score].append(per_post_values(k, matched[part], "per-post" if name == "f1" else "cmkp")[name])
    return {score: np.mean(values, axis=0) for score, values in found.items()}


def main() -> None:
    """Train, compare, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--feature", default="vgg_grid")
    parser.add_argument("--systems", nargs="+", default=["cls-krr", "gen-cls-m3h"])
    parser.add_argument("--reads", nargs="+", choices=READS, default=READS, help="the first is what p compares with")
    parser.add_argument("--seeds", nargs="+", type=int, default=[23, 24, 25, 26, 27])
    parser.add_argument("--out", type=Path, default=Path("runs/pictures"))
    parser.add_argument("--set", dest="sets", nargs="+", default=[], help="fields of the configuration")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    given.out.mkdir(parents=True, exist_ok=True)
    dataset = Dataset(given.dataset)
    posts = Reader(dataset, ()).split("test")
    datasets = {
        name: altered_dataset(dataset, given.feature, given.out / name, ALTERED[name]) if name in ALTERED else dataset
        for name in given.reads
    }
    print(f"{len(posts):,} test posts, feature {given.feature}, {len(given.seeds)} seeds; mean in percent, per post")
    print(f"{'system':32}{'reads':10}" + "".join(f"{score:>14}{'p':>9}" for score in SCORES))
    first = given.reads[0]
    for system in given.systems:
        values: dict[str, dict[str, np.ndarray]] = {}
        for name, read in datasets.items():
            vision = "[]" if name == "text" else f"[{given.feature}]"
            base = resolve_config(None, [*given.sets, f"vision={vision}"], system=system)
            runs = {
                given.out / f"{system}-{name}-{seed}": base.model_copy(update={"seed": seed}) for seed in given.seeds
            }
            train_all(runs, read, lambda batches, title: batches)
            values[name] = values_of(list(runs))
            cells = []
            for score in SCORES:
                _, p = paired_t(values[first][score] - values[name][score])
                cells.append(f"{100 * values[name][score].mean():14.2f}" + (f"{p:9.2g}" if name != first else " " * 9))
            print(f"{system:32}{name:10}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
