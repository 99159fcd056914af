"""What a build costs as dumps grow: processor time of every step, and memory, from thousands of posts to a million.

    python -m benchmarks.scale --posts 10000 100000 1000000 --folder /tmp/scale --out benchmarks/scale

Writes OUT.json, OUT.png and the tables of README.md. Sizes that are in OUT.json already are not measured again.
Made posts, pictures without pixels (see benchmarks.scale_run); two processes. The laws: time is linear in posts, and
memory beyond the smallest run's grows by at most 10 KB a post.
"""

import argparse
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

ORDER = ("read", "pictures", "clean", "dedupe", "rare hashtags", "near duplicates", "split", "write", "shard planning")
LAW_BYTES = 10_000


def measure(posts: int, folder: Path, workers: int) -> dict[str, Any]:
    """In a process of its own."""
    words = ["--posts", str(posts), "--folder", str(folder), "--workers", str(workers)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale_run", *words], stdout=subprocess.PIPE, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def slopes(runs: list[dict[str, Any]], measure: str = "peak") -> list[float]:
    """Bytes that each further post costs, from one run to the next larger one."""
    return [(more[measure] - less[measure]) / (more["posts"] - less["posts"]) for less, more in pairwise(runs)]


def tables(runs: list[dict[str, Any]]) -> str:
    """For README.md: CPU seconds a step, then memory."""
    head = " | ".join(f"{run['posts']:,}" for run in runs)
    lines = [f"| CPU s | {head} |", "|---" * (len(runs) + 1) + "|"]
    for step in ORDER:
        lines.append(f"| {step} | " + " | ".join(f"{run['steps'].get(step, [0])[0]:.1f}" for run in runs) + " |")
    total = [sum(step[0] for step in run["steps"].values()) for run in runs]
    lines.append("| all, start and end included | " + " | ".join(f"{cpu:.0f}" for cpu in total) + " |")
    per = [f"{1000 * cpu / run['posts']:.2f}" for cpu, run in zip(total, runs, strict=True)]
    lines.append("| ms a post | " + " | ".join(per) + " |")
    peaks = [f"{run['peak'] / 1e6:,.0f}" for run in runs]
    lines.append(f"| peak memory, MB ({runs[0]['measure']} of all processes) | " + " | ".join(peaks) + " |")
    lines.append("| KB each further post | – | " + " | ".join(f"{slope / 1000:.1f}" for slope in slopes(runs)) + " |")
    lines.append("| posts kept | " + " | ".join(f"{run['kept']:,}" for run in runs) + " |")
    return "\n".join(lines)


def draw(runs: list[dict[str, Any]], path: Path) -> None:
    """Both curves, with the laws as dashed lines."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    posts = [run["posts"] for run in runs]
    figure, (time_axis, memory_axis) = pyplot.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    for step in ORDER:
        seconds = [run["steps"].get(step, [0])[0] for run in runs]
        time_axis.plot(posts, seconds, marker="o", label=step)
    total = [sum(step[0] for step in run["steps"].values()) for run in runs]
    time_axis.plot(posts, total, color="black", marker="s", label="all")
    linear = [total[-1] * number / posts[-1] for number in posts]
    time_axis.plot(posts, linear, "--", color="grey", label="linear")
    time_axis.set(xscale="log", yscale="log", xlabel="posts", ylabel="CPU seconds", title="Time")
    time_axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    memory_axis.plot(posts, [run["peak"] / 1e9 for run in runs], color="black", marker="s", label="measured")
    law = [(runs[0]["peak"] + LAW_BYTES * (number - posts[0])) / 1e9 for number in posts]
    memory_axis.plot(posts, law, "--", color="grey", label="law: 10 KB each further post")
    memory_axis.set(
        xscale="log", yscale="log", xlabel="posts", ylabel="GB", title=f"Peak memory ({runs[0]['measure']})"
    )
    memory_axis.legend(fontsize=8)
    for axis in (time_axis, memory_axis):
        axis.grid(which="both", alpha=0.3)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure what is missing, print the tables, draw the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/scale"))
    options = parser.parse_args()
    results = options.out.with_suffix(".json")
    known = {run["posts"]: run for run in json.loads(results.read_text())} if results.is_file() else {}
    for posts in sorted(options.posts):
        if posts not in known:
            known[posts] = measure(posts, options.folder, options.workers)
            results.write_text(json.dumps([known[number] for number in sorted(known)], indent=1) + "\n")
    runs = [known[number] for number in sorted(known)]
    draw(runs, options.out.with_suffix(".png"))
    print(tables(runs))


if __name__ == "__main__":
    main()
