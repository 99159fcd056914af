"""Records as bytes between stages, tables written piece by piece: nothing is lost, no byte of a file changes."""

import random
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.coders import FastPrimitivesCoder
from apache_beam.coders.typecoders import registry
from apache_beam.pipeline import AppliedPTransform, PipelineVisitor
from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.build.records_graph import RecordsJob, build_records
from m3h.pipeline.build.sources import Sources
from m3h.pipeline.config import BuildConfig
from m3h.pipeline.crawl.job import CrawlJob
from m3h.pipeline.dataset.found_pictures import FoundPictures
from m3h.pipeline.dataset.tables import DROPPED
from m3h.pipeline.images.store import ImageRow
from m3h.pipeline.stages.coders import DroppedCoder, ImageRowCoder, PostCoder
from m3h.pipeline.stages.write import packed_row, unpacked_row
from m3h.schemas.files import publish_table
from m3h.schemas.posts import Dropped, ImageRef, Post

TEXTS = st.lists(st.text(), max_size=3).map(tuple)
POSTS = st.builds(
    Post, st.text(), st.text(), hashtags=TEXTS, lang=st.none() | st.text(), edit=st.integers(0, 99), source=st.text(),
    images=st.lists(st.builds(ImageRef, st.text(), st.text()), max_size=2).map(tuple), position=st.integers(0),
    split=st.sampled_from([None, "test"]), own_split=st.booleans(), tokens=TEXTS, keyphrases=TEXTS, group=st.text(),
)  # fmt: skip
DROPPED_RECORDS = st.builds(Dropped, st.text(), st.text(), st.text(), st.text(), st.integers(0), st.text())
IMAGE_ROWS = st.builds(ImageRow, st.text(), st.text(), st.text(), st.text(), st.none() | st.integers(0))


@given(POSTS)
def test_a_post_comes_out_as_it_went_in(post: Post) -> None:
    assert registry.get_coder(Post).decode(PostCoder().encode(post)) == post


@given(DROPPED_RECORDS, IMAGE_ROWS)
def test_every_record_comes_out_as_it_went_in(dropped: Dropped, row: ImageRow) -> None:
    assert DroppedCoder().decode(DroppedCoder().encode(dropped)) == dropped
    assert ImageRowCoder().decode(ImageRowCoder().encode(row)) == row


@pytest.mark.parametrize("kind", [Post, Dropped, ImageRow])
def test_records_have_a_coder_of_their_own_that_may_encode_keys(kind: type) -> None:
    coder = registry.get_coder(kind)
    assert (coder.to_type_hint(), coder.is_deterministic()) == (kind, True)


def test_an_encoded_post_is_smaller_than_beams_own_form() -> None:
    post = Post("12345678901234567890", "a text of some words", hashtags=("words",), images=(ImageRef("p.jpg", ""),))
    assert len(PostCoder().encode(post)) < 0.6 * len(FastPrimitivesCoder().encode(post))


def types_of_a_build(tmp_path: Path, kind: str, **rules: Any) -> dict[str, Any]:
    """What flows in the records' pipeline, by the transform it comes from. kind: first, added, crawled, rounds."""
    config = BuildConfig.model_validate({"clean": rules})
    job = CrawlJob(tmp_path, tmp_path, tmp_path, config.crawl, config.image)
    images = {"crawl": job} if kind == "crawled" else {}
    known = {"found": FoundPictures(tmp_path, (tmp_path / "part",))} if kind == "added" else {}
    sources = Sources((), (), (tmp_path,))
    files = {"tallies": tmp_path / "tallies.json", "kept_by_rule": tmp_path / "kept.json"}
    rounds = {"in_rounds": kind == "rounds"}
    root = beam.Pipeline(runner="FnApiRunner")
    build_records(root, RecordsJob(sources, tmp_path, tmp_path, config, **files, **images, **known, **rounds))
    found: dict[str, Any] = {}

    class Types(PipelineVisitor):
        def visit_transform(self, transform_node: AppliedPTransform) -> None:
            for tag, out in transform_node.outputs.items():
                found[f"{transform_node.full_label}.{tag}"] = out.element_type

    root.visit(Types())
    return found


@pytest.mark.parametrize("kind", ["first", "added", "crawled", "rounds"])
def test_no_record_of_a_build_waits_in_another_form_than_that_of_its_coder(tmp_path: Path, kind: str) -> None:
    """Beam picks coders by types: in what has the type Any, or may be one of several types, a record is pickled."""
    found = types_of_a_build(tmp_path, kind, drop_near_texts=True, drop_near_images=True, quotes="drop")
    shuffled = {
        name: kind.tuple_types[1].inner_type
        for name, kind in found.items()
        if name.endswith(("GroupByKey.None", "gather.None", "by part.None"))
    }
    assert {Post, bytes} <= set(shuffled.values())
    assert len(shuffled) > 30
    # Traits, counts, keypoints and the (small) tallies and names of dump files: no records.
    small = ("gather", "CoGroupByKeyImpl/GroupByKey", "CombinePerKey(CountCombineFn)/GroupByKey")
    small += ("together/CombinePerKey/GroupByKey", "ReshufflePerKey/GroupByKey")
    others = {name.removesuffix(".None"): kind for name, kind in shuffled.items() if "Any" in str(kind)}
    assert [name for name in others if not name.endswith(small)] == []
    # Here several ways meet, and what comes from them waits for the next stage.
    assert [found["all kept.None"], found["all dropped.None"], found["all images.None"]] == [Post, Dropped, ImageRow]


@pytest.mark.parametrize("number", [0, 3, 10_000, 25_013])
def test_rows_written_in_groups_are_the_bytes_of_one_table(tmp_path: Path, number: int) -> None:
    rows: list[dict[str, Any]] = [
        {"record_id": str(i), "stage": "text", "reason": f"r{i % 7}", "detail": str(i * 7919 % 1000), "source": "s",
         "position": i, "versions": [str(i), "7"][: i % 3]} for i in range(number)
    ]  # fmt: skip
    publish_table(tmp_path / "whole", pa.Table.from_pylist(rows, schema=DROPPED.schema))
    shuffled = [packed_row(row, DROPPED) for row in random.Random(1).sample(rows, number)]
    assert DROPPED.write(tmp_path / "groups", shuffled, lambda data: unpacked_row(data, DROPPED)) == number
    assert (tmp_path / "groups").read_bytes() == (tmp_path / "whole").read_bytes()
