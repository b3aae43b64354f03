"""The one place that decides where torch computes and with how many threads."""

from __future__ import annotations

import os

import torch

from ghn_studio.errors import UsageError

#: What can be asked for.
NAMES = ("auto", "cpu", "cuda", "mps")

#: Environment variable with the number of threads the window's jobs compute with.
THREADS = "GHN_STUDIO_THREADS"


def choose(name: str = "auto") -> torch.device:
    """Return the device called ``name``; ``auto`` takes CUDA, then MPS, then the processor.

    Raises:
        UsageError: No such name, or this machine or this build of torch lacks the device.
            A device that was asked for is never replaced by a slower one.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if name not in NAMES:
        raise UsageError(f"there is no device '{name}': use {', '.join(NAMES)}")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"CUDA was asked for, but {_no_cuda_reason()}. Use --device cpu or auto")
    if name == "mps" and not torch.backends.mps.is_available():
        raise UsageError("MPS was asked for, but needs a Mac with Apple silicon. Use --device cpu or auto")
    return torch.device(name)


def share_out(device: torch.device, local_rank: int) -> torch.device:
    """The device of one of several processes on a machine: they take its GPUs round-robin."""
    return torch.device("cuda", local_rank % torch.cuda.device_count()) if device.type == "cuda" else device


def _no_cuda_reason() -> str:
    if torch.version.cuda is None:
        return f"this torch ({torch.__version__}) was built without it"
    return "no NVIDIA GPU with a working driver is visible"


def describe(device: torch.device) -> str:
    """Name a device for people: ``CPU (4 cores, 3 threads)``, ``NVIDIA H200 (CUDA)``."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} (CUDA)"
    if device.type == "mps":
        return "Apple GPU (MPS)"
    return f"CPU ({core_count()} cores, {torch.get_num_threads()} threads)"


def core_count() -> int:
    """Processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux: containers and taskset allow fewer than there are
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limit_threads(count: int | None = None) -> int:
    """Let torch compute with ``count`` threads and return that number.

    None leaves one core to the window: cores − 1, at least 1, unless :data:`THREADS` in the environment says
    another number. Applies to the whole process.
    """
    if count is None:
        asked = os.environ.get(THREADS, "")
        count = int(asked) if asked.isascii() and asked.isdigit() and int(asked) else core_count() - 1
    count = max(1, count)
    torch.set_num_threads(count)
    return count
