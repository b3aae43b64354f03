"""Who is to be ranked, and how: one line of choices."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.app.ranking.candidates import OPEN
from ghn_studio.app.ranking.requests import joined, parted
from ghn_studio.gui.look import label

#: Kinds of candidates: words, and the field of the request they fill.
KINDS = (("Variants of this network", "variants"), ("DeepNets test", "test"), ("DeepNets wide", "wide"),
         ("DeepNets deep", "deep"), ("DeepNets dense", "dense"), ("DeepNets bnfree", "bnfree"),
         ("Chosen networks", "candidates"))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the form asks for, in the words of :class:`ghn_studio.app.ranking.requests.RankRequest`."""

    candidates: str
    split: str
    variants: str
    count: int
    refine: int
    jobs: int
    budget: str
    measure_latency: bool


class RankingForm(QWidget):
    """Reports ``wanted`` when the button is pressed."""

    wanted = Signal(object)

    def __init__(self, cores: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kind = QComboBox()
        self.kind.setObjectName("ranking.kind")
        self.kind.setAccessibleName("Which networks are ranked")
        for title, value in KINDS:
            self.kind.addItem(title, value)
        self.names = QLineEdit(placeholderText="example:resnet20, net.ghn, …")
        self.names.setObjectName("ranking.names")
        self.names.setAccessibleName("Networks to rank, parted by commas")
        self.files = QPushButton("Files…")
        self.files.clicked.connect(self._on_files)
        self.count = _number("ranking.count", "How many networks", 1, 5000, 20)
        self.refine = _number("ranking.refine", "Steps of SGD for the best, from a random start; 0: predictions only",
                              0, 100_000, 0)
        self.refine.setSpecialValueText("none")
        self.jobs = _number("ranking.jobs", "Processes that share the work", 1, 64, max(1, cores - 1))
        self.budget = QLineEdit(placeholderText="no limit")
        self.budget.setObjectName("ranking.budget")
        self.budget.setAccessibleName("Budget: parameters, macs or latency, and a number")
        self.budget.setToolTip("parameters 300000, macs 1e8 or latency 2 (ms); networks beyond it are left out")
        self.budget.setMaximumWidth(150)
        self.latency = QCheckBox("Latency")
        self.latency.setToolTip("Also time one image of each network on one thread")
        self.start = QPushButton("Rank")
        self.start.setObjectName("ranking.start")
        self.start.setProperty("primary", True)
        self.start.clicked.connect(lambda: self.wanted.emit(self.value()))
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.kind)
        for title, widget in (("Count", self.count), ("Refine", self.refine), ("Budget", self.budget),
                              ("Processes", self.jobs)):
            name = label(title, "muted")
            name.setBuddy(widget)
            row.addSpacing(4)
            row.addWidget(name)
            row.addWidget(widget)
        row.addWidget(self.latency)
        row.addStretch(1)
        row.addWidget(self.start)
        named = QHBoxLayout()
        named.setSpacing(6)
        named.addWidget(self.names, 1)
        named.addWidget(self.files)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(row)
        column.addLayout(named)
        for line in (self.names, self.budget):
            line.returnPressed.connect(self.start.click)
        self.kind.activated.connect(self._on_kind)
        self._on_kind()

    def value(self) -> Wanted:
        """What is asked for now."""
        kind = self.kind.currentData()
        return Wanted(
            candidates=self.names.text() if kind == "candidates" else "",
            split=kind if kind not in ("candidates", "variants") else "",
            variants=OPEN if kind == "variants" else "",
            count=self.count.value(), refine=self.refine.value(), jobs=self.jobs.value(),
            budget=" ".join(self.budget.text().split()), measure_latency=self.latency.isChecked(),
        )

    def set_enabled(self, reason: str) -> None:
        """Allow to start, or say why not."""
        if reason and self.start.hasFocus():
            self.kind.setFocus()  # else the focus would wander to whatever comes next
        self.start.setEnabled(not reason)
        self.start.setToolTip(reason or "Predict and evaluate every candidate and put them in order")

    def _on_kind(self) -> None:
        named = self.kind.currentData() == "candidates"
        self.names.setVisible(named)
        self.files.setVisible(named)
        self.count.setEnabled(not named)

    def _on_files(self) -> None:
        files, _ = QFileDialog.getOpenFileNames(self, "Networks to rank", "", "Networks (*.ghn *.onnx)")
        if files:
            self.names.setText(joined(dict.fromkeys([*parted(self.names.text()), *files])))


def _number(name: str, title: str, low: int, high: int, value: int) -> QSpinBox:
    box = QSpinBox()
    box.setObjectName(name)
    box.setAccessibleName(title)
    box.setToolTip(title)
    box.setRange(low, high)
    box.setValue(value)
    box.lineEdit().setTextMargins(6, 0, 0, 0)
    box.setMaximumWidth(84)
    return box
