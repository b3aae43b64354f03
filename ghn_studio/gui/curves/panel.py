"""Prediction against training: curves, the prediction's line and their crossing in words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QMenu,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.app.results import CompareReport, FinetuneReport, PredictReport
from ghn_studio.engine.descent.curves import CurvePoint, Match, steps_to_match
from ghn_studio.gui.banner import Message
from ghn_studio.gui.curves.series import Curve, curves_of, table
from ghn_studio.gui.curves.tones import tones
from ghn_studio.gui.look import colour, colour_dot, empty_state, label, stale_line
from ghn_studio.gui.saving import png, save_as
from ghn_studio.gui.wording import crossing, duration, finetuned, percent, plural, shorten

if TYPE_CHECKING:
    from ghn_studio.gui.curves.plot import CurvePlot

#: Milliseconds between two drawings while points arrive.
INTERVAL = 100

#: Letters of a name in the legend.
LONGEST_NAME = 36


class CurvePanel(QWidget):
    """Grows point by point while a network trains; earlier runs can be laid over it."""

    message = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("curve")
        self.plot: CurvePlot | None = None
        self._points: list[CurvePoint] = []
        self._overlaid: tuple[Curve, ...] = ()
        self._hidden: set[str] = set()
        self._switches: list[QCheckBox] = []
        self._switched: list[str] = []
        self._goal: float | None = None
        self._goal_name = "predicted"
        self._late = QTimer(self, singleShot=True, interval=INTERVAL)
        self._late.timeout.connect(self._draw)
        self.sentence = label("", "strong", wrap=True)
        self.sentence.setObjectName("curve.sentence")
        self.sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.settings = label("", "muted", wrap=True)
        self.settings.setObjectName("curve.settings")
        self.stale = stale_line("This curve belongs to an earlier version of the network, or to another one.")
        self._stack = QStackedWidget()
        self._stack.addWidget(_empty())
        self._chart = QWidget()
        self._column = QVBoxLayout(self._chart)
        self._column.setContentsMargins(16, 10, 12, 8)
        self._column.setSpacing(4)
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self.sentence, 1)
        self.quantity = _choice("curve.quantity", "What is drawn", (("Accuracy", "accuracy"), ("Loss", "loss")))
        self.axis = _choice("curve.axis", "What it is drawn against", (("Steps", "step"), ("Seconds", "seconds")))
        for box in (self.quantity, self.axis):
            box.activated.connect(self._on_view)
            top.addWidget(box)
        top.addWidget(self._menu_button())
        self._legend = QHBoxLayout()
        self._legend.setSpacing(12)
        self._legend.addStretch(1)
        self._column.addWidget(self.stale)
        self._column.addLayout(top)
        self._column.addWidget(self.settings)
        self._column.addLayout(self._legend)
        self._stack.addWidget(self._chart)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stack)

    @property
    def points(self) -> tuple[CurvePoint, ...]:
        """The curves of this run so far."""
        return tuple(self._points)

    @property
    def curves(self) -> tuple[Curve, ...]:
        """All curves: those of this run, then those laid over it."""
        return (*curves_of(self._points), *self._overlaid)

    def begin(self, doing: str = "Predicting, then training from a random start…") -> None:
        """Start an empty chart for a new run."""
        self._points, self._goal, self._overlaid = [], None, ()
        self._hidden.clear()
        self.stale.hide()
        self.settings.hide()
        self.sentence.setText(doing)
        self._draw()
        self._stack.setCurrentWidget(self._chart)

    def show_prediction(self, report: PredictReport) -> None:
        """Draw the line the curve has to reach."""
        self._goal = report.accuracy
        self._goal_name = "predicted" if report.head == "predicted" and report.init == "ghn" else report.label
        self._draw()

    def add_point(self, point: CurvePoint) -> None:
        """Draw one more evaluation, a moment later if others came just before."""
        self._points.append(point)
        who = "SGD" if point.series == "sgd" else "Training"
        self.sentence.setText(
            f"{who}: {percent(point.accuracy)} after step {point.step:,}, {duration(point.seconds)} of training."
        )
        if not self._late.isActive():
            self._late.start()

    def show_report(self, report: CompareReport) -> None:
        """Show the finished comparison."""
        self._points, self._goal = list(report.sgd), report.predicted_accuracy
        if report.prediction is not None:
            self.show_prediction(report.prediction)
        self._finish(crossing(report), report.settings, report.notes)

    def show_finetuned(self, report: FinetuneReport) -> None:
        """Show the finished fine-tuning, beside training from scratch."""
        self._points, self._goal = [*report.curve, *report.scratch], report.initial_accuracy
        self._finish(finetuned(report), report.settings, report.notes)

    def overlay(self, curves: Sequence[Curve]) -> None:
        """Lay curves of other runs over what is drawn, in place of those laid over it before."""
        self._overlaid = tuple(curves)
        self._hidden.clear()
        self._draw()
        self._stack.setCurrentWidget(self._chart)
        if not self._points:
            self.sentence.setText(f"{plural(len(curves), 'curve')} of earlier runs.")

    def show_stopped(self) -> None:
        """Say that the curve is not complete."""
        if self._points:
            last = self._points[-1]
            self.sentence.setText(f"Stopped: training was at {percent(last.accuracy)} after step {last.step:,}.")
        else:
            self.sentence.setText("Stopped before the first evaluation.")

    def clear(self) -> None:
        """Forget the curves: another project was opened."""
        self._points, self._goal, self._overlaid = [], None, ()
        self._late.stop()
        self.stale.hide()
        self._stack.setCurrentIndex(0)

    def set_stale(self, stale: bool) -> None:
        """Say that the network was edited since."""
        self.stale.setVisible(stale and bool(self._points))

    def restyle(self) -> None:
        """Take on the colours of the current theme."""
        if self.plot is not None:
            self.plot.restyle()
            self._fill_legend()

    def prepare(self) -> CurvePlot:
        """Build the chart, once. Done in a quiet moment, the first curve appears without a hitch."""
        if self.plot is None:
            # Imported here: pyqtgraph and NumPy must not delay the first paint.
            from ghn_studio.gui.curves.plot import CurvePlot

            self.plot = CurvePlot()
            self._column.addWidget(self.plot, 1)
            self.plot.grab()  # loads the axes' fonts, a tenth of a second, before it matters
        return self.plot

    def _finish(self, sentence: str, settings: str, notes: Sequence[str]) -> None:
        self._late.stop()
        self.sentence.setText(sentence)
        self.settings.setText(" · ".join(text for text in (settings, *notes) if text))
        self.settings.setVisible(bool(self.settings.text()))
        self._draw()
        self._stack.setCurrentWidget(self._chart)

    def _draw(self) -> None:
        curves = self.curves
        self.prepare().show_curves(
            [c for c in curves if c.key not in self._hidden], self._goal, self._match(), self._goal_name
        )
        self._fill_legend()

    def _match(self) -> Match | None:
        """Where training from scratch reaches the goal; fine-tuning begins there."""
        if self._goal is None:
            return None
        scratch = [p for p in self._points if p.series in ("sgd", "scratch")]
        return steps_to_match(scratch, self._goal)

    def _fill_legend(self) -> None:
        """A switch for each curve, where there are several."""
        curves = self.curves if len(self.curves) > 1 else ()
        boxes, keys = self._switches, [c.key for c in curves]
        if self._switched != keys:
            for box in boxes:
                self._legend.removeWidget(box)
                box.deleteLater()
            boxes = []
            for curve in curves:
                box = QCheckBox(shorten(curve.name, LONGEST_NAME))
                box.setObjectName(f"curve.legend.{curve.kind}")
                box.setAccessibleName(curve.name)
                box.setToolTip(f"Show or hide “{curve.name}”")
                box.setMinimumWidth(48)  # many names must not widen the window
                box.setChecked(curve.key not in self._hidden)
                box.toggled.connect(partial(self._on_legend, curve.key))
                self._legend.insertWidget(len(boxes), box)
                boxes.append(box)
            self._switches, self._switched = boxes, keys
        shown = iter(tones([c for c in curves if c.key not in self._hidden]))
        for box, curve in zip(boxes, curves, strict=True):
            box.setIcon(QIcon(colour_dot(colour("muted") if curve.key in self._hidden else next(shown))))

    def _on_legend(self, key: str, is_shown: bool) -> None:
        (self._hidden.discard if is_shown else self._hidden.add)(key)
        self._draw()

    def _on_view(self) -> None:
        self.prepare().show_as(self.axis.currentData(), self.quantity.currentData())

    def _menu_button(self) -> QToolButton:
        button = QToolButton()
        button.setText("⋯")
        button.setAccessibleName("Save or copy the chart")
        button.setToolTip("Save or copy the chart")
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(button)
        menu.addAction("Copy picture", self.copy_picture)
        menu.addAction("Copy table", self.copy_table)
        menu.addAction("Save picture…", self._save_picture)
        menu.addAction("Save table…", self._save_table)
        button.setMenu(menu)
        return button

    def copy_picture(self) -> None:
        """Put the chart on the clipboard."""
        if self.plot is not None:
            QApplication.clipboard().setPixmap(self.plot.grab())

    def copy_table(self) -> None:
        """Put the curves on the clipboard as comma-separated values."""
        QApplication.clipboard().setText(table(self.curves))

    def content(self, file: Path) -> bytes:
        """The chart, as PNG or SVG, or the curves, as CSV: the ending decides."""
        if file.suffix.lower() == ".csv":
            return table(self.curves).encode()
        plot = self.prepare()
        return plot.svg() if file.suffix.lower() == ".svg" else png(plot.grab())

    def _save_picture(self) -> None:
        self._tell(save_as(self, "Save picture", "curve.png", "PNG picture (*.png);;SVG picture (*.svg)", self.content))

    def _save_table(self) -> None:
        self._tell(save_as(self, "Save table", "curve.csv", "Table (*.csv)", self.content))

    def _tell(self, message: Message | None) -> None:
        if message is not None:
            self.message.emit(message)


def _choice(name: str, title: str, entries: Sequence[tuple[str, str]]) -> QComboBox:
    box = QComboBox()
    box.setObjectName(name)
    box.setAccessibleName(title)
    box.setToolTip(title)
    for text, value in entries:
        box.addItem(text, value)
    return box


def _empty() -> QWidget:
    return empty_state(
        "Compare with SGD to see how long training needs",
        "The same network is trained from a random start until it reaches the prediction, or the budget ends. "
        "Fine-tune goes on from the prediction instead.",
    )
