"""Starting the window: ``main`` is what ``ghn-studio`` runs without a subcommand."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

#: Debian and Ubuntu packages that Qt's Linux plugins load; minimal systems and containers lack some.
LINUX_PACKAGES = (
    "libegl1 libgl1 libglib2.0-0 libxkbcommon0 libxkbcommon-x11-0 libdbus-1-3 libfontconfig1 libxcb-cursor0 "
    "libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 "
    "libxcb-xinerama0 libxcb-xkb1"
)

_log = logging.getLogger(__name__)


def main(argv: Sequence[str] = ()) -> int:
    """Open the window, with the network that ``argv`` names if it names one, and return the exit status."""
    try:
        from PySide6.QtWidgets import QApplication
    except ImportError as error:
        print(missing_libraries_text(str(error)), file=sys.stderr)
        return 1
    reason = _no_display()
    if reason:
        print(f"ghn-studio: {reason}", file=sys.stderr)
        return 1
    app = QApplication(["ghn-studio", *argv])
    _name(app)
    install_hooks()

    from ghn_studio.gui.main_window import MainWindow

    window = MainWindow()
    if argv:
        window.files.open(argv[0], ask=False)
    window.show()
    status = app.exec()
    _leave(status)
    return status


def missing_libraries_text(problem: str) -> str:
    """What to do when Qt cannot be loaded, in one message."""
    text = f"ghn-studio: the window cannot be opened: {problem}."
    if sys.platform.startswith("linux"):
        return (f"{text}\nQt needs system libraries. On Debian and Ubuntu: sudo apt install {LINUX_PACKAGES}\n"
                "The subcommands (ghn-studio --help) work without them.")
    return f"{text} Install PySide6-Essentials again, or use the subcommands (ghn-studio --help)."


def install_hooks() -> None:
    """Send exceptions that nobody caught, in slots and in threads, to the log and to stderr."""
    sys.excepthook = _on_exception
    threading.excepthook = lambda args: _on_exception(
        args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback
    )


def _on_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        from PySide6.QtWidgets import QApplication

        QApplication.quit()
        return
    _log.critical("unexpected error: %s", error, exc_info=(kind, error, trace))
    sys.__excepthook__(kind, error, trace)


def _no_display() -> str:
    """Why no window can appear on this Linux system, or ""; Qt itself would abort without a sentence."""
    if not sys.platform.startswith("linux"):
        return ""
    if os.environ.get("QT_QPA_PLATFORM") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return _broken_platform()
    return ("there is no display (DISPLAY and WAYLAND_DISPLAY are empty). Start it from a desktop session; "
            "the subcommands (ghn-studio --help) work without one")


def _broken_platform() -> str:
    """Try the libraries of Qt's X11 plugin before Qt does: a missing one aborts the program."""
    wanted = os.environ.get("QT_QPA_PLATFORM") or ("wayland" if os.environ.get("WAYLAND_DISPLAY") else "xcb")
    if not wanted.startswith("xcb"):
        return ""
    import ctypes
    from pathlib import Path

    import PySide6

    plugin = Path(PySide6.__file__).parent / "Qt" / "plugins" / "platforms" / "libqxcb.so"
    if not plugin.is_file():
        return ""
    try:
        ctypes.CDLL(str(plugin))
    except OSError as error:
        return missing_libraries_text(str(error)).removeprefix("ghn-studio: ")
    return ""


def _name(app: QApplication) -> None:
    from ghn_studio import __version__
    from ghn_studio.gui import settings

    app.setOrganizationName(settings.ORGANISATION)
    app.setApplicationName(settings.APPLICATION)
    app.setApplicationDisplayName(settings.APPLICATION)
    app.setApplicationVersion(__version__)
    app.setDesktopFileName("ghn-studio")


def _leave(status: int) -> None:
    """End at once while a thread cannot be waited for.

    Qt aborts when a running thread is destroyed, and an import of PyTorch that goes on
    while the interpreter shuts down may crash it.
    """
    from ghn_studio.gui import torch_loader
    from ghn_studio.gui.job_desk import is_any_job_left

    if is_any_job_left() or torch_loader.shared().is_running:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
