"""How a process on a CPU keeps freed memory."""

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of malloc.h
_NEVER = 2**31 - 1


def keep_large_blocks() -> bool:
    """Tell the C library to keep freed memory for the next tensor; False if it is not glibc.

    By default glibc takes every block over 32 MB from the kernel again, and the kernel clears it page by page. With
    45,000 words these are several tensors a step. It takes a sixth of a training step or a quarter of a search on a
    CPU.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))
