"""The command palette's ranking: commands, operators, files, panels and nodes in one list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ghn_studio.app.searching import fuzzy

#: How many of the last commands are remembered.
REMEMBERED = 8
#: What a command gains by having been used lately; less than the step between two ranks of ``fuzzy``.
_LATELY = 0.04
#: What it loses while it cannot be run.
_REFUSED = 0.09
#: The share of a match that needs more than the title.
_BEYOND_TITLE = 0.45


class Kind(StrEnum):
    """What a command does; also the word shown beside it. Earlier ones come first among equals."""

    ACTION = "Command"
    PANEL = "Panel"
    OPERATOR = "Add operator"
    EXAMPLE = "Example"
    RECENT = "Recent file"
    GROUP = "Group"
    NODE = "Node"


_ORDER = {kind: i for i, kind in enumerate(Kind)}
#: Nodes carry names that others made; what the program can do comes before them.
_SHARE = {Kind.NODE: 0.92, Kind.GROUP: 0.94}
#: Too many to be listed before anything was typed.
_WHEN_TYPED = (Kind.NODE, Kind.GROUP, Kind.OPERATOR)


@dataclass(frozen=True, slots=True)
class Command:
    """One line of the palette. ``key`` names it for good, ``reason`` says why it cannot be run now, if so."""

    key: str
    title: str
    kind: Kind
    detail: str = ""
    keys: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A command that matches, and the letters of its title that were typed."""

    command: Command
    positions: tuple[int, ...] = ()


def ranked(query: str, commands: Iterable[Command], recent: Sequence[str] = ()) -> list[Hit]:
    """The commands a query names, best first.

    The title counts most; what only the detail has (a menu, a folder) comes after it. Without a
    query the commands used lately come first, then all but operators, groups and nodes.

    Args:
        recent: Keys of the commands used lately, the last first.
    """
    place = {key: i for i, key in enumerate(recent)}
    if not query.strip():
        shown = [c for c in commands if c.kind not in _WHEN_TYPED or c.key in place]
        shown.sort(key=lambda c: (place.get(c.key, len(place)), _ORDER[c.kind]))
        return [Hit(c) for c in shown]
    found = []
    for command in commands:
        hit = _match(query, command)
        if hit is not None:
            value = hit.score * _SHARE.get(command.kind, 1.0) + (_LATELY if command.key in place else 0.0)
            value -= _REFUSED if command.reason else 0.0
            found.append((-value, _ORDER[command.kind], Hit(command, hit.positions)))
    found.sort(key=lambda entry: entry[:2])
    return [hit for _, _, hit in found]


def remembered(key: str, recent: Sequence[str]) -> tuple[str, ...]:
    """The commands used lately after ``key`` was used."""
    return (key, *(k for k in recent if k != key))[:REMEMBERED]


def _match(query: str, command: Command) -> fuzzy.Match | None:
    hit = fuzzy.match(query, command.title)
    if hit is not None or command.kind is Kind.NODE:  # finding nodes by what they are is what Find does
        return hit
    both = fuzzy.match(query, f"{command.title} {command.kind} {command.detail}")
    if both is None:
        return None
    return fuzzy.Match(both.score * _BEYOND_TITLE, tuple(p for p in both.positions if p < len(command.title)))
