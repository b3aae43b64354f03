"""What is known about image data sets without their pixels: titles, classes, shapes, sources. No torch."""

from ghn_studio.datasets.info import DATASETS, DatasetInfo, describe

__all__ = ["DATASETS", "DatasetInfo", "describe"]
