"""What is measured on a canvas, whoever made it: the same events, the same clock, the same network.

Standard library and PySide6 only, so that a peer can be measured with an interpreter of its own.
All times are those of the GUI thread's processor, in milliseconds, median of several.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication, QGraphicsView

WIDTH, HEIGHT = 1600, 1000
ZOOMS = (0.12, 0.2, 0.31, 0.46, 0.7, 1.0, 1.5)
#: A residual block, and how far back the second input of its sum reaches: 8 wires for 7 nodes.
BLOCK = ("conv", "norm", "act", "conv", "norm", "add", "act")
SKIP = 6

Figures = dict[str, float]


class Stage(Protocol):
    """A canvas in a window of its own, empty at first."""

    @property
    def view(self) -> QGraphicsView:
        """What is measured."""

    def load(self) -> None:
        """Put the network on it."""

    def show_at(self, zoom: float) -> None:
        """Show the middle of the network at a zoom, in full detail."""

    def show_all(self) -> None:
        """Show everything, in full detail."""

    def settle(self) -> None:
        """Draw in full detail for the zoom that was reached, if that is put off while zooming."""

    def fit(self) -> None:
        """The command that shows everything."""

    def ground(self) -> QPointF:
        """A point of the viewport where no node lies."""

    def grip(self) -> QPointF:
        """Where a node near the middle can be taken by the pointer, in pixels of the viewport."""

    def place(self) -> tuple[float, float]:
        """Where that node is, in scene units."""


def residual_links(count: int) -> Iterator[tuple[str, list[int]]]:
    """The kind and the sources of each of ``count`` nodes: residual blocks one behind the other."""
    for index in range(count):
        kind = BLOCK[(index - 1) % len(BLOCK)] if index else "input"
        sources = [index - 1] if index else []
        if kind == "add":
            sources.append(index - SKIP)
        yield kind, sources


def cpu_ms(work: Callable[[], object], times: int = 5, before: Callable[[], object] | None = None) -> float:
    """The median time of ``work`` on this thread's processor; ``before`` each is not counted."""
    spent = []
    for _ in range(times):
        if before is not None:
            before()
        start = time.thread_time()
        work()
        spent.append((time.thread_time() - start) * 1e3)
    return statistics.median(spent)


def in_turn(*works: Callable[[], object]) -> Callable[[], None]:
    """All of these, one after the other."""
    def work() -> None:
        for each in works:
            each()

    return work


def unshared_mib() -> float:
    """Memory that only this process holds, in MiB; NaN where the system does not tell."""
    gc.collect()
    try:
        lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("nan")
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def measure(stage: Stage) -> Figures:
    """Every figure of one canvas. Raises RuntimeError if a drag or a pan moved nothing."""
    stage.view.resize(WIDTH, HEIGHT)
    stage.view.show()
    QApplication.processEvents()
    empty = unshared_mib()
    found = {"load": cpu_ms(in_turn(stage.load, QApplication.processEvents), 1)}
    paint = stage.view.viewport().repaint
    for zoom in ZOOMS:
        look, turn = in_turn(partial(stage.show_at, zoom), paint), partial(wheel, stage)
        look()
        found[f"repaint {zoom}"] = cpu_ms(paint)
        found[f"step {zoom}"] = cpu_ms(turn, 3, before=look)
        found[f"sharp {zoom}"] = cpu_ms(in_turn(stage.settle, paint), 3, before=in_turn(look, turn))
    for name, look in (("zoom 1", partial(stage.show_at, 1.0)), ("all in view", stage.show_all)):
        look()
        QApplication.processEvents()
        paint()
        found[f"repaint, {name}"] = cpu_ms(paint)
        found[f"pan, {name}"] = panned(stage)
        found[f"drag, {name}"] = dragged_node(stage)
    elsewhere = in_turn(partial(stage.show_at, 1.0), paint)
    found["fit"] = cpu_ms(stage.fit, 1, elsewhere)
    if found["fit"] < 1000:
        found["fit"] = cpu_ms(stage.fit, 5, elsewhere)
    found["fit and frame"] = cpu_ms(in_turn(stage.fit, paint), 1, elsewhere)
    found["memory"] = unshared_mib() - empty
    return found


def wheel(stage: Stage) -> None:
    """Turn the wheel by one notch in the middle, and paint."""
    port = stage.view.viewport()
    at = QPointF(port.rect().center())
    event = QWheelEvent(at, QPointF(port.mapToGlobal(at.toPoint())), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
                        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False)
    QApplication.sendEvent(port, event)
    QApplication.processEvents()


def panned(stage: Stage) -> float:
    """One frame while the middle button drags the view."""
    before = stage.view.mapToScene(0, 0)
    spent = dragged(stage, stage.ground(), Qt.MouseButton.MiddleButton)
    if stage.view.mapToScene(0, 0) == before:
        raise RuntimeError("the view did not move")
    return spent


def dragged_node(stage: Stage) -> float:
    """One frame while a node follows the pointer."""
    before = stage.place()
    spent = dragged(stage, stage.grip(), Qt.MouseButton.LeftButton)
    if stage.place() == before:
        raise RuntimeError("the node did not move")
    return spent


def dragged(stage: Stage, at: QPointF, button: Qt.MouseButton) -> float:
    """One frame of a drag with a mouse button that starts at ``at``."""
    port, none = stage.view.viewport(), Qt.MouseButton.NoButton

    def send(kind: QEvent.Type, step: int, changed: Qt.MouseButton, held: Qt.MouseButton) -> None:
        point = at + QPointF(13 * step, 8 * step)
        here = QPointF(port.mapToGlobal(point.toPoint()))
        QApplication.sendEvent(port, QMouseEvent(kind, point, here, changed, held, Qt.KeyboardModifier.NoModifier))
        QApplication.processEvents()

    send(QEvent.Type.MouseMove, 0, none, none)
    send(QEvent.Type.MouseButtonPress, 0, button, button)
    steps = iter(range(1, 40))
    for _ in range(3):
        send(QEvent.Type.MouseMove, next(steps), none, button)
    spent = cpu_ms(lambda: send(QEvent.Type.MouseMove, next(steps), none, button), 15)
    send(QEvent.Type.MouseButtonRelease, next(steps), button, none)
    return spent
