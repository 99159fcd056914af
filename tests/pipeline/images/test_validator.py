"""The image validator: what happens to its helper process costs one picture, and nothing else."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from PIL import Image

from m3h.pipeline.images.jpeg import REASONS, examine
from m3h.pipeline.images.validator import SPARE_BYTES, TIMEOUT, Validator, memory_for, validator_of
from m3h.pipeline.images.validator_process import CRASH, MEMORY
from m3h.pipeline.rules import ImageRules
from m3h.schemas.errors import ImageFault, M3hError
from tests.commands import ROOT, environment
from tests.pipeline.helpers import gone, helpers, wait_for
from tests.pipeline.images.bombs import claiming, many_scans, plain

RULES = ImageRules()
GOOD = plain()
ENDLESS = many_scans(2000, 100_000)
"""Small, and minutes of work."""


@pytest.fixture
def validator() -> Iterator[Validator]:
    with Validator(RULES) as validator:
        yield validator


def reason(validator: Validator, data: bytes) -> tuple[str, str]:
    with pytest.raises(ImageFault) as caught:
        validator.inspect(data)
    return caught.value.reason, caught.value.detail


def test_what_the_helper_sees_is_what_examining_says(validator: Validator) -> None:
    stored = validator.inspect(GOOD)
    assert (stored.image_sha256, stored.bytes) == (hashlib.sha256(GOOD).hexdigest(), len(GOOD))
    seen = examine(GOOD, RULES.max_pixels, RULES.allow_grey)
    assert vars(stored).items() >= vars(seen).items()
    for data in (GOOD[:-9], plain(colour=(9, 9, 9)), b"<html>"):
        with pytest.raises(ImageFault) as caught:
            examine(data, RULES.max_pixels, RULES.allow_grey)
        assert reason(validator, data) == (caught.value.reason, caught.value.detail)


def test_what_has_no_size_to_be_looked_at_starts_no_helper(validator: Validator) -> None:
    before = len(helpers())
    assert reason(validator, b"") == ("image_empty", "0 bytes")
    assert reason(validator, b"x" * (RULES.max_bytes + 1))[0] == "image_too_large"
    assert len(helpers()) == before


def test_one_helper_looks_at_all_pictures_and_leaves_with_the_gate() -> None:
    before = len(helpers())
    with Validator(RULES) as validator:
        for _ in range(3):
            validator.inspect(GOOD)
        assert len(helpers()) == before + 1
    assert len(helpers()) == before


def test_threads_get_their_own_pictures_answers(validator: Validator) -> None:
    pictures = [plain((16 + i, 8)) for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        assert [stored.width for stored in pool.map(validator.inspect, pictures)] == list(range(16, 56))


def test_a_process_has_one_gate_for_its_rules() -> None:
    assert validator_of(RULES) is validator_of(ImageRules())


def test_a_picture_that_takes_too_long_is_given_up() -> None:
    with Validator(ImageRules(timeout_seconds=2)) as validator:
        assert reason(validator, ENDLESS) == ("image_decoder_timeout", "2 s")
        assert validator.inspect(GOOD).width == 64


def test_a_picture_that_needs_more_memory_than_there_is_is_given_up() -> None:
    with Validator(ImageRules(max_pixels=10**9), memory=200 * 2**20) as validator:
        assert reason(validator, claiming(GOOD, 20_000, 20_000))[0] == "image_decoder_memory"  # 1.6 GB of pixels
        assert validator.inspect(GOOD).width == 64


def test_the_memory_a_helper_gets_is_enough_for_the_costliest_picture_within_the_rules() -> None:
    """Four channels, progressive, turned."""
    rules = ImageRules(max_pixels=4_000_000)
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.new("CMYK", (4000, 1000), (0, 250, 250, 0)).save(buffer, "JPEG", progressive=True, exif=exif)
    with Validator(rules, memory=memory_for(rules) - SPARE_BYTES // 2) as validator:
        assert validator.inspect(buffer.getvalue()).height == 4000


def test_a_huge_picture_is_refused_by_its_header(validator: Validator) -> None:
    assert reason(validator, claiming(GOOD, 20_000, 20_000)) == (
        "image_too_large", "20000 x 20000, at most 50000000 pixels",
    )  # fmt: skip


def kill_busy_helpers(times: int) -> threading.Thread:
    """A thread that kills helpers in the middle of a picture, so many times."""

    def kill() -> None:
        ready_after: dict[int, float] = {}  # seconds of processor time
        killed: set[int] = set()
        while len(killed) < times:
            for helper in helpers():
                with suppress(psutil.NoSuchProcess):
                    if helper.pid not in killed and helper.rlimit(psutil.RLIMIT_AS)[0] != psutil.RLIM_INFINITY:
                        worked = helper.cpu_times().user
                        if worked > ready_after.setdefault(helper.pid, worked) + 0.2:
                            helper.kill()
                            killed.add(helper.pid)
            time.sleep(0.02)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def test_a_helper_killed_by_accident_costs_no_picture(validator: Validator) -> None:
    validator.inspect(GOOD)
    for helper in helpers():
        helper.kill()
    assert validator.inspect(GOOD).width == 64
    slow = many_scans(2000, 500)
    killer = kill_busy_helpers(1)
    assert validator.inspect(slow).width == 2000
    killer.join()


def test_a_picture_over_which_the_helper_dies_again_is_to_blame_alone(validator: Validator) -> None:
    validator.inspect(GOOD)
    killer = kill_busy_helpers(2)
    assert reason(validator, ENDLESS) == ("image_decoder_crash", "killed by SIGKILL")
    killer.join()
    assert validator.inspect(GOOD).width == 64


def test_an_interrupted_look_leaves_no_answer_for_the_next_picture(validator: Validator) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    validator.inspect(GOOD)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            validator.inspect(many_scans(2000, 1000))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert validator.inspect(GOOD).width == 64


def test_a_helper_that_does_not_start_is_no_pictures_fault(
    validator: Validator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(M3hError, match="does not start: exit code 1") as caught:
        validator.inspect(GOOD)
    assert not isinstance(caught.value, ImageFault)


def test_the_helper_dies_with_the_process_it_serves(tmp_path: Path) -> None:
    """Whether it is idle or in the middle of a picture."""
    (tmp_path / "endless.jpg").write_bytes(ENDLESS)
    code = f"""
import pathlib, sys, threading
from m3h.pipeline.images.validator import Validator
from m3h.pipeline.rules import ImageRules
idle, busy = Validator(ImageRules()), Validator(ImageRules(timeout_seconds=600))
for validator in (idle, busy):
    validator.inspect({GOOD!r})
threading.Thread(target=busy.inspect, args=(pathlib.Path(sys.argv[1]).read_bytes(),)).start()
print("ready", flush=True)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "endless.jpg")], stdout=subprocess.PIPE, env=environment(), cwd=ROOT
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n"
    found = helpers(parent.pid)
    assert len(found) == 2
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: all(map(gone, found)))


def test_every_reason_is_explained_to_users() -> None:
    table = (ROOT / "docs" / "images.md").read_text()
    assert [reason for reason in REASONS if f"| `{reason}` |" not in table] == []
    assert {TIMEOUT, MEMORY, CRASH} <= set(REASONS)
