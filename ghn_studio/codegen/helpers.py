"""Copies of the layers that torch does not have, with what they need."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from ghn_studio.codegen.constructors import REQUIRED, Signature
from ghn_studio.errors import CodegenError

PREFIX = "ghn_studio.blocks."

_BLOCKS = Path(__file__).resolve().parent.parent / "blocks" / "__init__.py"


def definitions(names: Iterable[str]) -> list[str]:
    """The source of these definitions and of those they use, in the order of ``blocks``.

    Raises:
        CodegenError: ``blocks`` has no such definition.
    """
    text, table = _parsed()
    wanted: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in wanted:
            continue
        if name not in table:
            raise CodegenError(f"the layer '{name}' is not among GHN Studio's blocks; its source cannot be written")
        wanted.add(name)
        waiting.extend(n.id for n in ast.walk(table[name]) if isinstance(n, ast.Name) and n.id in table)
    return [_segment(text, node) for name, node in table.items() if name in wanted]


def available() -> frozenset[str]:
    """The names of all blocks; generated classes use others."""
    return frozenset(_parsed()[1])


def signature(name: str) -> Signature:
    """The arguments of a block's constructor, with their defaults."""
    definition = _parsed()[1].get(name)
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    for item in body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            names = [a.arg for a in item.args.args][1:]
            defaults = [ast.literal_eval(d) for d in item.args.defaults]
            return tuple(zip(names, [REQUIRED] * (len(names) - len(defaults)) + defaults, strict=True))
    return ()


@cache
def _parsed() -> tuple[str, dict[str, ast.stmt]]:
    text = _BLOCKS.read_text(encoding="utf-8")
    table: dict[str, ast.stmt] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            table[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            table[node.targets[0].id] = node
    return text, table


def _segment(text: str, node: ast.stmt) -> str:
    segment = ast.get_source_segment(text, node)
    assert segment is not None
    decorators = getattr(node, "decorator_list", [])
    return "".join(f"@{ast.unparse(d)}\n" for d in decorators) + segment
