"""How a process on a CPU holds its memory."""

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of malloc.h
_NEVER = 2**31 - 1


def keep_large_blocks() -> bool:
    """Tell the C library to keep freed memory for the next tensor; False where it is not glibc.

    glibc otherwise takes every block over 32 MB from the kernel anew, which clears it page by page: with 45,000 words
    that is several tensors a step, and a sixth of a training step or a quarter of a search on a CPU.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))
