"""Scale width: one factor for the selected layers or all, with what it costs shown before it is done."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QDoubleSpinBox, QFormLayout, QRadioButton, QVBoxLayout, QWidget

from ghn_studio.app.document import Document
from ghn_studio.app.drawing.faces import count_text
from ghn_studio.app.editing.edits import with_graph
from ghn_studio.app.editing.scaling import Scaled, scalable, scaled
from ghn_studio.errors import GhnStudioError
from ghn_studio.gui.look import label
from ghn_studio.gui.results.fact_grid import FactGrid
from ghn_studio.gui.wording import plural
from ghn_studio.ir.graph import NodeId
from ghn_studio.project import Project

#: The preview is worked out once typing has come to rest.
_REST_MS = 60


class ScaleDialog(QDialog):
    """Works on the document as it is when the dialog opens; ``accept`` makes one undo step."""

    def __init__(self, document: Document, chosen: tuple[NodeId, ...], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("dialog.scale")
        self.setWindowTitle("Scale width")
        self.setMinimumWidth(380)
        self._document = document
        self._chosen = chosen if scalable(document.graph, document.ops, chosen) else ()
        self._result: Scaled | None = None
        self.factor = QDoubleSpinBox()
        self.factor.setObjectName("scale.factor")
        self.factor.setPrefix("× ")
        self.factor.setRange(0.05, 16.0)
        self.factor.setSingleStep(0.25)
        self.factor.setDecimals(3)
        self.factor.setValue(2.0)
        count = len(scalable(document.graph, document.ops, self._chosen)) if self._chosen else 0
        self.some = QRadioButton(f"The selected layers ({count})")
        self.all = QRadioButton("All layers but the classifier")
        self.some.setEnabled(bool(self._chosen))
        self.some.setToolTip("" if self._chosen else "No layer with a width of its own is selected.")
        (self.some if self._chosen else self.all).setChecked(True)
        self.facts = FactGrid()
        self.note = label("", "muted", wrap=True)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.ok = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        self.ok.setText("Scale")
        form = QFormLayout()
        form.addRow("Factor", self.factor)
        form.addRow("Layers", self.some)
        form.addRow("", self.all)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(12)
        column.addLayout(form)
        column.addWidget(self.facts)
        column.addWidget(self.note)
        column.addWidget(self.buttons)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST_MS)
        self._rest.timeout.connect(self._preview)
        self.factor.valueChanged.connect(self._rest.start)
        self.some.toggled.connect(self._preview)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self._preview()

    def accept(self) -> None:
        """Scale, as one undo step."""
        self._preview()
        if self._result is None:
            return
        document, result = self._document, self._result
        document.apply(f"Scale width × {self.factor.value():g}", lambda project: with_graph(project, result.graph))
        super().accept()

    def _preview(self) -> None:
        document = self._document
        before = document.totals
        chosen = self._chosen if self.some.isChecked() else ()
        try:
            self._result = scaled(document.graph, self.factor.value(), document.ops, chosen)
        except GhnStudioError as error:
            self._result = None
            self.note.setText(f"{error}.")
            self.facts.show_lines([])
        else:
            after = Document(Project(self._result.graph), ops=document.ops).totals
            self.facts.show_lines([
                ("Layers", str(len(self._result.layers))),
                ("Parameters", f"{count_text(before.parameters)} → {count_text(after.parameters)}"),
                ("Multiply-adds", f"{count_text(before.macs)} → {count_text(after.macs)}"),
            ])
            self.note.setText(_along(self._result))
        self.note.setVisible(bool(self.note.text()))
        self.ok.setEnabled(self._result is not None and bool(self._result.layers))


def _along(result: Scaled) -> str:
    if not result.layers:
        return "Nothing changes."
    if not result.also:
        return ""
    shown = ", ".join(result.also[:3]) + (" …" if len(result.also) > 3 else "")
    return f"{plural(len(result.also), 'more layer')} go along, for their values are added to these: {shown}."
