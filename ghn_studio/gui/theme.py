"""Colours, fonts and the application's style sheet, dark and light.

Every colour is a token; contrast on the surface it is used on was computed: text reaches
4.5, graphics that carry state 3.0 (a test keeps it so).
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from ghn_studio.gui.fonts import mono_font as mono_font
from ghn_studio.gui.fonts import ui_font as ui_font
from ghn_studio.gui.style_sheet import style_sheet
from ghn_studio.ops.spec import Category

SEMIBOLD = QFont.Weight.DemiBold

MODES = ("system", "light", "dark")

#: Shadows are translucent layers of it, in both themes.
SHADOW_INK = "#000000"


@dataclass(frozen=True, slots=True)
class Tokens:
    """The colours of one theme as ``#rrggbb``, named by use."""

    name: str
    canvas: str
    dot: str
    panel: str
    raised: str
    body: str
    border: str
    text: str
    muted: str
    edge: str
    edge_hot: str
    selection: str
    on_selection: str
    primary: str
    on_primary: str
    error: str
    on_error: str
    warning: str
    ok: str
    heat: str  # the strongest colour of a measured layer; text is read on it
    guide: str  # lines that show what a dragged node is lined up with
    tint: float  # share of the accent in a node's header
    shadow: float  # opacity of each of the shadow's layers
    accents: tuple[str, ...]  # in the order of Category

    def accent(self, category: Category) -> str:
        """The colour of an operator category."""
        return self.accents[_ORDER[category]]


_ORDER = {category: i for i, category in enumerate(Category)}

DARK = Tokens(
    name="dark", canvas="#14171C", dot="#262B34", panel="#1A1E25", raised="#2A303B", body="#20252E", border="#39414E",
    text="#E8ECF2", muted="#9AA5B5", edge="#667085", edge_hot="#8AB4F8", selection="#6EA8FE", on_selection="#0B1220",
    primary="#2F6BDE", on_primary="#FFFFFF", error="#FF6B6B", on_error="#1A0000", warning="#F5B84B", ok="#4FCB8D",
    heat="#B8481B", guide="#F27AA8",
    tint=0.20, shadow=0.030,
    accents=("#9AA5B5", "#5B9DFF", "#38BDD8", "#A08CFF", "#F5A742", "#F27AA8", "#4FCB8D", "#C3A98B", "#FF8A65",
             "#8FA3BF", "#9AA5B5"),
)
LIGHT = Tokens(
    name="light", canvas="#F4F5F7", dot="#D9DDE3", panel="#FFFFFF", raised="#F0F2F5", body="#FFFFFF",
    border="#CBD2DB", text="#1B222C", muted="#566171", edge="#788394", edge_hot="#2563EB", selection="#2563EB",
    on_selection="#FFFFFF", primary="#2563EB", on_primary="#FFFFFF", error="#C8262C", on_error="#FFFFFF",
    warning="#9A6200", ok="#15754A", heat="#DD6B20", guide="#B8306A", tint=0.13, shadow=0.011,
    accents=("#566171", "#1D5FD1", "#0B7285", "#6741D9", "#B35C00", "#B8306A", "#15754A", "#7A5C3A", "#C2410C",
             "#4A5F7D", "#566171"),
)


class Theme(QObject):
    """The look in use. ``changed`` is emitted after palette and style sheet were replaced."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._mode = "system"
        self._tokens = DARK
        self._installed = self._dressed = False

    @property
    def tokens(self) -> Tokens:
        """The colours in use."""
        return self._tokens

    @property
    def is_dark(self) -> bool:
        """True while the dark colours are in use."""
        return self._tokens is DARK

    @property
    def mode(self) -> str:
        """``system``, ``light`` or ``dark``: what was asked for, not what it came to."""
        return self._mode

    def install(self, mode: str = "system") -> None:
        """Dress the running application; needs a ``QApplication``."""
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        if self._installed and mode == self._mode:
            return  # dressing again would polish every widget for nothing
        app.setStyle("Fusion")
        if not self._installed:
            QGuiApplication.styleHints().colorSchemeChanged.connect(self._follow_system)
            self._installed = True
        self.set_mode(mode)

    def set_mode(self, mode: str) -> None:
        """Follow the system, or stay light or dark.

        Raises:
            ValueError: ``mode`` is none of :data:`MODES`.
        """
        if mode not in MODES:
            raise ValueError(f"a theme is one of {', '.join(MODES)}, not '{mode}'")
        self._mode = mode
        scheme = {"light": Qt.ColorScheme.Light, "dark": Qt.ColorScheme.Dark}.get(mode, Qt.ColorScheme.Unknown)
        QGuiApplication.styleHints().setColorScheme(scheme)  # title bars and native dialogs follow
        self._dress()

    def color(self, category: Category) -> QColor:
        """The accent of an operator category."""
        return QColor(self._tokens.accent(category))

    def _follow_system(self) -> None:
        if self._mode == "system":
            self._dress()

    def _dress(self) -> None:
        wanted = self._mode
        if wanted == "system":
            light = QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Light
            wanted = "light" if light else "dark"  # dark where the system has no opinion
        tokens = LIGHT if wanted == "light" else DARK
        if tokens is self._tokens and self._dressed is self._installed:
            return
        self._tokens, self._dressed = tokens, self._installed
        app = QApplication.instance()
        if self._installed and isinstance(app, QApplication):
            app.setPalette(palette(self._tokens))
            app.setFont(ui_font(13))
            app.setStyleSheet(style_sheet(self._tokens))
        self.changed.emit()


_theme: Theme | None = None


def current() -> Theme:
    """The application's theme; made on first use."""
    global _theme
    if _theme is None:
        _theme = Theme()
    return _theme


def palette(tokens: Tokens) -> QPalette:
    """The palette for what the style sheet does not draw."""
    roles = QPalette.ColorRole
    made = QPalette()
    for role, color in (
        (roles.Window, tokens.panel), (roles.WindowText, tokens.text), (roles.Base, tokens.canvas),
        (roles.AlternateBase, tokens.raised), (roles.Text, tokens.text), (roles.Button, tokens.raised),
        (roles.ButtonText, tokens.text), (roles.BrightText, tokens.error), (roles.Highlight, tokens.selection),
        (roles.HighlightedText, tokens.on_selection), (roles.Link, tokens.edge_hot),
        (roles.ToolTipBase, tokens.raised), (roles.ToolTipText, tokens.text), (roles.PlaceholderText, tokens.muted),
        (roles.Light, tokens.raised), (roles.Mid, tokens.border), (roles.Dark, tokens.border),
        (roles.Shadow, tokens.canvas), (roles.Accent, tokens.primary),
    ):
        made.setColor(role, QColor(color))
    for role in (roles.WindowText, roles.Text, roles.ButtonText):
        made.setColor(QPalette.ColorGroup.Disabled, role, mixed(tokens.panel, tokens.muted, 0.6))
    return made


def mixed(a: str, b: str, share: float) -> QColor:
    """The colour ``share`` of the way from ``a`` to ``b``."""
    x, y = QColor(a), QColor(b)
    parts = zip((x.red(), x.green(), x.blue()), (y.red(), y.green(), y.blue()), strict=True)
    return QColor(*(round(p + (q - p) * share) for p, q in parts))


def faded(color: str | QColor, alpha: float) -> QColor:
    """``color`` with opacity ``alpha``."""
    made = QColor(color)
    made.setAlphaF(alpha)
    return made


def contrast(a: str | QColor, b: str | QColor) -> float:
    """The contrast ratio of two colours (WCAG 2.2, section 1.4.3), 1 to 21."""
    light, dark = sorted((_luminance(QColor(a)), _luminance(QColor(b))), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: QColor) -> float:
    parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4
             for p in (color.redF(), color.greenF(), color.blueF())]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
