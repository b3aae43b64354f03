"""Make the picture in the README: ``python -m ghn_studio.gui.screenshot --to FILE``.

Opens the real window without a screen, predicts an example with the shipped hypernetwork,
and saves what a person would see.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ghn_studio.gui.main_window import MainWindow

#: What can be shown.
SCENES = ("start", "gallery", "empty", "manual", "result", "why", "hypernetworks", "curve", "finetune", "runs",
          "ranking", "error")

#: A prediction, with the import of PyTorch on a slow machine, takes no longer.
PATIENCE_MS = 300_000


def main(argv: Sequence[str] | None = None) -> int:
    """Write one picture and return the exit status."""
    arguments = _parser().parse_args(argv)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GHN_STUDIO_SETTINGS"] = folder
        return _shoot(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ghn_studio.gui.screenshot", description=__doc__)
    parser.add_argument("--to", required=True, type=Path, metavar="FILE", help="PNG file to write")
    parser.add_argument("--scene", choices=SCENES, default="result", help="what to show (default: %(default)s)")
    parser.add_argument("--example", default="plain_cnn", help="network to show (default: %(default)s)")
    parser.add_argument("--theme", choices=("dark", "light"), default="dark", help="default: %(default)s")
    parser.add_argument("--size", default="1440x900", metavar="WxH", help="window size (default: %(default)s)")
    parser.add_argument("--scale", default="1", help="pixels per point, 2 for a sharp picture (default: %(default)s)")
    return parser


def _shoot(arguments: argparse.Namespace) -> int:
    os.environ["QT_SCALE_FACTOR"] = arguments.scale
    from PySide6.QtWidgets import QApplication

    app = QApplication.instance() or QApplication(["screenshot"])
    from ghn_studio.gui.main_window import MainWindow

    window = MainWindow()
    window.set_theme(arguments.theme)
    width, _, height = arguments.size.partition("x")
    window.resize(int(width), int(height))
    window.show()
    window.hints.silence()
    window.files.open(f"example:{arguments.example}", ask=False)
    _scene(window, arguments.scene)
    _settle(app.processEvents)
    saved = window.grab().save(str(arguments.to), "PNG")
    problem = window.banner.message.text if window.banner.message and arguments.scene != "error" else ""
    window.document.mark_saved()
    window.close()
    if problem or not saved:
        print(problem or f"{arguments.to} cannot be written", file=sys.stderr)
        return 1
    return 0


def _scene(window: MainWindow, name: str) -> None:
    if name == "gallery":
        window.files.new()
        window.show_gallery()
        _until(lambda: not window.gallery.is_drawing)
    elif name == "empty":
        window.files.new()
        window.show_canvas()
        _until(lambda: not window.empty_canvas.is_drawing)
    elif name == "manual":
        window.canvas.select(tuple(window.document.graph.nodes)[1:2])
        window.actions_by_id["help.topic"].trigger()
        _until(lambda: window.help.width() > 300)
    elif name == "result":
        _run(window, "run.predict")
    elif name == "why":
        _run(window, "run.explain")
    elif name == "hypernetworks":
        window.actions_by_id["ghn.show"].trigger()
    elif name == "curve":
        _run(window, "run.compare")
    elif name == "finetune":
        _run(window, "run.predict")
        _run(window, "run.finetune")
    elif name == "runs":
        _run(window, "run.predict")
        _run(window, "run.compare")
        window.actions_by_id["run.show"].trigger()
        _until(lambda: window.runs.model.rowCount() > 1)
        window.runs.table.selectRow(0)
        _until(lambda: bool(window.runs.told))
    elif name == "ranking":
        window.actions_by_id["run.rank"].trigger()
        window.ranking.form.start.click()
        _until(lambda: not window.desk.is_running and bool(window.ranking.model.rows))
        _until(lambda: not window.ranking.picture.pixmap().isNull())
    elif name == "error":
        _break(window)
    window.canvas.fit()


def _run(window: MainWindow, action: str) -> None:
    window.actions_by_id[action].trigger()
    _until(lambda: not window.desk.is_running)
    window.statusBar().clearMessage()


def _break(window: MainWindow) -> None:
    """A group count that divides nothing, and a classifier without its input."""
    from dataclasses import replace

    from ghn_studio.app.editing.edits import on_graph
    from ghn_studio.ir.graph import incoming_edges

    graph = window.document.graph
    convolution = [n for n in graph.nodes.values() if n.op == "conv2d"][1]
    linear = [n for n in graph.nodes.values() if n.op == "linear"][-1]
    wrong = replace(convolution.params, groups=5)
    window.document.apply("Set groups", on_graph(lambda g: g.with_params(convolution.id, wrong)))
    wire = next(incoming_edges(linear))
    window.document.apply("Cut a wire", on_graph(lambda g: g.without_edge(wire)))
    window.canvas.select((convolution.id,))
    window.tabs.setCurrentWidget(window.problems)


def _until(done: Callable[[], bool]) -> None:
    from PySide6.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    check = QTimer(interval=20)
    check.timeout.connect(lambda: loop.quit() if done() else None)
    check.start()
    QTimer.singleShot(PATIENCE_MS, loop.quit)
    loop.exec()


def _settle(process: Callable[[], None]) -> None:
    """Let layouts and animations come to rest."""
    from PySide6.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(400, loop.quit)
    loop.exec()
    process()


if __name__ == "__main__":
    sys.exit(main())
