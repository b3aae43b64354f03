"""Copies of the layers that torch does not have, with what they need."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ghn_studio.codegen.constructors import REQUIRED, Signature
from ghn_studio.errors import CodegenError

PREFIX = "ghn_studio.blocks."

_BLOCKS = Path(__file__).resolve().parent.parent / "blocks"


def definitions(names: Iterable[str]) -> list[str]:
    """The source of these definitions and of those they use, in the order of ``blocks``.

    Raises:
        CodegenError: ``blocks`` has no such definition.
    """
    table = _parsed()
    wanted: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in wanted:
            continue
        if name not in table:
            raise CodegenError(f"the layer '{name}' is not among GHN Studio's blocks; its source cannot be written")
        wanted.add(name)
        waiting.extend(n.id for n in ast.walk(table[name].node) if isinstance(n, ast.Name) and n.id in table)
    return [found.source for name, found in table.items() if name in wanted]


def available() -> frozenset[str]:
    """The names of all blocks; generated classes use others."""
    return frozenset(_parsed())


def signature(name: str) -> Signature:
    """The arguments of a block's constructor, with their defaults."""
    definition = _parsed().get(name)
    body = definition.node.body if definition is not None and isinstance(definition.node, ast.ClassDef) else []
    for item in body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            names = [a.arg for a in item.args.args][1:]
            defaults = [ast.literal_eval(d) for d in item.args.defaults]
            return tuple(zip(names, [REQUIRED] * (len(names) - len(defaults)) + defaults, strict=True))
    return ()


@dataclass(frozen=True, slots=True)
class _Definition:
    """A class or function of ``blocks``: its tree and its text."""

    node: ast.ClassDef | ast.FunctionDef
    source: str


@cache
def _parsed() -> dict[str, _Definition]:
    """Every definition by name, file after file, in the order they are written in."""
    table: dict[str, _Definition] = {}
    for path in sorted(_BLOCKS.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                table[node.name] = _Definition(node, _segment(text, node))
    return table


def _segment(text: str, node: ast.ClassDef | ast.FunctionDef) -> str:
    segment = ast.get_source_segment(text, node)
    assert segment is not None
    return "".join(f"@{ast.unparse(d)}\n" for d in node.decorator_list) + segment
