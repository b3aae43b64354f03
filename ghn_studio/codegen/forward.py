"""The statements of one ``forward``: which layer runs on which local variable.

Values get names as a person would give them. A value that goes straight through
several layers keeps one name (``x``; ``y`` for a second path); a value that stands alone is
called after its layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, count

from ghn_studio.codegen.constructors import LINE, literal
from ghn_studio.codegen.names import local
from ghn_studio.codegen.tree import INLINE, Block, Tree, Unit
from ghn_studio.ir.graph import Node, Source

_POOL = ("y", "z", "w", "v", "u", "t", "s", "r", "q", "p")


@dataclass(frozen=True, slots=True)
class Method:
    """The text of a ``forward``: argument names, statements, how many values it returns."""

    arguments: tuple[str, ...]
    lines: tuple[str, ...]
    returns: int


@dataclass
class _Chain:
    """Values that follow each other under one name, from unit ``start`` to their last use."""

    start: int
    end: int
    length: int = 1
    name: str = ""


def method(
    tree: Tree, block: Block, access: Callable[[Unit], str], note: Callable[[Unit], str] | None = None
) -> Method:
    """Write the ``forward`` of ``block``.

    Args:
        access: The expression for a unit's module, such as ``self.conv1``.
        note: A comment for the end of a unit's line.
    """
    units = tree.units[block]
    entries, exits = tree.ends(block)
    arguments = ("x",) if len(entries) == 1 else tuple(f"x{i + 1}" for i in range(len(entries)))
    names = _names(units, entries, exits, arguments)
    lines = []
    for index, unit in enumerate(units):
        call = _expression(tree, unit, access, names)
        if index == len(units) - 1 and exits == unit.results:
            statement = f"return {call}"
        else:
            statement = f"{', '.join(names.get(s, '_') for s in unit.results)} = {call}"
        comment = f"  # {note(unit)}" if note is not None else ""
        fits = len(statement) + len(comment) + 8 <= LINE
        lines.extend(_wrapped(statement + comment if fits else statement))
    if not (units and exits == units[-1].results):
        lines.append(f"return {', '.join(names[s] for s in exits)}")
    return Method(arguments, tuple(lines), len(exits))


def _wrapped(statement: str) -> list[str]:
    """Break a statement that is too long as formatters do: inside its brackets, or at its operators."""
    if len(statement) + 8 <= LINE:
        return [statement]
    mark = "return " if statement.startswith("return ") else " = "
    head, _, expression = statement.partition(mark)
    name, bracket, inside = expression.partition("(")
    if bracket:
        return _bracketed(f"{head}{mark}{name}", _items(inside[:-1]), "")
    sign = " + " if " + " in expression else " * "
    first, *rest = expression.split(sign)
    whole = f"    {expression}"
    rows = [whole] if len(whole) + 8 <= LINE else [f"    {first}", *(f"    {sign.lstrip()}{word}" for word in rest)]
    return [f"{head}{mark}(", *rows, ")"]


def _bracketed(opening: str, items: list[str], ending: str) -> list[str]:
    """Items in round brackets: all on one line if they fit there, else a line for each."""
    depth = len(opening) - len(opening.lstrip()) + 4
    together = " " * depth + ", ".join(items)
    if len(together) + 8 <= LINE:
        return [f"{opening}(", together, f"{' ' * (depth - 4)}){ending}"]
    rows: list[str] = []
    for item in items:
        fits = depth + len(item) + 9 <= LINE
        rows += [f"{' ' * depth}{item},"] if fits else _bracketed(" " * depth, _items(item[1:-1]), ",")
    return [f"{opening}(", *rows, f"{' ' * (depth - 4)}){ending}"]


def _items(text: str) -> list[str]:
    """What commas separate outside of any bracket."""
    found, depth, start = [], 0, 0
    for index, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            found.append(text[start:index].strip())
            start = index + 1
    return [*found, text[start:].strip()]


def _expression(tree: Tree, unit: Unit, access: Callable[[Unit], str], names: dict[Source, str]) -> str:
    operands = [names[s] for s in unit.operands]
    if isinstance(unit.what, Node) and access(unit) == "":
        call = tree.program.module(unit.what)
        assert call.target in INLINE
        kind, extra = call.short_name, "".join(f", {a!r}" for a in call.args)
        if kind in ("Add", "Multiply"):
            return (" + " if kind == "Add" else " * ").join(operands)
        if kind == "Concat":
            return f"torch.cat(({', '.join(operands)}){extra})"
        return f"torch.chunk({operands[0]}{extra})"
    if isinstance(unit.what, Node) and tree.program.is_bare(unit.what):
        function = tree.program.function(unit.what)
        words = [*operands, access(unit), *(f"{k}={literal(v)}" for k, v in function.kwargs)]
        return f"{function.short_name}({', '.join(words)})"
    return f"{access(unit)}({', '.join(operands)})"


def _names(
    units: tuple[Unit, ...], entries: tuple[Source, ...], exits: tuple[Source, ...], arguments: tuple[str, ...]
) -> dict[Source, str]:
    """A local name for every value that somebody uses."""
    users: dict[Source, list[int]] = {s: [] for s in entries}
    for index, unit in enumerate(units):
        for source in dict.fromkeys(unit.operands):
            users.setdefault(source, []).append(index)
    for source in exits:
        users.setdefault(source, []).append(len(units))
    chains = {
        s: _Chain(-1, users[s][-1] if users[s] else -1, 1, name) for s, name in zip(entries, arguments, strict=True)
    }
    main = chains[entries[0]] if len(entries) == 1 else None
    for index, unit in enumerate(units):
        used = [s for s in unit.results if users.get(s)]
        extended = _extended(unit, index, users, chains, main) if len(unit.results) == 1 and used else None
        for source in used:
            if extended is None:
                chains[source] = _Chain(index, users[source][-1])
            else:
                extended.end, extended.length = users[source][-1], extended.length + 1
                chains[source] = extended
    _christen(units, chains, set(arguments))
    return {s: c.name for s, c in chains.items()}


def _extended(
    unit: Unit, index: int, users: dict[Source, list[int]], chains: dict[Source, _Chain], main: _Chain | None
) -> _Chain | None:
    """The chain that ``unit`` continues: it takes a value for the last time and gives one back."""
    operands = tuple(dict.fromkeys(unit.operands))
    dying = [s for s in operands if users[s][-1] == index and chains[s].end == index]
    for source in dying:
        if chains[source] is main:
            return main
    for source in dying:
        path = chains[source]
        if path.start >= 0 and len(users[source]) == 1 and (path.length > 1 or len(operands) == 1):
            return path
    return None


def _christen(units: tuple[Unit, ...], chains: dict[Source, _Chain], taken: set[str]) -> None:
    """Give every chain a name that no other chain has while it lives."""
    unnamed = {id(c): (s, c) for s, c in chains.items() if not c.name}
    lone = [(s, c) for s, c in unnamed.values() if c.length == 1]
    for source, value in lone:
        unit = units[value.start]
        stem = local("_".join(unit.names))
        if len(unit.results) > 1:
            stem = f"{stem}_{unit.results.index(source)}"
        while stem in taken or stem in _POOL:
            stem += "_"
        taken.add(stem)
        value.name = stem
    busy: list[_Chain] = []
    for _, path in sorted((v for v in unnamed.values() if v[1].length > 1), key=lambda v: v[1].start):
        busy = [c for c in busy if c.end > path.start]
        used = {c.name for c in busy} | taken
        path.name = next(n for n in chain(_POOL, (f"y{i}" for i in count(2))) if n not in used)
        busy.append(path)
