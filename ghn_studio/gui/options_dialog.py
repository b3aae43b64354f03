"""Further options of a run. The form is made from the request's own declaration, like the command line's options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.app.requests import FinetuneRequest
from ghn_studio.gui.dialogs import calm
from ghn_studio.gui.look import label
from ghn_studio.gui.panels.editors import Editor, IntegerEditor, NumberEditor, editor_for
from ghn_studio.ops.spec import Field, check_params, form_of

#: Fields of the requests that are not in the bar itself: those of every run, and those of the comparison.
RUN_FIELDS = ("images", "image_size", "batch_norm", "head_images", "seed")
SGD_FIELDS = (
    "optimiser", "learning_rate", "schedule", "warm_up", "batch_size", "momentum", "weight_decay", "label_smoothing",
    "augmentation",
)
TUNE_FIELDS = ("post_process", "keep_best", "scratch")

_FIELDS: Mapping[str, Field] = {f.name: f for f in form_of(FinetuneRequest)}


def defaults() -> dict[str, Any]:
    """The value of every option when nobody changed it."""
    return {name: _FIELDS[name].default for name in (*RUN_FIELDS, *SGD_FIELDS, *TUNE_FIELDS)}


class OptionalIntegerEditor(IntegerEditor):
    """A whole number or nothing, which is written as "default"."""

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        self.spin.setMinimum(int(field.low or 1) - 1)
        self.spin.setSpecialValueText("default")

    def show_values(self, values: list[Any]) -> None:
        """Show a number, or None as "default"."""
        nothing = self.spin.minimum()
        super().show_values([nothing if v is None else v for v in values])
        if values[0] is None:
            self.spin.lineEdit().setText(self.spin.specialValueText())

    def _on_change(self, value: int) -> None:
        self.edited.emit(None if value == self.spin.minimum() else value)


class OptionalNumberEditor(NumberEditor):
    """A real number or nothing, which is written as "default"."""

    def show_values(self, values: list[Any]) -> None:
        """Show a number, or None as an empty field."""
        if values[0] is None:
            self._shown = ""
            self.line.clear()
            self.line.setPlaceholderText("default")
            self._mark(True)
        else:
            super().show_values(values)

    def _on_finished(self) -> None:
        if self.line.text().strip():
            super()._on_finished()
        else:
            self._shown = ""
            self._mark(True)
            self.edited.emit(None)


class OptionsDialog(QDialog):
    """Edits a copy; ``values`` is taken over when the dialog is accepted."""

    def __init__(self, values: Mapping[str, Any], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("dialog.options")
        self.setWindowTitle("Options")
        self.setMinimumWidth(680)
        self.values: dict[str, Any] = {**defaults(), **values}
        self.editors: dict[str, Editor] = {}
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        reset = buttons.addButton("Defaults", QDialogButtonBox.ButtonRole.ResetRole)
        reset.clicked.connect(self.reset)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 18, 20, 16)
        layout.setSpacing(12)
        columns = QHBoxLayout()
        columns.setSpacing(32)
        left, right = QVBoxLayout(), QVBoxLayout()
        sections = ((left, "Prediction and evaluation", RUN_FIELDS), (left, "Fine-tuning", TUNE_FIELDS),
                    (right, "Training", SGD_FIELDS))
        for column, title, names in sections:
            column.addWidget(label(title, "heading"))
            column.addLayout(self._form(names))
            column.addSpacing(8)
        self.wrong = label("", "error", wrap=True)
        self.wrong.setObjectName("options.wrong")
        self.wrong.hide()
        right.addWidget(label("Defaults: those of GHN-2's authors for CIFAR-10.", "muted", wrap=True))
        for column in (left, right):
            column.addStretch(1)
            columns.addLayout(column, 1)
        layout.addLayout(columns)
        layout.addWidget(self.wrong)
        layout.addWidget(buttons)
        calm(self)
        self._show()

    def reset(self) -> None:
        """Go back to what the command line does without options."""
        self.values = defaults()
        self._show()
        self.wrong.hide()

    def accept(self) -> None:
        """Take the values over, unless some make no sense: then say which, and stay."""
        found = [f"{_FIELDS[name].label} is no number" for name, editor in self.editors.items() if editor.is_wrong]
        found += check_params(FinetuneRequest(**self.values))
        if found:
            self.wrong.setText("; ".join(found) + ".")
            self.wrong.show()
        else:
            super().accept()

    def _form(self, names: tuple[str, ...]) -> QFormLayout:
        form = QFormLayout()
        form.setVerticalSpacing(8)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for name in names:
            field = _FIELDS[name]
            editor = _editor(field)
            editor.edited.connect(lambda value, name=name: self.values.update({name: value}))
            title = QLabel(field.label)
            title.setToolTip(editor.toolTip())
            title.setBuddy(editor)
            entry = editor.focusProxy() or editor
            if not entry.accessibleName():
                entry.setAccessibleName(field.label)
            form.addRow(title, editor)
            self.editors[name] = editor
        return form

    def _show(self) -> None:
        for name, editor in self.editors.items():
            editor.show_values([self.values[name]])


def _editor(field: Field) -> Editor:
    """The editor of an option; those without a default may be left open."""
    if field.default is not None:
        return editor_for(field, field.default)
    return OptionalNumberEditor(field) if isinstance(field.low, float) else OptionalIntegerEditor(field)
