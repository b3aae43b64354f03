"""The right panel: parameters, name, shapes and cost of what is selected, made entirely from the registry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.app.analysing import Cost
from ghn_studio.app.document import Change, Document
from ghn_studio.app.drawing.faces import count_text
from ghn_studio.app.editing.batch import operators_of, parameter_set, shared_fields
from ghn_studio.app.editing.edits import on_graph, renamed
from ghn_studio.app.editing.wiring import bypass_refusal, bypassed
from ghn_studio.errors import GhnStudioError
from ghn_studio.gui import icons, theme
from ghn_studio.gui.exchange.held_values import HeldValues
from ghn_studio.gui.look import dot, label, replace_page
from ghn_studio.gui.panels.editors import Editor, editor_for
from ghn_studio.gui.panels.group_form import GroupForm
from ghn_studio.gui.results.fact_grid import FactGrid
from ghn_studio.gui.wording import plural
from ghn_studio.ir.graph import Node, NodeId
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.spec import Field, OpSpec
from ghn_studio.project import Project

_NAME_TIP = "Prefixes the node's parameters in files and source: letters, digits, _ and ."

#: More inputs or outputs than this are summed up.
MAX_SHAPES = 8
#: Narrower, names and numbers cannot be read beside each other.
LEAST_WIDTH = 220


class Inspector(QScrollArea):
    """Edits the selected nodes through the document; adding an operator never touches this file."""

    #: Old and new id of a node a person renamed.
    renamed = Signal(str, str)
    #: What to do with a group (enter, toggle, ungroup), and its path.
    group_asked = Signal(str, str)
    #: A person wants to read about the operator on show.
    help_requested = Signal()

    def __init__(
        self, document: Document, held: Callable[[], HeldValues | None] = lambda: None, parent: QWidget | None = None
    ) -> None:
        """Show a document.

        Args:
            held: Answers which values are in no file yet; ``refresh_values`` tells of others.
        """
        super().__init__(parent)
        self.setObjectName("inspector")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(LEAST_WIDTH)
        self._document, self._held = document, held
        self._selection: tuple[NodeId, ...] = ()
        self._group: str | None = None
        self._body: _Network | _Nodes | GroupForm | None = None
        self._shown: object = None
        # The document may outlive the panel: stop listening with it.
        self.destroyed.connect(document.subscribe(self._on_change))
        self._refresh()

    @property
    def editors(self) -> dict[str, Editor]:
        """The editors on show, by parameter name."""
        return self._body.editors if isinstance(self._body, _Nodes) else {}

    @property
    def name_edit(self) -> QLineEdit | None:
        """The line that renames the one selected node or, with nothing selected, the network."""
        return None if self._body is None else self._body.name_edit

    def show_selection(self, blocks: Sequence[NodeId], group: str | None = None) -> None:
        """Show these nodes and groups, or the one ``group``; the whole network when there are none."""
        self._document.finish_merging()
        self._selection, self._group = tuple(blocks), group
        self._refresh()

    def refresh_values(self) -> None:
        """Other values are held now."""
        self._refresh()

    def focus_parameters(self) -> None:
        """Put the keyboard into the first parameter; into the name where there is none."""
        first = next(iter(self.editors.values()), None)
        if first is not None:
            first.setFocus(Qt.FocusReason.ShortcutFocusReason)
        else:
            self.focus_name()

    def focus_name(self) -> None:
        """Put the keyboard into the name line, its text selected."""
        if self.name_edit is not None:
            self.name_edit.setFocus(Qt.FocusReason.ShortcutFocusReason)
            self.name_edit.selectAll()

    def restyle(self) -> None:
        """Draw again in the colours of the current theme."""
        self._shown = None
        self._refresh()

    def _on_change(self, change: Change) -> None:
        gone, graph = {n.id for n in change.diff.removed}, self._document.graph
        self._selection = tuple(n for n in self._selection if (n in graph.nodes or n in graph.groups) and n not in gone)
        self._refresh()

    def _refresh(self) -> None:
        """Rebuild the form only if other kinds of nodes are shown, so that typing keeps its place."""
        graph = self._document.graph
        group = self._group if self._group in graph.groups else None
        ids = dict.fromkeys(n for b in self._selection for n in ((b,) if b in graph.nodes else graph.members(b)))
        nodes = [graph.nodes[n] for n in ids] if group is None else [graph.nodes[n] for n in graph.members(group)]
        key = group or tuple((n.id, n.op) for n in nodes)
        if self._body is None or key != self._shown:
            self._shown = key
            body: _Network | _Nodes | GroupForm
            if group is not None:
                body = GroupForm(self._document, group)
                body.asked.connect(self.group_asked)
            elif nodes:
                body = _Nodes(self._document, nodes)
                body.renamed.connect(self.renamed)
                body.help_requested.connect(self.help_requested)
            else:
                body = _Network(self._document, self._held)
            self._body = body
            replace_page(self, body)
        self._body.show_nodes(nodes)


class _Network(QWidget):
    """Shown while nothing is selected: the whole network."""

    def __init__(self, document: Document, held: Callable[[], HeldValues | None]) -> None:
        super().__init__()
        self._document, self._held = document, held
        layout = _page(self)
        layout.addWidget(label("Network", "heading"))
        self.name_edit = QLineEdit()
        self.name_edit.setAccessibleName("Network name")
        self.name_edit.setObjectName("inspector.name")
        self.name_edit.editingFinished.connect(self._rename)
        layout.addWidget(self.name_edit)
        self._summary = label("", "muted", wrap=True)
        layout.addWidget(self._summary)
        self._facts = FactGrid()
        layout.addWidget(self._facts)
        self._hint = label("Select a node to edit it.", "muted", wrap=True)
        layout.addWidget(self._hint)
        layout.addStretch(1)

    def show_nodes(self, nodes: Sequence[Node]) -> None:
        """Show the document's totals; ``nodes`` is empty."""
        document = self._document
        with QSignalBlocker(self.name_edit):
            if not self.name_edit.hasFocus():
                self.name_edit.setText(document.graph.name)
        self._summary.setText(document.project.summary)
        self._summary.setVisible(bool(document.project.summary))
        graph, total = document.graph, document.totals
        lines = [
            ("Nodes", f"{len(graph.nodes):,}"),
            ("Parameters", count_text(total.parameters)),
            ("Multiply-adds", f"{count_text(total.macs)} per image"),
        ]
        for title, op in (("Input", "input"), ("Output", "output")):
            specs = [document.shapes.outputs[n.id][0] for n in graph.nodes.values()
                     if n.op == op and n.id in document.shapes.outputs]
            if specs:
                lines.append((title, specs[0].extents))
        lines.append(("Values", _values_text(document.project, self._held())))
        self._facts.show_lines(lines if graph.nodes else [])
        self._hint.setText("Select a node to edit it." if graph.nodes else "The canvas is empty.")

    def _rename(self) -> None:
        name = self.name_edit.text().strip()
        if name and name != self._document.graph.name:
            self._document.apply("Rename network", on_graph(lambda graph: replace(graph, name=name)))
        else:
            self.name_edit.setText(self._document.graph.name)


class _Nodes(QWidget):
    """One node, or several at once."""

    renamed = Signal(str, str)
    help_requested = Signal()

    def __init__(self, document: Document, nodes: Sequence[Node]) -> None:
        super().__init__()
        self._document = document
        self._ids = tuple(n.id for n in nodes)
        self.editors: dict[str, Editor] = {}
        self.name_edit: QLineEdit | None = None
        ops = {n.op for n in nodes}
        spec = document.ops[nodes[0].op] if len(ops) == 1 and nodes[0].op in document.ops else None
        layout = _page(self)
        header = _header(nodes, spec)
        if spec is not None:
            header.addWidget(self._help_button(spec))
        layout.addLayout(header)
        if spec is not None:
            layout.addWidget(label(spec.summary, "muted", wrap=True))
        elif len(ops) > 1:
            layout.addWidget(label(_kinds(nodes, document), "muted", wrap=True))
        if len(nodes) == 1:
            self._add_name(layout)
        self._error = label("", "error", wrap=True)
        self._error.hide()
        layout.addWidget(self._error)
        self._add_bypass(layout)
        specs = operators_of(document.graph, self._ids, document.ops)
        fields = shared_fields(specs) if specs else ()
        if fields:
            self._add_form(layout, fields, nodes, shared=len(specs) > 1)
        elif len(specs) > 1:
            layout.addWidget(label("These nodes have no parameter in common.", "muted", wrap=True))
        self._facts = FactGrid()
        layout.addWidget(self._facts)
        layout.addStretch(1)

    def show_nodes(self, nodes: Sequence[Node]) -> None:
        """Show the present values. Never counts as editing."""
        if self.name_edit is not None and not self.name_edit.hasFocus():
            self.name_edit.setText(nodes[0].id)
            self.name_edit.setCursorPosition(0)  # of a long name, the beginning is seen
            self.name_edit.setToolTip(f"{nodes[0].id}\n{_NAME_TIP}")
        for name, editor in self.editors.items():
            editor.show_values([getattr(n.params, name) for n in nodes])
        self._show_bypass(nodes)
        self._show_problems()
        self._facts.show_lines(self._lines(nodes))

    def _help_button(self, spec: OpSpec[Any]) -> QToolButton:
        button = QToolButton()
        button.setObjectName("inspector.help")
        button.setIcon(icons.icon("help", theme.current().tokens.muted))
        button.setToolTip(f"About {spec.title}  (F1)")
        button.setAccessibleName(f"About {spec.title}")
        button.clicked.connect(self.help_requested)
        return button

    def _add_name(self, layout: QVBoxLayout) -> None:
        self.name_edit = QLineEdit()
        self.name_edit.setObjectName("inspector.name")
        self.name_edit.setAccessibleName("Node name")
        self.name_edit.editingFinished.connect(self._rename)
        form = _form()
        form.addRow("Name", self.name_edit)
        layout.addLayout(form)

    def _add_bypass(self, layout: QVBoxLayout) -> None:
        self.bypass = QCheckBox("Bypass")
        self.bypass.setObjectName("inspector.bypass")
        self.bypass.clicked.connect(self._set_bypass)
        layout.addWidget(self.bypass)

    def _show_bypass(self, nodes: Sequence[Node]) -> None:
        states = {n.bypassed for n in nodes}
        self.bypass.setTristate(len(states) > 1)
        state = Qt.CheckState.PartiallyChecked if len(states) > 1 else (
            Qt.CheckState.Checked if True in states else Qt.CheckState.Unchecked)
        self.bypass.setCheckState(state)
        document = self._document
        reason = "" if states == {True} else bypass_refusal(document.graph, document.shapes, document.ops, self._ids)
        self.bypass.setEnabled(not reason)
        self.bypass.setToolTip(reason or "Passes its input on unchanged and runs nothing  (M)")

    def _set_bypass(self) -> None:
        self.bypass.setTristate(False)
        on = self.bypass.isChecked()
        where = self._ids[0] if len(self._ids) == 1 else plural(len(self._ids), "node")
        self._document.apply(f"Bypass {where}" if on else f"Use {where} again", bypassed(self._ids, on=on))

    def _add_form(
        self, layout: QVBoxLayout, fields: Sequence[Field], nodes: Sequence[Node], *, shared: bool
    ) -> None:
        layout.addWidget(label("Shared parameters" if shared else "Parameters", "heading"))
        form = _form()
        for field in fields:
            editor = editor_for(field, getattr(nodes[0].params, field.name))
            editor.edited.connect(lambda value, name=field.name: self._set(name, value))
            editor.left.connect(self._document.finish_merging)
            title = QLabel(field.label)
            title.setToolTip(editor.toolTip())
            title.setBuddy(editor)
            title.setMinimumHeight(editor.sizeHint().height())  # beside the middle of its field
            form.addRow(title, editor)
            self.editors[field.name] = editor
        layout.addLayout(form)

    def _set(self, name: str, value: Any) -> None:
        """Gesture: a new value. One edit for all nodes on show; typing on merges into it."""
        ids, what = self._ids, self.editors[name].field.label.lower()
        where = ids[0] if len(ids) == 1 else plural(len(ids), "node")
        edit = parameter_set(ids, name, value)
        self._document.apply(f"Set {what} of {where}", edit, merge_key=("parameter", ids, name))

    def _rename(self) -> None:
        assert self.name_edit is not None
        old, new = self._ids[0], self.name_edit.text().strip()
        if new == old or old not in self._document.graph.nodes:
            return
        try:
            self._document.apply(f"Rename {old}", renamed(old, NodeId(new)))
        except GhnStudioError as error:
            self._error.setText(f"{error}")
            self._error.show()
            self.name_edit.setText(old)
        else:
            self.renamed.emit(old, new)

    def _show_problems(self) -> None:
        wrong = [p.message for p in self._document.shapes.problems if p.node in self._ids]
        self._error.setText("\n".join(wrong[:3]))
        self._error.setVisible(bool(wrong))

    def _lines(self, nodes: Sequence[Node]) -> list[tuple[str, str]]:
        shapes, costs = self._document.shapes, self._document.costs
        lines: list[tuple[str, str]] = []
        if len(nodes) == 1:
            node = nodes[0]
            lines += _shape_lines("Input", shapes.inputs.get(node.id, ()))
            lines += _shape_lines("Output", shapes.outputs.get(node.id, ()))
        known = [costs[n.id] for n in nodes if n.id in costs]
        if known:
            total = sum(known[1:], known[0])
            lines += _cost_lines(total)
        if len(nodes) == 1 and nodes[0].op in self._document.ops:
            lines += self._tensor_lines(nodes[0])
        return lines

    def _tensor_lines(self, node: Node) -> list[tuple[str, str]]:
        inputs = self._document.shapes.inputs.get(node.id)
        if inputs is None:
            return []
        weights = [w for w in self._document.ops[node.op].weights(node.params, inputs) if w.trainable]
        return [(w.name, "×".join(map(str, w.shape))) for w in weights[:MAX_SHAPES]]


def _page(widget: QWidget) -> QVBoxLayout:
    widget.setObjectName("inspectorPage")
    layout = QVBoxLayout(widget)
    layout.setContentsMargins(14, 12, 14, 12)
    layout.setSpacing(10)
    return layout


def _form() -> QFormLayout:
    form = QFormLayout()
    form.setContentsMargins(0, 0, 0, 0)
    form.setHorizontalSpacing(10)
    form.setVerticalSpacing(6)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return form


def _header(nodes: Sequence[Node], spec: OpSpec[Any] | None) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(8)
    if spec is not None:
        mark = QLabel()
        mark.setPixmap(dot(spec.category, 12))
        row.addWidget(mark)
    title = spec.title if spec is not None else nodes[0].op
    if len(nodes) > 1:
        title = f"{len(nodes)} × {title}" if spec is not None else plural(len(nodes), "node")
    row.addWidget(label(title, "title"))
    row.addStretch(1)
    return row


def _kinds(nodes: Sequence[Node], document: Document) -> str:
    """What a mixed selection is made of, the most frequent first."""
    kinds = Counter(document.ops[n.op].title if n.op in document.ops else n.op for n in nodes)
    shown = ", ".join(f"{number} {name}" for name, number in kinds.most_common(3))
    return shown + (" …" if len(kinds) > 3 else "")


def _shape_lines(title: str, specs: Sequence[TensorSpec]) -> list[tuple[str, str]]:
    if len(specs) == 1:
        return [(title, specs[0].extents)]
    lines = [(f"{title} {i + 1}", s.extents) for i, s in enumerate(specs[:MAX_SHAPES])]
    if len(specs) > MAX_SHAPES:
        lines.append((f"{title} …", f"{len(specs) - MAX_SHAPES} more"))
    return lines


def _cost_lines(cost: Cost) -> list[tuple[str, str]]:
    lines = [("Parameters", count_text(cost.parameters) if cost.parameters else "none")]
    if cost.macs:
        lines.append(("Multiply-adds", count_text(cost.macs)))
    return lines


def _values_text(project: Project, held: HeldValues | None) -> str:
    if held is not None and held.fit(project.architecture):
        origin = dict(project.values.origin) if project.values is not None else None
        kind = str(held.origin.get("kind", "new"))
        return kind if origin == dict(held.origin) else f"{kind}, not saved"
    if project.values is None:
        return "none yet"
    kind = str(project.values.origin.get("kind", "stored"))
    return f"{kind}, file missing" if project.values.missing else kind
