"""Progress of every stage: its speed and the time left, JSON lines, log lines, bars; and the counts behind them."""

import io
import json
import logging
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from m3h.pipeline.progress import monitor
from m3h.pipeline.progress.bars import Bars, clock
from m3h.pipeline.progress.counts import Count, Tally, read_tallies
from m3h.pipeline.progress.displays import JsonLines, LogLines
from m3h.pipeline.progress.monitor import Speed, Watch, lines_file
from m3h.pipeline.progress.stage import Stage
from m3h.schemas.errors import UsageError


def counts(rows: int, **fields: object) -> Count:
    return Count(rows, **fields)  # type: ignore[arg-type]


def test_what_processes_and_threads_counted_is_added_up(tmp_path: Path) -> None:
    def work(tally: Tally) -> None:
        for i in range(100):
            tally.add("text", Count(2, dropped=Counter(short=1) if i % 4 == 0 else Counter(), began=50.0 + i))
        tally.add("image", Count(1, copied=3))

    processes = [Tally(tmp_path), Tally(tmp_path)]
    threads = [threading.Thread(target=work, args=(tally,)) for tally in processes for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for tally in processes:
        tally.flush()
    found = read_tallies(tmp_path)
    assert (found["text"].rows, dict(found["text"].dropped), found["text"].began) == (1200, {"short": 150}, 50.0)
    assert (found["image"].rows, found["image"].copied) == (6, 18)


def test_counts_that_cannot_be_written_cost_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    tally = Tally(tmp_path / "file")
    tally.add("text", Count(1))
    tally.flush()
    assert read_tallies(tmp_path / "file") == {}


def test_speed_is_that_of_the_last_half_minute() -> None:
    speed = Speed()
    assert speed.now(counts(100, began=1000.0), 1010.0) == 10  # since it began
    assert speed.now(counts(300, began=1000.0), 1020.0) == 15
    assert speed.now(counts(300, began=1000.0), 1050.0) == 0  # nothing since 1020
    assert Speed().now(counts(5, began=1000.0), 1000.0) is None


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40))
def test_at_an_even_pace_the_speed_is_the_pace(pauses: list[int]) -> None:
    speed, moment = Speed(), 1000.0
    for pause in pauses:
        moment += pause
        found = speed.now(counts(round(3 * (moment - 1000)), began=1000.0), moment)
        assert found == pytest.approx(3) if moment > 1000 else found is None


def test_time_left_is_told_from_the_rows_that_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor.time, "time", lambda: 1010.0)
    watch = Watch(dict, "none")
    stage = watch._stage("ocr", counts(20, copied=30, began=1000.0, ended=1009.0), 100, ended=False)
    assert (stage.rate, stage.left) == (2, 25)  # 50 of 100 are open, 20 took ten seconds; copies cost nothing
    assert stage.text() == "ocr: 50 of 100, 2.0/s, 25 s left"
    unknown = watch._stage("crawl", counts(20, began=1000.0), None, ended=False)
    assert (unknown.rate, unknown.left) == (2, None)
    for rows, told in ((4, False), (5, True)):  # of a hundred that are open besides
        begun = watch._stage(f"a{rows}", counts(rows, began=1000.0), 100 + rows, ended=False)
        assert (begun.left is not None) is told
    unlike = Watch(dict, "none", alike=False)._stage("laws", counts(2, began=1000.0), 4, ended=False)
    assert (unlike.rate, unlike.left, unlike.text()) == (0.2, None, "laws: 2 of 4, 0.2/s")
    over = watch._stage("ocr", counts(70, copied=30, began=1000.0, ended=1007.0), 100, ended=False)
    assert (over.rate, over.left) == (10, 0)


def test_json_lines_tell_a_stage_when_it_changes_and_all_in_the_end() -> None:
    out = io.StringIO()
    lines = JsonLines(out, "build")
    first = [Stage("read", 5, total=10, rate=2.5, left=2.0), Stage("text", 4, dropped={"short": 1})]
    lines.show(first, ended=False)
    lines.show([first[0], Stage("text", 5)], ended=False)
    lines.show([first[0]], ended=True)
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["stage"] for line in told] == ["read", "text", "text", "read"]
    assert told[0].pop("seconds") >= 0
    assert told[0] == {
        "event": "progress", "command": "build", "stage": "read", "rows": 5, "copied": 0, "total": 10, "rate": 2.5,
        "left": 2.0, "dropped": {},
    }  # fmt: skip
    assert told[1]["dropped"] == {"short": 1}


def test_log_lines_are_rare_and_only_of_what_went_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    monkeypatch.setattr(monitor.time, "monotonic", lambda: now[0])
    lines = LogLines()
    with caplog.at_level(logging.INFO):
        for moment, rows in ((1, 5), (16, 6), (17, 7), (40, 6)):
            now[0] = moment
            lines.show([Stage("read", 9, total=9), Stage("text", rows, dropped={"few": 1, "many": 3})], ended=False)
        lines.show([Stage("text", 99)], ended=True)
    assert caplog.messages == ["read: 9 of 9", "text: 6 of ?, dropped 4: many 3, few 1"]


def test_a_file_for_lines_that_cannot_be_written_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected auto, json, none or a file"), lines_file(str(tmp_path / "no" / "x")):
        pass


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-:--"), (0, ""), (7.6, "0:08"), (605, "10:05"), (3_725, "1:02:05")]
)
def test_time_left_as_a_clock(seconds: float | None, text: str) -> None:
    assert clock(seconds) == text


def test_a_bar_a_stage_on_one_line_with_what_is_logged_above(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    handler = logging.StreamHandler(screen)
    logging.getLogger().addHandler(handler)
    dropped = {"image_missing": 12, "several_images": 9, "image_truncated": 3, "image_not_jpeg": 2, "no_image": 1}
    try:
        monkeypatch.setattr(
            "m3h.pipeline.progress.bars.Console",
            lambda stderr: Console(file=screen, force_terminal=True, width=100, color_system=None),
        )
        with Bars() as bars:
            stages = [
                Stage("read", 1200, total=1200, rate=611.2, left=0.0),
                Stage("image", 900, 100, 1200, 5.25, 38, dropped),
            ]
            bars.show(stages, ended=False)
            logging.getLogger("test").warning("one word")
            bars.show(stages, ended=True)
        assert handler.stream is screen
    finally:
        logging.getLogger().removeHandler(handler)
    lines = screen.getvalue().replace("\r", "\n").splitlines()
    assert any(line.rstrip().endswith("\x1b[2Kone word") for line in lines), "not on a line of its own"
    read, image = (next(line for line in reversed(lines) if name in line) for name in ("read", "image"))
    assert "1,200/1,200" in read
    assert "611/s" in read
    assert all(part in image for part in ("1,000/1,200", "5.2/s", "0:38", "dropped 27: image_missing 12, sev", "…"))


@pytest.mark.parametrize(
    "stage",
    [
        Stage("rare_hashtags", 53_701, 0, 53_701, 10_412, 0.0, {"rare_hashtag": 12_345}),
        Stage("detectron2_objects", 123_456, 0, 1_234_567, 0.1, 36_000_000, {"extractor_error": 1_234}),
        Stage("image", 12_345_678, 0, 12_345_678, 412.3, 7201, {"image_missing": 40_123, "image_truncated": 11_234}),
    ],
    ids=lambda stage: stage.name,
)
def test_at_80_columns_no_number_of_a_stage_is_cut(monkeypatch: pytest.MonkeyPatch, stage: Stage) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(
        "m3h.pipeline.progress.bars.Console",
        lambda stderr: Console(file=screen, force_terminal=True, width=80, color_system=None),
    )
    with Bars() as bars:
        bars.show([stage], ended=False)
    line = next(line for line in reversed(screen.getvalue().replace("\r", "\n").splitlines()) if stage.name in line)
    assert f"{stage.rows:,}/{stage.total:,}" in line
    assert f"dropped {stage.lost:,}" in line
    assert clock(stage.left) in line
