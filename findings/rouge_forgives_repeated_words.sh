#!/usr/bin/env bash
# rouge 1.0.1 and rouge-score 0.1.2 (Python 3.11), 2026-11-29
#
# Seen: to the package rouge, a phrase that says its words three times over is perfect: precision, recall and F1 are 1,
# for single words and for the longest common sequence. It makes sets of the words first. rouge-score, on the same pair,
# counts every word and gives .5. On phrases without repetition both agree.
#
# Expected: ROUGE counts a word as often as it stands there; precision exists to punish what is too much.
#
# Why it hurts here: saying the same words again and again is the typical fault of a generator with attention, and of a
# half-trained one most of all. Hashtag papers report ROUGE F1; with this package the fault is invisible, and a model
# that loops scores above one that stops in time but misses a word.
#
# Output seen (F1 of ROUGE-1, of ROUGE-L):
#   gold 'storm hour', said 'storm hour'                        rouge 1.00 1.00   rouge-score 1.00 1.00
#   gold 'storm hour', said 'storm hour storm hour storm hour'  rouge 1.00 1.00   rouge-score 0.50 0.50
#   gold 'love island', said 'love love love love'              rouge 0.67 0.67   rouge-score 0.33 0.33
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check rouge==1.0.1 rouge-score==0.1.2

env/bin/python - <<'END'
import sys

from rouge import Rouge
from rouge_score.rouge_scorer import RougeScorer

PAIRS = {
    ("storm hour", "storm hour"): ("1.00 1.00", "1.00 1.00"),
    ("storm hour", "storm hour storm hour storm hour"): ("1.00 1.00", "0.50 0.50"),
    ("love island", "love love love love"): ("0.67 0.67", "0.33 0.33"),
}
scorer = RougeScorer(["rouge1", "rougeL"])
changed = []
for (gold, said), expected in PAIRS.items():
    by_sets, by_counts = Rouge().get_scores(said, gold)[0], scorer.score(gold, said)
    first = f"{by_sets['rouge-1']['f']:.2f} {by_sets['rouge-l']['f']:.2f}"
    second = f"{by_counts['rouge1'].fmeasure:.2f} {by_counts['rougeL'].fmeasure:.2f}"
    print(f"{f'gold {gold!r}, said {said!r}':59} rouge {first}   rouge-score {second}")
    if (first, second) != expected:
        changed.append(said)
if changed:
    sys.exit(f"changed: the scores of {', '.join(map(repr, changed))}")
END
