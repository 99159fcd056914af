"""Posts as many as in the whole released data, made of the public ones, for time and memory of a training.

    python -m benchmarks.made_posts --source FOLDER --out made --train 43000 --labels 4262
    m3h build --dumps made --format cmkp --dataset data/made

FOLDER has the released `valid_*.txt`. A made post is one of these posts with a share of its words exchanged for others
of the corpus, or for new ones of two halves, and with its keyphrases or, as often as not, those of another post; rare
keyphrases are joined to new ones until there are enough. So lengths, words a text and frequencies are about those of
the data, and what a training learns is worth nothing: scores of such posts say nothing.
"""

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from m3h.model.text.phrase_lines import read_lines

SEP = "<sep>"
EXCHANGED, NEW = 0.3, 0.04
"""Shares of the words of a text: exchanged, and new."""
COLUMNS = ("ocr", "ocr_final", "attribute_cleaned")
SPLITS = ("train", "valid", "test")


def made_text(words: Sequence[str], all_words: Sequence[str], rng: random.Random) -> Iterator[str]:
    """The words of one made text."""
    for word in words:
        chance = rng.random()
        if chance < NEW:
            first, last = rng.choice(all_words), rng.choice(all_words)
            yield first[: (len(first) + 1) // 2] + last[len(last) // 2 :]
        else:
            yield rng.choice(all_words) if chance < EXCHANGED else word


def label_lists(fields: Sequence[Sequence[str]], labels: int, rng: random.Random) -> list[list[str]]:
    """The keyphrases of every post; of each once more with others, so that there are about `labels` in all."""
    own = [[phrase.strip() for phrase in keyphrases.split(";")] for _, keyphrases, _ in fields]
    known = sorted({phrase for phrases in own for phrase in phrases})
    further = [f"{rng.choice(known)} {rng.choice(known)}" for _ in range(max(0, labels - len(known)))]
    for number, phrase in enumerate(further):
        own.append([phrase, *own[number % len(fields)][1:]])
    return own


def write_split(out: Path, split: str, n: int, source: Path, *, labels: int, rng: random.Random) -> None:
    """`SPLIT_src.txt` and the files beside it."""
    fields = [line.rsplit(SEP, 2) for line in read_lines(source / "valid_src.txt")]
    columns = {name: read_lines(source / f"valid_{name}.txt") for name in COLUMNS}
    texts = [text.split() for text, _, _ in fields]
    all_words = [word for words in texts for word in words]
    given = label_lists(fields, labels, random.Random(0))  # the same labels in every split
    rows = [rng.randrange(len(fields)) for _ in range(n)]
    lines = []
    for number, row in enumerate(rows):
        phrases = given[row] if rng.random() < 0.5 else rng.choice(given)
        text = " ".join(made_text(texts[row], all_words, rng))
        lines.append(SEP.join([text, ";".join(phrases), f"https://pictures.example/{split}/{number}.jpg"]))
    for name, column in {
        "src": lines,
        **{name: [column[row] for row in rows] for name, column in columns.items()},
    }.items():
        (out / f"{split}_{name}.txt").write_text("\n".join(column) + "\n", encoding="utf-8")


def main(argv: Sequence[str]) -> int:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--train", type=int, default=43_000)
    parser.add_argument("--held-out", type=int, default=5_370, help="posts of valid, and of test")
    parser.add_argument("--labels", type=int, default=4_262)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(args.seed)
    for split in SPLITS:
        n = args.train if split == "train" else args.held_out
        write_split(args.out, split, n, args.source, labels=args.labels, rng=rng)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
