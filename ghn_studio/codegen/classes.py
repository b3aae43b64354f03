"""Blocks become classes; equal blocks share one, and sizes that differ become its arguments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ghn_studio.codegen.constructors import (
    LINE,
    SIGNATURES,
    Item,
    New,
    Ref,
    Value,
    is_loop,
    layer,
    printed,
    skeleton,
    values,
    with_values,
)
from ghn_studio.codegen.forward import Method, method
from ghn_studio.codegen.helpers import PREFIX, signature
from ghn_studio.codegen.names import class_like, is_plain_attribute, is_plain_key, local, unused
from ghn_studio.codegen.tree import Block, Tree, Unit, own_name
from ghn_studio.ir.graph import Node
from ghn_studio.ops.spec import BARE

#: Blocks that differ in more sizes than this get a class each.
MAX_ARGUMENTS = 6

#: Argument names that count channels or features: equal numbers among them mean the same.
_SIZES = frozenset({
    "in_channels", "out_channels", "num_features", "num_channels", "in_features", "out_features", "normalized_shape",
    "channels", "dim", "groups",
})


@dataclass(frozen=True)
class _Draft:
    """A block that will be a class: its layers, its ``forward`` (None if it only holds layers)."""

    block: Block
    base: str
    layers: tuple[tuple[str, New], ...]
    forward: Method | None

    @property
    def key(self) -> object:
        """Equal for blocks that can share a class."""
        return self.base, tuple((n, skeleton(c)) for n, c in self.layers), self.forward

    @property
    def arguments(self) -> list[tuple[str, Value]]:
        """Every plain argument of every layer, in a fixed order."""
        return [(f"{n}{where}", v) for n, c in self.layers for where, v in values(c)]


class Classes:
    """The classes of one generated file.

    ``source`` holds their texts, inner ones first and the network last; ``helpers`` the
    names of the blocks to copy.
    """

    def __init__(self, tree: Tree, top: str, doc: str, reserved: set[str]) -> None:
        self._tree = tree
        self._names = {top, *reserved}
        self._calls: dict[Block, New] = {}
        self.helpers: set[str] = set()
        self.source: list[str] = []
        blocks = [b for b in tree.root.blocks() if b is not tree.root]
        for height in sorted({b.height for b in blocks}):
            level = [b for b in blocks if b.height == height and self._is_class(b)]
            self._write_level([self._draft(b) for b in level])
        self._write_top(top, doc)

    def _is_class(self, block: Block) -> bool:
        if block in self._tree.holders:
            return not block.is_list and (bool(block.bare) or not all(map(is_plain_key, block.children)))
        return not self._is_sequence(block)

    def _is_sequence(self, block: Block) -> bool:
        """True if the children, called 0, 1, 2 …, run one after the other."""
        if not block.is_list or block in self._tree.holders:
            return False
        units = self._tree.units[block]
        entries, exits = self._tree.ends(block)
        if any(own_name(name) != name for name in block.children):
            return False
        if [u.names for u in units] != [(k,) for k in block.children] or len(entries) != 1:
            return False
        value = entries
        for unit in units:
            if unit.operands != value or len(unit.results) != 1:
                return False
            value = unit.results
        return exits == value and not any(u.results[0] in v.operands for u, v in zip(units, units[2:], strict=False))

    def _draft(self, block: Block) -> _Draft:
        layers = tuple((name, self._new(child, block)) for name, child in self._owned(block))
        if block in self._tree.holders:
            return _Draft(block, "nn.Module", layers, None)
        base = "nn.ModuleList" if block.is_list else "nn.Module"
        return _Draft(block, base, layers, method(self._tree, block, lambda u: self._access(block, u)))

    def _owned(self, block: Block) -> list[tuple[str, Block | Node]]:
        """The children that are attributes: all but what ``forward`` writes out.

        Lists keep even empty blocks, so that the others keep their positions.
        """
        return [
            (name, child) for name, child in block.children.items()
            if (isinstance(child, Block) and (block.is_list or self._has_layer(child)))
            or (isinstance(child, Node) and own_name(name) == name and not self._tree.is_inline(child, block))
        ]

    def _has_layer(self, block: Block) -> bool:
        return bool(self._owned(block))

    def _new(self, child: Block | Node, parent: Block) -> New:
        """The constructor call of a layer or block."""
        if isinstance(child, Node):
            return self._layer(child)
        if child in self._calls:
            return self._calls[child]
        items = [(name, self._new(c, child)) for name, c in self._owned(child)]
        calls = tuple(new for _, new in items)
        if child.is_list:
            target, brackets = ("nn.Sequential", "") if self._is_sequence(child) else ("nn.ModuleList", "[]")
            return New(target, (None,) * len(calls), calls, brackets)
        return New("nn.ModuleDict", tuple(name for name, _ in items), calls, "{}")

    def _layer(self, node: Node) -> New:
        program = self._tree.program
        call = program.module(node)
        if call.target.startswith(PREFIX):
            self.helpers.add(call.short_name)
            new = layer(call.target, call.short_name, call.args, call.kwargs, signature(call.short_name))
        else:
            new = layer(call.target, call.target.removeprefix("torch."), call.args, call.kwargs,
                        SIGNATURES.get(call.target))
        if not program.is_bare(node):
            return new
        self.helpers.add(program.function(node).short_name)
        return replace(new, keeps=BARE, is_buffer=not program.weights(node)[0].trainable)

    def _access(self, block: Block, unit: Unit) -> str:
        """The expression for a unit's module inside ``block``; empty if it is written out."""
        parent, text = block, "self"
        for name in unit.names:
            child = parent.children[name]
            if isinstance(child, Node) and self._tree.is_inline(child, parent):
                return ""
            text = self._child(parent, name, text)
            if isinstance(child, Block):
                parent = child
        return text

    def _child(self, parent: Block, child: str, text: str) -> str:
        name = own_name(child)
        if name in parent.bare and not is_plain_attribute(name):
            return f'{text}.{_table(self._is_buffer(parent.children[name]))}["{name}"]'
        if parent.is_list:
            return f"{text}[{name}]"
        if parent in self._tree.holders and parent not in self._calls:
            return f'{text}["{name}"]'
        return f"{text}.{name}" if is_plain_attribute(name) else f'{text}._modules["{name}"]'

    def _is_buffer(self, child: Block | Node) -> bool:
        return isinstance(child, Node) and not self._tree.program.weights(child)[0].trainable

    def _write_level(self, drafts: list[_Draft]) -> None:
        alike: dict[object, list[_Draft]] = {}
        for draft in drafts:
            # Blocks that a person gave different titles stay apart even if they look alike.
            alike.setdefault((draft.key, self._given_title(draft.block.path)), []).append(draft)
        for group in alike.values():
            columns = _columns(group)
            if len(set(columns.values())) <= MAX_ARGUMENTS:
                self._write_class(group, columns)
                continue
            equal: dict[object, list[_Draft]] = {}
            for draft in group:
                equal.setdefault(tuple(v.value for _, v in draft.arguments), []).append(draft)
            for same in equal.values():
                self._write_class(same, {})

    def _write_class(self, group: list[_Draft], columns: dict[int, str]) -> None:
        """One class for all blocks of ``group``; ``columns`` names the arguments that differ."""
        name = unused(self._title(group[0].block), self._names)
        self._names.add(name)
        names = sorted(dict.fromkeys(columns.values()), key=_argument_order)
        first = {n: next(i for i, c in columns.items() if c == n) for n in names}
        for draft in group:
            found = [Value(draft.arguments[first[n]][1].value, n) for n in names]
            keys = tuple(None if i < 2 else n for i, n in enumerate(names))
            self._calls[draft.block] = New(name, keys, tuple(found))
        kinds = {n: _annotation([d.arguments[first[n]][1].value for d in group]) for n in names}
        self.source.append(_class_text(name, group[0], self._doc(group), kinds, _layers(group[0], columns)))

    def _write_top(self, top: str, doc: str) -> None:
        root = self._tree.root
        is_sequence = self._is_sequence(root)
        layers = tuple((name, self._noted(child, self._new(child, root), is_sequence))
                       for name, child in self._owned(root))
        if is_sequence:
            draft = _Draft(root, "nn.Sequential", layers, None)
        else:
            forward = method(self._tree, root, lambda u: self._access(root, u), self._shape)
            draft = _Draft(root, "nn.ModuleList" if root.is_list else "nn.Module", layers, forward)
        self.source.append(_class_text(top, draft, doc, {}, list(layers)))

    def _noted(self, child: Block | Node, new: New, is_step: bool) -> New:
        """The call with the shapes of what a stage's layers give, where it lists them one by one."""
        if isinstance(child, Block) and self._is_sequence(child) and not is_loop(new) and not new.keeps:
            units = self._tree.units[child]
            items = tuple(
                replace(item, note=self._shape(unit)) if isinstance(item, New) else item
                for unit, item in zip(units, new.items, strict=True)
            )
            new = replace(new, items=items)
        if not is_step:
            return new
        return replace(new, note=next(self._shape(u) for u in self._tree.units[self._tree.root] if u.what is child))

    def _shape(self, unit: Unit) -> str:
        outputs = self._tree.program.shapes.outputs
        return ", ".join(outputs[s.node][s.port].extents for s in unit.results)

    def _title(self, block: Block) -> str:
        *path, last = block.path.split(".")
        own = self._given_title(block.path)
        if not own and last.isdigit() and path:
            around = self._given_title(".".join(path)) or path[-1]
            own = around if around.lower().endswith("block") else f"{around} block"
        return class_like(own if any(c.isascii() and c.isalpha() for c in own) else last, "Block")

    def _given_title(self, path: str) -> str:
        group = self._tree.program.graph.groups.get(path)
        return group.title if group is not None else ""

    def _doc(self, group: list[_Draft]) -> str:
        paths = [d.block.path for d in group]
        if len(paths) == 1:
            return f"``{paths[0]}``"
        text = f"``{paths[0]}`` to ``{paths[-1]}``, {len(paths)} in all"
        return text if len(text) + 11 <= LINE else f"``{paths[0]}`` and others, {len(paths)} in all"


def _columns(group: list[_Draft]) -> dict[int, str]:
    """Names for the arguments that differ between the blocks, by their position.

    Arguments that always have equal values and mean the same share a name.
    """
    table = [[v.value for _, v in d.arguments] for d in group]
    first = group[0].arguments
    seen: dict[object, list[int]] = {}
    for index, column in enumerate(zip(*table, strict=True)):
        if any(type(v) is not type(column[0]) or v != column[0] for v in column):
            name = first[index][1].name
            seen.setdefault((column, "size" if name in _SIZES else name), []).append(index)
    wanted = [(positions, _plain_name(first, positions)) for positions in seen.values()]
    if any(name.startswith(("in_", "out_")) for _, name in wanted):
        wanted = [(positions, "hidden_channels" if name == "channels" else name) for positions, name in wanted]
    names: dict[int, str] = {}
    for number, (positions, name) in enumerate(wanted):
        rivals = [i for i, (_, other) in enumerate(wanted) if other == name]
        # Of several inputs the first is the block's own, of several outputs the last.
        keeps = rivals[-1] if name.startswith("out") else rivals[0]
        full = name if number == keeps else local(f"{first[positions[0]][0]}_{name}".replace(".", "_"))
        full = unused(full, set(names.values()))
        names.update(dict.fromkeys(positions, full))
    return names


def _plain_name(arguments: list[tuple[str, Value]], positions: list[int]) -> str:
    """What a person would call the sizes at these positions."""
    names = list(dict.fromkeys(arguments[i][1].name for i in positions))
    sides = [n for n in names if n.startswith(("in_", "out_"))]
    if {"in_channels", "out_channels"} <= set(sides):
        return "channels"
    return local(sides[0] if sides else names[0])


def _argument_order(name: str) -> int:
    return 0 if name.startswith("in_") else 1 if name.startswith("out_") else 2


def _layers(draft: _Draft, columns: dict[int, str]) -> list[tuple[str, New]]:
    """The layers of a class, with references to its arguments."""
    position = iter(range(len(draft.arguments)))

    def change(value: Value) -> Item:
        index = next(position)
        return Ref(columns[index]) if index in columns else value

    return [(name, with_values(new, change)) for name, new in draft.layers]


def _annotation(found: list[Any]) -> str:
    kinds = sorted({"tuple[int, ...]" if isinstance(v, tuple) else type(v).__name__ for v in found})
    return " | ".join(kinds)


def _class_text(name: str, draft: _Draft, doc: str, arguments: dict[str, str], layers: list[tuple[str, New]]) -> str:
    lines = [f"class {name}({draft.base}):", *_docstring(doc), ""]
    words = [f"{n}: {kind}" for n, kind in arguments.items()]
    head = f"    def __init__({', '.join(['self', *words])}) -> None:"
    if len(head) > LINE:
        head = "    def __init__(\n        self,\n" + "".join(f"        {w},\n" for w in words) + "    ) -> None:"
    lines.append(head)
    lines.extend(_init(draft.base, layers))
    if draft.forward is not None:
        f = draft.forward
        result = "Tensor" if f.returns == 1 else f"tuple[{', '.join(['Tensor'] * f.returns)}]"
        taken = ", ".join(f"{a}: Tensor" for a in f.arguments)
        lines += ["", *_signature(taken, result), *(f"        {line}" for line in f.lines)]
    return "\n".join(lines)


def _signature(taken: str, result: str) -> list[str]:
    line = f"    def forward({', '.join(['self', taken] if taken else ['self'])}) -> {result}:"
    if len(line) <= LINE:
        return [line]
    return ["    def forward(", "        self,", *(f"        {t}," for t in taken.split(", ")), f"    ) -> {result}:"]


def _table(is_buffer: bool) -> str:
    """Where a module keeps tensors of its own."""
    return "_buffers" if is_buffer else "_parameters"


def _init(base: str, layers: list[tuple[str, New]]) -> list[str]:
    if base == "nn.Module":
        rows = ["        super().__init__()"]
        for name, new in layers:
            if new.is_buffer and is_plain_attribute(name):
                rows.append(f'        self.register_buffer("{name}", {printed(new, 8, LINE - 34 - len(name))})')
                continue
            table = _table(new.is_buffer) if new.keeps else "_modules"
            left = f"self.{name}" if is_plain_attribute(name) else f'self.{table}["{name}"]'
            rows.append(f"        {left} = {printed(new, 8, LINE - 11 - len(left))}")
        return rows
    wrapper = New("super().__init__", (None,) * len(layers), tuple(new for _, new in layers),
                  "[]" if base == "nn.ModuleList" else "")
    return [f"        {printed(wrapper, 8, LINE - 8)}"]


def _docstring(text: str) -> list[str]:
    first, *rest = text.split("\n")
    if not rest:
        return [f'    """{first}."""' if not first.endswith(".") else f'    """{first}"""']
    return [f'    """{first}', *(f"    {line}".rstrip() for line in rest), '    """']


