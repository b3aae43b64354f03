"""What is drawn in a training step: which images, how they are changed, what dropout leaves out.

All of it is a function of (seed, step), so that a run that goes on from a checkpoint, or is repeated, draws the
same without any generator's state being kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

#: Images move by at most this share of their size.
_SHIFT = 1 / 8


class Batches:
    """Index batches of ``count`` images, every image once per epoch in a new order.

    A last batch of one image is left out (it has no variance for a batch norm) unless every batch is that small.
    """

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        self._count, self._size, self._seed = count, batch_size, seed
        left = count % batch_size
        drops_last = left == 1 and min(count, batch_size) > 1
        self.per_epoch = max(1, -(-count // batch_size) - drops_last)
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def at(self, step: int) -> Tensor:
        """Positions of the images of a step, counted from 0: int64 ``(N,)``."""
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, torch.randperm(self._count, generator=_generator(self._seed, epoch, 1))
        return self._order[place * self._size:(place + 1) * self._size]


def augmented(images: Tensor, augmentation: str, seed: int, step: int) -> Tensor:
    """Move each image by up to an eighth of its size, and mirror half of them, as asked.

    Args:
        images: ``(N, C, H, W)``.
        augmentation: One of :data:`~ghn_studio.engine.descent.settings.AUGMENTATIONS`.
        seed: The run's.
        step: Counted from 0.
    """
    if augmentation == "none":
        return images
    random = _generator(seed, step, 2)
    n, _, height, width = images.shape
    if augmentation == "shift and flip":
        mirrored = torch.rand(n, generator=random).lt(0.5).to(images.device)
        images = torch.where(mirrored.view(n, 1, 1, 1), images.flip(3), images)
    down, right = int(height * _SHIFT), int(width * _SHIFT)
    padded = F.pad(images, (right, right, down, down), mode="replicate")
    top = torch.randint(2 * down + 1, (n, 1), generator=random) + torch.arange(height)
    left = torch.randint(2 * right + 1, (n, 1), generator=random) + torch.arange(width)
    rows, columns = top.to(images.device), left.to(images.device)
    at = torch.arange(n, device=images.device).view(n, 1, 1)
    return padded.permute(0, 2, 3, 1)[at, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


@contextmanager
def seeded(seed: int, step: int, device: torch.device) -> Iterator[None]:
    """Seed what dropout draws in a step, and leave the global generators as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(_mixed(seed, step, 3))
        yield


def _generator(seed: int, number: int, purpose: int) -> torch.Generator:
    return torch.Generator().manual_seed(_mixed(seed, number, purpose))


def _mixed(seed: int, number: int, purpose: int) -> int:
    """Distinct for distinct arguments below 2³², 2²⁹ and 4."""
    return (seed * 2**29 + number) * 4 + purpose
