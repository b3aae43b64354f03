"""Why a prediction is as good as it is: familiar or not, what each layer is worth, the nearest training networks."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QAction, QColor
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QProgressBar,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.app.results import ExplainReport, PredictReport
from ghn_studio.ghn.familiarity import Familiarity
from ghn_studio.gui.look import action_button, column_box, empty_state, label, stale_line
from ghn_studio.gui.results.fact_grid import FactGrid
from ghn_studio.gui.results.familiarity_badge import FamiliarityBadge, meaning, position
from ghn_studio.gui.results.layer_bars import LayerBars
from ghn_studio.gui.results.neighbours import NeighbourGrid
from ghn_studio.gui.wording import duration, percent
from ghn_studio.jobs import Progress


class WhyPanel(QWidget):
    """Shows a prediction's familiarity at once, and the layers once they have been measured."""

    heat_toggled = Signal(bool)

    def __init__(self, explain: QAction, cancel: QAction, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("why")
        self.report: ExplainReport | None = None
        self.badge, self.layers, self.neighbours = FamiliarityBadge(), LayerBars(), NeighbourGrid()
        self.stale = stale_line("The network was edited since: this explanation belongs to an earlier version.")
        self.explain_button = action_button(explain, "why.explain")
        self.cancel_button = action_button(cancel, "why.cancel")
        self._pages = QStackedWidget()
        self._pages.addWidget(empty_state(
            "Why is the prediction as good as it is?",
            "Explain measures what each layer is worth, and how near the network lies to those "
            "the hypernetwork learnt from.",
            action_button(explain, "why.start"),
        ))
        self._pages.addWidget(self._page())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.stale)
        layout.addWidget(self._pages, 1)

    def show_prediction(self, report: PredictReport) -> None:
        """Show what a prediction tells by itself; layers of another network go."""
        self.report = None
        self._show_familiarity(report.familiarity, report.init == "ghn")
        self.facts.show_lines(_accuracy_lines(report.accuracy, report.images, report.label))
        self._show_layers(None)
        self.stale.hide()

    def show_report(self, report: ExplainReport, colour_of: Callable[[str], QColor]) -> None:
        """Show everything; ``colour_of`` answers with the colour of a node's kind."""
        self.report = report
        self._show_familiarity(report.familiarity, bool(report.ghn))
        self.facts.show_lines(_lines(report))
        self.layers.show_layers(report.layers, colour_of)
        self._show_layers(report)
        self.stale.hide()

    def show_running(self, running: bool) -> None:
        """Swap the button that explains and the progress of the explanation."""
        self.explain_button.setVisible(not running)
        self._progress.setVisible(running)
        if running:
            self.stage.setText("Getting ready…")
            self.bar.setMaximum(0)
            self._pages.setCurrentIndex(1)
        elif self.report is None and not self.badge.verdict and not self.facts.lines:
            self._pages.setCurrentIndex(0)

    def show_progress(self, progress: Progress) -> None:
        """Show how far the explanation is."""
        self.stage.setText(progress.stage.capitalize())
        fraction = progress.fraction
        self.bar.setMaximum(0 if fraction is None else 1000)
        if fraction is not None:
            self.bar.setValue(round(1000 * fraction))

    def set_stale(self, stale: bool) -> None:
        """Step back while the canvas shows another network than the one explained."""
        known = self._pages.currentIndex() == 1 and bool(self.facts.lines)
        self.stale.setVisible(stale and known)
        self.layers.set_dimmed(stale)
        self._allow_heat("The network was edited since; explain it again." if stale and self.report else "")

    def set_heat(self, shown: bool) -> None:
        """Tick the box without telling anybody."""
        with QSignalBlocker(self.heat):
            self.heat.setChecked(shown)

    def clear(self) -> None:
        """Forget everything: another project was opened."""
        self.report = None
        self.badge.show_familiarity(None)
        self.facts.show_lines(())
        self.neighbours.show_neighbours(())
        self._show_layers(None)
        self.stale.hide()
        self._pages.setCurrentIndex(0)

    def restyle(self) -> None:
        """Take on the colours of the current theme."""
        self.badge.restyle()
        self.neighbours.restyle()
        self.layers.rows.update()

    def _page(self) -> QWidget:
        page = QWidget()
        row = QHBoxLayout(page)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self._summary())
        self.heat = QCheckBox("Colour the canvas")
        self.heat.setObjectName("why.heat")
        self.heat.toggled.connect(self.heat_toggled)
        self._bars = QStackedWidget()
        self._bars.addWidget(self.layers)
        self._bars.addWidget(empty_state(
            "Not measured yet", "Explain replaces each layer's parameters in turn and measures what is lost.",
        ))
        row.addWidget(column_box("What each layer is worth", self._bars, self.heat), 1)
        nearest = column_box("Nearest training networks", self.neighbours)
        nearest.setFixedWidth(350)
        row.addWidget(nearest)
        return page

    def _summary(self) -> QWidget:
        page = QWidget()
        page.setObjectName("panelPage")
        column = QVBoxLayout(page)
        column.setContentsMargins(16, 12, 16, 4)
        column.setSpacing(6)
        pill = QHBoxLayout()
        pill.addWidget(self.badge)
        pill.addStretch(1)
        self.sentence = label("", wrap=True)
        self.sentence.setObjectName("why.sentence")
        self.position = label("", "muted", wrap=True)
        self.facts = FactGrid()
        column.addLayout(pill)
        for widget in (self.sentence, self.position, self.facts):
            column.addWidget(widget)
        column.addStretch(1)
        area = QScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(page)
        box = QWidget()
        box.setFixedWidth(290)
        outer = QVBoxLayout(box)
        outer.setContentsMargins(0, 0, 0, 10)
        outer.setSpacing(6)
        outer.addWidget(area, 1)
        foot = QVBoxLayout()
        foot.setContentsMargins(16, 0, 16, 0)
        foot.addWidget(self._progress_box())
        foot.addWidget(self.explain_button, alignment=Qt.AlignmentFlag.AlignLeft)
        outer.addLayout(foot)
        return box

    def _progress_box(self) -> QWidget:
        self._progress = QWidget()
        column = QVBoxLayout(self._progress)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        self.stage = label("", "muted", wrap=True)
        self.bar = QProgressBar(textVisible=False)
        self.bar.setProperty("thin", True)
        self.bar.setAccessibleName("Progress of the explanation")
        column.addWidget(self.stage)
        column.addWidget(self.bar)
        column.addWidget(self.cancel_button, alignment=Qt.AlignmentFlag.AlignLeft)
        self._progress.hide()
        return self._progress

    def _show_familiarity(self, familiarity: Familiarity | None, predicted: bool) -> None:
        self.badge.show_familiarity(familiarity)
        self.sentence.setText(meaning(familiarity, predicted))
        self.position.setText(position(familiarity) if familiarity else "")
        self.position.setVisible(familiarity is not None)
        self.neighbours.show_neighbours(familiarity.nearest if familiarity else ())
        self._pages.setCurrentIndex(1)

    def _show_layers(self, report: ExplainReport | None) -> None:
        self._bars.setCurrentIndex(0 if report is not None else 1)
        if report is None:
            self.layers.show_layers((), lambda node: QColor())
            self.set_heat(False)
        self._allow_heat("")

    def _allow_heat(self, refusal: str) -> None:
        refusal = refusal if self.report is not None else "Explain the network first."
        self.heat.setEnabled(not refusal)
        self.heat.setToolTip(refusal or "Colour the nodes by the accuracy lost without them")


def _accuracy_lines(accuracy: float | None, images: int, how: str) -> list[tuple[str, str]]:
    if accuracy is None:
        return [("Accuracy", "not measured")]
    return [("Accuracy", percent(accuracy)), ("Images", f"{images:,}"), ("Parameters", how)]


def _lines(report: ExplainReport) -> list[tuple[str, str]]:
    lines = [
        ("Accuracy", percent(report.accuracy)), ("Images", f"{report.images:,} {report.part}"),
        ("Draws per layer", str(report.draws)),
    ]
    if report.agreement is not None:
        lines.append(("Halves agree (τ)", f"{report.agreement:.2f}"))
    return [*lines, ("GHN", report.ghn), ("Took", duration(report.seconds))]
