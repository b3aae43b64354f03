"""What was made of a foreign file: figures, how far they are the file's, what was recognised and what was not."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from ghn_studio.app.drawing.faces import count_text
from ghn_studio.app.importing.summary import Agreement, Kind, Opaque, Summary
from ghn_studio.gui.look import badge, category_icon, label, replace_page
from ghn_studio.gui.wording import plural

#: Kinds are listed in so many columns.
COLUMNS = 2
#: Foreign nodes beyond this many are counted.
LISTED = 40

_BADGES = {Agreement.OWN: "ok", Agreement.SAME: "ok", Agreement.CLOSE: "warning", Agreement.OTHER: "error",
           Agreement.UNKNOWN: "warning"}


class ImportReportPage(QScrollArea):
    """Shows one summary; a later one replaces it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.summary: Summary | None = None
        self.verdict = QLabel()

    def show_summary(self, summary: Summary) -> None:
        """Show a network's figures."""
        self.summary = summary
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(20, 16, 20, 16)
        column.setSpacing(12)
        column.addLayout(_numbers(summary))
        column.addWidget(self._verdict(summary))
        if summary.warnings or summary.problems:
            column.addLayout(_remarks(summary))
        if summary.opaque:
            column.addLayout(_foreign_nodes(summary.opaque))
        column.addLayout(_kinds(summary))
        column.addStretch(1)
        replace_page(self, page)

    def wanted_height(self, width: int) -> int:
        """What the summary takes without scrolling, px, in a page of some width."""
        page = self.widget()
        layout = page.layout() if page is not None else None
        if page is None or layout is None:
            return 0
        for part in page.findChildren(QWidget):
            part.ensurePolished()  # or the sizes of fonts are not known yet
            part.updateGeometry()
        layout.invalidate()
        return layout.heightForWidth(width) if layout.hasHeightForWidth() else layout.sizeHint().height()

    def _verdict(self, summary: Summary) -> QFrame:
        kind = _BADGES[summary.agreement]
        self.verdict = label(summary.verdict, kind, wrap=True)
        self.verdict.setObjectName("import.verdict")
        box = QFrame()
        box.setProperty("row", True)
        row = QHBoxLayout(box)
        row.setContentsMargins(12, 9, 12, 9)
        row.setSpacing(10)
        row.addWidget(badge(kind))
        row.addWidget(self.verdict, 1)
        return box


def _numbers(summary: Summary) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(28)
    frozen = summary.parameters - summary.trainable
    for number, name, tip in (
        (f"{summary.operations:,}", "operations in the file", "Nodes of the file, functions written out"),
        (f"{summary.nodes:,}", "nodes on the canvas", f"In {plural(summary.groups, 'group')}"),
        (f"{summary.layers:,}", "layers", "Nodes that own parameters"),
        (count_text(summary.parameters), "parameters" if summary.has_values else "parameters, without values",
         f"{summary.trainable:,} trainable" + (f", {frozen:,} fixed" if frozen else "")),
    ):
        cell = QVBoxLayout()
        cell.setSpacing(0)
        big, small = label(number, "display"), label(name, "muted")
        for part in (big, small):
            part.setToolTip(tip)
            cell.addWidget(part)
        row.addLayout(cell)
    row.addStretch(1)
    return row


def _remarks(summary: Summary) -> QVBoxLayout:
    column = _section("Warnings")
    for kind, texts in (("warning", summary.warnings), ("error", summary.problems)):
        for text in texts:
            row = QHBoxLayout()
            row.setSpacing(10)
            row.addWidget(badge(kind), 0, Qt.AlignmentFlag.AlignTop)
            words = label(_sentence(text), wrap=True)
            words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            row.addWidget(words, 1)
            column.addLayout(row)
    return column


def _foreign_nodes(nodes: tuple[Opaque, ...]) -> QVBoxLayout:
    column = _section(f"Foreign nodes ({len(nodes)})", "Kept as they are: no operator of the palette takes them, and "
                      "no hypernetwork predicts them.")
    grid = QGridLayout()
    grid.setHorizontalSpacing(16)
    grid.setVerticalSpacing(4)
    grid.setColumnStretch(2, 1)
    for index, node in enumerate(nodes[:LISTED]):
        fate = "run by onnxruntime" if node.is_runnable else "nothing here can run it"
        texts = ((node.name, "mono"), (node.kind, "strong"), (fate, "muted" if node.is_runnable else "error"))
        for place, (text, role) in enumerate(texts):
            grid.addWidget(label(text, role), index, place)
    column.addLayout(grid)
    if len(nodes) > LISTED:
        column.addWidget(label(f"and {len(nodes) - LISTED:,} more", "muted"))
    return column


def _kinds(summary: Summary) -> QVBoxLayout:
    takes = f"{summary.input} → {summary.output}" if summary.input and summary.output else ""
    column = _section("Recognised", takes)
    grid = QGridLayout()
    grid.setHorizontalSpacing(10)
    grid.setVerticalSpacing(7)
    rows = -(-len(summary.kinds) // COLUMNS)
    for index, kind in enumerate(summary.kinds):
        _kind_row(grid, kind, index % rows, 4 * (index // rows))
    for place in range(COLUMNS):
        grid.setColumnStretch(4 * place + 1, 1)
        grid.setColumnMinimumWidth(4 * place + 3, 18 if place + 1 < COLUMNS else 0)
    column.addLayout(grid)
    return column


def _kind_row(grid: QGridLayout, kind: Kind, row: int, column: int) -> None:
    picture = label("")
    picture.setPixmap(category_icon(kind.category).pixmap(16, 16))
    picture.setToolTip(str(kind.category))
    count = label(f"{kind.count:,}", "mono")
    count.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    grid.addWidget(picture, row, column)
    grid.addWidget(label(kind.title), row, column + 1)
    grid.addWidget(count, row, column + 2)


def _section(title: str, note: str = "") -> QVBoxLayout:
    column = QVBoxLayout()
    column.setContentsMargins(0, 6, 0, 0)
    column.setSpacing(7)
    column.addWidget(label(title, "heading"))
    if note:
        column.addWidget(label(note, "muted", wrap=True))
    return column


def _sentence(text: str) -> str:
    """``text`` with a capital letter and a full stop."""
    first = text.partition(" ")[0]
    start = text[:1].upper() if first.isalpha() else text[:1]  # names of nodes stay as they are
    return f"{start}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"
