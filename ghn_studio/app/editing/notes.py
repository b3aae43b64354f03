"""Notes and comment frames beside the network: pure edits of a project, and what a frame carries along."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from ghn_studio.app.drawing.boxes import joined
from ghn_studio.app.drawing.flow import Box
from ghn_studio.app.drawing.places import snapped
from ghn_studio.app.editing.edits import Edit, Point
from ghn_studio.project import Note, Project

#: Of a new note, and the least that any may have, in scene units.
SIZE = 208.0, 104.0
LEAST = 96.0, 48.0
#: A new frame keeps this distance from what it goes around; above, its title lies in between.
FRAME_PAD, FRAME_TITLE = 32.0, 72.0


def fresh_name(project: Project) -> str:
    """A name that no note has."""
    name, number = "note", 1
    while name in project.notes:
        number += 1
        name = f"note_{number}"
    return name


def written(name: str, note: Note | None) -> Edit:
    """Add or replace a note; None takes it away."""

    def edit(project: Project) -> Project:
        if project.notes.get(name) == note:
            return project
        notes = {k: n for k, n in project.notes.items() if k != name or note is not None}
        if note is not None:
            notes[name] = note
        return replace(project, notes=MappingProxyType(notes))

    return edit


def deleted(names: Iterable[str]) -> Edit:
    """Take notes away; what a frame holds stays."""
    gone = set(names)

    def edit(project: Project) -> Project:
        kept = {k: n for k, n in project.notes.items() if k not in gone}
        return project if len(kept) == len(project.notes) else replace(project, notes=MappingProxyType(kept))

    return edit


def moved(names: Iterable[str], by: Point) -> Edit:
    """Move notes."""
    chosen = set(names)

    def edit(project: Project) -> Project:
        notes = {k: replace(n, x=n.x + by[0], y=n.y + by[1]) if k in chosen else n for k, n in project.notes.items()}
        return replace(project, notes=MappingProxyType(notes))

    return edit


def duplicated(names: Iterable[str], offset: float) -> Edit:
    """Copy notes beside themselves; the copies come last."""
    chosen = tuple(names)

    def edit(project: Project) -> Project:
        for name in chosen:
            note = project.notes[name]
            project = written(fresh_name(project), replace(note, x=note.x + offset, y=note.y + offset))(project)
        return project

    return edit


def resized(note: Note, corner: Point) -> Note:
    """The note with its lower right corner on the grid near ``corner``."""
    width, height = snapped(corner[0] - note.x), snapped(corner[1] - note.y)
    return replace(note, width=max(LEAST[0], width), height=max(LEAST[1], height))


def at(place: Point) -> Note:
    """An empty note with its upper left corner on the grid near ``place``."""
    return Note("", snapped(place[0]), snapped(place[1]), *SIZE)


def around(boxes: Iterable[Box], title: str) -> Note:
    """A comment frame around boxes."""
    left, top, right, bottom = joined(boxes)
    return Note(title, left - FRAME_PAD, top - FRAME_TITLE, right - left + 2 * FRAME_PAD,
                bottom - top + FRAME_TITLE + FRAME_PAD, is_frame=True)


def box_of(note: Note) -> Box:
    """Left, top, right and bottom."""
    return note.x, note.y, note.x + note.width, note.y + note.height


def carried(frame: Note, boxes: Mapping[str, Box]) -> tuple[str, ...]:
    """The blocks, or notes, that a frame takes along: those that lie in it whole."""
    left, top, right, bottom = box_of(frame)
    return tuple(n for n, b in boxes.items() if left <= b[0] and top <= b[1] and b[2] <= right and b[3] <= bottom)
