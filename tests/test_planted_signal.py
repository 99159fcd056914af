"""What was planted in the sample is learned from where it was planted: pictures, words in pictures, text."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.commands import ROOT, Done, run
from tests.conftest import Built
from tests.pipeline.cases import some

SEEDS = some((23, 24, 25), 1)
VARIANTS = {"full": "[]", "without vision": "[vision]", "without ocr": "[ocr]"}


@pytest.fixture(scope="module")
def hits(
    sample: Built, expected: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, int, str], float]:
    """(variant, seed, family) -> share of held-out posts whose first prediction is right. Trained two at a time."""
    runs = tmp_path_factory.mktemp("runs")

    def train(job: tuple[str, int]) -> Done:
        variant, seed = job
        return run(
            *("model", "train", "--dataset", sample.folder, "--system", "gen-cls-m3h", "--seed", seed),
            *("--out", runs / f"{variant}-{seed}", "--config", ROOT / "sample" / "train.yaml"),
            *("--set", f"drop_inputs={VARIANTS[variant]}", "threads=1"),
        )

    jobs = [(variant, seed) for seed in SEEDS for variant in VARIANTS]
    with ThreadPoolExecutor(2) as pool:
        for job, done in zip(jobs, pool.map(train, jobs), strict=True):
            assert done.code == 0, (job, done.err)
    return {
        (variant, seed, family): share
        for variant, seed in jobs
        for family, share in shares(runs / f"{variant}-{seed}", expected["posts"])
    }


def shares(run_folder: Path, posts: dict[str, Any]) -> Iterator[tuple[str, float]]:
    right: dict[str, list[bool]] = {}
    for split in ("valid", "test"):
        for line in (run_folder / "predictions" / f"{split}.jsonl").read_text().splitlines():
            found = json.loads(line)
            best, post = found["predictions"][0]["phrase"], posts[found["post_id"]]
            right.setdefault(post["family"], []).append(best in post["keyphrases"])
    assert set(right) == {"picture", "ocr", "text"}
    assert min(len(found) for found in right.values()) >= 15
    for family, found in right.items():
        yield family, sum(found) / len(found)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("family", "variant"), [("picture", "without vision"), ("ocr", "without ocr")])
def test_the_full_model_loses_on_posts_whose_input_is_taken_away(
    hits: dict[tuple[str, int, str], float], family: str, variant: str, seed: int
) -> None:
    chance = 1 / 6  # six hashtags a family, all as frequent
    assert hits["full", seed, family] > hits[variant, seed, family] + 0.2, hits
    assert hits["full", seed, family] > 2 * chance, hits
    assert hits[variant, seed, family] < 3 * chance, hits


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_what_the_text_tells_is_learned_with_and_without_pictures(
    hits: dict[tuple[str, int, str], float], variant: str
) -> None:
    assert sum(hits[variant, seed, "text"] for seed in SEEDS) / len(SEEDS) > 1 / 3, hits
