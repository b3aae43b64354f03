"""Saving the drawing as a picture: PNG in up to four times its size, or SVG."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from PySide6.QtCore import QObject, QRect, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QProgressBar,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.gui.canvas import CanvasView
from ghn_studio.gui.canvas.vector import drawing
from ghn_studio.gui.jobs.background import Background
from ghn_studio.gui.look import label
from ghn_studio.jobs import Job, Progress

MAX_SCALE = 4
#: Larger pictures take more memory than is reasonable, and programs that show them fail.
_MAX_SIDE, _MAX_PIXELS = 32_000, 120_000_000
#: How long one step may draw before the window gets its turn, in seconds.
_STEP_S = 0.008


class PictureExport(QObject):
    """Draws in steps on the window's thread, for only there fonts and items may be touched; writes beside it.

    ``progressed`` carries the share done, ``finished`` the file or, with an empty path, nothing
    after a cancellation; ``failed`` says why there is no file.
    """

    progressed = Signal(float)
    finished = Signal(str)
    failed = Signal(str)

    def __init__(self, view: CanvasView, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._view = view
        self._steps: Iterator[float] | None = None
        self._painter: QPainter | None = None
        self._image: QImage | None = None
        self._file = Path()
        self._writing = Background(self)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._draw_on)

    def size(self, scale: int) -> QSize:
        """Width and height of the picture, in pixels."""
        return (self._view.canvas.content_rect().size() * scale).toSize()

    def refusal(self, scale: int, *, vector: bool) -> str:
        """Why there can be no such picture; empty if there can."""
        size = self.size(scale)
        if not self._view.canvas.nodes:
            return "The canvas is empty."
        if not vector and (max(size.width(), size.height()) > _MAX_SIDE or size.width() * size.height() > _MAX_PIXELS):
            return (f"{size.width():,} × {size.height():,} pixels are too many for a PNG; choose a smaller scale, "
                    "or SVG.")
        return ""

    def start(self, file: Path, *, scale: int, transparent: bool) -> None:
        """Draw the network into ``file``; its ending says the format."""
        self.cancel()
        self._file = file
        vector = file.suffix.lower() == ".svg"
        reason = self.refusal(scale, vector=vector)
        if reason:
            self.failed.emit(reason)
            return
        bounds = self._view.canvas.content_rect()
        painter = QPainter(self._sheet(bounds, vector=vector, scale=scale, transparent=transparent))
        if not painter.isActive():
            self.failed.emit(f"{file}: cannot be written. Choose another folder.")
            return
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.TextAntialiasing)
        if vector and not transparent:
            painter.fillRect(QRectF(0, 0, bounds.width(), bounds.height()), QColor(self._view.tokens.canvas))
        if not vector:
            painter.scale(scale, scale)
        painter.translate(-bounds.left(), -bounds.top())
        self._painter = painter
        self._graph = self._view.document.project
        self._steps = drawing(self._view.canvas, painter, shadows=not vector)
        self._timer.start(0)

    def cancel(self) -> None:
        """Stop drawing; there will be no file."""
        if self._painter is not None:
            vector = self._image is None
            self._end_drawing()
            if vector:
                self._file.unlink(missing_ok=True)
            self.finished.emit("")
        self._writing.cancel()

    def stop(self, timeout_s: float) -> None:
        """Cancel and wait for the thread that writes."""
        self.cancel()
        self._writing.stop(timeout_s)

    def _sheet(self, bounds: QRectF, *, vector: bool, scale: int, transparent: bool) -> QSvgGenerator | QImage:
        if vector:
            self._image = None
            self._generator = QSvgGenerator()
            self._generator.setFileName(str(self._file))
            self._generator.setSize(bounds.size().toSize())
            self._generator.setViewBox(QRect(0, 0, round(bounds.width()), round(bounds.height())))
            self._generator.setTitle(self._view.document.graph.name)
            self._generator.setDescription("Drawn by GHN Studio")
            return self._generator
        self._image = QImage(self.size(scale), QImage.Format.Format_ARGB32_Premultiplied)
        self._image.fill(Qt.GlobalColor.transparent if transparent else QColor(self._view.tokens.canvas))
        return self._image

    def _draw_on(self) -> None:
        if self._view.document.project is not self._graph:
            self.failed.emit("The network changed while it was drawn. Export it again.")
            self.cancel()
            return
        until = time.perf_counter() + _STEP_S
        assert self._steps is not None
        for share in self._steps:
            self.progressed.emit(share)
            if time.perf_counter() > until:
                return
        self._end_drawing()
        if self._image is None:
            self.finished.emit(str(self._file))
        else:
            self._write(self._image)

    def _write(self, image: QImage) -> None:
        file = self._file
        self._image = None
        self._writing.start(
            _saved(image, file), succeeded=lambda good: self.finished.emit(str(file)) if good else self.failed.emit(
                f"{file}: cannot be written. Choose another folder."))

    def _end_drawing(self) -> None:
        self._timer.stop()
        self._steps = None
        if self._painter is not None:
            self._painter.end()
            self._painter = None


def _saved(image: QImage, file: Path) -> Job[bool]:
    yield Progress("writing")
    return image.save(str(file), "PNG")  # type: ignore[call-overload, no-any-return]


class PictureDialog(QDialog):
    """Asks for format and scale, and stays open with its progress until the file is there."""

    #: The file that was written.
    saved = Signal(str)

    def __init__(self, view: CanvasView, folder: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("dialog.picture")
        self.setWindowTitle("Export picture")
        self.setMinimumWidth(400)
        self._folder, self._name = folder, view.document.graph.name or "network"
        self.export = PictureExport(view, self)
        self.format = QComboBox()
        self.format.setObjectName("picture.format")
        self.format.addItem("PNG, pixels", ".png")
        self.format.addItem("SVG, lines and text", ".svg")
        self.scale = QSpinBox()
        self.scale.setObjectName("picture.scale")
        self.scale.setRange(1, MAX_SCALE)
        self.scale.setValue(2)
        self.scale.setSuffix(" ×")
        self.transparent = QCheckBox("Transparent background")
        self.transparent.setObjectName("picture.transparent")
        self.note = label("", "muted", wrap=True)
        self.bar = QProgressBar()
        self.bar.setRange(0, 100)
        self.bar.setTextVisible(False)
        self.bar.hide()
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.ok = self.buttons.addButton("Export…", QDialogButtonBox.ButtonRole.ActionRole)
        self.ok.setObjectName("picture.export")
        self.ok.setDefault(True)
        form = QFormLayout()
        form.addRow("Format", self.format)
        form.addRow("Scale", self.scale)
        form.addRow("", self.transparent)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(12)
        column.addLayout(form)
        column.addWidget(self.note)
        column.addWidget(self.bar)
        column.addWidget(self.buttons)
        self.format.currentIndexChanged.connect(self._refresh)
        self.scale.valueChanged.connect(self._refresh)
        self.ok.clicked.connect(self._ask_for_file)
        self.buttons.rejected.connect(self.reject)
        self.export.progressed.connect(lambda share: self.bar.setValue(round(100 * share)))
        self.export.finished.connect(self._on_finished)
        self.export.failed.connect(self._on_failed)
        self._refresh()

    @property
    def is_vector(self) -> bool:
        """True if lines are written, not pixels."""
        return bool(self.format.currentData() == ".svg")

    def write(self, file: Path) -> None:
        """Draw into ``file`` with the choices made."""
        self.bar.setValue(0)
        self.bar.show()
        self.ok.setEnabled(False)
        self.export.start(file, scale=self.scale.value(), transparent=self.transparent.isChecked())

    def reject(self) -> None:
        """Stop what is drawn and close."""
        self.export.stop(3.0)
        super().reject()

    def _refresh(self) -> None:
        self.scale.setEnabled(not self.is_vector)
        reason = self.export.refusal(self.scale.value(), vector=self.is_vector)
        size = self.export.size(1 if self.is_vector else self.scale.value())
        unit = "units; sharp at any size" if self.is_vector else "pixels"
        self.note.setText(reason or f"{size.width():,} × {size.height():,} {unit}.")
        self.ok.setEnabled(not reason)
        self.ok.setToolTip(reason)

    def _ask_for_file(self) -> None:
        ending = str(self.format.currentData())
        kind = "SVG pictures (*.svg)" if self.is_vector else "PNG pictures (*.png)"
        chosen, _ = QFileDialog.getSaveFileName(self, "Export picture", str(self._folder / (self._name + ending)), kind)
        if chosen:
            self.write(Path(chosen) if chosen.lower().endswith(ending) else Path(chosen + ending))

    def _on_finished(self, file: str) -> None:
        if file:
            self.saved.emit(file)
            self.accept()

    def _on_failed(self, reason: str) -> None:
        self.bar.hide()
        self.note.setText(reason)
        self.ok.setEnabled(True)
