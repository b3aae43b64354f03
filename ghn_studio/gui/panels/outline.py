"""The outline: the network as a tree beside the canvas, in words, and in step with it both ways."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QModelIndex, QObject, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QKeyEvent, QPainter, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QLineEdit,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeView,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.app.document import Change, Document
from ghn_studio.app.drawing.figures import LiveFigures
from ghn_studio.app.drawing.outlining import sizes, tree
from ghn_studio.app.editing.edits import renamed
from ghn_studio.app.editing.grouping import titled
from ghn_studio.app.searching.finding import find
from ghn_studio.gui import icons, theme
from ghn_studio.gui.canvas import CanvasView
from ghn_studio.gui.canvas.menus import selection_menu
from ghn_studio.gui.canvas.showing import go_to
from ghn_studio.gui.look import label, operator_icon
from ghn_studio.gui.panels.outline_model import NAME, Index, OutlineModel
from ghn_studio.gui.theme import faded
from ghn_studio.ir.graph import NodeId

ROW = 26


class Outline(QWidget):
    """Shows the document of ``canvas`` as a tree with a filter field."""

    def __init__(self, canvas: CanvasView, figures: LiveFigures, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("outline")
        self.canvas, self._document, self._figures = canvas, canvas.document, figures
        self._is_following = False
        self._is_stale = self._is_unseen = True
        self.filter = QLineEdit(placeholderText="Filter nodes", clearButtonEnabled=True)
        self.filter.setObjectName("outline.filter")
        self.filter.setAccessibleName("Filter the outline")
        self.filter.setAccessibleDescription("Words, or kernel=7, params>1e6, problem")
        self.nothing = label("", "muted", wrap=True)
        self.nothing.setObjectName("outline.nothing")
        self.model = OutlineModel(self._document, self._rename)
        self.model.setParent(self)
        self.tree = _Tree(self.model, self._document, self)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 10, 10, 6)
        column.setSpacing(8)
        for widget in (self.filter, self.nothing):
            column.addWidget(widget)
        column.addWidget(self.tree, 1)
        self.filter.textChanged.connect(self._refilter)
        self.tree.wanted.connect(self._go)
        self.tree.customContextMenuRequested.connect(self._on_menu)
        self.tree.selectionModel().selectionChanged.connect(self._on_tree_selection)
        canvas.selection_changed.connect(self._on_canvas_selection)
        self.destroyed.connect(self._document.subscribe(self._on_change))

    def refresh(self, changed: Iterable[str] = ()) -> None:
        """Show the present network, as far as the filter leaves it; ``changed`` names nodes with another content."""
        query = self.filter.text().strip()
        graph, found = self._document.graph, find(query, self._figures.now) if query else None
        kept = None if found is None or (found.note and not found.nodes) else set(found.nodes)
        self._is_following = True  # rows that go take their selection along; the canvas keeps its own
        self.model.show_tree(tree(graph, kept), changed)
        self._is_following = False
        self.tree.show_figures(sizes(graph), {p.node for p in self._document.shapes.problems})
        text = "" if graph.nodes else "The network appears here, group by group."
        if found is not None:
            text = found.note or ("" if found.nodes else "Nothing matches.")
        self.nothing.setText(text)
        self.nothing.setVisible(bool(text))

    def restyle(self) -> None:
        """Draw again in the colours of the current theme."""
        self.tree.viewport().update()

    def _refilter(self) -> None:
        self.refresh()
        if self.filter.text().strip():
            self.tree.expandAll()
        self._on_canvas_selection(self.canvas.selected())

    def _on_change(self, change: Change) -> None:
        if change.reset:
            self.filter.clear()
        if not self.isVisible():
            self._is_stale = self._is_stale or change.reset or not change.diff.is_empty
            self._is_unseen = self._is_unseen or change.reset
        elif change.reset or change.redrawn or not change.diff.is_empty:
            was_empty = not self.model.rowCount()
            self.refresh(n.id for n in change.diff.changed)
            if change.reset or was_empty:
                self.tree.open_top()
            self._on_canvas_selection(self.canvas.selected())

    def showEvent(self, event: QShowEvent) -> None:
        """Catch up with what changed while nobody looked."""
        super().showEvent(event)
        if self._is_stale:
            self.refresh()
            if self._is_unseen:
                self.tree.open_top()
            self._is_stale = self._is_unseen = False
        self._on_canvas_selection(self.canvas.selected())

    # --- selection, both ways ------------------------------------------------------------------

    def _on_canvas_selection(self, blocks: Sequence[NodeId]) -> None:
        if self._is_following or not self.isVisible():
            return
        group = self.canvas.selected_group()
        names: Sequence[str] = blocks if group is None else (group,)
        indexes = [i for n in names if (i := self.model.index_of(n)).isValid()]
        chosen = QItemSelection()
        for index in indexes:
            chosen.select(index, index)
        self._is_following = True
        self.tree.selectionModel().select(chosen, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        if len(indexes) == 1:
            self.tree.selectionModel().setCurrentIndex(indexes[0], QItemSelectionModel.SelectionFlag.NoUpdate)
            self.tree.scrollTo(indexes[0])
        self._is_following = False

    def _on_tree_selection(self, chosen: QItemSelection, gone: QItemSelection) -> None:
        if self._is_following:
            return
        names = [self.model.name_of(index) for index in self.tree.selectionModel().selectedIndexes()]
        self._is_following = True
        self.canvas.select(names)
        self._is_following = False
        if len(names) == 1:
            self.canvas.reveal(NodeId(names[0]))

    def _go(self, name: str) -> None:
        go_to(self.canvas, name)

    # --- what a person does with a row ---------------------------------------------------------

    def _rename(self, name: str, text: str) -> bool:
        graph = self._document.graph
        if not text or text == name:
            return False
        if name in graph.groups:
            return self.canvas.apply("Rename group", titled(name, text))
        return self.canvas.apply(f"Rename {name}", renamed(NodeId(name), NodeId(text))) and self._choose(text)

    def _choose(self, name: str) -> bool:
        self.canvas.select((NodeId(name),))
        return True

    def _on_menu(self, at: QPoint) -> None:
        index = self.tree.indexAt(at)
        if index.isValid():
            self.menu_for(index).popup(self.tree.viewport().mapToGlobal(at))

    def menu_for(self, index: QModelIndex) -> QMenu:
        """The menu of the canvas for the selected nodes, with what only a row can do."""
        menu = selection_menu(self.canvas)
        first = menu.actions()[0] if menu.actions() else None
        name = self.model.name_of(index)
        show = menu.addAction(icons.icon("fit"), "Show on the canvas", "Return", lambda: self._go(name))
        rename = menu.addAction("Rename", "F2", lambda: self.tree.edit(self.model.index_of(name)))
        if first is not None:
            menu.insertActions(first, [show, rename])
            menu.insertSeparator(first)
        return menu


class _Tree(QTreeView):
    """The rows. ``wanted`` carries the name of one that Return or a double click asks for."""

    wanted = Signal(str)

    def __init__(self, model: OutlineModel, document: Document, parent: QWidget) -> None:
        super().__init__(parent)
        self._model = model
        self.setObjectName("outline.tree")
        self.setAccessibleName("Outline of the network")
        self.setAccessibleDescription("Groups and nodes in the order in which they run")
        self.setModel(model)
        self._row = _Row(document, self)
        self.setItemDelegate(self._row)
        self.setHeaderHidden(True)
        self.setUniformRowHeights(True)
        self.setIndentation(14)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setExpandsOnDoubleClick(False)
        self.setProperty("painted", True)  # rows are marked by the delegate, not by the style
        self.doubleClicked.connect(lambda index: self.wanted.emit(model.name_of(index)))

    def show_figures(self, sizes: Mapping[str, int], wrong: Collection[str]) -> None:
        """Paint the rows in view anew, with the sizes of groups and marks at nodes with a problem."""
        self._row.sizes = sizes
        self._row.wrong = {path for name in wrong for path in (name, *_paths(name))}
        self.viewport().update()

    def open_top(self) -> None:
        """Open the outermost groups, as in a network that is seen for the first time."""
        self.collapseAll()
        self.expandToDepth(0)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_editing = self.state() == QAbstractItemView.State.EditingState
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not is_editing and self.currentIndex().isValid():
            self.wanted.emit(self._model.name_of(self.currentIndex()))
        elif event.key() == Qt.Key.Key_Menu and self.currentIndex().isValid():
            self.customContextMenuRequested.emit(self.visualRect(self.currentIndex()).center())
        else:
            super().keyPressEvent(event)


class _Row(QStyledItemDelegate):
    """Icon, name, key parameters and shape; a mark where something is wrong."""

    def __init__(self, document: Document, parent: QObject) -> None:
        super().__init__(parent)
        self._document = document
        self.sizes: Mapping[str, int] = {}
        self.wrong: Collection[str] = ()

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(120, ROW)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        name, graph, tokens = index.data(NAME), self._document.graph, theme.current().tokens
        if name not in graph.nodes and name not in graph.groups:
            return
        box: QRect = option.rect.adjusted(0, 1, -2, -1)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        if is_chosen or option.state & QStyle.StateFlag.State_MouseOver:
            painter.setBrush(faded(tokens.selection, 0.18) if is_chosen else QColor(tokens.raised))
            painter.drawRoundedRect(box, 6, 6)
        if option.state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QColor(tokens.selection))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(box, 6, 6)
        self._draw(painter, name, index.data(), box.adjusted(4, 0, -8, 0))
        painter.restore()

    def _draw(self, painter: QPainter, name: str, title: str, box: QRect) -> None:
        tokens, document = theme.current().tokens, self._document
        is_group = name in document.graph.groups
        face = None if is_group else document.face(NodeId(name))
        icon = icons.icon("group", tokens.muted) if face is None else operator_icon(face.category)
        icon.paint(painter, QRect(box.left(), box.top() + (box.height() - 16) // 2, 16, 16))
        box = box.adjusted(22, 0, 0, 0)
        if name in self.wrong:
            mark = QRect(box.right() - 14, box.top() + (box.height() - 14) // 2, 14, 14)
            icons.icon("error", tokens.error).paint(painter, mark)
            box = box.adjusted(0, 0, -20, 0)
        text = str(self.sizes.get(name, 0)) if face is None else face.shape
        painter.setFont(theme.ui_font(12, theme.SEMIBOLD) if is_group else theme.ui_font(12))
        used = painter.fontMetrics().horizontalAdvance(title)
        shape_font = theme.mono_font(10)
        side = Qt.AlignmentFlag.AlignVCenter
        room = QFontMetrics(shape_font).horizontalAdvance(text) + 8 if text else 0
        if used + room > box.width() and room > box.width() // 2:
            room, text = 0, ""
        bypassed = face is not None and document.graph.nodes[NodeId(name)].bypassed
        painter.setPen(QColor(tokens.muted if bypassed else tokens.text))
        shown = painter.fontMetrics().elidedText(title, Qt.TextElideMode.ElideMiddle, box.width() - room)
        painter.drawText(box, side | Qt.AlignmentFlag.AlignLeft, shown)
        painter.setPen(QColor(tokens.muted))
        painter.setFont(theme.ui_font(11))
        values = name.rpartition(".")[2] if face is None else "  ".join(value for _, value in face.rows)
        space = box.adjusted(used + 10, 0, -room - 6, 0)
        if painter.fontMetrics().horizontalAdvance(values) <= space.width():
            painter.drawText(space, side | Qt.AlignmentFlag.AlignLeft, values)
        if text:
            painter.setFont(shape_font)
            painter.drawText(box, side | Qt.AlignmentFlag.AlignRight, text)

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, index: Index) -> None:
        editor.setGeometry(option.rect)


def _paths(name: str) -> Iterator[str]:
    """Every path a name lies below."""
    return (name[:i] for i, letter in enumerate(name) if letter == ".")
