"""Which choices of the paper's unified system cost most where posts are few: one change a row, and a Markdown table.

    python -m benchmarks.ablation --dataset data/cmkp --out runs/ablation --train-split valid --select last:537
    python -m benchmarks.ablation --out runs/ablation --show

Each row is `gen-cls-m3h` with some fields changed and the same seed, scored on the selection posts (definition cmkp);
test is not read. Besides the system's own list, which is the generator's, there is F1@1 of the classifier's list, and
of two lists in which both parts score every phrase: `ranking=rescored`, and `reranked` by folds. Differences are to the
row `base`, paired over posts. --row adds a row: 'GloVe: embeddings=FILE word_width=25'. Lines are added to
OUT/results.jsonl. Rows that have one are skipped, a stopped one goes on; --show prints the table.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.real_posts import SETTINGS as REAL_POSTS
from benchmarks.real_posts import options, results
from m3h.model.config import Config, resolve_config
from m3h.model.decoding.predict import phrases, predict
from m3h.model.runs.chances import selection_name
from m3h.model.runs.evaluate import open_run
from m3h.model.runs.experiment import train_run
from m3h.model.runs.run import predictions_file, read_description
from m3h.model.scoring.definitions import DEFINITION
from m3h.model.scoring.metrics import score
from m3h.model.scoring.predictions import read_records
from m3h.model.scoring.significance import paired_difference
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError, unknown_name

SYSTEM, BASE = "gen-cls-m3h", "base"
SMALLER = ("width=150", "word_width=100", "head_width=32", "vocab_size=4000", "epochs=8", "warmup_epochs=4")
"""Half of the paper's widths, fewer words and epochs: a row then takes a minute or two of one processor."""
SETTINGS = (*REAL_POSTS, *SMALLER)
"""Of all rows."""
ENCODER = ("text_encoder=minilm",)
ROWS: dict[str, tuple[str, ...]] = {
    BASE: (),
    "sentence encoder": ENCODER,
    "sentence encoder, gated": (*ENCODER, "fusion=gated"),
    "names of labels": (*ENCODER, "classifier=names"),
    "names of labels, pointer to labels": (*ENCODER, "classifier=names", "label_pointer=true"),
    "states of words": (*ENCODER, "word_states=true"),
    "names of labels, states of words": (*ENCODER, "classifier=names", "word_states=true"),
    "one layer over the text": ("text_layers=1",),
    "the paper's widths": ("width=300", "word_width=200", "head_width=64"),
    "dropout 0.4": ("dropout=0.4",),
}
"""Name -> what is changed."""
SCORES = (("f1@1", "F1@1"), ("f1@3", "F1@3"), ("map@5", "MAP@5"), ("absent", "absent F1@1"))
LISTS = ("classifier", "rescored")
"""Other lists of the same weights: values of `ranking`."""
RERANKED = "reranked"
"""`ranking=reranked`, by folds of the selection posts, on which its weights are fitted."""


def named_rows(chosen: Sequence[str], added: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The chosen rows of ROWS, or all of them, and after them those added as 'NAME: FIELD=VALUE ...'.

    Raises:
        UsageError: there is no such row, or an added one is not written like that.
    """
    for name in chosen:
        if name not in ROWS:
            raise unknown_name("row", name, ROWS)
    rows = {name: ROWS[name] for name in chosen or ROWS}
    for text in added:
        name, colon, fields = text.partition(":")
        if not name.strip() or not colon or not fields.split():
            raise UsageError(f"--row '{text}': expected 'NAME: FIELD=VALUE ...'.")
        rows[name.strip()] = tuple(fields.split())
    return rows


def folder_of(out: Path, row: str) -> Path:
    """Where a row's run is."""
    return out / re.sub(r"[^a-z0-9.]+", "-", row.lower())


def result(row: str, config: Config, dataset: Dataset, folder: Path) -> dict[str, Any]:
    """Train a row and score its lists."""
    started, used = time.monotonic(), time.process_time()
    summary = train_run(config, dataset, folder, progress=lambda batches, title: batches, reads_test=False)
    seconds = {"seconds": round(time.monotonic() - started), "cpu": round(time.process_time() - used)}
    select = summary["select"]
    scores = {**{key: select["all"][key] for key, _ in SCORES[:3]}, "absent": select["absent"]["f1@1"]}
    line = {"row": row, "seed": config.seed, "best_epoch": summary["best_epoch"], **scores}
    line[RERANKED] = summary["reranked_f1@1"]
    return {**line, **other_lists(folder, dataset), **seconds}


def other_lists(folder: Path, dataset: Dataset) -> dict[str, float]:
    """F1@1 of the lists of LISTS on the selection posts."""
    run = open_run(folder)
    _, selection = run.reader(dataset).training_and_selection(run.config.train_split, run.config.select)
    encoded, found = run.encode(selection), {}
    for name in LISTS:
        config = run.config.model_copy(update={"ranking": name})
        ranked = phrases(predict(run.model, encoded, run.vocabularies, config=config))
        found[name] = score([post or [""] for post in ranked], selection.keyphrases)["all"]["f1@1"]
    return found


def run_all(args: argparse.Namespace) -> None:
    """What has no line yet, one after the other."""
    dataset, file = Dataset(args.dataset), args.out / "results.jsonl"
    args.out.mkdir(parents=True, exist_ok=True)
    fields = {"system": SYSTEM, "train_split": args.train_split, "select": args.select}
    configs = {
        row: resolve_config(None, [*SETTINGS, f"seed={args.seed}", *args.set, *changed], **fields)
        for row, changed in named_rows(args.rows, args.row).items()
    }
    done = {line["row"] for line in results(file)}
    for row in [row for row in configs if row not in done]:
        measured = result(row, configs[row], dataset, folder_of(args.out, row))
        with file.open("a") as lines:
            lines.write(json.dumps(measured) + "\n")


def table(out: Path, lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    """In Markdown, percent, in the order of training: scores, and the difference of F1@1 to `base` with its p."""
    base = next((read_records(_selected(folder_of(out, BASE))) for line in lines if line["row"] == BASE), None)
    names = " | ".join(name for _, name in SCORES)
    lists = " | ".join(f"{name} F1@1" for name in (*LISTS, RERANKED))
    yield f"| row | {names} | to `base` | {lists} | best epoch | CPU seconds |"
    yield "|---" * (len(SCORES) + 7) + "|"
    for line in lines:
        difference = ""
        if base is not None and line["row"] != BASE:
            records = read_records(_selected(folder_of(out, line["row"])))
            points, p = paired_difference(records, base, ("f1", 1), definition=DEFINITION)
            difference = f"{100 * points:+.1f}" + ("" if p is None else f", p {p:.2g}")
        cells = [f"{100 * line[key]:.1f}" for key, _ in SCORES] + [difference]
        cells += [f"{100 * line[name]:.1f}" if name in line else "" for name in (*LISTS, RERANKED)]  # some are older
        yield f"| {line['row']} | {' | '.join(cells)} | {line['best_epoch']} | {line['cpu']} |"


def _selected(folder: Path) -> Path:
    """A run's predictions of its selection posts."""
    return predictions_file(folder, selection_name(read_description(folder)[0]))


def main(argv: Sequence[str]) -> int:
    """Run it."""
    parser = options(__doc__)
    parser.add_argument("--rows", nargs="*", default=[], help="these alone")
    parser.add_argument("--row", action="append", default=[], help="'NAME: FIELD=VALUE ...', one row more")
    parser.add_argument("--seed", type=int, default=23)
    args = parser.parse_args(argv)
    try:
        if args.dataset:
            run_all(args)
        if args.show:
            print("\n".join(table(args.out, results(args.out / "results.jsonl"))))
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
