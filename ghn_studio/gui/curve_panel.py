"""Prediction against training: the SGD curve, the prediction's line and their crossing in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QApplication,
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.app.results import CompareReport, PredictReport
from ghn_studio.engine.descent.curves import CurvePoint
from ghn_studio.gui.look import empty_state, label, stale_line
from ghn_studio.gui.wording import crossing, duration, percent

if TYPE_CHECKING:
    from ghn_studio.gui.curve_plot import CurvePlot


class CurvePanel(QWidget):
    """Grows point by point while SGD trains."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("curve")
        self.plot: CurvePlot | None = None
        self._points: list[CurvePoint] = []
        self._goal: float | None = None
        self._goal_name = "predicted"
        self.sentence = label("", "strong", wrap=True)
        self.sentence.setObjectName("curve.sentence")
        self.sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.stale = stale_line("The network was edited since: this curve belongs to an earlier version.")
        self._stack = QStackedWidget()
        self._stack.addWidget(_empty())
        self._chart = QWidget()
        self._column = QVBoxLayout(self._chart)
        self._column.setContentsMargins(16, 10, 12, 8)
        self._column.setSpacing(6)
        top = QHBoxLayout()
        top.addWidget(self.sentence, 1)
        top.addWidget(self._menu_button())
        self._column.addWidget(self.stale)
        self._column.addLayout(top)
        self._stack.addWidget(self._chart)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stack)

    @property
    def points(self) -> tuple[CurvePoint, ...]:
        """The curve so far."""
        return tuple(self._points)

    def begin(self) -> None:
        """Start an empty chart for a new comparison."""
        self._points, self._goal = [], None
        self.stale.hide()
        self.sentence.setText("Predicting, then training from a random start…")
        self._draw(None)
        self._stack.setCurrentWidget(self._chart)

    def show_prediction(self, report: PredictReport) -> None:
        """Draw the line the curve has to reach."""
        self._goal = report.accuracy
        self._goal_name = "predicted" if report.head == "predicted" and report.init == "ghn" else report.label
        self._draw(None)

    def add_point(self, point: CurvePoint) -> None:
        """Draw one more evaluation."""
        self._points.append(point)
        self.sentence.setText(
            f"SGD: {percent(point.accuracy)} after step {point.step:,}, {duration(point.seconds)} of training."
        )
        self._draw(self._reached())

    def show_report(self, report: CompareReport) -> None:
        """Show the finished comparison."""
        self._points, self._goal = list(report.sgd), report.predicted_accuracy
        if report.prediction is not None:
            self.show_prediction(report.prediction)
        self.sentence.setText(crossing(report))
        self._draw(report.steps_to_match)
        self._stack.setCurrentWidget(self._chart)

    def show_stopped(self) -> None:
        """Say that the curve is not complete."""
        if self._points:
            last = self._points[-1]
            self.sentence.setText(f"Stopped: SGD was at {percent(last.accuracy)} after step {last.step:,}.")
        else:
            self.sentence.setText("Stopped before SGD's first evaluation.")

    def clear(self) -> None:
        """Forget the curve: another project was opened."""
        self._points, self._goal = [], None
        self.stale.hide()
        self._stack.setCurrentIndex(0)

    def set_stale(self, stale: bool) -> None:
        """Say that the network was edited since."""
        self.stale.setVisible(stale and bool(self._points))

    def restyle(self) -> None:
        """Take on the colours of the current theme."""
        if self.plot is not None:
            self.plot.restyle()

    def _reached(self) -> int | None:
        if self._goal is None:
            return None
        goal = self._goal
        return next((p.step for p in self._points if p.accuracy >= goal), None)

    def prepare(self) -> CurvePlot:
        """Build the chart, once. Done in a quiet moment, the first curve appears without a hitch."""
        if self.plot is None:
            # Imported here: pyqtgraph and NumPy must not delay the first paint.
            from ghn_studio.gui.curve_plot import CurvePlot

            self.plot = CurvePlot()
            self._column.addWidget(self.plot, 1)
            self.plot.grab()  # loads the axes' fonts, a tenth of a second, before it matters
        return self.plot

    def _draw(self, match: int | None) -> None:
        self.prepare().show_curve(self._points, self._goal, match, self._goal_name)

    def _menu_button(self) -> QToolButton:
        button = QToolButton()
        button.setText("⋯")
        button.setAccessibleName("Save or copy the chart")
        button.setToolTip("Save or copy the chart")
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(button)
        menu.addAction("Copy picture", self.copy_picture)
        menu.addAction("Save picture…", self._save_picture)
        menu.addAction("Save table…", self._save_table)
        button.setMenu(menu)
        return button

    def copy_picture(self) -> None:
        """Put the chart on the clipboard."""
        if self.plot is not None:
            QApplication.clipboard().setPixmap(self.plot.grab())

    def _save_picture(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save picture", "curve.png", "PNG picture (*.png)")
        if name and self.plot is not None:
            self.plot.grab().save(name)

    def _save_table(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save table", "curve.csv", "Table (*.csv)")
        if name:
            from pathlib import Path

            from ghn_studio.project import replace_file

            replace_file(Path(name), table(self._points).encode())


def table(points: Sequence[CurvePoint]) -> str:
    """The curve as comma-separated values."""
    lines = ["step,seconds,accuracy,loss"]
    lines += [f"{p.step},{p.seconds:.6g},{p.accuracy:.6g},{p.loss:.6g}" for p in points]
    return "\n".join(lines) + "\n"


def _empty() -> QWidget:
    return empty_state(
        "Compare with SGD to see how long training needs",
        "The same network is trained from a random start until it reaches the prediction, or the budget ends.",
    )
