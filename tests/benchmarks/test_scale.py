"""Costs that grow: what each further post of a build takes in memory, pictures' pixels aside, is bounded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.dumps import KINDS, SPOILT
from benchmarks.scale import LAW_BYTES, slopes
from tests.commands import ROOT, environment

FEW, MANY = 4_000, 16_000
GUARD_BYTES = 1.6 * LAW_BYTES
"""So small builds are still filling caches that do not grow with the posts for ever (benchmarks/README.md)."""


@pytest.mark.slow
def test_a_post_costs_bounded_memory_and_every_reason_occurs(tmp_path: Path) -> None:
    runs = []
    for posts in (FEW, MANY):
        words = [sys.executable, "-m", "benchmarks.scale_run", "--posts", str(posts)]
        words += ["--folder", str(tmp_path / "made"), "--workers", "1"]
        done = subprocess.run(words, capture_output=True, env=environment(), cwd=ROOT, timeout=900, check=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    _, many = runs
    assert many["posts"] == many["kept"] + sum(many["dropped"].values())
    kinds = list(KINDS)
    cleaning = {"too_few_tokens", "no_hashtag", "too_many_hashtags", "other_language", "retweet", "duplicate_id"}
    cleaning |= {"superseded", "duplicate_text", "duplicate_image", "rare_hashtag", "no_image", "several_images"}
    assert set(many["dropped"]) == cleaning | set(SPOILT) | set(kinds[kinds.index("not_json") :])
    (slope,) = slopes(runs, "private")
    assert slope <= GUARD_BYTES
