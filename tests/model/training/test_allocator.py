"""What the C library does with a large block that was freed."""

import platform
import subprocess
import sys

import pytest

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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_a_freed_block_is_used_again_without_the_kernel() -> None:
    assert second_block("kept")[0]
    assert second_block("kept")[1] < 20
    assert second_block("given back")[1] > 20
