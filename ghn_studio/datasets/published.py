"""Data sets that others published and that have to be downloaded: what they are and whether they are here.

Only names and sizes are written down here. Addresses and checksums are torchvision's
(``engine.published_images``), so that they age with it and not with this program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ghn_studio import paths
from ghn_studio.datasets.info import DatasetInfo


@dataclass(frozen=True, slots=True)
class PublishedImages:
    """One published data set.

    Attributes:
        info: What it holds; statistics and counts are unknown until its pixels are read.
        files: Names of its files, as published.
        bytes: What they take together.
    """

    info: DatasetInfo
    files: tuple[str, ...]
    bytes: int

    @property
    def folder(self) -> Path:
        """Where its files go, in the user's data folder."""
        return paths.user_data() / "datasets" / self.info.name

    @property
    def is_here(self) -> bool:
        """True if every file is here. A download gives a file its name only when it is whole and checked."""
        return all((self.folder / name).is_file() for name in self.files)

    @property
    def begun_bytes(self) -> int:
        """What is on the disk already, files that are still incomplete included."""
        wanted = {name for file in self.files for name in (file, f".{file}.part")}
        try:
            return sum(path.stat().st_size for path in self.folder.iterdir() if path.name in wanted)
        except OSError:
            return 0


_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

#: In the order of the labels, which is that of the alphabet.
_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""

_FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")

_DIGITS = tuple("0123456789")

_MNIST_FILES = (
    "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz",
)

_ALL = (
    PublishedImages(
        DatasetInfo("cifar10", "CIFAR-10", _CIFAR10, (3, 32, 32),
                    "Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"),
        ("cifar-10-python.tar.gz",), 170_498_071,
    ),
    PublishedImages(
        DatasetInfo("cifar100", "CIFAR-100", tuple(_CIFAR100.split()), (3, 32, 32),
                    "Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"),
        ("cifar-100-python.tar.gz",), 169_001_437,
    ),
    PublishedImages(
        DatasetInfo("mnist", "MNIST", _DIGITS, (1, 28, 28),
                    "LeCun, Cortes and Burges, The MNIST database of handwritten digits", can_mirror=False),
        _MNIST_FILES, 11_594_722,
    ),
    PublishedImages(
        DatasetInfo("fashion-mnist", "Fashion-MNIST", _FASHION, (1, 28, 28),
                    "Xiao, Rasul and Vollgraf, Fashion-MNIST, arXiv 1708.07747"),
        _MNIST_FILES, 30_878_645,
    ),
    PublishedImages(
        DatasetInfo("svhn", "Street View House Numbers (SVHN)", _DIGITS, (3, 32, 32),
                    "Netzer et al., Reading Digits in Natural Images with Unsupervised Feature Learning, 2011",
                    can_mirror=False),
        ("train_32x32.mat", "test_32x32.mat"), 246_316_178,
    ),
)

#: By name.
PUBLISHED: Mapping[str, PublishedImages] = MappingProxyType({images.info.name: images for images in _ALL})
