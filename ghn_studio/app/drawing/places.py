"""The grid that blocks lie on, and free places among others."""

from __future__ import annotations

from collections.abc import Iterable

from ghn_studio.app.drawing.flow import Point

Size = tuple[float, float]

GRID = 8.0
_CELL = 512.0


def snapped(value: float) -> float:
    """The nearest multiple of the grid."""
    return round(value / GRID) * GRID


class Taken:
    """Places in use, found quickly by region. ``margin`` is kept around each."""

    def __init__(self, margin: float) -> None:
        self._margin = margin
        self._cells: dict[tuple[int, int], list[tuple[float, float, float, float]]] = {}

    def add(self, place: Point, size: Size) -> None:
        """Mark a box (top left corner, width and height) as taken."""
        (x, y), (w, h), m = place, size, self._margin
        box = x - m, y - m, x + w + m, y + h + m
        for cell in self._cells_of(box):
            self._cells.setdefault(cell, []).append(box)

    def free(self, wish: Point, size: Size, *, downwards: bool = True) -> Point:
        """The first place on the grid at ``wish`` or below it (right of it if not ``downwards``)
        where a box of ``size`` keeps clear of everything."""
        x, y = snapped(wish[0]), snapped(wish[1])
        while True:
            hits = self._hits((x, y, x + size[0], y + size[1]))
            if not hits:
                return x, y
            # The nearest end of what is in the way: past it something else may be, or nothing.
            if downwards:
                y = _up_to_grid(min(box[3] for box in hits))
            else:
                x = _up_to_grid(min(box[2] for box in hits))

    def _hits(self, box: tuple[float, float, float, float]) -> list[tuple[float, float, float, float]]:
        left, top, right, bottom = box
        return [b for cell in self._cells_of(box) for b in self._cells.get(cell, ())
                if b[0] < right and left < b[2] and b[1] < bottom and top < b[3]]

    @staticmethod
    def _cells_of(box: tuple[float, float, float, float]) -> Iterable[tuple[int, int]]:
        for i in range(int(box[0] // _CELL), int(box[2] // _CELL) + 1):
            for j in range(int(box[1] // _CELL), int(box[3] // _CELL) + 1):
                yield i, j


def free_spot(wish: Point, size: Size, taken: Iterable[tuple[float, float, float, float]], margin: float) -> Point:
    """The first place at or below ``wish`` where a box of ``size`` keeps clear of ``taken``
    (x, y, width, height each) by ``margin``."""
    places = Taken(margin)
    for x, y, width, height in taken:
        places.add((x, y), (width, height))
    return places.free(wish, size)


def _up_to_grid(value: float) -> float:
    return -(-value // GRID) * GRID
