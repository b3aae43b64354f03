"""Starting the window: ``main`` is what ``ghn-studio`` runs without a subcommand."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from ghn_studio.gui.safety.faults import FaultWatch

#: Debian and Ubuntu packages that Qt's Linux plugins load; minimal systems and containers lack some.
LINUX_PACKAGES = (
    "libegl1 libgl1 libglib2.0-0 libxkbcommon0 libxkbcommon-x11-0 libdbus-1-3 libfontconfig1 libxcb-cursor0 "
    "libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 "
    "libxcb-xinerama0 libxcb-xkb1"
)

#: How long the end of the program waits for what it still reads.
CLOSE_WAIT_S = 3.0


def main(argv: Sequence[str] = ()) -> int:
    """Open a window for each network that ``argv`` names, or one, and return the exit status."""
    try:
        from PySide6.QtWidgets import QApplication
    except ImportError as error:
        print(missing_libraries_text(str(error)), file=sys.stderr)
        return 1
    reason = _no_display()
    if reason:
        print(f"ghn-studio: {reason}", file=sys.stderr)
        return 1
    from ghn_studio.gui.settings import Settings, apply_before_start

    apply_before_start(Settings())
    app = QApplication(["ghn-studio", *argv])
    _name(app)
    status = _run(app, argv)
    _leave(status)
    return status


def _run(app: QApplication, names: Sequence[str]) -> int:
    """Show the first window and what is asked for, offer what an earlier run left, and wait for the last window."""
    from ghn_studio.app.safety import crash_log
    from ghn_studio.gui import windows
    from ghn_studio.gui.main_window import MainWindow
    from ghn_studio.gui.safety.recovery import Recovery

    crashes, log = crash_log.watch(), crash_log.keep_log()
    faults = install_hooks()
    every = windows.shared()
    first = MainWindow()
    every.add(first)
    every.open(names, first, ask=False)
    first.show()
    recovery = Recovery(every)
    recovery.start()
    status = app.exec()
    recovery.stop(CLOSE_WAIT_S)
    faults.uninstall()
    if log is not None:
        logging.getLogger("ghn_studio").removeHandler(log)
        log.close()
    if crashes is not None:
        crashes.close()
    return status


def missing_libraries_text(problem: str) -> str:
    """What to do when Qt cannot be loaded, in one message."""
    text = f"ghn-studio: the window cannot be opened: {problem}."
    if sys.platform.startswith("linux"):
        return (f"{text}\nQt needs system libraries. On Debian and Ubuntu: sudo apt install {LINUX_PACKAGES}\n"
                "The subcommands (ghn-studio --help) work without them.")
    return f"{text} Install PySide6-Essentials again, or use the subcommands (ghn-studio --help)."


def install_hooks() -> FaultWatch:
    """Send errors that nobody caught, in slots, threads and Qt, to the log and to the one dialog about them."""
    from ghn_studio.gui import windows
    from ghn_studio.gui.safety.fault_dialog import FaultDesk
    from ghn_studio.gui.safety.faults import FaultWatch

    watch = FaultWatch(FaultDesk(windows.shared()).show)
    watch.install()
    return watch


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
    from ghn_studio.gui.jobs import torch_loader
    from ghn_studio.gui.jobs.job_desk import is_any_job_left

    if is_any_job_left() or torch_loader.shared().is_running:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
