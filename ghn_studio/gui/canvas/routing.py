"""The course of a wire: a curve where the way is free, a lane around what is in the way.

Pure geometry on floats, no Qt: tests and the scene use the same functions.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field

Box = tuple[float, float, float, float]  # left, top, right, bottom
Point = tuple[float, float]

#: Room kept between a lane and a node, and between two lanes.
CLEARANCE = 14.0
LANE_STEP = 10.0
#: What a frame needs above its title, and a wire above the frame.
TITLE_CLEARANCE = 18.0
#: How far a wire runs straight out of a port before it turns.
STUB = 22.0
CORNER = 18.0
RETURN = 74.0
CELL = 320.0


@dataclass(frozen=True, slots=True)
class Route:
    """A wire as a start and cubic pieces (two handles and an end each).

    ``label`` is where a caption sits best and ``room`` how long the straightest stretch
    around it is, in scene units. ``is_upright`` if this stretch runs down.
    """

    start: Point
    pieces: tuple[tuple[Point, Point, Point], ...]
    label: Point
    room: float
    is_upright: bool = False

    def turned(self) -> Route:
        """The mirror image at the diagonal: a wire to the right becomes one that runs down.

        Lanes that run down lie close beside nodes, where a caption has no room.
        """
        pieces = tuple((a[::-1], b[::-1], c[::-1]) for a, b, c in self.pieces)
        room = self.room if len(pieces) == 1 else 0.0
        return Route(self.start[::-1], pieces, self.label[::-1], room, not self.is_upright)

    def samples(self, per_piece: int = 10) -> Iterator[Point]:
        """Points along the wire, ends included."""
        x0, y0 = self.start
        yield x0, y0
        for (ax, ay), (bx, by), (x1, y1) in self.pieces:
            for i in range(1, per_piece + 1):
                t = i / per_piece
                s = 1 - t
                k0, k1, k2, k3 = s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t
                yield k0 * x0 + k1 * ax + k2 * bx + k3 * x1, k0 * y0 + k1 * ay + k2 * by + k3 * y1
            x0, y0 = x1, y1


@dataclass(slots=True)
class Obstacles:
    """The boxes of nodes, found quickly by region."""

    boxes: dict[object, Box] = field(default_factory=dict)
    cells: dict[tuple[int, int], dict[object, Box]] = field(default_factory=dict)
    titles: Obstacles | None = None

    @classmethod
    def of(cls, boxes: Iterable[tuple[object, Box]], titles: Iterable[tuple[object, Box]] = ()) -> Obstacles:
        """Index ``boxes``, each with the node it belongs to. Lanes also keep clear of ``titles``."""
        made = cls()
        made.follow(boxes)
        made.keep_clear_of(titles)
        return made

    def follow(self, boxes: Iterable[tuple[object, Box]]) -> None:
        """Index these instead; only what differs costs more than a comparison."""
        now = dict(boxes)
        for owner in [o for o in self.boxes if o not in now]:
            self._drop(owner)
        for owner, box in now.items():
            before = self.boxes.get(owner)
            if box == before:
                continue
            if before is not None:
                self._drop(owner)
            self.boxes[owner] = box
            for cell in _cells(box):
                self.cells.setdefault(cell, {})[owner] = box

    def keep_clear_of(self, titles: Iterable[tuple[object, Box]]) -> None:
        """Let lanes avoid these as well."""
        named = list(titles)
        self.titles = Obstacles.of(named) if named else None

    def _drop(self, owner: object) -> None:
        for cell in _cells(self.boxes.pop(owner)):
            del self.cells[cell][owner]

    def in_lane(self, region: Box, *ignored: object) -> list[Box]:
        """Like :meth:`inside`, titles included."""
        found = self.inside(region, *ignored)
        return found + self.titles.inside(region) if self.titles is not None else found

    def inside(self, region: Box, *ignored: object) -> list[Box]:
        """Boxes that overlap ``region`` and belong to none of ``ignored``."""
        found: dict[object, Box] = {}
        left, top, right, bottom = region
        for cell in _cells(region):
            for owner, box in self.cells.get(cell, {}).items():
                if box[0] < right and left < box[2] and box[1] < bottom and top < box[3] and owner not in ignored:
                    found[owner] = box
        return list(found.values())

    def has_others(self, region: Box, known: Container[object]) -> bool:
        """True if a box overlaps ``region`` that belongs to none of ``known``."""
        left, top, right, bottom = region
        return any(
            box[0] < right and left < box[2] and box[1] < bottom and top < box[3] and owner not in known
            for cell in _cells(region) for owner, box in self.cells.get(cell, {}).items()
        )

    def meets(self, region: Box) -> bool:
        """True if any box overlaps ``region``."""
        left, top, right, bottom = region
        return any(
            box[0] < right and left < box[2] and box[1] < bottom and top < box[3]
            for cell in _cells(region) for box in self.cells.get(cell, {}).values()
        )


@dataclass(slots=True)
class Lanes:
    """Horizontal stretches in use, so that wires of different values do not cover each other."""

    used: dict[int, list[tuple[float, float, object]]] = field(default_factory=dict)

    def free(self, y: float, left: float, right: float, value: object, step: float) -> float:
        """The first height from ``y`` on, in direction ``step``, where the stretch is unused
        or carries the same value; it is taken."""
        for turn in range(8):
            height = y + turn * step
            row = self.used.setdefault(round(height / LANE_STEP), [])
            if all(v == value or right <= a or b <= left for a, b, v in row):
                row.append((left, right, value))
                return height
        return y


def _cells(box: Box) -> Iterator[tuple[int, int]]:
    for i in range(int(box[0] // CELL), int(box[2] // CELL) + 1):
        for j in range(int(box[1] // CELL), int(box[3] // CELL) + 1):
            yield i, j


def route(
    start: Point, end: Point, source: object, target: object, obstacles: Obstacles, lanes: Lanes | None = None,
    value: object = None,
) -> Route:
    """Return the course from output ``start`` of node ``source`` to input ``end`` of node ``target``.

    ``value`` tells wires of one output from others: they may share a lane of ``lanes``.
    """
    (x0, y0), (x1, y1) = start, end
    if x1 - x0 < STUB:
        return _backwards(start, end, source, target, obstacles, lanes, value)
    low, high = min(y0, y1), max(y0, y1)
    if x1 - x0 > 60.0:
        in_way = obstacles.inside((x0 + 1, low - 4, x1 - 1, high + 4), source, target)
        if in_way:
            return _around(start, end, source, target, in_way, obstacles, lanes, value)
    return direct(start, end)


def turned_box(box: Box) -> Box:
    """The mirror image of a box at the diagonal."""
    return box[1], box[0], box[3], box[2]


def direct(start: Point, end: Point) -> Route:
    """A single curve with level ends."""
    (x0, y0), (x1, y1) = start, end
    handle = max(min(36.0, abs(x1 - x0) * 0.5 + 12), abs(x1 - x0) * 0.45)
    piece = ((x0 + handle, y0), (x1 - handle, y1), end)
    steep = abs(y1 - y0) > 0.6 * abs(x1 - x0)
    return Route(start, (piece,), ((x0 + x1) / 2, (y0 + y1) / 2), 0.0 if steep else abs(x1 - x0))


def _around(
    start: Point, end: Point, source: object, target: object, in_way: list[Box], obstacles: Obstacles,
    lanes: Lanes | None, value: object,
) -> Route:
    """Pass above or below everything between the two nodes, whichever is nearer."""
    (x0, y0), (x1, y1) = start, end
    left, right = x0 + STUB, x1 - STUB
    above = _clear_height(y0, y1, left, right, -1, in_way, obstacles, source, target)
    below = _clear_height(y0, y1, left, right, 1, in_way, obstacles, source, target)
    middle = (y0 + y1) / 2
    upwards = abs(above - middle) <= abs(below - middle) + 1
    y = above if upwards else below
    if lanes is not None:
        y = lanes.free(y, left, right, value, -LANE_STEP if upwards else LANE_STEP)
    first = min((b[0] for b in in_way), default=right)
    last = max((b[2] for b in in_way), default=left)
    down = max(x0 + STUB, min(first - 4, x0 + 64))
    up = min(x1 - STUB, max(last + 4, x1 - 64))
    if up < down:
        down = up = (x0 + x1) / 2
    return _lane(start, end, down, up, y)


def _clear_height(
    y0: float, y1: float, left: float, right: float, direction: int, in_way: list[Box], obstacles: Obstacles,
    source: object, target: object,
) -> float:
    """The nearest height above (-1) or below (1) the obstacles where the stretch is free."""
    edge = min(b[1] for b in in_way) if direction < 0 else max(b[3] for b in in_way)
    edge = min(edge, y0, y1) if direction < 0 else max(edge, y0, y1)
    for _ in range(24):
        y = edge + direction * CLEARANCE
        hit = obstacles.in_lane((left, y - CLEARANCE + 1, right, y + CLEARANCE - 1), source, target)
        if not hit:
            return y
        edge = min(b[1] for b in hit) if direction < 0 else max(b[3] for b in hit)
    return edge + direction * CLEARANCE


def _lane(start: Point, end: Point, down: float, up: float, y: float) -> Route:
    """Curve to height ``y`` until x = ``down``, run level, curve to the end from x = ``up``."""
    (x0, y0), (x1, y1) = start, end
    a, b = (down - x0) * 0.55, (x1 - up) * 0.55
    pieces = (
        ((x0 + a, y0), (down - a, y), (down, y)),
        _straight((down, y), (up, y)),
        ((up + b, y), (x1 - b, y1), end),
    )
    return Route(start, pieces, ((down + up) / 2, y), up - down)


def _straight(a: Point, b: Point) -> tuple[Point, Point, Point]:
    dx, dy = (b[0] - a[0]) / 3, (b[1] - a[1]) / 3
    return (a[0] + dx, a[1] + dy), (b[0] - dx, b[1] - dy), b


def _backwards(
    start: Point, end: Point, source: object, target: object, obstacles: Obstacles, lanes: Lanes | None, value: object
) -> Route:
    """Out to the right, back along a lane between the two, and in from the left."""
    (x0, y0), (x1, y1) = start, end
    out, back = x0 + STUB, x1 - STUB
    y = _return_height(y0, y1, back, out, source, target, obstacles)
    if lanes is not None:
        y = lanes.free(y, back, out, value, LANE_STEP if y1 < y else -LANE_STEP)
    back = _before_titles(back, y, y1, obstacles)
    return _rounded([start, (out, y0), (out, y), (back, y), (back, y1), end], label=(max(back, out - 90.0), y))


def _before_titles(x: float, y0: float, y1: float, obstacles: Obstacles) -> float:
    """Where to go from lane ``y0`` to the height ``y1`` of a port without crossing a title lengthwise."""
    for _ in range(4):
        region = (x - 2, min(y0, y1), x + 2, max(y0, y1))
        # In a drawing to the right the way leads past titles, which is no harm.
        hit = [b for b in obstacles.titles.inside(region) if b[3] - b[1] > b[2] - b[0]] if obstacles.titles else []
        if not hit:
            break
        x = min(b[0] for b in hit) - TITLE_CLEARANCE
    return x


def _return_height(
    y0: float, y1: float, left: float, right: float, source: object, target: object, obstacles: Obstacles
) -> float:
    low, high = min(y0, y1), max(y0, y1)
    boxes = obstacles.in_lane((left, low - 400, right, high + 400))
    edges = sorted({b[1] - CLEARANCE - 4 for b in boxes} | {b[3] + CLEARANCE + 4 for b in boxes})
    # A little above the next row reads best: the wire leads into it, and a frame's title is below.
    wish = y1 - RETURN if y1 > y0 else y1 + RETURN
    candidates = sorted((wish, (y0 + y1) / 2, *edges), key=lambda y: abs(y - wish) + (0 if low <= y <= high else 200))
    for y in candidates:
        if not any(b[1] - CLEARANCE < y < b[3] + CLEARANCE and b[0] < right and left < b[2] for b in boxes):
            return y
    return wish


def _rounded(points: list[Point], label: Point) -> Route:
    """A path of level and upright stretches with rounded corners."""
    pieces: list[tuple[Point, Point, Point]] = []
    at = points[0]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(CORNER, _length(before, corner) / 2, _length(corner, after) / 2)
        if radius < 0.5:
            continue
        enter, leave = _towards(corner, before, radius), _towards(corner, after, radius)
        pieces.append(_straight(at, enter))
        soft = 0.45  # a quarter of a circle has its handles at 0.55 of the radius
        pieces.append((_towards(corner, enter, radius * soft), _towards(corner, leave, radius * soft), leave))
        at = leave
    pieces.append(_straight(at, points[-1]))
    return Route(points[0], tuple(pieces), label, 160.0)


def _length(a: Point, b: Point) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _towards(a: Point, b: Point, distance: float) -> Point:
    length = max(_length(a, b), 1e-9)
    share = distance / length
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share
