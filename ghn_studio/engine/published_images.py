"""Published data sets: torchvision's addresses and checksums, and loading what was downloaded.

A file is hashed and read through the same open handle each time it is loaded: it may have
been exchanged since it was downloaded, and CIFAR's batches are pickles.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import torch

from ghn_studio.datasets import DatasetInfo
from ghn_studio.datasets.division import divide, shuffled
from ghn_studio.datasets.published import PUBLISHED
from ghn_studio.engine.data import ImageData, Split, with_statistics
from ghn_studio.engine.image_files import read_batches, read_idx, read_mat
from ghn_studio.errors import DatasetError
from ghn_studio.jobs import Job, Progress

#: The share of the training images that is held out.
VALIDATION_SHARE = Fraction(1, 10)

#: Further addresses of the same files; checksums tell if they are not.
_MIRRORS = {
    "mnist": ("https://storage.googleapis.com/cvdf-datasets/mnist/",),
    "fashion-mnist": ("https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",),
}
_PIECE_BYTES = 1 << 22

_Part: TypeAlias = tuple[Any, Any]  # images (N, C, H, W) and labels (N,)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A published file: its name, its addresses, and the MD5 it is known by."""

    name: str
    urls: tuple[str, ...]
    md5: str


def remote_files(name: str) -> tuple[RemoteFile, ...]:
    """Where the files of a published data set are, as torchvision knows it. Imports torchvision.

    Addresses may be of plain http.
    """
    kind = _torchvision(name)
    if name in ("cifar10", "cifar100"):
        return (RemoteFile(kind.filename, (kind.url,), kind.tgz_md5),)
    if name == "svhn":
        return tuple(RemoteFile(file, (url,), md5) for url, file, md5 in map(kind.split_list.get, ("train", "test")))
    folders = (*kind.mirrors, *_MIRRORS[name])
    return tuple(RemoteFile(file, tuple(folder + file for folder in folders), md5) for file, md5 in kind.resources)


def load_published(name: str) -> Job[ImageData]:
    """Load a published data set from its files in the user's data folder.

    The published test images are the test part. A tenth of each class of the training
    images is held out for validation, as in :mod:`ghn_studio.datasets.division`.

    Raises:
        DatasetError: It is not here (the message says how to get it), or its files are not the published ones.
    """
    images = PUBLISHED[name]
    if not images.is_here:
        raise DatasetError(
            f"'{name}' has to be downloaded first, {images.bytes / 2**20:,.0f} MB: choose it in the window's list of "
            f"datasets, or run `ghn-studio download-dataset {name}`, or add --download"
        )
    yield Progress("loading images")
    parts = yield from (_load_cifar(name) if name.startswith("cifar") else _load_pairs(name))
    yield Progress("dividing images")
    return _assemble(images.info, *parts)


def _torchvision(name: str) -> Any:
    from torchvision import datasets

    kinds = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "mnist": "MNIST", "fashion-mnist": "FashionMNIST",
             "svhn": "SVHN"}
    return getattr(datasets, kinds[name])


def _load_cifar(name: str) -> Job[tuple[_Part, _Part]]:
    kind = _torchvision(name)
    (remote,) = remote_files(name)
    train, test = ([f"{kind.base_folder}/{file}" for file, _ in files] for files in (kind.train_list, kind.test_list))
    path = PUBLISHED[name].folder / remote.name
    with _open(path) as file:
        yield from _verify(file, path, remote.md5, name)
        key = "labels" if name == "cifar10" else "fine_labels"
        batches = yield from read_batches(file, remote.name, [*train, *test], key)
    return _joined([batches[n] for n in train]), _joined([batches[n] for n in test])


def _load_pairs(name: str) -> Job[tuple[_Part, _Part]]:
    """Two parts of one MATLAB file each, or of two IDX files each: images, then labels."""
    contents: list[Any] = []
    for remote in remote_files(name):
        path = PUBLISHED[name].folder / remote.name
        with _open(path) as file:
            yield from _verify(file, path, remote.md5, name)
            contents.append(read_mat(file, remote.name) if name == "svhn" else read_idx(file, remote.name))
    if name == "svhn":
        return contents[0], contents[1]
    return (contents[0][:, None], contents[1]), (contents[2][:, None], contents[3])


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise DatasetError(f"'{path}' cannot be read: {error.strerror or error}") from error


def _verify(file: IO[bytes], path: Path, md5: str, name: str) -> Job[None]:
    """Compare a file with what was published, and go back to its beginning."""
    digest, size, done = hashlib.md5(usedforsecurity=False), path.stat().st_size, 0
    while piece := file.read(_PIECE_BYTES):
        digest.update(piece)
        done += len(piece)
        yield Progress(f"checking {path.name}", done, size, unit="B")
    if digest.hexdigest() != md5:
        raise DatasetError(
            f"'{path}' is not the published file: expected md5 {md5}, got {digest.hexdigest()}. It is not read; "
            f"`ghn-studio download-dataset {name}` fetches it again"
        )
    file.seek(0)


def _joined(batches: Sequence[_Part]) -> _Part:
    return np.concatenate([images for images, _ in batches]), [label for _, labels in batches for label in labels]


def _assemble(info: DatasetInfo, train: _Part, test: _Part) -> ImageData:
    learned, held_back = _split(info, *train), _split(info, *test)
    shares = (("train", 1 - VALIDATION_SHARE), ("validation", VALIDATION_SHARE))
    at = divide([f"train/{i}" for i in range(len(learned))], learned.labels.tolist(), shares)
    parts = {part: _taken(learned, positions) for part, positions in at.items()}
    parts["test"] = _taken(held_back, shuffled([f"test/{i}" for i in range(len(held_back))]))
    return ImageData(with_statistics(info, parts), parts["train"], parts["validation"], parts["test"])


def _split(info: DatasetInfo, images: Any, labels: Any) -> Split:
    """Check that images and labels are what the data set is said to hold."""
    pixels = torch.from_numpy(np.require(images, requirements=["C", "W"]))
    numbers = torch.from_numpy(np.array(labels, np.int64))
    if tuple(pixels.shape[1:]) != info.shape or numbers.shape != (len(pixels),) or not len(pixels):
        raise DatasetError(f"'{info.name}' should hold images of {'×'.join(map(str, info.shape))} with one label each")
    if int(numbers.min()) < 0 or int(numbers.max()) >= info.class_count:
        raise DatasetError(f"'{info.name}' should hold labels from 0 to {info.class_count - 1}")
    return Split(pixels, numbers)


def _taken(split: Split, positions: list[int]) -> Split:
    at = torch.tensor(positions, dtype=torch.long)
    return Split(split.images[at], split.labels[at])
