"""Groups from the canvas: gather, take apart, open and close in place, enter and leave, repeat, give a title."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPointF, QRect, Signal

from ghn_studio.app.drawing import folding
from ghn_studio.app.drawing.entering import trail
from ghn_studio.app.drawing.folding import Drawing
from ghn_studio.app.drawing.group_faces import caption, short_name
from ghn_studio.app.drawing.layout import order_of
from ghn_studio.app.drawing.picture import picture
from ghn_studio.app.editing import grouping
from ghn_studio.app.editing.edits import Edit
from ghn_studio.gui.canvas.breadcrumbs import Breadcrumbs
from ghn_studio.gui.canvas.title_edit import TitleEdit
from ghn_studio.ir.graph import NodeId
from ghn_studio.project import Project

if TYPE_CHECKING:
    from ghn_studio.gui.canvas.view import CanvasView

#: Title of a group that nobody named yet.
NEW_TITLE = "Block"


class Groups(QObject):
    """What a canvas can do with groups. ``changed_scope`` carries the path of the group on show, or nothing."""

    changed_scope = Signal(str)

    def __init__(self, view: CanvasView) -> None:
        super().__init__(view)
        self._view, self._scene, self._document = view, view.canvas, view.document
        self.title_edit = TitleEdit(view)
        self.crumbs = Breadcrumbs(view)
        self.crumbs.chosen.connect(self.show_scope)
        # Where one looked, in each group that leads to the one on show.
        self._looks: dict[str, tuple[float, QPointF]] = {}
        self._scene.scope_changed.connect(self._on_scope)
        self._scene.redrawn.connect(self._show_trail)

    # --- which one -------------------------------------------------------------------------

    @property
    def scope(self) -> str:
        """Path of the group whose inside is on show; empty for the whole network."""
        return self._scene.scope

    def target(self) -> str | None:
        """The selected group, or the innermost open one around all that is selected."""
        chosen = self._scene.selected_group
        if chosen is not None or not self._scene.selected:
            return chosen
        around = [grouping.enclosing(self._document.graph, b) for b in self._scene.selected]
        shared = [p for p in around[0] if all(p in other for other in around[1:])]
        inside = [p for p in shared if p.startswith(f"{self.scope}.")] if self.scope else shared
        return inside[-1] if inside else None

    def drawing(self) -> Drawing:
        """What is drawn, and where."""
        return self._view.commands.drawing

    # --- gathering -------------------------------------------------------------------------

    def group(self) -> tuple[NodeId, ...]:
        """Frame the selected blocks as a group and ask for its title; returns the blocks' new names."""
        chosen, before = self._scene.selected, set(self._document.graph.groups)
        if not chosen:
            self._view.status_message.emit("Select the nodes to group first.")
            return ()
        what = "1 node" if len(chosen) == 1 else f"{len(chosen)} nodes"
        if not self._view.apply(f"Group {what}", grouping.grouped(chosen, NEW_TITLE)):
            return ()
        path = next(p for p, g in self._document.graph.groups.items() if p not in before and self._is_new(p, before))
        self._view.select((path,))
        self.edit_title(path)
        return self._scene.selected

    def _is_new(self, path: str, before: set[str]) -> bool:
        """True for the group just made; those taken into it have new paths too."""
        inner = path.rpartition(".")[0]
        return inner in before or inner not in self._document.graph.groups

    def ungroup(self, path: str | None = None) -> bool:
        """Take a group apart; its nodes stay, a repeat is written out as so many groups."""
        path = path or self.target()
        if path is None:
            self._view.status_message.emit("Select a group to take it apart.")
            return False
        graph = self._document.graph
        others = {n for n in graph.nodes if not n.startswith(path + ".")}
        before = self._scene.positions()
        steps: list[Edit] = [grouping.ungrouped(path)]
        if path in self._scene.picture.groups:
            steps.insert(0, folding.opened(self._document, self.drawing(), path))
        if not self._view.apply(f"Ungroup {short_name(path)}", _chained(steps)):
            return False
        self._view.select([n for n in self._document.graph.nodes if n not in others])
        self._view.arranging.glide.start(before, None)
        return True

    def rehome(self, names: Iterable[str], path: str) -> bool:
        """Take blocks into a group, or out of theirs into the one around it."""
        chosen = tuple(names)
        title = f"Add to {short_name(path)}" if path else "Take out of group"
        return self._view.apply(title, grouping.rehomed(chosen, path))

    def mention_membership(self, blocks: tuple[NodeId, ...]) -> None:
        """Say that blocks moved over a frame are not in its group yet. Its own members a frame follows everywhere."""
        homes = {next(iter(reversed(grouping.enclosing(self._document.graph, b))), "") for b in blocks}
        frame = self._scene.frame_around(blocks)
        if frame is not None and frame not in homes and not any((frame + ".").startswith(b + ".") for b in blocks):
            name = short_name(frame)
            self._view.status_message.emit(f"Not part of {name} yet: “Add to {name}” in the menu changes that.")

    def edit_title(self, path: str) -> None:
        """Open a line where the title stands."""
        group = self._document.graph.groups.get(path)
        room = self._title_room(path)
        if group is None or room is None:
            return

        def taken(text: str) -> None:
            self._view.apply("Rename group", grouping.titled(path, text))

        self.title_edit.ask(room, group.title or short_name(path), taken, f"Title of {short_name(path)}")

    def _title_room(self, path: str) -> QRect | None:
        box = self._scene.title_rect(path)
        if box is None:
            return None
        return self._view.mapFromScene(box).boundingRect()

    def repeat(self, path: str, times: int) -> bool:
        """Let a group stand for so many copies; a run of changes is one step."""
        label = f"Repeat {short_name(path)} × {times}"
        return self._view.apply(label, grouping.repeated(path, times), ("repeat", path))

    def repeat_refusal(self, path: str) -> str:
        """Why a group cannot be repeated; empty if it can."""
        return grouping.repeat_refusal(self._document.graph, self._document.shapes, path)

    # --- opening and closing in place --------------------------------------------------------

    def toggle(self, path: str | None = None) -> bool:
        """Draw a group as one block, or as a frame around its members."""
        path = path or self.target()
        if path is None or path == self.scope:
            self._view.status_message.emit("Select a group, or a node in one, to collapse or expand it.")
            return False
        before, name = self._scene.positions(), short_name(path)
        if path in self._scene.picture.groups:
            changed = self._view.apply(f"Expand {name}", folding.opened(self._document, self.drawing(), path))
        elif path in self._scene.picture.frames:
            changed = self._view.apply(f"Collapse {name}", folding.closed(self._document, self.drawing(), path))
        else:
            return False
        self._view.select((path,))
        self._view.arranging.glide.start(before, None)
        return changed

    def collapse_all(self) -> None:
        """Draw every group as one block, those inside others too."""
        self._refold("Collapse all", self._document.graph.groups)

    def expand_all(self) -> None:
        """Draw every node."""
        self._refold("Expand all", ())

    def collapse_to(self, depth: int) -> None:
        """Open the groups of the first ``depth`` - 1 levels and collapse all others."""
        level = self.scope.count(".") + 1 if self.scope else 0
        paths = (p for p in self._document.graph.groups if p.count(".") >= level + depth - 1)
        self._refold(f"Collapse to depth {depth}", paths)

    def _refold(self, label: str, paths: Iterable[str]) -> None:
        """Collapse exactly these groups and lay out anew what is drawn then."""
        project, scene = self._document.project, self._scene
        inside = f"{scene.scope}." if scene.scope else ""
        kept = {p for p in project.collapsed if not p.startswith(inside)}
        wanted = frozenset(kept | {p for p in paths if p.startswith(inside)})
        if wanted == project.collapsed:
            self._view.status_message.emit("That is how the groups are drawn already.")
            return
        shown = picture(project.architecture, wanted, scene.scope, self._document.ops)
        sizes = self._document.block_sizes(b for b in shown.blocks if b not in shown.neighbours)
        order = order_of(project.architecture, {NodeId(b): s for b, s in sizes.items()}, direction=scene.preferred)
        self._view.arranging.arrange_as(order, label, partial(folding.refolded, wanted))

    def expand_around(self, name: str) -> None:
        """Open the collapsed groups around a node or group, so that it is drawn.

        Steps of this kind in a row are one.
        """
        if self.scope and name != self.scope and not name.startswith(self.scope + "."):
            self.show_scope("")
        for path in grouping.enclosing(self._document.graph, name):
            if path in self._scene.picture.groups:
                self._view.apply("Open groups", folding.opened(self._document, self.drawing(), path), "go to")

    # --- entering and leaving ----------------------------------------------------------------

    def enter(self, path: str | None = None) -> bool:
        """Show only the inside of a group; False if none is meant."""
        path = path or self._scene.selected_group or self.target()
        if path is None or path == self.scope or path not in self._document.graph.groups:
            return False
        self.show_scope(path)
        return True

    def leave(self) -> bool:
        """Show what is around the group on show; False if nothing is."""
        if not self.scope:
            return False
        left, steps = self.scope, trail(self._document.graph, self.scope)
        self.show_scope(steps[-2] if len(steps) > 1 else "")
        self._view.select((left,))
        return True

    def show_scope(self, path: str) -> None:
        """Show the inside of a group, or the whole network for an empty path."""
        if path == self.scope:
            return
        view = self._view
        self._looks[self.scope] = view.zoom, view.visible_rect().center()
        is_back = not path or self.scope.startswith(path + ".")
        self._scene.enter(path)
        look = self._looks.get(path) if is_back else None
        if look is not None:
            view.zoom_to(look[0])
            view.look_at(look[1])
        else:
            view.fit()

    def go_to(self, neighbour: str) -> None:
        """Show a block that lies around the group on show where it belongs, selected."""
        around = grouping.enclosing(self._document.graph, neighbour)
        shared = [p for p in around if (self.scope + ".").startswith(p + ".")]
        self.show_scope(shared[-1] if shared else "")
        self._view.select((neighbour,))
        self._view.reveal(NodeId(neighbour))

    def _on_scope(self, path: str) -> None:
        self._looks = {p: look for p, look in self._looks.items() if not p or (path + ".").startswith(p + ".")}
        self._show_trail()
        self.changed_scope.emit(path)

    def _show_trail(self) -> None:
        graph = self._document.graph
        steps = [(p, caption(graph.groups[p])) for p in trail(graph, self.scope)]
        self.crumbs.show_trail(graph.name or "Network", steps)
        self.crumbs.move(12, 12)


def _chained(steps: list[Callable[[Project], Project]]) -> Edit:
    def edit(project: Project) -> Project:
        for step in steps:
            project = step(project)
        return project

    return edit

