"""Decisions over all posts, by one process each or by all workers in rounds: the dataset is the same, byte for byte."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.pipeline import AppliedPTransform, PipelineVisitor

from m3h.pipeline.build.records_graph import ROUNDS_FROM, RecordsJob, build_records, works_in_rounds
from m3h.pipeline.build.sources import Sources
from m3h.pipeline.config import BuildConfig
from m3h.pipeline.rules import ExecutionRules
from m3h.schemas.manifest import Manifest
from tests.commands import ROOT, Done, files_of, run
from tests.conftest import Built

OTHER_RULES = (
    *("clean.rare_hashtags=drop_tag", "clean.min_hashtag_count=5", "clean.drop_near_texts=true"),
    *("clean.drop_near_images=true", "clean.unique_texts=false", "clean.unique_images=false", "shards.posts=7"),
)
RECORDS = ("posts/", "dropped/part-", "images/")


def built(dataset: Path, steps: str, rules: Sequence[str] = ()) -> Done:
    """The sample's records, by two processes."""
    dumps = [ROOT / "sample" / name for name in ("dump_v1.jsonl.gz", "dump_plain.jsonl")]
    words = ["build", "--dumps", *dumps, "--images", ROOT / "sample" / "images", "--dataset", dataset]
    words += ["--config", ROOT / "sample" / "build.yaml", "--features", "none", "--workers", 2]
    return run("pipeline", *words, "--set", f"execution.global_steps={steps}", *rules)


def test_rounds_leave_the_records_of_the_sample_as_they_are(sample: Built, tmp_path: Path) -> None:
    done = built(tmp_path / "d", "rounds")
    assert done.code == 0, done.err

    def records(folder: Path) -> dict[str, bytes]:
        return {name: data for name, data in files_of(folder).items() if name.startswith(RECORDS)}

    assert {name.partition("/")[0] for name in records(tmp_path / "d")} == {"posts", "dropped", "images"}
    assert records(tmp_path / "d") == records(sample.folder)
    ours, theirs = (Manifest.read(folder) for folder in (tmp_path / "d", sample.folder))
    assert (ours.counts, ours.signature) == (theirs.counts, theirs.signature)
    assert "execution" not in ours.config


@pytest.mark.slow
@pytest.mark.parametrize("rules", [(), OTHER_RULES], ids=["the paper's rules", "other rules"])
def test_the_sample_has_the_same_bytes_by_both_forms(rules: Sequence[str], tmp_path: Path) -> None:
    for steps in ("one_worker", "rounds"):
        done = built(tmp_path / steps, steps, rules)
        assert done.code == 0, done.err
    files = files_of(tmp_path / "rounds")
    assert files == files_of(tmp_path / "one_worker")
    assert ("images/images.parquet" in files) is ("shards.posts=7" not in rules)  # a list in parts, and one that is not

    again = built(tmp_path / "rounds", "one_worker", rules)
    assert (again.code, "other rules" in again.err) == (0, False)
    assert files_of(tmp_path / "rounds") == files


def ways_through_a_build(tmp_path: Path, rules: dict[str, bool]) -> int:
    """From the reading of dumps to what is written, counted each time that they meet."""
    files = {"tallies": tmp_path / "tallies", "kept_by_rule": tmp_path / "kept", "unread": tmp_path / "unread"}
    sources, config = Sources((), (), (tmp_path,)), BuildConfig.model_validate({"clean": rules})
    root = beam.Pipeline(runner="FnApiRunner")
    build_records(root, RecordsJob(sources, tmp_path, tmp_path, config, **files, in_rounds=True))
    ways: dict[beam.PCollection[Any], int] = {}
    ends: dict[beam.PCollection[Any], int] = {}

    class Count(PipelineVisitor):
        def visit_transform(self, transform_node: AppliedPTransform) -> None:
            used = [*transform_node.inputs, *(side.pvalue for side in transform_node.side_inputs)]
            for made in transform_node.outputs.values():
                ways[made] = ends[made] = sum(ways.get(one, 1) for one in used)
            for one in used:
                ends.pop(one, None)

    root.visit(Count())
    return sum(ends.values())


@pytest.mark.parametrize(("dropped", "most"), [(False, 20_000), (True, 3_000_000)])
def test_a_build_in_rounds_has_few_ways_through_its_graph(tmp_path: Path, dropped: bool, most: int) -> None:
    """Flink walks each of them before it starts a job, and each round could multiply them: see docs/scale.md."""
    assert 100 < ways_through_a_build(tmp_path, {"drop_near_texts": dropped, "drop_near_images": dropped}) < most


def test_a_form_that_does_not_exist_is_wrong_use(tmp_path: Path) -> None:
    done = built(tmp_path / "d", "round")
    assert (done.code, "execution.global_steps" in done.error) == (2, True)


@pytest.mark.parametrize(
    ("steps", "dumps_bytes", "expected"),
    [
        ("auto", ROUNDS_FROM - 1, False),
        ("auto", ROUNDS_FROM, True),
        ("one_worker", 100 * ROUNDS_FROM, False),
        ("rounds", 0, True),
    ],
)
def test_rounds_begin_with_large_dumps(steps: str, dumps_bytes: int, expected: bool) -> None:
    assert works_in_rounds(ExecutionRules.model_validate({"global_steps": steps}), dumps_bytes) is expected
