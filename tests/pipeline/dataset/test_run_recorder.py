"""What the display of a run sees of its stages."""

from collections import Counter
from pathlib import Path

from m3h.pipeline.dataset.run_recorder import Run
from m3h.pipeline.dataset.workspace import Workspace
from m3h.pipeline.progress.counts import Count, Tally
from m3h.pipeline.progress.monitor import NONE


def test_a_stage_that_is_over_is_whole_whatever_was_estimated(tmp_path: Path) -> None:
    """Records are dropped early for what a later stage would find: the earlier ones never see them."""
    run = Run("build", Workspace(tmp_path), NONE)
    run.reads(("read", "text", "image", "split", "write"), 1000)
    tally = Tally(run.folder)
    tally.add("read", Count(0, bytes=10, began=1.0))
    tally.flush()
    assert [total for _, total in run._look().values()] == [None], "nobody knows before a record was read"
    tally.add("read", Count(10, bytes=990))
    tally.add("text", Count(7, dropped=Counter(short=2), began=1.0))
    tally.add("image", Count(3, dropped=Counter(no_image=3), began=1.0))
    tally.flush()
    assert {stage: total for stage, (_, total) in run._look().items()} == {"read": 10, "text": 10, "image": 8}
    tally.add("image", Count(5))
    tally.add("split", Count(5, began=2.0))
    tally.flush()
    assert {stage: (count.rows, total) for stage, (count, total) in run._look().items()} == {
        "read": (10, 10), "text": (7, 7), "image": (8, 8), "split": (5, 5),
    }  # fmt: skip
