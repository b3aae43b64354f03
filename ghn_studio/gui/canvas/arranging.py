"""Arranging from the window: beside the window's own work where it takes longer than a frame,
as one undo step, with the nodes gliding to their places."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer

from ghn_studio.app.drawing.aligning import Line, aligned, distributed
from ghn_studio.app.drawing.arranging import Order, arranging
from ghn_studio.app.drawing.flow import Box, Direction, Point
from ghn_studio.app.drawing.layout import order_of, rearranging
from ghn_studio.app.editing import edits
from ghn_studio.app.editing.edits import Edit
from ghn_studio.gui.canvas.animation import Glide
from ghn_studio.gui.jobs.background import Background
from ghn_studio.ir.graph import NodeId
from ghn_studio.jobs import Job, run
from ghn_studio.project import Project

if TYPE_CHECKING:
    from ghn_studio.gui.canvas.view import CanvasView

#: Networks with fewer blocks and wires together are arranged at once: it takes less than a frame.
AT_ONCE = 400
#: An arrangement that takes this long is mentioned.
NOTICE_MS = 300


class Arranging(QObject):
    """Arranges, aligns and pins the blocks of a canvas."""

    def __init__(self, view: CanvasView) -> None:
        super().__init__(view)
        self._view, self._scene, self._document = view, view.canvas, view.document
        self.glide = Glide(view)
        self._background = Background(self)
        self._is_wanted = False
        self._waiting: partial[None] | None = None
        self._notice = QTimer(self)
        self._notice.setSingleShot(True)
        self._notice.setInterval(NOTICE_MS)
        self._notice.timeout.connect(partial(view.status_message.emit, "Arranging… Esc stops it."))
        unsubscribe = self._document.subscribe(lambda change: self._discard())
        view.destroyed.connect(unsubscribe)  # the document outlives the widget

    @property
    def is_running(self) -> bool:
        """True while places are being worked out beside the window's own work."""
        return self._is_wanted

    def arrange(self, direction: Direction | None = None) -> None:
        """Lay out everything that is drawn, and show it all; pinned blocks stay.

        ``direction`` is the way from now on; None for the one last chosen.
        """
        if direction is not None:
            self._scene.preferred = direction
        if not self._scene.nodes:
            return
        order = order_of(self._document.graph, self._sizes(), direction=self._scene.preferred, pinned=self._pinned())
        self._start(arranging(order), len(order.sizes) + len(order.edges), partial(self._take, "Arrange", whole=True))

    def arrange_as(self, order: Order, label: str, edit: Callable[[Mapping[str, Point]], Edit]) -> None:
        """Work out the places for an ``order``, and show the network as the ``edit`` made of them leaves it."""
        def take(places: Mapping[str, Point]) -> None:
            before = self._scene.positions()
            if self._view.apply(label, edit(places)):
                self._scene.turn_to(self._scene.preferred)
                self.glide.start(before, self._view.aim_at(self._scene.content_rect()))

        self._start(arranging(order), len(order.sizes) + len(order.edges), take)

    def arrange_selection(self) -> None:
        """Lay out the selected blocks where they are; the others stay and are not covered."""
        chosen = self._scene.selected
        if len(chosen) < 2:
            self._view.status_message.emit("Select two nodes or more to arrange them, or press Shift+L for all.")
            return
        order = order_of(self._document.graph, self._sizes(), direction=self._scene.direction, pinned=self._pinned())
        present = {str(n): p for n, p in self._scene.positions().items()}
        job = rearranging(order, present, frozenset(chosen))
        label = f"Arrange {len(chosen)} nodes"
        self._start(job, len(order.sizes) + len(order.edges), partial(self._take, label, whole=False))

    def align(self, line: Line) -> None:
        """Bring the selected blocks into line."""
        boxes = self._chosen_boxes()
        if len(boxes) > 1:
            self._take(f"Align {line}", aligned(boxes, line), whole=False)

    def distribute(self, *, across: bool) -> None:
        """Give the selected blocks equal distances."""
        boxes = self._chosen_boxes()
        if len(boxes) > 2:
            self._take("Distribute", distributed(boxes, across=across), whole=False)

    def toggle_pins(self) -> None:
        """Pin the selected blocks, or let them go if all of them are pinned."""
        chosen = self._scene.selected
        if not chosen:
            return
        on = not self.all_pinned(chosen)
        places = self._scene.positions()
        what = "node" if len(chosen) == 1 else f"{len(chosen)} nodes"

        def edit(project: Project) -> Project:
            # A pinned block has to have a place that is its own.
            return edits.pinned(chosen, on=on)(edits.moved({n: places[n] for n in chosen})(project))

        self._view.apply(f"{'Pin' if on else 'Unpin'} {what}", edit)

    def all_pinned(self, names: tuple[NodeId, ...]) -> bool:
        """True if every one of the blocks is pinned."""
        return bool(names) and self._document.project.pinned.issuperset(names)

    def cancel(self) -> bool:
        """Stop working places out, or be at the end of an animation; False if there was neither."""
        if self._is_wanted:
            self._discard()
            self._view.status_message.emit("Nothing was arranged.")
            return True
        was_gliding = self.glide.is_running
        self.glide.finish()
        return was_gliding

    def stop(self, timeout_s: float) -> bool:
        """Cancel and wait, before the window goes; False if the thread is still busy after ``timeout_s``."""
        self._discard()
        self.glide.finish()
        return self._background.stop(timeout_s)

    def _chosen_boxes(self) -> dict[str, Box]:
        self.glide.finish()
        return {n: self._scene.nodes[n].box for n in self._scene.selected}

    def _sizes(self) -> dict[NodeId, tuple[float, float]]:
        return self._scene.sizes()

    def _pinned(self) -> dict[str, Point]:
        pinned, places = self._document.project.pinned, self._scene.positions()
        return {n: p for n, p in places.items() if n in pinned}

    def _start(self, job: Job[dict[str, Point]], size: int, take: Callable[[Mapping[str, Point]], object]) -> None:
        if size <= AT_ONCE:
            take(run(job))
            return
        if self._is_wanted:
            return  # the one that was asked for first is not ready
        self._is_wanted = True
        self._notice.start()
        if self._background.is_running:  # one that nobody wants any more: it ends soon
            self._waiting = partial(self._run, job, take)
        else:
            self._run(job, take)

    def _run(self, job: Job[dict[str, Point]], take: Callable[[Mapping[str, Point]], object]) -> None:
        def succeeded(places: dict[str, Point]) -> None:
            if self._is_wanted and self._waiting is None:
                self._rest()
                take(places)

        def finished() -> None:
            waiting, self._waiting = self._waiting, None
            if waiting is not None:
                waiting()
            else:
                self._rest()

        def failed(error: BaseException) -> None:
            raise error  # a mistake of ours: it ends where all of them do

        self._background.start(job, succeeded=succeeded, finished=finished, failed=failed)

    def _rest(self) -> None:
        self._is_wanted = False
        self._waiting = None
        self._notice.stop()

    def _discard(self) -> None:
        """Let nothing come of what is being worked out: the network is another one now."""
        if self._is_wanted:
            self._rest()
            self._background.cancel()

    def _take(self, label: str, places: Mapping[str, Point], *, whole: bool) -> None:
        before = self._scene.positions()
        if not self._view.apply(label, edits.moved({NodeId(n): p for n, p in places.items()})):
            return
        if whole:
            self._scene.turn_to(self._scene.preferred)
        self.glide.start(before, self._view.aim_at(self._scene.content_rect()) if whole else None)
