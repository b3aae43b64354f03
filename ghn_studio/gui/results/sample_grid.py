"""Test images with the network's answers. Pictures are made when they scroll into view, not before."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter, QPen
from PySide6.QtWidgets import QFrame, QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from ghn_studio.app.results import Sample
from ghn_studio.gui.look import colour
from ghn_studio.gui.wording import percent

PICTURE = 56
CELL = QSize(76, 88)

_Index = QModelIndex | QPersistentModelIndex
_SAMPLE = Qt.ItemDataRole.UserRole


class SampleModel(QAbstractListModel):
    """The images that pass the filter, wrong answers first (the report's order)."""

    def __init__(self) -> None:
        super().__init__()
        self._all: tuple[Sample, ...] = ()
        self._shown: tuple[Sample, ...] = ()
        self.classes: tuple[str, ...] = ()

    @property
    def samples(self) -> tuple[Sample, ...]:
        """What is on show."""
        return self._shown

    def set_samples(self, samples: Sequence[Sample], classes: tuple[str, ...]) -> None:
        """Show other images, unfiltered."""
        self.beginResetModel()
        self._all = self._shown = tuple(samples)
        self.classes = classes
        self.endResetModel()

    def filter(self, label: int | None, answer: int | None) -> None:
        """Keep images of the true class ``label`` that got ``answer``; None keeps every class."""
        self.beginResetModel()
        self._shown = tuple(
            s for s in self._all if (label is None or s.label == label) and (answer is None or s.answer == answer)
        )
        self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self._shown)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        sample = self._shown[index.row()]
        if role == _SAMPLE:
            return sample
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._sentence(sample)
        return None

    def _sentence(self, sample: Sample) -> str:
        answer, label = self.classes[sample.answer], self.classes[sample.label]
        verdict = "right" if sample.answer == sample.label else f"it is {label}"
        return f"Test image {sample.index}: the network says {answer} ({percent(sample.probability)}), {verdict}"


class _Delegate(QStyledItemDelegate):
    """Draws one image with a coloured frame, the answer and its probability."""

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return CELL

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        sample = index.data(_SAMPLE)
        right = sample.answer == sample.label
        verdict = colour("ok" if right else "error")
        painter.save()
        box = QRect(0, 0, PICTURE, PICTURE)
        rect = option.rect
        box.moveCenter(rect.center())
        box.moveTop(rect.top() + 4)
        painter.drawImage(box, _image(sample))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.setPen(QPen(colour("selection") if selected else verdict, 2))
        painter.drawRoundedRect(box.adjusted(-1, -1, 1, 1), 3, 3)
        model = index.model()
        answer = model.classes[sample.answer]  # type: ignore[attr-defined]
        text = answer if right else f"{answer}, not {model.classes[sample.label]}"  # type: ignore[attr-defined]
        below = QRect(rect.left(), box.bottom() + 4, rect.width(), 22)
        self._text(painter, below, f"{'✓' if right else '✗'} {text}", verdict)
        painter.restore()

    def _text(self, painter: QPainter, rect: QRect, text: str, ink: QColor) -> None:
        font = QFont(painter.font())
        font.setPixelSize(11)
        painter.setFont(font)
        painter.setPen(ink)
        shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, rect.width() - 4)
        painter.drawText(rect, Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop, shown)


class SampleGrid(QListView):
    """A grid of :class:`SampleModel`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("results.samples")
        self.setAccessibleName("Test images with the network's answers")
        self.samples = SampleModel()
        self.setModel(self.samples)
        self.setItemDelegate(_Delegate(self))
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setUniformItemSizes(True)
        self.setSpacing(2)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setMinimumWidth(2 * CELL.width())


@lru_cache(maxsize=1024)
def _image(sample: Sample) -> QImage:
    """The picture, smoothly enlarged only if it has more than a few pixels."""
    raw = QImage(sample.pixels, sample.width, sample.height, 3 * sample.width, QImage.Format.Format_RGB888)
    small = max(sample.width, sample.height) <= PICTURE // 2
    mode = Qt.TransformationMode.FastTransformation if small else Qt.TransformationMode.SmoothTransformation
    return raw.scaled(PICTURE, PICTURE, Qt.AspectRatioMode.IgnoreAspectRatio, mode).copy()
