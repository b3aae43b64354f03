"""What moves when a group opens or closes: first what lies beside it in its own group, then what lies beside that.

So a group stays together: what belongs to it never trades places with what does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ghn_studio.app.drawing.boxes import Shift, framed, joined, overlaps, shifted
from ghn_studio.app.drawing.flow import Box, Direction

#: Says how boxes move when one among them becomes another: ``around_change`` or ``closing_up``.
Follow = Callable[[Mapping[str, Box], Box, Box, Direction], dict[str, Shift]]


def ripple(
    frames: Sequence[str], others: Mapping[str, Box], path: str, old: Box, new: Box, direction: Direction,
    follow: Follow,
) -> dict[str, Box]:
    """Return where the ``others`` come to lie when the box of ``path`` changes from ``old`` to ``new``.

    Args:
        frames: Paths of the open groups; those inside ``path`` left out.
    """
    around = sorted((p for p in frames if path.startswith(p + ".")), key=len, reverse=True)
    moved = dict(others)
    inside, was, now = path, old, new
    for level in (*around, ""):
        beside = [b for b in others if _is_below(b, level) and not _is_below(b, inside)]
        units = _units(frames, level, inside, beside)
        boxes = {u: frame_of(frames, u, {b: moved[b] for b in members}) if u in frames else moved[u]
                 for u, members in units.items()}
        for unit, by in follow(boxes, was, now, direction).items():
            for block in units[unit]:
                moved[block] = shifted(moved[block], by)
        if level:
            was = frame_of(frames, level, {**{b: box for b, box in others.items() if _is_below(b, level)}, path: old})
            now = frame_of(frames, level, {**{b: box for b, box in moved.items() if _is_below(b, level)}, path: new})
            inside = level
    return moved if overlaps([*moved.values(), new]) == 0 else _flat(others, old, new, direction, follow, moved)


def frame_of(frames: Sequence[str], path: str, members: Mapping[str, Box]) -> Box:
    """The frame of an open group around its members and the frames of the open groups among them."""
    inner = [p for p in frames if p.startswith(path + ".")]
    found = list(members.values())
    for child in inner:
        if not any(child.startswith(other + ".") for other in inner):
            below = {b: box for b, box in members.items() if b.startswith(child + ".")}
            if below:
                found.append(frame_of(frames, child, below))
    return framed(joined(found))


def _flat(
    others: Mapping[str, Box], old: Box, new: Box, direction: Direction, follow: Follow, tried: dict[str, Box]
) -> dict[str, Box]:
    """Where strangers lie among a group's members, groups cannot move as one: then every block moves by itself."""
    shifts = follow(others, old, new, direction)
    found = {b: shifted(box, shifts.get(b, (0.0, 0.0))) for b, box in others.items()}
    return found if overlaps([*found.values(), new]) <= overlaps([*tried.values(), new]) else tried


def _units(frames: Sequence[str], level: str, inside: str, blocks: Sequence[str]) -> dict[str, list[str]]:
    """What moves as one at a level: the open groups directly in it, and the blocks in none of them."""
    children = sorted((p for p in frames if _is_below(p, level) and not (inside + ".").startswith(p + ".")), key=len)
    outermost = [p for p in children if not any(p.startswith(other + ".") for other in children)]
    found: dict[str, list[str]] = {}
    for block in blocks:
        unit = next((p for p in outermost if block.startswith(p + ".")), block)
        found.setdefault(unit, []).append(block)
    return found


def _is_below(name: str, path: str) -> bool:
    return not path or name == path or name.startswith(path + ".")
