"""The left panel: every operator by category, found by typing, added by dragging or double-clicking."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QByteArray, QEvent, QMimeData, QModelIndex, QObject, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QLineEdit, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from ghn_studio.gui.canvas import OPERATOR_MIME
from ghn_studio.gui.look import category_icon, colour, label, operator_icon
from ghn_studio.gui.panels.operator_tips import operator_tip
from ghn_studio.ops import OpRegistry
from ghn_studio.ops.spec import Category, OpSpec

_OPERATOR = Qt.ItemDataRole.UserRole


class _Tree(QTreeWidget):
    """A tree whose leaves can be dragged onto the canvas."""

    def mimeTypes(self) -> list[str]:
        return [OPERATOR_MIME]

    def mimeData(self, items: Sequence[QTreeWidgetItem]) -> QMimeData:
        data = QMimeData()
        ids = [item.data(0, _OPERATOR) for item in items if item.data(0, _OPERATOR)]
        if ids:
            data.setData(OPERATOR_MIME, QByteArray(ids[0].encode()))
        return data


class Palette(QWidget):
    """Lists the registry; a view of data, so a new operator appears by itself."""

    #: Id of the operator a person asked for by double click or Enter.
    requested = Signal(str)

    def __init__(self, ops: OpRegistry, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("palette")
        self.search = QLineEdit(placeholderText="Search operators", clearButtonEnabled=True)
        self.search.setObjectName("palette.search")
        self.search.setAccessibleName("Search operators")
        self.search.textChanged.connect(self._filter)
        self.search.setAcceptDrops(False)  # a file dropped here is for the window
        self.search.installEventFilter(self)
        self._ops = ops
        self._sections: dict[QTreeWidgetItem, list[QTreeWidgetItem]] = {}
        self.tree = _Tree()
        self.tree.setObjectName("palette.tree")
        self.tree.setAccessibleName("Operators")
        self.tree.setHeaderHidden(True)
        self.tree.setIndentation(10)
        self.tree.setRootIsDecorated(False)
        self.tree.setDragEnabled(True)
        self.tree.setIconSize(QSize(16, 16))
        self.tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.tree.setDragDropMode(QTreeWidget.DragDropMode.DragOnly)
        self.tree.itemDoubleClicked.connect(self._on_activated)
        self.tree.itemClicked.connect(self._on_clicked)
        self.tree.installEventFilter(self)
        self._nothing = label("", "muted", wrap=True)
        self._nothing.setObjectName("palette.nothing")
        self._nothing.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 10, 10, 6)
        layout.setSpacing(8)
        layout.addWidget(self.search)
        layout.addWidget(self._nothing)
        layout.addWidget(self.tree, 1)
        self._fill(ops)
        self.restyle()

    def restyle(self) -> None:
        """Draw the icons again in the colours of the current theme."""
        for section, leaves in self._sections.items():
            category = Category(section.data(0, Qt.ItemDataRole.AccessibleTextRole))
            section.setIcon(0, category_icon(category))
            section.setForeground(0, colour("muted"))
            for leaf in leaves:
                leaf.setIcon(0, operator_icon(category))
                leaf.setToolTip(0, operator_tip(self._ops[leaf.data(0, _OPERATOR)]))

    def current_operator(self) -> str:
        """Id of the operator the keyboard is on, or ""."""
        item = self.tree.currentItem()
        return (item.data(0, _OPERATOR) or "") if item is not None else ""

    def visible_operators(self) -> list[str]:
        """Ids of the operators the search leaves, in their order."""
        return [i.data(0, _OPERATOR) for i in self._leaves() if not i.isHidden()]

    def _fill(self, ops: OpRegistry) -> None:
        for category in Category:
            specs = [s for s in ops if s.category is category]
            if category is Category.HIDDEN or not specs:
                continue
            section = QTreeWidgetItem([str(category)])
            section.setData(0, Qt.ItemDataRole.AccessibleTextRole, str(category))
            section.setFlags(Qt.ItemFlag.ItemIsEnabled)
            font = section.font(0)
            font.setWeight(font.Weight.DemiBold)
            section.setFont(0, font)
            section.setSizeHint(0, QSize(0, 30))
            leaves = [_leaf(s) for s in specs]
            section.addChildren(leaves)
            self.tree.addTopLevelItem(section)
            self._sections[section] = leaves
        self._unfold()

    def _unfold(self) -> None:
        """Show every section but what networks that are drawn seldom need."""
        for section in self._sections:
            section.setExpanded(section.text(0) != Category.TENSOR)

    def _leaves(self) -> list[QTreeWidgetItem]:
        return [leaf for leaves in self._sections.values() for leaf in leaves]

    def _filter(self, text: str) -> None:
        words = text.lower().split()
        first: QTreeWidgetItem | None = None
        for section, leaves in self._sections.items():
            for leaf in leaves:
                spec = self._ops[leaf.data(0, _OPERATOR)]
                found = f"{spec.title} {spec.id} {spec.summary} {spec.category}".lower()
                leaf.setHidden(not all(w in found for w in words))
                better = words and leaf.text(0).lower().startswith(words[0])
                if not leaf.isHidden() and (first is None or (better and not _starts(first, words[0]))):
                    first = leaf
            section.setHidden(all(leaf.isHidden() for leaf in leaves))
            section.setExpanded(True)
        if not words:
            self._unfold()
        self._nothing.setText(f"No operator is called “{text.strip()}” or does that. Esc shows all of them again.")
        self._nothing.setVisible(first is None)
        if first is not None and words:
            self.tree.setCurrentItem(first)
        else:
            self.tree.setCurrentIndex(QModelIndex())

    def _on_activated(self, item: QTreeWidgetItem) -> None:
        if item.data(0, _OPERATOR):
            self.requested.emit(item.data(0, _OPERATOR))

    def _on_clicked(self, item: QTreeWidgetItem) -> None:
        if not item.data(0, _OPERATOR):
            item.setExpanded(not item.isExpanded())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if not isinstance(event, QKeyEvent) or event.type() != QEvent.Type.KeyPress:
            return False
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
            current = self.tree.currentItem()
            if current is not None:
                self._on_activated(current)
            return True
        if watched is self.search and event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Up):
            self.tree.setFocus(Qt.FocusReason.TabFocusReason)
            if self.tree.currentItem() is None and self._leaves():
                self.tree.setCurrentItem(self._leaves()[0])
            return True
        if watched is self.search and event.key() == Qt.Key.Key_Escape and self.search.text():
            self.search.clear()
            return True
        return False


def _leaf(spec: OpSpec[object]) -> QTreeWidgetItem:
    leaf = QTreeWidgetItem([spec.title])
    leaf.setData(0, _OPERATOR, spec.id)
    leaf.setSizeHint(0, QSize(0, 26))
    leaf.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsDragEnabled)
    return leaf


def _starts(leaf: QTreeWidgetItem, word: str) -> bool:
    return leaf.text(0).lower().startswith(word)
