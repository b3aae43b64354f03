"""One small editor per kind of parameter value. Each shows a value silently and reports what a person enters."""

from __future__ import annotations

import math
from typing import Any

from PySide6.QtCore import QEvent, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QFocusEvent, QValidator, QWheelEvent
from PySide6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QLineEdit, QSpinBox, QWidget

from ghn_studio.gui.look import set_property
from ghn_studio.ops.spec import Field

INT_LIMIT = 2**31 - 1

#: Shown where several selected nodes differ.
MIXED = "mixed"


class Editor(QWidget):
    """Base of all editors: ``show_values`` in, ``edited`` out.

    ``edited`` carries the new value and is emitted for a person's input only; ``left``
    when the focus goes, so that the next edit starts an undo step of its own.
    """

    edited = Signal(object)
    left = Signal()

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.field = field
        self.setObjectName(f"parameter.{field.name}")
        self.setToolTip(_hint(field))
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(5)

    @property
    def is_wrong(self) -> bool:
        """True if what is entered is no value at all; the last good one is kept then."""
        return False

    def show_values(self, values: list[Any]) -> None:
        """Show one value, or "mixed" where they differ. Never counts as an edit."""
        raise NotImplementedError


class _Spin(QSpinBox):
    """A spin box that can stand for several different numbers and leaves the wheel to the page."""

    left = Signal()

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.is_mixed = False
        self.setRange(
            -INT_LIMIT if field.low is None else max(-INT_LIMIT, math.ceil(field.low)),
            INT_LIMIT if field.high is None else min(INT_LIMIT, math.floor(field.high)),
        )
        if field.unit:
            self.setSuffix(f" {field.unit}")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccelerated(True)
        self.lineEdit().setTextMargins(6, 0, 0, 0)
        self.setMinimumWidth(50)

    def show_value(self, value: int, mixed: bool) -> None:
        """Show ``value``; with ``mixed`` the text says so until a person changes it."""
        value = max(-INT_LIMIT, min(INT_LIMIT, value))  # Qt counts in 32 bits; files may hold more
        if mixed == self.is_mixed and value == self.value():
            return
        with QSignalBlocker(self):
            self.is_mixed = mixed
            # A value outside the range (a damaged file) is shown as it is; the problems panel says why it is wrong.
            self.setRange(min(self.minimum(), value), max(self.maximum(), value))
            self.setValue(value)
            self.lineEdit().setText(self.textFromValue(value) + ("" if mixed else self.suffix()))

    def textFromValue(self, value: int) -> str:
        return MIXED if self.is_mixed else str(value)

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        if self.is_mixed and text.startswith(MIXED):
            return QValidator.State.Acceptable, text, position
        return super().validate(text, position)

    def stepBy(self, steps: int) -> None:
        self.is_mixed = False
        super().stepBy(steps)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.left.emit()


class IntegerEditor(Editor):
    """A whole number with unit and range."""

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        self.spin = _Spin(field)
        self._row.addWidget(self.spin)
        self.spin.valueChanged.connect(self._on_change)
        self.spin.left.connect(self.left)
        self.setFocusProxy(self.spin)

    def show_values(self, values: list[Any]) -> None:
        """See :meth:`Editor.show_values`."""
        self.spin.show_value(int(values[0]), any(v != values[0] for v in values))

    def _on_change(self, value: int) -> None:
        self.spin.is_mixed = False
        self.edited.emit(value)


class PairEditor(Editor):
    """Height and width. While both are equal, changing the first changes both; Ctrl edits it alone."""

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        bare = Field(field.name, field.default, field.label, "", field.low, field.high, (), field.help, field.key)
        self.spins = (_Spin(bare), _Spin(bare))
        for spin, title in zip(self.spins, ("height", "width"), strict=True):
            spin.setAccessibleName(f"{field.label}, {title}")
            spin.setToolTip(f"{_hint(field)}\n{title.capitalize()}".strip())
            spin.left.connect(self.left)
        cross = QLabel("×")
        cross.setProperty("role", "muted")
        self._row.addWidget(self.spins[0], 1)
        self._row.addWidget(cross)
        self._row.addWidget(self.spins[1], 1)
        if field.unit:
            unit = QLabel(field.unit)
            unit.setProperty("role", "muted")
            self._row.addWidget(unit)
        self._were_equal = True
        self.spins[0].valueChanged.connect(lambda value: self._on_change(0, value))
        self.spins[1].valueChanged.connect(lambda value: self._on_change(1, value))
        self.setFocusProxy(self.spins[0])

    def show_values(self, values: list[Any]) -> None:
        """See :meth:`Editor.show_values`."""
        for axis, spin in enumerate(self.spins):
            parts = [v[axis] for v in values]
            spin.show_value(int(parts[0]), any(p != parts[0] for p in parts))
        self._were_equal = all(v[0] == v[1] for v in values)

    def _on_change(self, axis: int, value: int) -> None:
        # Square kernels are the rule: while a pair is square its height carries the width along.
        together = axis == 0 and self._were_equal
        if together:
            with QSignalBlocker(self.spins[1]):
                self.spins[1].is_mixed = False
                self.spins[1].setValue(value)
        for spin in self.spins:
            spin.is_mixed = False
        self._were_equal = self.spins[0].value() == self.spins[1].value() and together
        self.edited.emit((self.spins[0].value(), self.spins[1].value()))


class NumberEditor(Editor):
    """A real number, written as people write small ones (``1e-05``); taken over on Enter or when left."""

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        self.line = QLineEdit()
        self.line.editingFinished.connect(self._on_finished)
        self._row.addWidget(self.line)
        if field.unit:
            self._row.addWidget(QLabel(field.unit))
        self._shown = ""
        self.setFocusProxy(self.line)

    def show_values(self, values: list[Any]) -> None:
        """See :meth:`Editor.show_values`."""
        mixed = any(v != values[0] for v in values)
        self._shown = "" if mixed else f"{values[0]:g}" if float(f"{values[0]:g}") == values[0] else repr(values[0])
        self.line.setPlaceholderText(MIXED if mixed else "")
        with QSignalBlocker(self.line):
            self.line.setText(self._shown)
        self._mark(True)

    def _on_finished(self) -> None:
        text = self.line.text().strip()
        if text != self._shown:
            try:
                value = float(text.replace(",", "."))
            except ValueError:
                self._mark(False)
                return
            if not math.isfinite(value):
                self._mark(False)
                return
            self._shown = text
            self._mark(True)
            self.edited.emit(value)
        self.left.emit()

    @property
    def is_wrong(self) -> bool:
        """See :attr:`Editor.is_wrong`."""
        return bool(self.line.property("wrong"))

    def _mark(self, valid: bool) -> None:
        set_property(self.line, "wrong", not valid)
        self.line.setToolTip(_hint(self.field) if valid else "Enter a number")


class FlagEditor(Editor):
    """Yes or no."""

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        self.box = QCheckBox()
        self.box.setAccessibleName(field.label)
        self._row.addWidget(self.box)
        self._row.addStretch(1)
        self.box.clicked.connect(lambda: self._on_click())
        self.setFocusProxy(self.box)

    def show_values(self, values: list[Any]) -> None:
        """See :meth:`Editor.show_values`."""
        mixed = any(v != values[0] for v in values)
        self.box.setTristate(mixed)
        state = Qt.CheckState.Checked if values[0] else Qt.CheckState.Unchecked
        self.box.setCheckState(Qt.CheckState.PartiallyChecked if mixed else state)

    def _on_click(self) -> None:
        self.box.setTristate(False)
        self.edited.emit(self.box.isChecked())
        self.left.emit()


class ChoiceEditor(Editor):
    """One of a few values."""

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        self.combo = QComboBox()
        self.combo.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.combo.installEventFilter(self)
        for choice in field.choices:
            self.combo.addItem(str(choice), choice)
        self.combo.activated.connect(self._on_choice)
        self._row.addWidget(self.combo, 1)
        self.setFocusProxy(self.combo)

    def show_values(self, values: list[Any]) -> None:
        """See :meth:`Editor.show_values`."""
        mixed = any(v != values[0] for v in values)
        self.combo.setPlaceholderText(MIXED if mixed else str(values[0]))
        self.combo.setCurrentIndex(-1 if mixed else self.combo.findData(values[0]))

    def _on_choice(self, index: int) -> None:
        self.edited.emit(self.combo.itemData(index))
        self.left.emit()

    def eventFilter(self, watched: object, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Wheel and not self.combo.hasFocus():
            event.ignore()
            return True
        return False


class TextEditor(Editor):
    """A word; taken over on Enter or when left."""

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        self.line = QLineEdit()
        self.line.editingFinished.connect(self._on_finished)
        self._row.addWidget(self.line)
        self._shown = ""
        self.setFocusProxy(self.line)

    def show_values(self, values: list[Any]) -> None:
        """See :meth:`Editor.show_values`."""
        mixed = any(v != values[0] for v in values)
        self._shown = "" if mixed else str(values[0])
        self.line.setPlaceholderText(MIXED if mixed else "")
        self.line.setText(self._shown)

    def _on_finished(self) -> None:
        if self.line.text() != self._shown:
            self._shown = self.line.text()
            self.edited.emit(self._shown)
        self.left.emit()


class FixedText(Editor):
    """A value nobody edits by hand, such as the shapes of a foreign node."""

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        self.label = QLabel()
        self.label.setWordWrap(True)
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._row.addWidget(self.label)

    def show_values(self, values: list[Any]) -> None:
        """See :meth:`Editor.show_values`."""
        self.label.setText(MIXED if any(v != values[0] for v in values) else str(values[0]))


def editor_for(field: Field, value: Any) -> Editor:
    """Make the editor that suits a field; ``value`` decides where the declaration leaves it open."""
    if field.choices:
        return ChoiceEditor(field)
    if isinstance(value, bool):
        return FlagEditor(field)
    if isinstance(value, int):
        return IntegerEditor(field)
    if isinstance(value, float):
        return NumberEditor(field)
    if isinstance(value, str):
        return TextEditor(field)
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(v, int) for v in value):
        return PairEditor(field)
    return FixedText(field)


def _hint(field: Field) -> str:
    """The help text and the range, as a tooltip."""
    unit = f" {field.unit}" if field.unit else ""
    if field.low is not None and field.high is not None:
        limits = f"{field.low:g} to {field.high:g}{unit}"
    elif field.low is not None:
        limits = f"At least {field.low:g}{unit}"
    else:
        limits = ""
    return "\n".join(line for line in (field.help, limits) if line)
