"""The program's icons: line drawings on a 24 × 24 grid, tinted by the theme."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from ghn_studio.gui import theme

#: Width of a stroke on the grid: 1.5 px where an icon is 20 px high.
STROKE = 1.8

#: Path data by name. Shapes in braces are filled, the rest are strokes.
_PATHS = {
    "new": "M13.5 3H7a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V8.5zM13.5 3v5.5H19M12 12v5M9.5 14.5h5",
    "open": "M3 18V6a2 2 0 0 1 2-2h4.2l2.3 2.5H18a2 2 0 0 1 2 2V10M3 18l2.7-7.2a1.2 1.2 0 0 1 1.1-.8H20.6a1 1 0 0 1 "
            ".95 1.3L19.2 18.7a2 2 0 0 1-1.9 1.3H5a2 2 0 0 1-2-2z",
    "save": "M5 4h11l4 4v11a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 4 19V5a1 1 0 0 1 1-1zM8 4v5h7V4M7.5 20.5v-7h9v7",
    "export": "M12 15V4M7.5 8L12 3.5 16.5 8M4 14v4.5A1.5 1.5 0 0 0 5.5 20h13a1.5 1.5 0 0 0 1.5-1.5V14",
    "import": "M12 4v11M7.5 11L12 15.5 16.5 11M4 14v4.5A1.5 1.5 0 0 0 5.5 20h13a1.5 1.5 0 0 0 1.5-1.5V14",
    "gallery": "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
    "undo": "M8 5L4 9l4 4M4 9h10a5.5 5.5 0 0 1 0 11h-3",
    "redo": "M16 5l4 4-4 4M20 9H10a5.5 5.5 0 0 0 0 11h3",
    "delete": "M4 6.5h16M9 6.5V4.5a1 1 0 0 1 1-1h4a1 1 0 0 1 1 1v2M6 6.5l.8 12.6A1.5 1.5 0 0 0 8.3 20.5h7.4a1.5 "
              "1.5 0 0 0 1.5-1.4L18 6.5M10 10.5v6M14 10.5v6",
    "copy": "M9 9h10.5v11.5H9zM15 9V3.5H4.5V15H9",
    "paste": "M8.5 5H6a1 1 0 0 0-1 1v13.5a1 1 0 0 0 1 1h12a1 1 0 0 0 1-1V6a1 1 0 0 0-1-1h-2.5M9 3.5h6v3.5H9z",
    "duplicate": "M9 9h10.5v11.5H9zM15 9V3.5H4.5V15H9M14.25 12v5.5M11.5 14.75h5.5",
    "predict": "{M13.2 2.8L5.2 13.4a.6.6 0 0 0 .5 1h5l-1.2 6.5c-.1.6.6.9 1 .5l8.1-10.7a.6.6 0 0 0-.5-1h-5.1l1.2-6.4c"
               ".1-.6-.6-.9-1-.5z}",
    "compare": "M4 4v15a1 1 0 0 0 1 1h15M7.5 16c2.5 0 2.5-8 6-8.5 2-.3 4-.5 6-.5M7.5 11.5h12",
    "why": "M4 6h9M4 12h14M4 18h6M17.5 4v3.5M17.5 17.5v2.5",
    "train": "M4 4v15a1 1 0 0 0 1 1h15M7.5 7c1.5 6 4 8.5 12 9",
    "stop": "{M7.5 6h9A1.5 1.5 0 0 1 18 7.5v9a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 6 16.5v-9A1.5 1.5 0 0 1 7.5 6z}",
    "fit": "M4 9V5.5A1.5 1.5 0 0 1 5.5 4H9M15 4h3.5A1.5 1.5 0 0 1 20 5.5V9M20 15v3.5a1.5 1.5 0 0 1-1.5 1.5H15M9 "
           "20H5.5A1.5 1.5 0 0 1 4 18.5V15M9 10h6v4H9z",
    "zoom_in": "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.3 15.3L20 20M10.5 7.5v6M7.5 10.5h6",
    "zoom_out": "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.3 15.3L20 20M7.5 10.5h6",
    "arrange": "M3.5 9.5h5v5h-5zM15.5 3.5h5v5h-5zM15.5 15.5h5v5h-5zM8.5 12h3.5M12 6v12M12 6h3.5M12 18h3.5",
    "arrange_down": "M9.5 3.5h5v5h-5zM3.5 15.5h5v5h-5zM15.5 15.5h5v5h-5zM12 8.5V12M6 12h12M6 12v3.5M18 12v3.5",
    "align_left": "M4 3.5v17M7.5 6.5h9v4h-9zM7.5 13.5h13v4h-13z",
    "align_centre": "M12 3.5v3M12 10.5v3M12 17.5v3M7.5 6.5h9v4h-9zM5.5 13.5h13v4h-13z",
    "align_right": "M20 3.5v17M7.5 6.5h9v4h-9zM3.5 13.5h13v4h-13z",
    "align_top": "M3.5 4h17M6.5 7.5h4v9h-4zM13.5 7.5h4v13h-4z",
    "align_middle": "M3.5 12h3M10.5 12h3M17.5 12h3M6.5 7.5h4v9h-4zM13.5 5.5h4v13h-4z",
    "align_bottom": "M3.5 20h17M6.5 7.5h4v9h-4zM13.5 3.5h4v13h-4z",
    "distribute_across": "M3.5 3.5v17M20.5 3.5v17M9.5 7.5h5v9h-5z",
    "distribute_down": "M3.5 3.5h17M3.5 20.5h17M7.5 9.5h9v5h-9z",
    "minimap": "M4 5h16v14H4zM12.5 12.5H17V16h-4.5z",
    "search": "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.3 15.3L20 20",
    "add": "M12 5v14M5 12h14",
    "close": "M6 6l12 12M18 6L6 18",
    "chevron_up": "M6 15l6-6 6 6",
    "chevron_down": "M6 9l6 6 6-6",
    "check": "M5 12.5l4.5 4.5L19 7.5",
    "error": "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM12 8v5M12 16v.1",
    "warning": "M12 4L2.8 19.5h18.4zM12 10v4.5M12 17v.1",
    "info": "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM12 11v5.5M12 7.8v.1",
    "settings": "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
    "folder": "M3.5 18V6A1.5 1.5 0 0 1 5 4.5h4.2l2.3 2.5H19a1.5 1.5 0 0 1 1.5 1.5V18a1.5 1.5 0 0 1-1.5 "
              "1.5H5A1.5 1.5 0 0 1 3.5 18z",
    "device": "M7 7h10v10H7zM10 3.5V7M14 3.5V7M10 17v3.5M14 17v3.5M3.5 10H7M3.5 14H7M17 10h3.5M17 14h3.5",
    "dataset": "M12 4c4.4 0 7.5 1.2 7.5 2.8S16.4 9.6 12 9.6 4.5 8.4 4.5 6.8 7.6 4 12 4zM4.5 6.8v10.4C4.5 18.8 7.6 20 "
               "12 20s7.5-1.2 7.5-2.8V6.8M4.5 12c0 1.6 3.1 2.8 7.5 2.8s7.5-1.2 7.5-2.8",
    "network": "M4 9.5h5v5H4zM15 4h5v5h-5zM15 15h5v5h-5zM9 12h2.5c2 0 1.5-5.5 3.5-5.5M11.5 12c2 0 1.5 5.5 3.5 5.5",
    "image": "M4 5h16v14H4zM4 16l4.5-4.5 4 4 3-3L20 17M15.5 8.5v.1",
    "filter": "M4 5h16l-6 7.5V19l-4-2v-4.5z",
    "sun": "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6L7 7M17 17l1.4 1.4M5.6 18.4L7 17"
           "M17 7l1.4-1.4",
    "moon": "M19.5 14.2A8 8 0 1 1 9.8 4.5a6.3 6.3 0 0 0 9.7 9.7z",
    "log": "M5 5h14M5 9.5h14M5 14h9M5 18.5h6",
    "group": "M4 8V5.5A1.5 1.5 0 0 1 5.5 4H8M16 4h2.5A1.5 1.5 0 0 1 20 5.5V8M20 16v2.5a1.5 1.5 0 0 1-1.5 1.5H16M8 "
             "20H5.5A1.5 1.5 0 0 1 4 18.5V16M8 8.5h4.5V13H8zM11.5 11H16v4.5h-4.5z",
    "ungroup": "M4 4h7v7H4zM13 13h7v7h-7zM15 4.5h4.5V9M9 19.5H4.5V15",
    "repeat": "M17 3.5l3 3-3 3M20 6.5H8a4 4 0 0 0-4 4v1M7 20.5l-3-3 3-3M4 17.5h12a4 4 0 0 0 4-4v-1",
    "note": "M5 4h14v10.5L14.5 19H5zM14.5 19v-4.5H19M8 8.5h8M8 12h5",
    "pin": "M8.5 4h7M10 4v5.5L7 13.5h10L14 9.5V4M12 13.5V20.5",
    "bypass": "M3 14h2.5a6.5 6.5 0 0 1 13 0H21M9.5 14h5v5.5h-5z",
    "outline": "M4.5 5.5h15M10 12h9.5M10 18.5h9.5M5.5 8.5v10H7M5.5 12H7",
    "command": "M4 5h16v14H4zM7.5 9.5l3 2.5-3 2.5M12.5 15h4",
    "link": "M10 5H6a1.5 1.5 0 0 0-1.5 1.5V18A1.5 1.5 0 0 0 6 19.5h11.5A1.5 1.5 0 0 0 19 18v-4M13.5 4.5h6v6M19.5 "
            "4.5L11 13",
    "cut": "M7 4l8.5 11.5M17 4L8.5 15.5M6.5 15.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM17.5 15.5a2.5 "
           "2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z",
    "select_all": "M4 7V5.5A1.5 1.5 0 0 1 5.5 4H7M10.5 4h3M17 4h1.5A1.5 1.5 0 0 1 20 5.5V7M20 10.5v3M20 17v1.5a1.5 "
                  "1.5 0 0 1-1.5 1.5H17M13.5 20h-3M7 20H5.5A1.5 1.5 0 0 1 4 18.5V17M4 13.5v-3M8.5 8.5h7v7h-7z",
    "code": "M8.5 7l-5 5 5 5M15.5 7l5 5-5 5M13.5 4.5l-3 15",
    "rename": "M4 20l1-4.5L16 4.5l3.5 3.5-11 11zM13.5 7l3.5 3.5",
    "scale": "M4 12h16M7.5 8.5L4 12l3.5 3.5M16.5 8.5L20 12l-3.5 3.5M12 5v3M12 16v3",
    "collapse": "M5 9V5h4M19 15v4h-4M5 15v4h4M19 9V5h-4M9 9h6v6H9z",
    "enter": "M4 4h16v16H4zM8 12h7.5M12.5 8.5L16 12l-3.5 3.5",
    "leave": "M4 4h16v16H4zM16 12H8.5M11.5 8.5L8 12l3.5 3.5",
    "producer": "M14 8.5h6v7h-6zM14 12H4M7.5 8.5L4 12l3.5 3.5",
    "consumer": "M4 8.5h6v7H4zM10 12h10M16.5 8.5L20 12l-3.5 3.5",
    "quit": "M14 4H6a1 1 0 0 0-1 1v14a1 1 0 0 0 1 1h8M10 12h10.5M17 8.5l3.5 3.5-3.5 3.5",
    "keyboard": "M3.5 6.5h17v11h-17zM7 10v.1M10.3 10v.1M13.7 10v.1M17 10v.1M8 14h8",
    "incomplete": "M10.7 4.6A7.5 7.5 0 0 0 4.6 10.7M4.6 13.3a7.5 7.5 0 0 0 6.1 6.1M13.3 19.4a7.5 7.5 0 0 0 "
                  "6.1-6.1M19.4 10.7a7.5 7.5 0 0 0-6.1-6.1",
    "ok": "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM8.5 12.3l2.5 2.5 4.7-5",
    "back": "M15 5l-7 7 7 7",
    "forward": "M9 5l7 7-7 7",
    "contents": "M4 5h5.5A2.5 2.5 0 0 1 12 7.5V20a2.5 2.5 0 0 0-2.5-2.5H4zM20 5h-5.5A2.5 2.5 0 0 0 12 7.5V20a2.5 "
                "2.5 0 0 1 2.5-2.5H20z",
    "help": "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM9.6 9.7a2.5 2.5 0 1 1 3.7 2.2c-.9.5-1.3 1-1.3 1.9M12 "
            "16.7v.1",
    "contrast": "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 4v16M12 8h6.5M12 12h8M12 16h6.5",
    "terminal": "M4 12h9M9.5 8.5L13 12l-3.5 3.5M13 4.5h5.5A1.5 1.5 0 0 1 20 6v12a1.5 1.5 0 0 1-1.5 1.5H13",
    "convolution": "M4 4h16v16H4zM4 14h10V4M9 4v10M4 9h10",
    "linear": "M5 6h14M5 18h14M5 6l14 12M5 18L19 6",
    "normalisation": "M3.5 18.5c4.5 0 5-12.5 8.5-12.5s4 12.5 8.5 12.5",
    "activation": "M3.5 17H11L19.5 6",
    "pooling": "M4 4h16v16H4zM9 9h6v6H9z",
    "merge": "M5.5 4v3c0 4.5 6.5 3.5 6.5 8v5.5M18.5 4v3c0 4.5-6.5 3.5-6.5 8M9 17.5l3 3 3-3",
    "reshape": "M4 5h9v4H4zM15 11h5v9h-5zM8.5 12.5v3H12M10 13.5l2 2-2 2",
    "attention": "M12 5L5 18.5M12 5v13.5M12 5l7 13.5M9.5 5h5M3.5 18.5h3M10.5 18.5h3M17.5 18.5h3",
    "tensor": "M12 3.5l7.5 4.2v8.6L12 20.5l-7.5-4.2V7.7zM4.5 7.7L12 12l7.5-4.3M12 12v8.5",
}

#: What menus and buttons ask for, drawn for both densities; between them Qt scales down.
_SIZES = (16, 18)


def names() -> tuple[str, ...]:
    """Every icon there is."""
    return tuple(_PATHS)


def icon(name: str, color: str | None = None) -> QIcon:
    """Return an icon in ``color``, by default the theme's text colour.

    Icons keep the colour they were made in: ask again when the theme changes.

    Raises:
        KeyError: There is no such icon.
    """
    tokens = theme.current().tokens
    return _icon(name, color or tokens.text, theme.mixed(tokens.panel, tokens.muted, 0.55).name())


def pixmap(name: str, size_px: int, color: str | None = None, ratio: float = 1.0) -> QPixmap:
    """Return an icon as a picture of ``size_px`` logical pixels at a device pixel ratio."""
    return _drawn(name, color or theme.current().tokens.text, size_px, ratio)


@lru_cache(maxsize=256)
def _icon(name: str, color: str, disabled: str) -> QIcon:
    made = QIcon()
    for size in _SIZES:
        for ratio in (1.0, 2.0):
            made.addPixmap(_drawn(name, color, size, ratio), QIcon.Mode.Normal)
            made.addPixmap(_drawn(name, disabled, size, ratio), QIcon.Mode.Disabled)
    return made


def _drawn(name: str, color: str, size_px: int, ratio: float) -> QPixmap:
    picture = QPixmap(QSize(round(size_px * ratio), round(size_px * ratio)))
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    QSvgRenderer(QByteArray(_svg(name, color).encode())).render(painter, QRectF(0, 0, size_px, size_px))
    painter.end()
    return picture


def _svg(name: str, color: str) -> str:
    path = _PATHS[name]
    rgb = QColor(color).name()
    filled = path.startswith("{")
    style = f'fill="{rgb}"' if filled else (
        f'fill="none" stroke="{rgb}" stroke-width="{STROKE}" stroke-linecap="round" stroke-linejoin="round"'
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="{path.strip("{}")}" {style}/></svg>'
