"""What is known about image data sets without their pixels: titles, classes, shapes, sources. No torch."""

from ghn_studio.datasets.folder import PREFIX, describe_folder
from ghn_studio.datasets.info import DATASETS, DatasetInfo
from ghn_studio.errors import DatasetError

__all__ = ["DATASETS", "DatasetInfo", "describe"]


def describe(name: str, size: int | None = None) -> DatasetInfo:
    """Return what is known about ``digits`` or ``folder:PATH``.

    Args:
        size: Side in px that a folder's images are to be stored at; by default the median
            of their shorter sides, at most 64.

    Raises:
        DatasetError: There is no such data set, or the folder holds no classes of images.
    """
    if name in DATASETS:
        return DATASETS[name]
    if name.startswith(PREFIX):
        return describe_folder(name, size)
    raise DatasetError(f"there is no data set '{name}': use {', '.join(DATASETS)} or {PREFIX}PATH")
