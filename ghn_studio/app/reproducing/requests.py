"""What the papers' table can be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ghn_studio.app.requests import DEVICES, MAX_IMAGE_SIZE, MAX_SEED
from ghn_studio.errors import UsageError
from ghn_studio.ops.spec import param


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproduceRequest:
    """Measure prediction, closed form, random start and SGD on networks of several splits."""

    ghn: str = param("", label="GHN",
                     help="Name or folder of a hypernetwork; empty: the newest shipped one for the dataset.")
    dataset: str = param("digits", label="Dataset", help="A name from `list datasets`, or folder:PATH.")
    download: bool = param(False, label="Download",
                           help="Fetch the dataset first if it is one of those that have to be.")
    splits: str = param("test,wide,deep,dense,bnfree", label="Splits", help="Splits of DeepNets-1M, SPLIT,SPLIT.")
    count: int = param(10, label="Networks", low=1, help="So many networks of each split.")
    sgd_steps: str = param("", label="SGD steps",
                           help="Train each network too and measure after so many steps, N,N; none by default.")
    images: int | None = param(None, label="Test images", low=1,
                               help="Evaluate on the first N test images; all by default.")
    image_size: int | None = param(None, label="Image size", unit="px", low=1, high=MAX_IMAGE_SIZE,
                                   help="Of every network; the GHN's first by default.")
    head_images: int = param(1000, label="Head images", low=1, help="Training images for the closed-form head.")
    out: str = param("", label="Folder", help="Where results are kept; the same command goes on from there.")
    device: str = param("auto", label="Device", choices=DEVICES,
                        help="Where to compute; auto takes the fastest there is.")
    seed: int = param(0, label="Seed", low=0, high=MAX_SEED,
                      help="Of everything random: equal seeds give equal results.")


def listed(text: str) -> tuple[Any, ...]:
    """The parts of a text that are parted by commas, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def steps_of(text: str) -> tuple[int, ...]:
    """The numbers of steps in ``100,500``, in order. Raises :class:`UsageError`."""
    parts = listed(text)
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise UsageError(f"'{text}' are no numbers of steps: write them as in 100,500")
    return tuple(sorted(map(int, parts)))
