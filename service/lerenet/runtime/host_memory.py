"""What the C library does with freed memory: a server that makes the same large tensors again should keep it."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Of malloc.h (glibc)."""

_KEPT_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Lets glibc use freed blocks of any size again instead of giving each back to the system.

    By default every tensor above 32 MiB, and above 128 KiB in a thread of its own, is mapped anew, and the kernel
    clears each of its pages: thousands of faults a frame. The price is that the process stays as large as it ever was.
    Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for parameter, value in ((_M_ARENA_MAX, 1), (_M_TRIM_THRESHOLD, _KEPT_BYTES), (_M_MMAP_THRESHOLD, _KEPT_BYTES)):
        mallopt(parameter, value)
