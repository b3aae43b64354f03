"""What a prediction came to: accuracy with its honest label, times, what was left out, and every mistake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.app.results import PredictReport, Unpredicted
from ghn_studio.gui.look import column_box, empty_state, label, stale_line
from ghn_studio.gui.results.class_bars import ClassBars
from ghn_studio.gui.results.fact_grid import FactGrid
from ghn_studio.gui.results.familiarity_badge import FamiliarityBadge
from ghn_studio.gui.results.sample_grid import SampleGrid
from ghn_studio.gui.wording import facts, percent, plural

if TYPE_CHECKING:
    from ghn_studio.gui.results.confusion import ConfusionMatrix

#: Tensors named per reason before the rest is counted.
NAMED = 3


class ResultsPanel(QWidget):
    """Shows one report at a time. Made cheaply: charts are built with the first report."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("results")
        self.report: PredictReport | None = None
        self.confusion: ConfusionMatrix | None = None
        self._stack = QStackedWidget()
        self._stack.addWidget(_empty())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self.stale = stale_line("This result belongs to an earlier version of the network, or to another one.")
        layout.addWidget(self.stale)
        layout.addWidget(self._stack, 1)
        self.summary = _Summary()
        self.classes = ClassBars()
        self.samples = SampleGrid()
        self._page: QWidget | None = None

    def show_report(self, report: PredictReport) -> None:
        """Show a new result."""
        self.report = report
        self.prepare()
        self.stale.hide()
        self.summary.show_report(report)
        details = report.details
        self._details.setVisible(details is not None)
        if details is not None:
            assert self.confusion is not None
            counts = [sum(row) for row in details.confusion]
            self.classes.show_classes(details.classes, details.per_class_accuracy, counts)
            self.samples.samples.set_samples(details.samples, details.classes)
            self.confusion.show_matrix(details.confusion, details.classes)
            self._show_filter(None, None)
        assert self._page is not None
        self._stack.setCurrentWidget(self._page)

    def clear(self) -> None:
        """Forget the result: another project was opened."""
        self.report = None
        self.stale.hide()
        self._stack.setCurrentIndex(0)

    def set_stale(self, stale: bool) -> None:
        """Say that the network was edited since the result."""
        self.stale.setVisible(stale and self.report is not None)

    def restyle(self) -> None:
        """Take on the colours of the current theme."""
        if self.confusion is not None:
            self.confusion.restyle()
        self.summary.familiarity.restyle()
        for widget in (self.samples.viewport(), self.classes):
            widget.update()

    def prepare(self) -> None:
        """Build the charts, once. Done in a quiet moment, the first result appears without a hitch."""
        if self._page is None:
            self._build()
            self._confusion().grab()  # loads the axes' fonts before it matters

    def _build(self) -> None:
        # Imported here: pyqtgraph and NumPy must not delay the first paint.
        from ghn_studio.gui.results.confusion import ConfusionMatrix

        self.confusion = ConfusionMatrix()
        self.confusion.setMinimumSize(220, 180)
        self.confusion.chosen.connect(self._on_choice)
        self.classes.clicked.connect(lambda row: self._confusion().choose(row, None))
        self._page = QWidget()
        row = QHBoxLayout(self._page)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.summary)
        self._details = QWidget()
        columns = QHBoxLayout(self._details)
        columns.setContentsMargins(0, 0, 0, 0)
        columns.setSpacing(0)
        columns.addWidget(column_box("Per class", self.classes), 2)
        columns.addWidget(column_box("Confusion matrix", self.confusion), 3)
        columns.addWidget(self._samples_column(), 5)
        row.addWidget(self._details, 1)
        self._stack.addWidget(self._page)

    def _confusion(self) -> ConfusionMatrix:
        assert self.confusion is not None
        return self.confusion

    def _samples_column(self) -> QWidget:
        self._filter_text = label("", "muted")
        self._clear_filter = QPushButton("Show all")
        self._clear_filter.setProperty("flat", True)
        self._clear_filter.clicked.connect(lambda: self._confusion().choose(*self._confusion().selection))
        return column_box("Test images", self.samples, self._filter_text, self._clear_filter)

    def _on_choice(self, true: int | None, answer: int | None) -> None:
        self.samples.samples.filter(true, answer)
        self.classes.choose(true)
        self._show_filter(true, answer)

    def _show_filter(self, true: int | None, answer: int | None) -> None:
        assert self.report is not None and self.report.details is not None
        names, shown = self.report.details.classes, len(self.samples.samples.samples)
        if true is None and answer is None:
            text = f"{plural(shown, 'image')}, wrong ones first"
        elif answer is None:
            text = f"{plural(shown, 'image')} of {names[true or 0]}"
        else:
            text = f"{plural(shown, 'image')} of {names[true or 0]} answered {names[answer]}"
        self._filter_text.setText(text)
        self._clear_filter.setVisible(true is not None or answer is not None)


class _Summary(QScrollArea):
    """The left column: number, label, facts, what was not predicted."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("results.summary")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setFixedWidth(290)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        page = QWidget()
        page.setObjectName("panelPage")
        column = QVBoxLayout(page)
        column.setContentsMargins(16, 12, 16, 12)
        column.setSpacing(4)
        self.accuracy = label("", "number")
        self.accuracy.setObjectName("results.accuracy")
        self.origin = label("", "pill")
        self.origin.setObjectName("results.label")
        self.where = label("", "muted", wrap=True)
        self.unpredicted = label("", "muted", wrap=True)
        self.unpredicted.setObjectName("results.unpredicted")
        self.unpredicted.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.facts = FactGrid()
        pill_row = QHBoxLayout()
        pill_row.addWidget(self.origin)
        pill_row.addStretch(1)
        column.addWidget(self.accuracy)
        self.familiarity = FamiliarityBadge()
        badge_row = QHBoxLayout()
        badge_row.addWidget(self.familiarity)
        badge_row.addStretch(1)
        column.addLayout(pill_row)
        column.addLayout(badge_row)
        column.addWidget(self.where)
        column.addWidget(self.unpredicted)
        column.addWidget(self.facts)
        column.addStretch(1)
        self.setWidget(page)

    def show_report(self, report: PredictReport) -> None:
        """Fill in everything."""
        self.accuracy.setText(percent(report.accuracy) if report.accuracy is not None else "Not evaluated")
        self.origin.setText(report.label)
        self.familiarity.show_familiarity(report.familiarity)
        where = f"{report.architecture} on {report.dataset}" if report.accuracy is not None else report.architecture
        self.where.setText(f"{where}. {report.adaptation}" if report.adaptation and report.images else where)
        self.facts.show_lines(facts(report))
        self.unpredicted.setText(unpredicted_text(report))
        self.unpredicted.setToolTip("\n".join(f"{u.name}  {u.shape}  {u.reason}" for u in report.unpredicted[:40]))


def unpredicted_text(report: PredictReport) -> str:
    """What was not predicted, grouped by reason; says so when nothing is missing."""
    if report.init == "trained":
        return ""
    if not report.unpredicted:
        return "Every trainable parameter was predicted."
    groups: dict[str, list[Unpredicted]] = {}
    for tensor in report.unpredicted:
        groups.setdefault(tensor.reason, []).append(tensor)
    parts = [f"Not predicted: {plural(len(report.unpredicted), 'tensor')}."]
    for reason, tensors in groups.items():
        names = ", ".join(t.name for t in tensors[:NAMED])
        more = f" and {len(tensors) - NAMED} more" if len(tensors) > NAMED else ""
        parts.append(f"{names}{more}: {reason}.")
    return "\n".join(parts)


def _empty() -> QWidget:
    return empty_state(
        "Run a prediction to see accuracy here",
        "Predict & Evaluate fills in every parameter and measures the network on test images.",
    )


__all__: Sequence[str] = ["ResultsPanel", "unpredicted_text"]
