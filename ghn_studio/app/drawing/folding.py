"""Opening and closing groups in place: what lies around makes room, or closes the gap, in the same edit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ghn_studio.app.document import Document
from ghn_studio.app.drawing import boxes
from ghn_studio.app.drawing.boxes import box_at, joined
from ghn_studio.app.drawing.flow import Box, Direction
from ghn_studio.app.drawing.layout import free_spot, place_missing
from ghn_studio.app.drawing.picture import Picture, picture
from ghn_studio.app.drawing.rippling import frame_of, ripple
from ghn_studio.app.editing import edits, grouping
from ghn_studio.app.editing.edits import Edit, Point
from ghn_studio.ir.graph import NodeId
from ghn_studio.project import Project


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn, where and which way: the places of all blocks, those that nobody placed included."""

    picture: Picture
    places: Mapping[str, Point]
    direction: Direction = Direction.RIGHT

    def boxes(self, document: Document) -> dict[str, Box]:
        """Left, top, right and bottom of every block."""
        sizes = document.block_sizes(self.places)
        return {b: box_at(p, sizes[b]) for b, p in self.places.items()}


def opened(document: Document, drawing: Drawing, path: str) -> Edit:
    """Draw a collapsed group as a frame around its members, where its block is.

    Members without a place are laid out. The one that takes the group's first value lies as high
    as the block did, so that the wire stays straight.
    """
    graph, collapsed = document.graph, document.project.collapsed - {path}
    after = picture(graph, collapsed, drawing.picture.scope, document.ops)
    inner = after.blocks_below(path)
    sizes = document.block_sizes(inner)
    named = {NodeId(b): s for b, s in sizes.items()}
    stored = {NodeId(b): document.layout[NodeId(b)] for b in inner if b in document.layout}
    fresh = place_missing(graph, stored, named, drawing.direction)
    found: dict[str, Point] = {b: fresh.get(NodeId(b)) or stored[NodeId(b)] for b in inner}
    old = box_at(drawing.places[path], document.block_sizes((path,))[path])
    anchor = _anchor(after, drawing.picture.groups[path].entries, found)
    places = _moved_into(found, sizes, old, anchor, after, path, drawing.direction)
    new = frame_of(after.frames, path, {b: box_at(p, sizes[b]) for b, p in places.items()})
    others = {b: box for b, box in drawing.boxes(document).items() if b != path}
    moved = ripple(drawing.picture.frames, others, path, old, joined((old, new)), drawing.direction,
                   boxes.around_change)
    return _folded(path, moved, places, on=False)


def closed(document: Document, drawing: Drawing, path: str) -> Edit:
    """Draw an open group as one block, where its frame is."""
    all_boxes = drawing.boxes(document)
    inner = {b: all_boxes[b] for b in drawing.picture.blocks_below(path)}
    frame = frame_of(drawing.picture.frames, path, inner)
    places = {b: drawing.places[b] for b in inner}
    size = document.block_sizes((path,))[path]
    entries = picture(document.graph, document.project.collapsed | {path}, drawing.picture.scope,
                      document.ops).groups[path].entries
    anchor = _anchor(drawing.picture, entries, places)
    others = {b: box for b, box in all_boxes.items() if b not in inner}
    block = _free_box(frame, inner[anchor], size, drawing.direction, others)
    frames = [p for p in drawing.picture.frames if not (p + ".").startswith(path + ".")]
    moved = ripple(frames, others, path, joined((block, frame)), block, drawing.direction, boxes.closing_up)
    return _folded(path, moved, {**places, path: block[:2]}, on=True)


def refolded(collapsed: Iterable[str], places: Mapping[str, Point]) -> Edit:
    """Collapse exactly these groups, and put the blocks that are drawn then at ``places``."""

    def edit(project: Project) -> Project:
        known = frozenset(p for p in collapsed if p in project.architecture.groups)
        moved = edits.moved({NodeId(b): p for b, p in places.items()})
        return replace(moved(project), collapsed=known)

    return edit


def _folded(path: str, moved: Mapping[str, Box], places: Mapping[str, Point], *, on: bool) -> Edit:
    after = {**{NodeId(b): box[:2] for b, box in moved.items()}, **{NodeId(b): p for b, p in places.items()}}

    def edit(project: Project) -> Project:
        project = grouping.collapsed((path,), on=on)(project)
        known = {n: p for n, p in after.items() if n in project.architecture.nodes or n in project.architecture.groups}
        return edits.moved(known)(project)

    return edit


def _anchor(
    shown: Picture, entries: tuple[tuple[tuple[NodeId, int], ...], ...], places: Mapping[str, Point]
) -> str:
    """The member that takes the group's first value; without one, the first from the left."""
    for targets in entries:
        for node_id, _ in targets:
            block = shown.block_of(node_id)
            if block in places:
                return str(block)
    return min(places, key=lambda b: places[b])


def _moved_into(
    places: Mapping[str, Point], sizes: Mapping[str, tuple[float, float]], old: Box, anchor: str, shown: Picture,
    path: str, direction: Direction,
) -> dict[str, Point]:
    """Members moved together so that their frame begins where the block did."""
    frame = frame_of(shown.frames, path, {b: box_at(p, sizes[b]) for b, p in places.items()})
    x, y = places[anchor]
    if direction is Direction.DOWN:
        dx, dy = (old[0] + old[2] - sizes[anchor][0]) / 2 - x, old[1] - frame[1]
    else:
        dx, dy = old[0] - frame[0], old[1] - y
    return {b: (px + dx, py + dy) for b, (px, py) in places.items()}


def _free_box(
    frame: Box, anchor: Box, size: tuple[float, float], direction: Direction, others: Mapping[str, Box]
) -> Box:
    """Where the block goes: the inverse of :func:`_moved_into`, or near it where something is in the way."""
    if direction is Direction.DOWN:
        corner = (anchor[0] + anchor[2] - size[0]) / 2, frame[1]
    else:
        corner = frame[0], anchor[1]
    for place in (corner, anchor[:2]):
        box = box_at(place, size)
        if not any(boxes.overlaps((box, other)) for other in others.values()):
            return box
    taken = [(b[0], b[1], b[2] - b[0], b[3] - b[1]) for b in others.values()]
    return box_at(free_spot(corner, size, taken), size)

