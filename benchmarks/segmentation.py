"""How many hashtags of four public test sets fall into the right words: ekphrasis alone, and ours.

    python -m benchmarks.segmentation FOLDER

FOLDER holds stan_small.csv, stan_large_dev.csv, stan_large_test.csv (columns hashtags, goldtruths) and
test_stanford_gold.tsv (tweet_id, hashtag, segmentation). Both read the word counts that wordsegment installs; ours has
wordfreq's besides. Capitals are given as they stand in the sets, and do not count in the comparison.
"""

import ast
import csv
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

SETS = ("stan_small.csv", "stan_large_dev.csv", "stan_large_test.csv", "test_stanford_gold.tsv")

Gold = list[tuple[str, list[list[str]]]]


def gold(path: Path) -> Gold:
    """Hashtags, each with the word lists that count as right."""
    with open(path, encoding="utf-8", newline="") as file:
        if path.suffix == ".tsv":
            rows = [(row["hashtag"], [row["segmentation"]]) for row in csv.DictReader(file, delimiter="\t")]
        else:
            rows = [(row["hashtags"], ast.literal_eval(row["goldtruths"])) for row in csv.DictReader(file)]
    return [(hashtag, [answer.lower().split() for answer in answers]) for hashtag, answers in rows]


def right(segment: Callable[[str], str], hashtags: Gold) -> int:
    """How many fall into one of their right word lists."""
    return sum(segment(hashtag).lower().split() in answers for hashtag, answers in hashtags)


def plain_ekphrasis() -> Callable[[str], str]:
    """Its segmenter as it comes, on the installed word counts (its own are a download)."""
    from ekphrasis.classes import segmenter

    from m3h.pipeline.text.word_statistics import read_counts, statistics_files

    files = statistics_files(None)
    segmenter.read_stats = lambda corpus, n: read_counts(files[n])
    return segmenter.Segmenter().segment


def ours() -> Callable[[str], str]:
    """The project's."""
    from m3h.pipeline.text.segmenter import Segmenter

    return Segmenter()


def main(folder: Path, names: Sequence[str] = SETS) -> None:
    """Print the table."""
    segmenters = {"ekphrasis": plain_ekphrasis(), "ours": ours()}
    print(f"{'set':24}{'hashtags':>9}" + "".join(f"{name:>12}{'a second':>10}" for name in segmenters))
    for name in names:
        hashtags, line = gold(folder / name), ""
        for segment in segmenters.values():
            started = time.monotonic()
            share = right(segment, hashtags) / len(hashtags)
            line += f"{share:12.2%}{len(hashtags) / (time.monotonic() - started):10,.0f}"
        print(f"{name:24}{len(hashtags):9}{line}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
