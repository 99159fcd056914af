"""What simple methods reach: the most frequent labels, and TF-IDF with one linear SVM a label.

    python -m benchmarks.baselines --dataset data/cmkp --train-split valid --select last:537

Learns from the training posts less those held out by --select, as a trained system does, and scores test. Needs
`pip install scikit-learn`, which is no part of the development install: nltk would import it with every command.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.svm import LinearSVC

from m3h.model.data.posts import Posts, Reader
from m3h.model.scoring.metrics import score
from m3h.schemas.dataset import Dataset

TOP = 5
MODELS = (
    ("TF-IDF + SVM, C 1", 1.0, False, 0.0),
    ("TF-IDF + SVM on pairs, C 0.3, literal", 0.3, True, 0.1),
)
"""Name, C, whether on pairs, and what sqrt(words) of a label that stands in the post is worth."""


def ngrams(posts: Posts) -> list[list[str]]:
    """Words and word bigrams of text and OCR words."""
    terms = []
    for tokens, ocr in zip(posts.tokens, posts.ocr, strict=True):
        words = [*tokens, *ocr]
        terms.append([*words, *(f"{a} {b}" for a, b in pairwise(words))])
    return terms


def svm(train: Posts, wanted: Posts, c: float, pairs: bool) -> tuple[Sequence[str], np.ndarray]:
    """The labels, and (posts, labels): how far on each label's side each post lies, by one SVM a label.

    pairs: a post with several keyphrases is learned once with each, as against the others; else once with all.
    """
    tfidf = TfidfVectorizer(analyzer=lambda terms: terms, sublinear_tf=True)
    x, unseen = tfidf.fit_transform(ngrams(train)), tfidf.transform(ngrams(wanted))
    if pairs:
        rows = [i for i, phrases in enumerate(train.keyphrases) for _ in phrases]
        model = LinearSVC(C=c).fit(x[rows], [phrase for phrases in train.keyphrases for phrase in phrases])
        return list(model.classes_), model.decision_function(unseen)
    labels = MultiLabelBinarizer()
    every = OneVsRestClassifier(LinearSVC(C=c)).fit(x, labels.fit_transform(train.keyphrases))
    return list(labels.classes_), every.decision_function(unseen)


def literal(posts: Posts, labels: Sequence[str], bonus: float) -> np.ndarray:
    """(posts, labels): bonus x sqrt(words) where the label stands in the post's text or OCR words."""
    texts = [f" {' '.join([*t, *o])} " for t, o in zip(posts.tokens, posts.ocr, strict=True)]
    worth = np.array([bonus * len(label.split()) ** 0.5 for label in labels], np.float32)
    return np.array([[f" {label} " in text for label in labels] for text in texts]) * worth


def report(name: str, worth: np.ndarray, labels: Sequence[str], posts: Posts, started: float) -> None:
    """Print the scores of each post's best labels."""
    best = np.argsort(-worth, axis=1, kind="stable")[:, :TOP]
    found = [[labels[i] for i in row] for row in best]
    scores = score(found, posts.keyphrases, posts.tokens)
    shown = {n: scores["all"][n] for n in ("f1@1", "f1@3", "map@5")}
    parts = f"present {scores['present']['f1@1']:.3f} absent {scores['absent']['f1@1']:.3f}"
    line = "  ".join(f"{n} {value:.3f}" for n, value in shown.items())
    print(f"{name:40} {line}  {parts}  ({time.monotonic() - started:.0f} s)")


def main(argv: Sequence[str]) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, type=Path)
    parser.add_argument("--train-split", default="train")
    parser.add_argument("--select", default="valid", help="held out, as `train` holds it out")
    args = parser.parse_args(argv)
    reader = Reader(Dataset(args.dataset), ["ocr"])
    train, _ = reader.training_and_selection(args.train_split, args.select)
    test = reader.split("test")
    counts = Counter(phrase for phrases in train.keyphrases for phrase in phrases)
    labels = [label for label, _ in counts.most_common()]
    print(f"{len(train):,} posts to learn from, {len(labels):,} labels; {len(test):,} test posts; definition cmkp")

    started = time.monotonic()
    frequency = np.array([[counts[label] for label in labels]], np.float32).repeat(len(test), 0)
    report("most frequent labels", frequency, labels, test, started)
    for name, c, pairs, bonus in MODELS:
        started = time.monotonic()
        classes, worth = svm(train, test, c, pairs)
        report(name, worth + literal(test, classes, bonus), classes, test, started)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
