"""How a process on a CPU keeps freed memory, and gives it back."""

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


def give_back() -> None:
    """Give freed memory back to the kernel, where the C library is glibc.

    For after a step of another kind than the next one: texts of many lengths leave gigabytes of gaps, which
    `keep_large_blocks` makes the process keep, and which tensors of other sizes do not fill.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
