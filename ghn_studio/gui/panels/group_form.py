"""The inspector's page for one group: title, copies, shapes and cost, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from ghn_studio.app.document import Document
from ghn_studio.app.drawing.faces import count_text
from ghn_studio.app.drawing.group_faces import short_name
from ghn_studio.app.editing import grouping
from ghn_studio.gui.look import dot, label
from ghn_studio.gui.panels.repeat_box import RepeatBox
from ghn_studio.gui.results.fact_grid import FactGrid
from ghn_studio.ir.graph import Group, Node


class GroupForm(QWidget):
    """Edits one group through the document. ``asked`` carries what only the canvas can do: enter, toggle or ungroup."""

    asked = Signal(str, str)

    def __init__(self, document: Document, path: str) -> None:
        super().__init__()
        self.setObjectName("inspectorPage")
        self._document, self._path = document, path
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(10)
        layout.addLayout(self._header())
        self.name_edit = QLineEdit()
        self.name_edit.setObjectName("inspector.name")
        self.name_edit.setAccessibleName("Group title")
        self.name_edit.setToolTip("What the group is called; classes in exported source take their name from it")
        self.name_edit.editingFinished.connect(self._rename)
        self.repeat = RepeatBox()
        self.repeat.changed.connect(self._repeat)
        self.repeat.editingFinished.connect(document.finish_merging)
        layout.addLayout(_line("Title", self.name_edit))
        layout.addLayout(_line("Repeat", self.repeat))
        self._reason = label("", "muted", wrap=True)
        layout.addWidget(self._reason)
        self._error = label("", "error", wrap=True)
        layout.addWidget(self._error)
        self._facts = FactGrid()
        layout.addWidget(self._facts)
        layout.addLayout(self._buttons())
        layout.addStretch(1)

    def show_nodes(self, nodes: Sequence[Node]) -> None:
        """Show the group as it is now; ``nodes`` are its members. Never counts as editing."""
        document, path = self._document, self._path
        group = document.graph.groups.get(path, Group(path))
        with QSignalBlocker(self.name_edit):
            if not self.name_edit.hasFocus():
                self.name_edit.setText(group.title)
                self.name_edit.setPlaceholderText(short_name(path))
        self.repeat.show_group(document, path)
        self._reason.setText("" if self.repeat.isEnabled() else self.repeat.toolTip())
        self._reason.setVisible(not self.repeat.isEnabled())
        wrong = [f"{p.node[len(path) + 1:]}: {p.message}" for p in document.shapes.problems
                 if p.node.startswith(path + ".")]
        self._error.setText("\n".join(wrong[:3]))
        self._error.setVisible(bool(wrong))
        self._facts.show_lines(self._lines(group, len(nodes)))
        self.toggle_button.setText("Expand" if path in document.project.collapsed else "Collapse")

    def _lines(self, group: Group, count: int) -> list[tuple[str, str]]:
        document, path = self._document, self._path
        taken, given = document.ends(path)
        cost = document.group_cost(path)
        copies = f" × {group.repeat}" if group.repeat > 1 else ""
        lines = [("Path", path), ("Layers", f"{count:,}{copies}")]
        lines += [("Input" if len(taken) == 1 else f"Input {i + 1}", text) for i, text in enumerate(taken[:4])]
        lines += [("Output" if len(given) == 1 else f"Output {i + 1}", text) for i, text in enumerate(given[:4])]
        lines.append(("Parameters", count_text(cost.parameters) if cost.parameters else "none"))
        if cost.macs:
            lines.append(("Multiply-adds", count_text(cost.macs)))
        return lines

    def _header(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        mark = QLabel()
        mark.setPixmap(dot(self._document.block_face(self._path).category, 12))
        row.addWidget(mark)
        row.addWidget(label("Group", "title"))
        row.addStretch(1)
        row.addWidget(label(short_name(self._path), "muted"))
        return row

    def _buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(6)
        self.enter_button = self._button("enter", "Open inside", "Show only what is inside  (Return)")
        self.toggle_button = self._button("toggle", "Collapse", "One block, or a frame around its layers  (E)")
        self.ungroup_button = self._button("ungroup", "Ungroup", "Keep the layers without the group  (Ctrl+Shift+G)")
        for button in (self.enter_button, self.toggle_button, self.ungroup_button):
            row.addWidget(button)
        row.addStretch(1)
        return row

    def _button(self, what: str, text: str, tip: str) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName(f"group.{what}")
        button.setToolTip(tip)
        button.clicked.connect(lambda: self.asked.emit(what, self._path))
        return button

    def _rename(self) -> None:
        group = self._document.graph.groups.get(self._path)
        title = self.name_edit.text().strip()
        if group is not None and title != group.title:
            self._document.apply("Rename group", grouping.titled(self._path, title))

    def _repeat(self, times: int) -> None:
        path = self._path
        self._document.apply(f"Repeat {short_name(path)} × {times}", grouping.repeated(path, times), ("repeat", path))


def _line(text: str, editor: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(10)
    title = QLabel(text)
    title.setMinimumWidth(64)
    title.setBuddy(editor)
    row.addWidget(title)
    row.addWidget(editor, 1)
    return row
