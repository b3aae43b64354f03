"""Notes and comment frames as items of the canvas; they lie behind everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QGraphicsRectItem, QStyleOptionGraphicsItem, QWidget

from ghn_studio.app.drawing.flow import Box
from ghn_studio.app.editing.notes import box_of
from ghn_studio.gui.canvas.items import Layer
from ghn_studio.gui.canvas.paint import OVERVIEW_ZOOM, Pictures
from ghn_studio.gui.theme import SEMIBOLD, Tokens, faded, mixed, ui_font
from ghn_studio.project import Note

PAD = 12.0
#: Height of a frame's title line, and side of the corner that resizes, in scene units.
TITLE, CORNER = 40.0, 18.0
FONT, TITLE_FONT, FAR_FONT = 13.0, 14.0, 11.0
#: Larger text would not fit into a note.
MOST_FONT = 20.0


class NoteItem(QGraphicsRectItem):
    """One note."""

    def __init__(self, note: Note, pictures: Pictures, layer: Layer) -> None:
        super().__init__(layer)
        self._pictures = pictures
        self.is_selected = False
        self.setPen(QPen(Qt.PenStyle.NoPen))
        self.note = note
        self.show_note(note)

    def show_note(self, note: Note) -> None:
        """Show another text, place or size."""
        self.note = note
        self.setRect(QRectF(note.x, note.y, note.width, note.height).adjusted(-3, -40, 3, 3))
        self.setZValue(0 if note.is_frame else 1)
        self.update()

    def mark(self, *, selected: bool) -> None:
        """Let the note stand out, or not."""
        if selected != self.is_selected:
            self.is_selected = selected
            self.update()

    @property
    def box(self) -> Box:
        """Left, top, right and bottom in the scene."""
        return box_of(self.note)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        tokens, zoom = self._pictures.tokens, self._pictures.zoom
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        box = QRectF(self.note.x, self.note.y, self.note.width, self.note.height)
        if self.note.is_frame:
            self._paint_frame(painter, box, tokens, zoom)
        else:
            self._paint_text(painter, box, tokens, zoom)
        if self.is_selected:
            painter.setPen(QPen(QColor(tokens.selection), 2 if zoom > 0.5 else 0))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(box, 8, 8)
        if self.is_selected or zoom >= 0.5:
            self._paint_corner(painter, box, tokens)

    def _paint_text(self, painter: QPainter, box: QRectF, tokens: Tokens, zoom: float) -> None:
        painter.setPen(QPen(faded(tokens.warning, 0.55), 1 if zoom > 0.5 else 0))
        painter.setBrush(mixed(tokens.panel, tokens.warning, 0.10))
        painter.drawRoundedRect(box, 8, 8)
        if zoom < OVERVIEW_ZOOM:
            return
        painter.setFont(ui_font(round(max(FONT, min(FAR_FONT / zoom, MOST_FONT)))))
        empty = not self.note.text
        painter.setPen(QColor(tokens.muted if empty else tokens.text))
        painter.save()
        painter.setClipRect(box.adjusted(2, 2, -2, -2))
        room = box.adjusted(PAD, PAD - 2, -PAD, -PAD + 2)
        painter.drawText(room, Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignLeft, self.note.text or "Empty note")
        painter.restore()

    def _paint_frame(self, painter: QPainter, box: QRectF, tokens: Tokens, zoom: float) -> None:
        pen = QPen(faded(tokens.muted, 0.75), 1.5 if zoom > 0.5 else 0)
        pen.setDashPattern([5, 4])
        painter.setPen(pen)
        painter.setBrush(faded(tokens.warning, 0.05))
        painter.drawRoundedRect(box, 12, 12)
        far = zoom < OVERVIEW_ZOOM
        size = FAR_FONT / zoom if far else max(TITLE_FONT, min(FAR_FONT / zoom, 26.0))
        font = ui_font(round(size), SEMIBOLD)
        metrics = QFontMetricsF(font)
        text = metrics.elidedText(self.note.text or "Comment", Qt.TextElideMode.ElideRight,
                                  max(0.0, box.width() - 2 * PAD))
        painter.setFont(font)
        painter.setPen(QColor(tokens.text))
        baseline = box.top() - 0.4 * size if far else box.top() + 10 + 0.9 * size
        painter.drawText(QPointF(box.left() + PAD + 2, baseline), text)

    def _paint_corner(self, painter: QPainter, box: QRectF, tokens: Tokens) -> None:
        x, y = box.right() - 5, box.bottom() - 5
        painter.setPen(QPen(Qt.PenStyle.NoPen))
        painter.setBrush(faded(tokens.muted, 0.55))
        painter.drawPolygon(QPolygonF([QPointF(x, y - 8), QPointF(x, y), QPointF(x - 8, y)]))


class NoteLayer:
    """The notes of a canvas by name. ``remove`` takes an item out of the scene."""

    def __init__(self, pictures: Pictures, layer: Layer, remove: Callable[[NoteItem], object]) -> None:
        self._pictures, self._layer, self._remove = pictures, layer, remove
        self._items: dict[str, NoteItem] = {}

    def __getitem__(self, name: str) -> NoteItem:
        return self._items[name]

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def show_notes(self, notes: Mapping[str, Note]) -> None:
        """Show exactly these."""
        for name in [n for n in self._items if n not in notes]:
            self._remove(self._items.pop(name))
        for name, note in notes.items():
            item = self._items.get(name)
            if item is None:
                self._items[name] = NoteItem(note, self._pictures, self._layer)
            elif item.note != note:
                item.show_note(note)

    def boxes(self) -> dict[str, Box]:
        """Left, top, right and bottom of each."""
        return {name: item.box for name, item in self._items.items()}

    def redraw(self) -> None:
        """Draw again: the theme is another one."""
        for item in self._items.values():
            item.update()

    def at(self, x: float, y: float) -> str | None:
        """The note whose text, or whose title if it is a frame, contains the point; or whose corner does."""
        hits = [n for n, i in self._items.items() if _grips(i.note, x, y)]
        return next(iter(sorted(hits, key=lambda n: self._items[n].note.is_frame)), None)

    def corner_at(self, x: float, y: float) -> str | None:
        """The note whose lower right corner contains the point."""
        return next((n for n, i in self._items.items() if _on_corner(i.note, x, y)), None)


def _grips(note: Note, x: float, y: float) -> bool:
    inside = note.x <= x <= note.x + note.width and note.y <= y <= note.y + note.height
    return inside and (not note.is_frame or y <= note.y + TITLE or _on_corner(note, x, y))


def _on_corner(note: Note, x: float, y: float) -> bool:
    right, bottom = note.x + note.width, note.y + note.height
    return right - CORNER <= x <= right and bottom - CORNER <= y <= bottom
