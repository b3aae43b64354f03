"""What an export is to be: file, values, and the options its format has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QFormLayout, QHBoxLayout, QLineEdit, QPushButton, QSpinBox, QWidget

from ghn_studio.app.exchange.export_choices import FormatChoice
from ghn_studio.app.requests import OPSET, ExportRequest
from ghn_studio.ops.spec import form_of

HELD, STORED, PREDICT, RANDOM_START, NO_VALUES = "held", "stored", "predict", "random", "none"


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Settings of an export beside file and values, as :func:`ghn_studio.app.exchange.exporting.writing` takes them."""

    format: str = "auto"
    opset: int = OPSET
    batch: int | None = None
    describe: bool = True


class ExportForm(QWidget):
    """Reports every change with ``changed``; the rows a format does not have are hidden."""

    changed = Signal()
    browse_requested = Signal()

    def __init__(self, target: Path, sources: Mapping[str, str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sources = dict(sources)
        self.file = QLineEdit(str(target))
        self.file.setObjectName("export.file")
        browse = QPushButton("Choose…")
        browse.setObjectName("export.browse")
        browse.setAutoDefault(False)
        browse.clicked.connect(self.browse_requested)
        file_row = QHBoxLayout()
        file_row.setSpacing(8)
        file_row.addWidget(self.file, 1)
        file_row.addWidget(browse)
        self.values = QComboBox()
        self.values.setObjectName("export.values")
        opsets = next(field for field in form_of(ExportRequest) if field.name == "opset")
        self.opset = QSpinBox()
        self.opset.setObjectName("export.opset")
        self.opset.setRange(int(opsets.low or OPSET), int(opsets.high or OPSET))
        self.opset.setValue(OPSET)
        self.opset.setFixedWidth(90)
        self.opset.setToolTip("Older runtimes read older operator sets only")
        self.any_batch = QCheckBox("Any number of images at a time")
        self.any_batch.setObjectName("export.any_batch")
        self.any_batch.setChecked(True)
        self.any_batch.setToolTip("Without it the model takes one image at a time, as some compilers for devices want")
        self.describe = QCheckBox("Class names, and how images are prepared")
        self.describe.setObjectName("export.describe")
        self.describe.setChecked(True)
        self._form = form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(8)
        form.addRow("File", file_row)
        form.addRow("Values", self.values)
        form.addRow("Operator set", self.opset)
        form.addRow("Batch", self.any_batch)
        form.addRow("Include", self.describe)
        self.file.textChanged.connect(lambda _: self.changed.emit())
        self.values.currentIndexChanged.connect(lambda _: self.changed.emit())
        for part in (self.any_batch, self.describe):
            part.toggled.connect(lambda _: self.changed.emit())

    @property
    def target(self) -> Path:
        """The file chosen."""
        return Path(self.file.text().strip())

    @property
    def source(self) -> str:
        """Whose values: one of the keys given, or :data:`NO_VALUES`."""
        return str(self.values.currentData() or NO_VALUES)

    def options(self, choice: FormatChoice) -> ExportOptions:
        """The settings that count for a format."""
        batch = 1 if choice.has_onnx_options and not self.any_batch.isChecked() else None
        return ExportOptions(
            "auto" if choice.ending else "huggingface", self.opset.value() if choice.has_onnx_options else OPSET, batch,
            self.describe.isChecked() or not choice.can_describe,
        )

    def show_format(self, choice: FormatChoice, unknown: Callable[[str], str]) -> None:
        """Show the rows of a format.

        Args:
            unknown: Answers for a source why nothing can be said about classes and images, "" if something can.
        """
        self._fill_values(choice)
        reason = unknown(self.source)
        for part in (self.opset, self.any_batch):
            self._form.setRowVisible(part, choice.has_onnx_options)
        self._form.setRowVisible(self.describe, choice.can_describe)
        self.describe.setEnabled(not reason)
        self.describe.setToolTip(reason)

    def _fill_values(self, choice: FormatChoice) -> None:
        before = self.source
        self.values.blockSignals(True)
        self.values.clear()
        for key, title in self._sources.items() if choice.holds_values else ():
            self.values.addItem(title, key)
        if not choice.needs_values:
            self.values.addItem("None: only the network" if choice.holds_values else "Source holds none", NO_VALUES)
        self.values.setCurrentIndex(max(0, self.values.findData(before)))
        self.values.setEnabled(self.values.count() > 1)
        self.values.blockSignals(False)
