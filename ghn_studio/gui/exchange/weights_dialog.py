"""Weights from a file, compared with the open network before any of them is taken."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.app.exchange.weights import Fit, StateFile, WeightsTable
from ghn_studio.gui.exchange.weights_model import WORDS, WeightsModel
from ghn_studio.gui.look import badge, label
from ghn_studio.gui.wording import plural

ROW_HEIGHT = 26


class WeightsDialog(QDialog):
    """Shows a table of what fits; ``accept`` is the consent to load it. ``section_chosen`` asks for another table."""

    section_chosen = Signal(str)

    def __init__(self, network: str, state: StateFile, table: WeightsTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("dialog.weights")
        self.setWindowTitle(f"Load weights from {table.file}")
        self.resize(760, 560)
        self.table = table
        self._network = network
        self.model = WeightsModel(table)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(12)
        column.addWidget(self._verdict())
        if len(state.sections) > 1:
            column.addLayout(self._section_row(state))
        if table.notes:
            notes = [f"{text[:1].upper()}{text[1:]}." for text in table.notes]
            column.addWidget(label("\n".join(notes), "muted", wrap=True))
        column.addLayout(self._filter_row())
        column.addWidget(self._view(), 1)
        column.addWidget(self._buttons())

    def _verdict(self) -> QFrame:
        kind, text = verdict(self.table, self._network)
        self.verdict = label(text, wrap=True)
        self.verdict.setObjectName("weights.verdict")
        box = QFrame()
        box.setProperty("row", True)
        row = QHBoxLayout(box)
        row.setContentsMargins(12, 9, 12, 9)
        row.setSpacing(10)
        row.addWidget(badge(kind), 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.verdict, 1)
        return box

    def _section_row(self, state: StateFile) -> QHBoxLayout:
        self.section = QComboBox()
        self.section.setObjectName("weights.section")
        for name, tensors in state.sections.items():
            self.section.addItem(f"{name or 'The top of the file'}  ({plural(len(tensors), 'tensor')})", name)
        self.section.setCurrentIndex(self.section.findData(self.table.section))
        self.section.activated.connect(lambda _: self._on_section())
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(label("Part of the file", "strong"))
        row.addWidget(self.section, 1)
        return row

    def _on_section(self) -> None:
        if self.section.currentData() != self.table.section:
            self.section_chosen.emit(self.section.currentData())

    def _filter_row(self) -> QHBoxLayout:
        self.search = QLineEdit(placeholderText="Find a tensor", clearButtonEnabled=True)
        self.search.setObjectName("weights.search")
        self.search.setAccessibleName("Find a tensor")
        self.search.textChanged.connect(lambda _: self._filter())
        self.filters = QButtonGroup(self)
        self._fits: tuple[Fit | None, ...] = (None, *WORDS)
        row = QHBoxLayout()
        row.setSpacing(4)
        for number, fit in enumerate(self._fits):
            count = len(self.table.entries if fit is None else self.table.of(fit))
            button = QToolButton()
            button.setObjectName(f"weights.filter.{fit or 'all'}")
            button.setText(f"{'All' if fit is None else WORDS[fit][0].capitalize()}  {count:,}")
            button.setCheckable(True)
            button.setChecked(fit is None)
            button.setEnabled(bool(count))
            button.setToolTip("" if count else "There are none")
            self.filters.addButton(button, number)
            row.addWidget(button)
        self.filters.idClicked.connect(lambda _: self._filter())
        row.addStretch(1)
        row.addWidget(self.search)
        return row

    def _filter(self) -> None:
        self.model.show_only(self._fits[self.filters.checkedId()], self.search.text())

    def _view(self) -> QTableView:
        self.view = view = QTableView()
        view.setObjectName("weights.table")
        view.setModel(self.model)
        view.setShowGrid(False)
        view.setIconSize(QSize(16, 16))
        view.verticalHeader().hide()
        view.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setWordWrap(False)
        header = view.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setHighlightSections(False)
        for column, width in ((0, 136), (2, 130), (3, 130)):
            header.resizeSection(column, width)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        return view

    def _buttons(self) -> QDialogButtonBox:
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        title, wrong = consent(self.table)
        self.load = buttons.addButton(title, QDialogButtonBox.ButtonRole.AcceptRole)
        self.load.setObjectName("weights.load")
        self.load.setEnabled(not wrong)
        self.load.setToolTip(wrong)
        self.load.setProperty("primary", not self.table.not_finite)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        return buttons


def verdict(table: WeightsTable, network: str) -> tuple[str, str]:
    """How well a file fits a network: ``ok``, ``warning`` or ``error``, and a sentence or two."""
    fits, missing, misshaped = (len(table.of(f)) for f in (Fit.MATCHED, Fit.MISSING, Fit.MISSHAPED))
    total, unexpected = fits + missing + misshaped, len(table.of(Fit.UNEXPECTED))
    if not fits:
        return "error", f"{table.file} has no tensor of '{network}'. Open the network it belongs to."
    where = f" Their names begin with '{table.prefix}' in the file." if table.prefix else ""
    extra = f" {plural(unexpected, 'tensor')} of the file {_are(unexpected)} left out." if unexpected else ""
    broken = len(table.not_finite)
    if broken:
        return "error", (f"{fits:,} of {plural(total, 'tensor')} of '{network}' fit, but {broken:,} of them "
                         f"{'holds' if broken == 1 else 'hold'} NaN or infinity.{where}{extra}")
    if table.is_complete:
        every = f"Every one of the {total:,} tensors" if total > 1 else "The one tensor"
        return "ok", f"{every} of '{network}' has its value in {table.file}.{where}{extra}"
    lacking = missing + misshaped
    parts = [f"{n:,} {word}" for n, word in ((misshaped, "of another shape"), (missing, "missing")) if n]
    return "warning", (f"{fits:,} of {total:,} tensors of '{network}' fit; {lacking:,} would get a random start "
                       f"({', '.join(parts)}).{where}{extra}")


def consent(table: WeightsTable) -> tuple[str, str]:
    """The words on the button that loads, and why it cannot be pressed."""
    if not table.of(Fit.MATCHED):
        return "Load", "No tensor of the file fits the network."
    if table.not_finite:
        return "Load anyway", ""
    return ("Load" if table.is_complete else "Load what fits"), ""


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
