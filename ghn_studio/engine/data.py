"""Pixels: loading data sets and fitting images to a network's input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from ghn_studio.datasets import LUMA, DatasetInfo, describe
from ghn_studio.datasets.division import divide
from ghn_studio.datasets.folder import PREFIX, Skipped
from ghn_studio.datasets.published import PUBLISHED
from ghn_studio.errors import DatasetError
from ghn_studio.jobs import Job, Progress, run

#: Largest float32 copy of a split that is kept to save fitting every image again.
CACHE_BYTES = 256 * 2**20

@dataclass(frozen=True, slots=True)
class Split:
    """One part of a data set: ``images`` uint8 ``(N, C, H, W)``, ``labels`` int64 ``(N,)``."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int | None) -> Split:
        """The first ``count`` images, or all of them for None."""
        return self if count is None else Split(self.images[:count], self.labels[:count])

    def after(self, count: int) -> Split:
        """The images that :meth:`first` leaves out."""
        return Split(self.images[count:], self.labels[count:])


@dataclass(frozen=True, slots=True)
class ImageData:
    """A data set with its pixels. ``skipped`` lists files that could not be used."""

    info: DatasetInfo
    train: Split
    validation: Split
    test: Split
    skipped: tuple[Skipped, ...] = ()


def load(name: str, size: int | None = None) -> ImageData:
    """Read a data set, a name or ``folder:PATH``, to its end; :func:`loading` is the same as a job."""
    return run(loading(name, size))


def loading(name: str, size: int | None = None) -> Job[ImageData]:
    """Read a data set; can stop while it lists or decodes files.

    Its division into training, validation and test images is part of the data set and
    does not depend on any request's seed; see :mod:`ghn_studio.datasets.division`. The
    images of each part come in a random but fixed order. Tensors are shared between
    calls: do not write to them.

    Args:
        size: Side in px at which a folder's images are stored; by default the median of
            their shorter sides, at most 64. Others have one size.

    Raises:
        DatasetError: There is no such data set, or it is not here, or it holds nothing usable.
    """
    if name.startswith(PREFIX):
        from ghn_studio.engine.folders import load_folder  # at the top it would import this module in a circle

        return (yield from load_folder(name, size))
    if name in PUBLISHED:
        from ghn_studio.engine.published_images import load_published  # likewise

        return (yield from load_published(name))
    yield Progress("loading images")
    return _digits(describe(name))


@lru_cache(maxsize=1)
def _digits(info: DatasetInfo) -> ImageData:
    from sklearn.datasets import load_digits  # takes a second to import, and folders do not need it

    bunch = load_digits()
    # Grey levels 0..16 become 0..255; only 8 falls on a half, and becomes 128.
    images = (torch.from_numpy(bunch.images) * (255 / 16)).round().to(torch.uint8).unsqueeze(1)
    labels = torch.from_numpy(bunch.target).long()
    parts = {
        name: Split(images[at], labels[at])
        for name, at in divide([str(i) for i in range(len(labels))], labels.tolist()).items()
    }
    return ImageData(with_statistics(info, parts), parts["train"], parts["validation"], parts["test"])


def with_statistics(info: DatasetInfo, parts: dict[str, Split]) -> DatasetInfo:
    """Return ``info`` with mean, standard deviation and counts of the pixels read."""
    counts = (len(parts["train"]), len(parts["validation"]), len(parts["test"]))
    mean, std = channel_statistics(parts["train"].images)
    return replace(info, mean=mean, std=std, counts=counts)


def digest_of(data: ImageData) -> str:
    """A digest of the labels and of every hundredth image: another data set has another."""
    found = sha256()
    for split in (data.train, data.validation, data.test):
        found.update(split.labels.numpy().tobytes())
        found.update(split.images[::100].contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of uint8 images, on a scale of 0 to 1.

    Exact: counted in whole numbers, so neither order nor memory matters. A channel
    without variation gets 1 as its deviation, so that it can be divided by.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for channel in range(images.shape[1]):
        counts = torch.bincount(images[:, channel].reshape(-1).int(), minlength=256).double()
        share = counts / counts.sum()
        mean = float((share * values).sum())
        std = float((share * (values - mean) ** 2).sum().sqrt())
        means.append(round(mean, 6))
        stds.append(round(std, 6) or 1.0)
    return tuple(means), tuple(stds)


def adapt(images: Tensor, input_shape: tuple[int, int, int], info: DatasetInfo) -> Tensor:
    """Return uint8 images ``(N, C, H, W)`` as the float32 batch a network's input takes.

    Each channel is normalised by the training images' mean and deviation, then channels
    are matched (grey repeated, colour weighted to grey by BT.601), then the image is
    resized bilinearly (antialiased when it shrinks) to exactly the input's height and
    width. All three are linear, so their order only decides the cost. Works on the
    device ``images`` lie on.

    Raises:
        DatasetError: The data set's statistics are unknown, or colour images meet an
            input that has neither 1 nor 3 channels.
    """
    if len(info.mean) != images.shape[1]:
        raise DatasetError(
            f"'{info.name}' has statistics for {len(info.mean)} channels but images with {images.shape[1]}: "
            "load it first"
        )
    mean = torch.tensor(info.mean, device=images.device).view(1, -1, 1, 1)
    std = torch.tensor(info.std, device=images.device).view(1, -1, 1, 1)
    batch = (images.float() / 255 - mean) / std
    batch = _match_channels(batch, input_shape[0], info)
    if tuple(batch.shape[2:]) != tuple(input_shape[1:]):
        batch = F.interpolate(batch, size=tuple(input_shape[1:]), mode="bilinear", antialias=True)
    if batch.shape[1] != input_shape[0]:
        batch = batch.expand(-1, input_shape[0], -1, -1)
    return batch.contiguous()


class Feed:
    """Batches of one split, fitted to a network's input on the device it runs on.

    Images are fitted once if all of them take at most ``CACHE_BYTES``, else batch by batch.
    With ``channels_last`` their memory is laid out so that most convolutions run faster.
    """

    def __init__(
        self, split: Split, input_shape: tuple[int, int, int], info: DatasetInfo,
        device: torch.device | str = "cpu", *, channels_last: bool = False,
    ) -> None:
        self.input_shape, self.info = input_shape, info
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self.labels = split.labels.to(device)
        self._images = split.images
        self._device = torch.device(device)
        small = 4 * len(split) * prod(input_shape) <= CACHE_BYTES
        self._fitted = self._fit(split.images) if small else None

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, at: slice | Tensor) -> Tensor:
        """The fitted images at the positions ``at`` (a slice, or indices on the processor)."""
        if self._fitted is None:
            return self._fit(self._images[at])
        return self._fitted[at if isinstance(at, slice) else at.to(self._device)]

    def _fit(self, images: Tensor) -> Tensor:
        return adapt(images.to(self._device), self.input_shape, self.info).contiguous(memory_format=self._layout)


def _match_channels(batch: Tensor, channels: int, info: DatasetInfo) -> Tensor:
    """Weight colours to grey where the input is grey; grey images stay and are repeated last, once resized."""
    if batch.shape[1] in (1, channels):
        return batch
    if channels != 1:
        raise DatasetError(
            f"the network takes images with {channels} channels; '{info.name}' has {batch.shape[1]}. "
            "Set the input to 1 or 3 channels"
        )
    weights = torch.tensor(LUMA, device=batch.device).view(1, 3, 1, 1)
    return (batch * weights).sum(1, keepdim=True)


def adaptation_text(info: DatasetInfo, input_shape: tuple[int, int, int]) -> str:
    """Say how images are fitted: ``8×8 grey → 3×16×16: resized, repeated over 3 channels, normalised``."""
    channels, height, width = info.shape
    colour = "grey" if channels == 1 else "colour" if channels == 3 else f"{channels} channels"
    steps = []
    if (height, width) != tuple(input_shape[1:]):
        steps.append("resized")
    if channels == 1 != input_shape[0]:
        steps.append(f"repeated over {input_shape[0]} channels")
    elif channels != input_shape[0]:
        steps.append("weighted to grey")
    steps.append("normalised")
    before = f" ({info.preparation})" if info.preparation else ""
    return f"{height}×{width} {colour}{before} → {'×'.join(map(str, input_shape))}: {', '.join(steps)}"
