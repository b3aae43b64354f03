"""What is known about image data sets without their pixels: titles, classes, shapes, sources. No torch."""

import re
from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType

from ghn_studio.datasets.folder import PREFIX, describe_folder
from ghn_studio.datasets.info import DIGITS, LUMA, DatasetInfo
from ghn_studio.datasets.published import PUBLISHED
from ghn_studio.errors import DatasetError

__all__ = ["DATASETS", "LUMA", "DatasetInfo", "describe", "is_folder", "portable_name", "several"]

#: The data sets that need no path, by name; those of ``PUBLISHED`` have to be downloaded first.
DATASETS: Mapping[str, DatasetInfo] = MappingProxyType(
    {DIGITS.name: DIGITS} | {name: images.info for name, images in PUBLISHED.items()}
)


def is_folder(name: str) -> bool:
    """True for the name of an image folder."""
    return name.startswith(PREFIX)


def several(names: str) -> tuple[str, ...]:
    """The data sets of ``digits+folder:PATH``, in order. A plus sign inside a path stays part of it."""
    known = "|".join(map(re.escape, DATASETS))
    return tuple(part.strip() for part in re.split(rf"\+\s*(?=(?:{known})\s*(?:\+|$)|{PREFIX})", names))


def portable_name(name: str) -> str:
    """A data set's name as cards record it: of a folder only its own name, which other machines know too."""
    return PREFIX + PurePath(name.removeprefix(PREFIX)).name if is_folder(name) else name


def describe(name: str, size: int | None = None) -> DatasetInfo:
    """Return what is known about one of ``DATASETS`` or ``folder:PATH``, here or not.

    Args:
        size: Side in px that a folder's images are to be stored at; by default the median
            of their shorter sides, at most 64.

    Raises:
        DatasetError: There is no such data set, or the folder holds no classes of images.
    """
    if name in DATASETS:
        return DATASETS[name]
    if is_folder(name):
        return describe_folder(name, size)
    raise DatasetError(f"there is no data set '{name}': use {', '.join(DATASETS)} or {PREFIX}PATH")
