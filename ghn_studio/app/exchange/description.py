"""What a stranger has to know to use exported values: how images are prepared, and how well they did.

Both travel in the ``origin`` of the values as plain JSON data, so a project keeps them and every
format of :mod:`ghn_studio.app.exchange.exporting` writes the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from ghn_studio.analysis.shapes import infer_shapes
from ghn_studio.app.results import PredictReport
from ghn_studio.datasets import LUMA, DatasetInfo, describe, portable_name
from ghn_studio.errors import DatasetError, UsageError
from ghn_studio.ir.graph import Architecture
from ghn_studio.ops import REGISTRY

#: Keys of the origin.
PREPROCESSING, FIGURES = "preprocessing", "figures"

CHANNEL_ORDERS = {1: "grey", 3: "RGB"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """How an image of 8 bits per channel becomes an input of the network.

    In this order: divide by 255, take ``mean`` away and divide by ``std`` (one of each per channel of
    the image), weigh colour to grey by ``grey_weights`` where the network takes grey, resize to ``size``,
    repeat grey over ``channels``.

    Attributes:
        size: Height and width the network takes, in px.
        channels: Channels the network takes.
        image_channels: Channels of the image: those of ``channel_order``.
        channel_order: ``RGB`` or ``grey``.
        classes: What the network's outputs stand for, in their order.
        before: What was done to the images before any of this, in words; empty for nothing.
    """

    size: tuple[int, int]
    channels: int
    image_channels: int
    channel_order: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]
    before: str = ""
    grey_weights: tuple[float, ...] = LUMA
    scale: str = "0 to 1"
    resize: str = "bilinear, antialiased"
    layout: str = "NCHW"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Any) -> Self | None:
        """The inverse of :meth:`to_json`; None for anything else, as hand-made files may hold."""
        if not isinstance(data, Mapping) or set(data) != {f.name for f in fields(cls)}:
            return None
        lists: dict[str, Any] = {k: tuple(v) if isinstance(v, list | tuple) else v for k, v in data.items()}
        return cls(**lists)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured with the values. ``label`` says how they were made, ``accuracy`` is a fraction."""

    accuracy: float | None
    loss: float | None
    images: int
    part: str
    dataset: str
    batch_norm: str
    label: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Self | None:
        """The inverse of :meth:`to_json`; None for anything else."""
        if not isinstance(data, Mapping) or set(data) != {f.name for f in fields(cls)}:
            return None
        return cls(**data)

    @property
    def text(self) -> str:
        """``accuracy 0.9121, loss 0.31 on 364 test images of digits (predicted, no training)``."""
        numbers = [f"{name} {value:.4f}" for name, value in (("accuracy", self.accuracy), ("loss", self.loss))
                   if value is not None]
        return f"{', '.join(numbers)} on {self.images:,} {self.part} images of {self.dataset} ({self.label})"


def preprocessing_for(graph: Architecture, info: DatasetInfo) -> Preprocessing | None:
    """How images of a dataset become inputs of ``graph``; None where they cannot be its images.

    That is so if its statistics are not known, if the network tells other classes apart, or if the
    channels cannot be matched.
    """
    inputs = [n for n in graph.nodes.values() if REGISTRY[n.op].takes_images]
    outputs = [n.id for n in graph.nodes.values() if n.op == "output"]
    order = CHANNEL_ORDERS.get(len(info.mean))
    if len(inputs) != 1 or len(outputs) != 1 or order is None or not info.classes:
        return None
    given = infer_shapes(graph, REGISTRY).outputs.get(outputs[0])
    if not given or given[0].shape[1:] != (info.class_count,):
        return None
    shape = inputs[0].params
    if shape.channels not in (1, len(info.mean)) and len(info.mean) != 1:
        return None
    return Preprocessing(
        size=(shape.height, shape.width), channels=shape.channels, image_channels=len(info.mean),
        channel_order=order, mean=info.mean, std=info.std, classes=info.classes, before=info.preparation,
    )


def known_preprocessing(graph: Architecture, origin: Mapping[str, Any], dataset: str = "") -> Preprocessing | None:
    """What the origin says, or else what follows from the dataset it names (``dataset`` if it names none)."""
    found = Preprocessing.from_json(origin.get(PREPROCESSING))
    name = str(origin.get("dataset", dataset))
    if found is not None or not name:
        return found
    try:
        return preprocessing_for(graph, describe(name))
    except (DatasetError, UsageError):  # a folder of images that is not here
        return None


def known_figures(origin: Mapping[str, Any]) -> Figures | None:
    """What was measured with values of this origin, if anything."""
    return Figures.from_json(origin.get(FIGURES))


def figures_of(report: PredictReport) -> Figures | None:
    """What a report measured; None if it evaluated nothing."""
    if report.accuracy is None:
        return None
    return Figures(
        accuracy=_finite(report.accuracy), loss=_finite(report.loss), images=report.images, part="test",
        dataset=portable_name(report.dataset), batch_norm=report.batch_norm, label=report.label,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
