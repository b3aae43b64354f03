"""What the C library does with memory that is no longer needed."""

from __future__ import annotations

import ctypes
import sys


def keep_freed_memory() -> None:
    """Ask glibc to keep freed memory instead of returning it to the system after every step.

    A step frees and takes some thousand buffers of a megabyte; returning each costs up to
    a third of the time. Elsewhere than on glibc this does nothing.
    """
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        if hasattr(library, "mallopt"):
            map_threshold, trim_threshold = -3, -1  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD of malloc.h
            library.mallopt(map_threshold, 1 << 30)
            library.mallopt(trim_threshold, 2**31 - 1)
