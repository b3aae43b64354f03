"""The outline as a Qt model: takes a new tree over by moving, adding and removing only the rows that differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, Qt

from ghn_studio.app.document import Document
from ghn_studio.app.drawing.outlining import Tree, caption, spoken
from ghn_studio.gui.canvas.menus import describe
from ghn_studio.ir.graph import NodeId

Index = QModelIndex | QPersistentModelIndex
#: The node id or group path of a row.
NAME = Qt.ItemDataRole.UserRole
_NOWHERE = QModelIndex()


class OutlineModel(QAbstractItemModel):
    """Rows are node ids and group paths. ``rename`` is called with the name of a row and the text a person typed."""

    def __init__(self, document: Document, rename: Callable[[str, str], bool]) -> None:
        super().__init__()
        self._document, self._rename = document, rename
        self._tree: dict[str, list[str]] = {"": []}
        self._parents: dict[str, str] = {}
        # Indexes hold numbers, not objects: one that outlives its row must do no harm.
        self._numbers: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._rows: dict[str, dict[str, int]] = {}
        self._fresh = count(1)

    # --- taking a tree over ------------------------------------------------------------------

    def show_tree(self, tree: Tree, changed: Iterable[str] = ()) -> None:
        """Become ``tree``; ``changed`` names rows that say something else than before."""
        for path in [p for p in self._tree if p and p not in tree]:
            self._forget(path)
        for path in tree:  # outer groups come before those inside
            self._take(path, tree[path])
        for name in changed:
            index = self.index_of(name)
            if index.isValid():
                self.dataChanged.emit(index, index)

    def _take(self, path: str, wanted: tuple[str, ...]) -> None:
        """Let a group have these children, in this order."""
        present = self._tree.setdefault(path, [])
        if tuple(present) == wanted:
            return
        keep = set(wanted)
        row = len(present) - 1
        while row >= 0:
            if present[row] in keep:
                row -= 1
                continue
            last = row
            while row > 0 and present[row - 1] not in keep:
                row -= 1
            self._remove(path, row, last)
            row -= 1
        old = set(present)
        for row, name in enumerate(wanted):
            if name not in old:
                self._insert(path, row, name)
        if tuple(present) != wanted:
            self._reorder(path, wanted)

    def _remove(self, path: str, first: int, last: int) -> None:
        self.beginRemoveRows(self.index_of(path), first, last)
        for name in self._tree[path][first:last + 1]:
            self._drop(name, path)
        del self._tree[path][first:last + 1]
        self._rows.pop(path, None)
        self.endRemoveRows()

    def _drop(self, name: str, parent: str) -> None:
        """Forget a row and all below it, unless it lives on elsewhere."""
        for child in self._tree.get(name, ()):
            self._drop(child, name)
        if self._parents.get(name) == parent:
            self._parents.pop(name)
            self._tree.pop(name, None)
            self._rows.pop(name, None)
            self._names.pop(self._numbers.pop(name), None)

    def _forget(self, path: str) -> None:
        parent = self._parents.get(path)
        if parent is not None and path in self._tree.get(parent, ()):
            row = self._row(path)
            self._remove(parent, row, row)

    def _insert(self, path: str, row: int, name: str) -> None:
        before = self._parents.get(name)
        if before is not None:  # it moves here from another group
            self._remove(before, self._row(name), self._row(name))
        row = min(row, len(self._tree[path]))
        self.beginInsertRows(self.index_of(path), row, row)
        self._tree[path].insert(row, name)
        self._parents[name] = path
        number = next(self._fresh)
        self._numbers[name], self._names[number] = number, name
        self._rows.pop(path, None)
        self.endInsertRows()

    def _reorder(self, path: str, wanted: tuple[str, ...]) -> None:
        self.layoutAboutToBeChanged.emit()
        moved = [i for i in self.persistentIndexList() if self._parents.get(self.name_of(i)) == path]
        names = [self.name_of(i) for i in moved]
        self._tree[path][:] = wanted
        self._rows.pop(path, None)
        self.changePersistentIndexList(moved, [self.index_of(n) for n in names])
        self.layoutChanged.emit()

    # --- what Qt asks --------------------------------------------------------------------------

    def name_of(self, index: Index) -> str:
        """The node id or path of a row; empty for the root and for rows that are gone."""
        return self._names.get(index.internalId(), "") if index.isValid() else ""

    def index_of(self, name: str) -> QModelIndex:
        """Where a node or group is; an invalid index for the root and for what is not in the tree."""
        number = self._numbers.get(name)
        return QModelIndex() if number is None else self.createIndex(self._row(name), 0, number)

    def _row(self, name: str) -> int:
        parent = self._parents[name]
        if parent not in self._rows:
            self._rows[parent] = {n: i for i, n in enumerate(self._tree[parent])}
        return self._rows[parent][name]

    def index(self, row: int, column: int, parent: Index = _NOWHERE) -> QModelIndex:
        inside = self._tree.get(self.name_of(parent), ())
        if column or not 0 <= row < len(inside):
            return QModelIndex()
        return self.createIndex(row, 0, self._numbers[inside[row]])

    def parent(self, index: Index = _NOWHERE) -> QModelIndex:  # type: ignore[override]  # QObject has a parent() too
        return self.index_of(self._parents.get(self.name_of(index), ""))

    def rowCount(self, parent: Index = _NOWHERE) -> int:
        return len(self._tree.get(self.name_of(parent), ())) if not parent.isValid() or self.name_of(parent) else 0

    def columnCount(self, parent: Index = _NOWHERE) -> int:
        return 1

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not self.name_of(index):
            return Qt.ItemFlag.NoItemFlags
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEditable
        return flags if self.name_of(index) in self._tree else flags | Qt.ItemFlag.ItemNeverHasChildren

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        name, document = self.name_of(index), self._document
        graph = document.graph
        if role == NAME:
            return name
        if name not in graph.groups and name not in graph.nodes:
            return None
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return caption(graph, name)
            case Qt.ItemDataRole.EditRole:
                return graph.groups[name].title if name in graph.groups else name
            case Qt.ItemDataRole.ToolTipRole:
                return describe(document, NodeId(name)) if name in graph.nodes else name
            case Qt.ItemDataRole.AccessibleTextRole:
                return spoken(document, name)[0]
            case Qt.ItemDataRole.AccessibleDescriptionRole:
                return spoken(document, name)[1]
        return None

    def setData(self, index: Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        return role == Qt.ItemDataRole.EditRole and self._rename(self.name_of(index), str(value).strip())
