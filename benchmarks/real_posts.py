"""Every system trained on real posts and scored on others, one line of JSON a run.

    python -m benchmarks.real_posts --dataset data/cmkp --out runs/real --train-split valid --select last:537
    python -m benchmarks.real_posts --out runs/real --show

Epochs are chosen by the selection posts, test is scored once (definition cmkp). Without --systems all that can be
trained on the dataset are, three times those of REPEATED. Where the paper's default does not suit a few thousand posts,
SETTINGS says what is taken instead, the same for all. Lines are added to OUT/results.jsonl. Runs that have one are
skipped, a stopped one goes on; --show prints the table.
"""

import argparse
import itertools
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from m3h.model.config import Config, resolve_config
from m3h.model.runs.experiment import train_run
from m3h.model.study.reproduce import mean_and_sd, untrainable_reason
from m3h.model.systems import SYSTEMS, get_system
from m3h.model.text.phrase_lines import read_lines
from m3h.schemas.dataset import Dataset

SETTINGS = ("lr_decay=1", "threads=1")
"""The rate stays: the loss rises long before F1@1 stops rising (cls-max, validation: .078 in place of .057)."""
SEEDS = (23, 24, 25)
REPEATED = (
    "m3h-best",
    "cls-krr+features",
    "cls-krr",
    "gen-cls-m3h+distilled+rescored",
    "gen-cls-m3h",
    "cls-max",
    "released",
)
"""The systems with three seeds."""
SCORES = (("f1@1", "F1@1"), ("f1@3", "F1@3"), ("map@5", "MAP@5"))


def plan(chosen: Sequence[str], seeds: Sequence[int]) -> Iterator[tuple[str, int]]:
    """System and seed of every run: those chosen, or one of each system and then the other seeds of REPEATED."""
    if chosen:
        yield from itertools.product(chosen, seeds)
        return
    rest = [name for name in SYSTEMS if name not in REPEATED]
    yield from ((name, SEEDS[0]) for name in (*REPEATED, *rest))
    yield from ((name, seed) for name in REPEATED for seed in SEEDS[1:])


def reads_ocr(system: str) -> list[str]:
    """OCR words behind the text for all, but where the paper has a row of its own with them."""
    own_row = f"{system}+wording" in SYSTEMS
    inputs = get_system(system).inputs
    return ["add_inputs=[ocr]"] if "ocr" not in inputs and "text" in inputs and not own_row else []


def result(config: Config, dataset: Dataset, out: Path) -> dict[str, Any] | None:
    """Train one; None where it cannot be without pictures."""
    if untrainable_reason(config, dataset):
        return None
    started, used = time.monotonic(), time.process_time()
    summary = train_run(config, dataset, out, progress=lambda batches, title: batches)
    scores = {
        part: {**{name: summary[part]["all"][name] for name, _ in SCORES}, **_presence_scores(summary[part])}
        for part in ("select", "test")
    }
    seconds = {"seconds": round(time.monotonic() - started), "cpu": round(time.process_time() - used)}
    return {"system": config.system, "seed": config.seed, "best_epoch": summary["best_epoch"], **scores, **seconds}


def _presence_scores(scores: dict[str, Any]) -> dict[str, float]:
    return {part: scores[part]["f1@1"] for part in ("present", "absent")}


def results(file: Path) -> list[dict[str, Any]]:
    """What was measured before."""
    return [json.loads(line) for line in read_lines(file)] if file.exists() else []


def run_all(args: argparse.Namespace) -> None:
    """What has no line yet, one after the other."""
    dataset, out = Dataset(args.dataset), args.out
    file = out / "results.jsonl"
    done = {(line["system"], line["seed"]) for line in results(file)}
    out.mkdir(parents=True, exist_ok=True)
    for system, seed in plan(args.systems, args.seeds):
        sets = [*SETTINGS, *reads_ocr(system), f"seed={seed}", *args.set]
        config = resolve_config(None, sets, system=system, train_split=args.train_split, select=args.select)
        measured = None if (system, seed) in done else result(config, dataset, out / system / f"seed-{seed}")
        if measured:
            with file.open("a") as lines:
                lines.write(json.dumps(measured) + "\n")


def table(lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    """In Markdown, best first: means and deviations in percent, seconds of one processor a run."""
    by_system = defaultdict(list)
    for line in lines:
        by_system[line["system"]].append(line)
    names = [nice for _, nice in SCORES]
    yield f"| system | seeds | {' | '.join(names)} | present / absent F1@1 | selection F1@1 | CPU seconds |"
    yield "|---" * (len(names) + 5) + "|"
    for system, runs in sorted(by_system.items(), key=lambda item: -_mean(item[1], "test", "f1@1")):
        cells = [_cell([run["test"][name] for run in runs]) for name, _ in SCORES]
        parts = " / ".join(f"{_mean(runs, 'test', part):.1f}" for part in ("present", "absent"))
        seconds = sum(run["cpu"] for run in runs) / len(runs)
        chosen = _cell([run["select"]["f1@1"] for run in runs])
        yield f"| `{system}` | {len(runs)} | {' | '.join(cells)} | {parts} | {chosen} | {seconds:.0f} |"


def _mean(runs: Sequence[dict[str, Any]], part: str, name: str) -> float:
    return mean_and_sd([run[part][name] for run in runs])[0]


def _cell(values: Sequence[float]) -> str:
    mean, deviation = mean_and_sd(values)
    return f"{mean:.1f} ± {deviation:.1f}" if len(values) > 1 else f"{mean:.1f}"


def options(description: str | None) -> argparse.ArgumentParser:
    """The options of a benchmark that trains on real posts and shows a table of what is there."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, help="needed to train")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--train-split", default="train")
    parser.add_argument("--select", default="valid", help="a split, or last:N")
    parser.add_argument("--set", nargs="*", default=[], help="FIELD=VALUE over SETTINGS, for all")
    parser.add_argument("--show", action="store_true", help="print the table of what is there")
    return parser


def main(argv: Sequence[str]) -> int:
    """Run it."""
    parser = options(__doc__)
    parser.add_argument("--systems", nargs="*", default=[], help="these alone")
    parser.add_argument("--seeds", nargs="*", type=int, default=SEEDS[:1], help="of --systems")
    args = parser.parse_args(argv)
    if args.dataset:
        run_all(args)
    if args.show:
        print("\n".join(table(results(args.out / "results.jsonl"))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
