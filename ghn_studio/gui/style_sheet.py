"""The one style sheet of the application.

Widgets opt into variants with dynamic properties: ``primary`` and ``danger`` and ``flat``
on buttons, ``role`` (heading, muted, number, mono, error, warning, ok) on labels,
``card`` on frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ghn_studio import paths
from ghn_studio.gui.fonts import mono_families

if TYPE_CHECKING:
    from ghn_studio.gui.theme import Tokens


def style_sheet(tokens: Tokens) -> str:
    """Return the sheet in the colours of ``tokens``."""
    text = _coloured(_SHEET, tokens)
    folder = (paths.resources() / "icons").as_posix()
    mono = ", ".join(f'"{family}"' for family in mono_families())
    return text.replace("@icons", folder).replace("@mono", mono)


def document_sheet(tokens: Tokens) -> str:
    """Return the sheet of rich text: the manual and tooltips."""
    return _coloured(_DOCUMENT, tokens).replace("@mono", mono_families()[0])


def _coloured(sheet: str, tokens: Tokens) -> str:
    values = {name: getattr(tokens, name) for name in tokens.__slots__ if isinstance(getattr(tokens, name), str)}
    for name in sorted(values, key=len, reverse=True):
        sheet = sheet.replace(f"${name}", values[name])
    return sheet


# What Qt's rich text understands of CSS: no padding of blocks, no rounded corners.
_DOCUMENT = """
.h1 { font-size: 20px; font-weight: 600; margin-top: 0; margin-bottom: 8px; }
.h2 { font-size: 14px; font-weight: 600; margin-top: 22px; margin-bottom: 6px; }
.h3 { font-size: 13px; font-weight: 600; margin-top: 14px; margin-bottom: 4px; }
p { margin-top: 6px; margin-bottom: 6px; line-height: 135%; }
li { margin-top: 3px; margin-bottom: 3px; line-height: 130%; }
ul, ol { margin-left: -22px; margin-top: 4px; margin-bottom: 8px; }
a { color: $edge_hot; text-decoration: none; }
b { font-weight: 600; }
pre, code { font-family: "@mono"; font-size: 12px; }
pre { white-space: pre-wrap; margin: 0; line-height: 140%; }
.code { background-color: $raised; border: none; }
code { color: $text; }
th { color: $muted; font-weight: 400; font-size: 12px; border-bottom: 1px solid $border; }
td { border-bottom: 1px solid $raised; }
table { margin-top: 4px; margin-bottom: 10px; border-collapse: collapse; }
.muted { color: $muted; }
"""

_SHEET = r"""
QMainWindow, QDialog { background: $panel; }
QWidget { color: $text; selection-background-color: $selection; selection-color: $on_selection; }
QMainWindow::separator { background: $canvas; width: 1px; height: 1px; }
QMainWindow::separator:hover { background: $selection; }
QSplitter::handle { background: $border; }
QSplitter::handle:horizontal { width: 1px; }
QSplitter::handle:vertical { height: 1px; }

QDockWidget { font-weight: 600; titlebar-close-icon: none; titlebar-normal-icon: none; }
QDockWidget::title { background: $panel; padding: 10px 12px 6px 12px; text-align: left; }

QMenuBar { background: $panel; padding: 2px 4px; border: none; border-bottom: 1px solid $border; }
QMenuBar::item { background: transparent; padding: 5px 10px; border-radius: 5px; }
QMenuBar::item:selected { background: $raised; }
QMenu { background: $panel; border: 1px solid $border; padding: 5px; }
QMenu::item { padding: 6px 28px 6px 12px; border-radius: 5px; background: transparent; }
QMenu::item:selected { background: $raised; }
QMenu::item:disabled { color: $muted; }
QMenu::separator { height: 1px; background: $border; margin: 5px 8px; }
QMenu::icon { padding-left: 8px; }
QMenu::indicator { width: 14px; height: 14px; left: 8px; }
QMenu::indicator:checked { image: url("@icons/check-$name.svg"); }
QMenu::right-arrow { image: url("@icons/chevron-right-$name.svg"); width: 12px; height: 12px; margin-right: 6px; }

QToolBar { background: $panel; border: none; border-bottom: 1px solid $border; padding: 6px 8px; spacing: 6px; }
QToolBar::separator { background: $border; width: 1px; margin: 4px 6px; }
QToolButton { background: transparent; border: 1px solid transparent; border-radius: 6px; padding: 5px; }
QToolButton:hover { background: $raised; }
QToolButton:pressed, QToolButton:checked { background: $raised; border-color: $border; }
QToolButton:focus { border-color: $selection; }
QToolButton:disabled { color: $muted; }
QToolButton::menu-indicator { image: none; }

QPushButton { background: $raised; border: 1px solid $border; border-radius: 6px; padding: 0 14px; min-height: 26px; }
QPushButton:hover { border-color: $muted; }
QPushButton:pressed { background: $border; }
QPushButton:disabled { color: $muted; background: $panel; }
QPushButton:focus { border-color: $selection; }
QPushButton:default { border-color: $selection; }
QPushButton[primary="true"], QToolButton[primary="true"] {
    background: $primary; color: $on_primary; border: 1px solid $primary; font-weight: 600; }
QPushButton[primary="true"]:hover, QToolButton[primary="true"]:hover { background: $edge_hot; border-color: $edge_hot;
    color: $on_selection; }
QPushButton[primary="true"]:disabled, QToolButton[primary="true"]:disabled {
    background: $raised; color: $muted; border-color: $border; }
QPushButton[danger="true"] { color: $error; border-color: $error; background: transparent; }
QPushButton[flat="true"] { background: transparent; border-color: transparent; }
QPushButton[flat="true"]:hover { background: $raised; }

QLineEdit, QPlainTextEdit, QTextEdit, QSpinBox, QDoubleSpinBox, QComboBox {
    background: $canvas; border: 1px solid $border; border-radius: 6px; min-height: 26px; padding: 0 8px; }
QPlainTextEdit, QTextEdit { padding: 6px; }
QAbstractSpinBox QLineEdit, QComboBox QLineEdit { background: transparent; border: none; min-height: 0;
    padding: 0 0 0 6px; }
QLineEdit:hover, QSpinBox:hover, QDoubleSpinBox:hover, QComboBox:hover { border-color: $muted; }
QLineEdit:focus, QPlainTextEdit:focus, QTextEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus {
    border-color: $selection; }
QLineEdit:disabled, QSpinBox:disabled, QDoubleSpinBox:disabled, QComboBox:disabled {
    color: $muted; background: $panel; }
QLineEdit[wrong="true"], QSpinBox[wrong="true"], QDoubleSpinBox[wrong="true"], QComboBox[wrong="true"] {
    border-color: $error; }
QComboBox::drop-down { border: none; width: 24px; }
QComboBox::down-arrow { image: url("@icons/chevron-down-$name.svg"); width: 12px; height: 12px; }
QComboBox QAbstractItemView { background: $panel; border: 1px solid $border; padding: 4px; outline: none; }
QSpinBox::up-button, QDoubleSpinBox::up-button { subcontrol-origin: border; subcontrol-position: top right;
    width: 20px; border: none; margin: 2px 2px 0 0; }
QSpinBox::down-button, QDoubleSpinBox::down-button { subcontrol-origin: border; subcontrol-position: bottom right;
    width: 20px; border: none; margin: 0 2px 2px 0; }
QSpinBox::up-button:hover, QSpinBox::down-button:hover, QDoubleSpinBox::up-button:hover,
QDoubleSpinBox::down-button:hover { background: $raised; border-radius: 4px; }
QSpinBox::up-arrow, QDoubleSpinBox::up-arrow { image: url("@icons/chevron-up-$name.svg"); width: 10px; height: 10px; }
QSpinBox::down-arrow, QDoubleSpinBox::down-arrow {
    image: url("@icons/chevron-down-$name.svg"); width: 10px; height: 10px; }

QCheckBox, QRadioButton { spacing: 8px; min-height: 24px; background: transparent; }
QCheckBox::indicator { width: 16px; height: 16px; border: 1px solid $muted; border-radius: 4px; background: $canvas; }
QCheckBox::indicator:hover { border-color: $selection; }
QCheckBox::indicator:checked { background: $primary; border-color: $primary; image: url("@icons/check-dark.svg"); }
QCheckBox::indicator:focus, QRadioButton::indicator:focus { border: 2px solid $selection; }
QCheckBox:disabled { color: $muted; }
QCheckBox::indicator:disabled { border-color: $border; }
QCheckBox::indicator:checked:disabled { background: $border; image: url("@icons/check-$name.svg"); }
QRadioButton::indicator { width: 14px; height: 14px; border: 1px solid $muted; border-radius: 8px;
    background: $canvas; }
QRadioButton::indicator:checked { background: $primary; border: 1px solid $primary; }

QTabWidget::pane { border: none; border-top: 1px solid $border; }
QTabBar { background: transparent; qproperty-drawBase: 0; }
QTabBar::tab { background: transparent; color: $muted; padding: 8px 14px; border: none;
    border-bottom: 2px solid transparent; }
QTabBar::tab:hover { color: $text; }
QTabBar::tab:selected { color: $text; border-bottom: 2px solid $selection; font-weight: 600; }
QTabBar::tab:selected:focus { background: $raised; border-radius: 6px; }

QTreeView, QListView, QTableView { background: $panel; border: none; outline: none; gridline-color: $border;
    alternate-background-color: $raised; }
QTreeView::item, QListView::item { padding: 4px 6px; border-radius: 6px; min-height: 20px; }
QTreeView::item:hover, QListView::item:hover, QTableView::item:hover { background: $raised; }
QTreeView::item:selected, QListView::item:selected, QTableView::item:selected {
    background: $raised; color: $text; }
QTreeView::item:focus, QListView::item:focus, QTableView::item:focus { border: 1px solid $selection; }
QTreeView[painted="true"] { selection-background-color: transparent; show-decoration-selected: 0; }
QTreeView[painted="true"]::item, QTreeView[painted="true"]::item:hover, QTreeView[painted="true"]::item:selected {
    background: transparent; }
QTreeView { show-decoration-selected: 0; }
QTreeView::branch { background: transparent; }
QTreeView::branch:has-children:closed { image: url("@icons/chevron-right-$name.svg"); }
QTreeView::branch:has-children:open { image: url("@icons/chevron-down-$name.svg"); }
QHeaderView { background: $panel; border: none; }
QHeaderView::section { background: $panel; color: $muted; border: none; border-bottom: 1px solid $border;
    padding: 6px 8px; font-weight: 600; }
QTableCornerButton::section { background: $panel; border: none; }

QScrollArea { background: transparent; border: none; }
QScrollBar:vertical { background: transparent; width: 10px; margin: 2px; }
QScrollBar:horizontal { background: transparent; height: 10px; margin: 2px; }
QScrollBar::handle { background: $border; border-radius: 3px; }
QScrollBar::handle:vertical { min-height: 32px; }
QScrollBar::handle:horizontal { min-width: 32px; }
QScrollBar::handle:hover { background: $muted; }
QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {
    background: transparent; border: none; width: 0; height: 0; }

QProgressBar { background: $canvas; border: 1px solid $border; border-radius: 5px; min-height: 8px; max-height: 18px;
    text-align: center; }
QProgressBar[thin="true"] { min-height: 6px; max-height: 6px; border-radius: 4px; }
QProgressBar[thin="true"]::chunk { border-radius: 3px; }
QProgressBar::chunk { background: $primary; border-radius: 4px; }
QSlider::groove:horizontal { height: 4px; background: $border; border-radius: 2px; }
QSlider::handle:horizontal { width: 14px; height: 14px; margin: -5px 0; border-radius: 7px; background: $selection; }
QSlider::handle:horizontal:focus { border: 2px solid $text; }

QStatusBar { background: $panel; border-top: 1px solid $border; color: $muted; }
QStatusBar::item { border: none; }
QStatusBar QLabel { color: $muted; padding: 0 6px; }
QToolButton[status="true"] { color: $muted; border: 1px solid transparent; border-radius: 4px; padding: 1px 7px;
    font-size: 12px; }
QToolButton[status="true"]:hover { color: $text; background: $raised; }
QToolButton[status="true"]:focus { border-color: $selection; }
QToolButton[status="true"][wrong="true"] { color: $error; }
QToolTip { background: $raised; color: $text; border: 1px solid $border; padding: 5px 8px; }
QGroupBox { border: 1px solid $border; border-radius: 8px; margin-top: 18px; padding: 8px; font-weight: 600; }
QGroupBox::title { subcontrol-origin: margin; left: 4px; color: $muted; }

QLabel { background: transparent; }
QLabel[role="heading"] { font-size: 12px; font-weight: 600; color: $text; }
QLabel[role="title"] { font-size: 18px; font-weight: 600; }
QLabel[role="number"] { font-size: 28px; font-weight: 600; }
QLabel[role="muted"] { color: $muted; font-size: 12px; }
QLabel[role="mono"] { font-family: @mono; font-size: 12px; }
QLabel[role="error"] { color: $error; }
QLabel[role="warning"] { color: $warning; }
QLabel[role="ok"] { color: $ok; }
QFrame[card="true"] { background: $body; border: 1px solid $border; border-radius: 10px; }
QFrame[card="true"]:hover, QFrame[card="true"]:focus { border-color: $selection; }
QFrame[line="true"] { background: $border; max-height: 1px; min-height: 1px; border: none; }

QLabel[role="display"] { font-size: 24px; font-weight: 600; }
QLabel[role="strong"] { font-weight: 600; }
QLabel[role="pill"] { background: $raised; border: 1px solid $border; border-radius: 8px; padding: 1px 10px;
    font-size: 12px; }
QPlainTextEdit[mono="true"] { font-family: @mono; font-size: 12px; }
QFrame[row="true"] { background: $body; border: 1px solid $border; border-radius: 8px; }
QFrame[row="true"]:hover, QFrame[row="true"]:focus { border-color: $selection; }
QFrame[column="true"] { border: none; border-left: 1px solid $border; }
QFrame#banner { background: $raised; border: none; border-left: 3px solid $edge_hot;
    border-bottom: 1px solid $border; }
QFrame#banner[kind="error"] { border-left-color: $error; }
QFrame#banner[kind="warning"] { border-left-color: $warning; }
QFrame#banner[kind="ok"] { border-left-color: $ok; }
QFrame#familiarity { background: $raised; border: 1px solid $border; border-radius: 11px; }
QFrame#familiarity[kind="ok"] { border-color: $ok; }
QFrame#familiarity[kind="warning"] { border-color: $warning; }
QFrame#familiarity[kind="error"] { border-color: $error; }
QFrame#staleLine { background: $raised; border: none; border-bottom: 1px solid $border; }
QToolButton[outlined="true"] { border: 1px solid $border; min-height: 16px; padding: 5px 24px 5px 10px; }
QToolButton[outlined="true"]::menu-indicator { image: url("@icons/chevron-down-$name.svg"); width: 12px; height: 12px;
    subcontrol-origin: padding; subcontrol-position: right center; right: 7px; }

QFrame#hintCard { background: $panel; border: 1px solid $edge_hot; border-radius: 8px; }
QFrame#hintCard QLabel { background: transparent; }
QTextBrowser[page="true"] { background: $panel; border: none; border-top: 1px solid $border; border-radius: 0;
    padding: 0; }
QFrame#canvasBar, QFrame#canvasSearch { background: $panel; border: 1px solid $border; border-radius: 8px; }
QFrame#canvasBar QToolButton { padding: 4px; min-width: 20px; min-height: 20px; }
QLabel#canvasHint { background: $raised; border: 1px solid $border; border-radius: 6px; padding: 4px 8px;
    font-size: 12px; }
QLabel#canvasHint[refused="true"] { color: $error; border-color: $error; }
QFrame#canvasFix { background: $panel; border: 1px solid $border; border-radius: 8px; }
QFrame#canvasFix QToolButton { padding: 2px 8px 2px 5px; font-size: 12px; }
QFrame#canvasFix QToolButton#canvas\.fix\.more { padding: 2px 6px; }
QFrame#canvasSearch QLineEdit { background: $canvas; }
QFrame#canvasSearch QListWidget { background: transparent; }
"""
