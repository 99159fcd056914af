"""What the C library does with a large block that was freed, and with gaps between others."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")

FAULTS_OF_A_SECOND_BLOCK = """
import resource
import sys
import numpy as np
from m3h.model.training.allocator import keep_large_blocks

kept = keep_large_blocks() if sys.argv[1] == "kept" else False
np.ones(1 << 24)  # 128 MB, written to and freed
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(1 << 24)
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def second_block(way: str) -> tuple[bool, int]:
    """Whether the C library took the advice, and the page faults of a block as large as one just freed."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS_OF_A_SECOND_BLOCK, way], capture_output=True, text=True, check=True
    )
    kept, faults = map(int, done.stdout.split())
    return bool(kept), faults


def test_a_freed_block_is_used_again_without_the_kernel() -> None:
    assert second_block("kept")[0]
    assert second_block("kept")[1] < 20
    assert second_block("given back")[1] > 20


MEMORY_OF_GAPS = """
from pathlib import Path
import numpy as np
from m3h.model.training.allocator import give_back, keep_large_blocks

def held():
    return int(Path("/proc/self/statm").read_text().split()[1])

keep_large_blocks()
blocks = [np.ones(1 << 14) for _ in range(2000)]  # 256 MB
some = blocks[::50]
before = held()
del blocks
kept = held()
give_back()
print(before, kept, held())
"""


def test_gaps_between_blocks_in_use_are_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY_OF_GAPS], capture_output=True, text=True, check=True)
    before, kept, given_back = map(int, done.stdout.split())
    assert kept > 0.9 * before
    assert given_back < 0.5 * before
