"""A few images of each class: picked on a worker thread, drawn on the window's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from ghn_studio.gui.look import colour
from ghn_studio.jobs import Job, Progress

#: Images of a class, and classes that are shown.
EACH, MOST_CLASSES = 8, 20

SIDE, GAP, NAME_WIDTH = 40, 4, 96


@dataclass(frozen=True, slots=True)
class Looked:
    """What a data set holds: counts, notes, and images of each class as ``(width, height, RGB bytes)``."""

    counts: tuple[int, int, int]
    notes: tuple[str, ...]
    classes: tuple[str, ...]
    images: tuple[tuple[tuple[int, int, bytes], ...], ...]


def looking(name: str) -> Job[Looked]:
    """Read a data set and pick the first training images of each class. Imports torch.

    Raises:
        DatasetError: It is not here, or damaged.
    """
    from ghn_studio.engine.data import loading

    data = yield from loading(name)
    yield Progress("looking at the images")
    labels = data.train.labels
    rows = []
    for number, _ in enumerate(data.info.classes[:MOST_CLASSES]):
        at = (labels == number).nonzero()[:EACH, 0]
        rows.append(tuple(_rgb(data.train.images[i]) for i in at.tolist()))
    counts = (len(data.train), len(data.validation), len(data.test))
    notes = [f"{s.path}: {s.reason}" for s in data.skipped[:20]]
    if len(data.skipped) > 20:
        notes.append(f"and {len(data.skipped) - 20:,} more files were left out")
    if len(data.info.classes) == 1:
        notes.append("there is one class only: nothing can be told apart")
    return Looked(counts, tuple(notes), data.info.classes, tuple(rows))


def _rgb(image: object) -> tuple[int, int, bytes]:
    from torch import Tensor

    assert isinstance(image, Tensor)
    colours = image if image.shape[0] == 3 else image[:1].expand(3, -1, -1)
    height, width = image.shape[1:]
    return int(width), int(height), colours.permute(1, 2, 0).contiguous().numpy().tobytes()


class PreviewGrid(QWidget):
    """A row of images for each class."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Images of each class")
        self.classes: tuple[str, ...] = ()
        self.pictures: list[list[QImage]] = []

    def show_images(self, classes: Sequence[str], images: Sequence[Sequence[tuple[int, int, bytes]]]) -> None:
        """Show these."""
        self.classes = tuple(classes[: len(images)])
        self.pictures = [
            [QImage(data, width, height, 3 * width, QImage.Format.Format_RGB888).copy() for width, height, data in row]
            for row in images
        ]
        self.setFixedHeight(self.sizeHint().height())
        self.update()

    def sizeHint(self) -> QSize:
        """Room for every row."""
        return QSize(NAME_WIDTH + EACH * (SIDE + GAP), max(1, len(self.pictures)) * (SIDE + GAP))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setPen(colour("muted"))
        for number, (name, row) in enumerate(zip(self.classes, self.pictures, strict=True)):
            top = number * (SIDE + GAP)
            text = painter.fontMetrics().elidedText(name, Qt.TextElideMode.ElideRight, NAME_WIDTH - 10)
            painter.drawText(QRectF(0, top, NAME_WIDTH - 8, SIDE), Qt.AlignmentFlag.AlignVCenter, text)
            for place, picture in enumerate(row):
                painter.drawImage(QRectF(NAME_WIDTH + place * (SIDE + GAP), top, SIDE, SIDE), picture)
        painter.end()
