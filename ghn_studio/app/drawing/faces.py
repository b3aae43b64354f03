"""What a node shows, and how large it is: values without Qt.

Sizes follow from the text by fixed character widths, never from an installed font, so a
layout made on one machine fits on every other. A face is hashable: nodes with equal
faces share one picture on the canvas.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ghn_studio.app.drawing.flow import Direction
from ghn_studio.ir.graph import Node
from ghn_studio.ir.tensors import Dim, TensorSpec
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import Category, Field, OpSpec

HEADER = 32.0
ROW = 20.0
FOOTER = 26.0
PAD_X = 16.0
MIN_WIDTH = 144.0
MAX_WIDTH = 232.0
STEP = 8.0
#: Where a chain's wire meets a node: the middle of the header.
PORT_Y = HEADER / 2
MAX_ROWS = 3
#: In the header of a collapsed group: the arrow before the title, the number of copies behind it.
CHEVRON = 18.0
BADGE = 44.0

# Generous averages for 13 px semibold, 11 px text and 11 px monospace.
_TITLE_CHAR, _TEXT_CHAR, _MONO_CHAR = 7.9, 6.3, 6.8
_ERROR_LINES, _ERROR_LEADING = 3, 15.0
#: In the header, for the mark of a problem: kept free without one, so that no node grows over its neighbour by one.
_MARK = 20.0


@dataclass(frozen=True, slots=True)
class Slot:
    """One place where a wire can end. ``y`` is counted from the node's top, in scene units.

    ``is_free`` marks an input nothing feeds; ``is_spare`` one that is not needed either:
    the extra place of a variadic port.
    """

    y: float
    name: str
    shape: str = ""
    is_free: bool = False
    is_spare: bool = False


@dataclass(frozen=True, slots=True)
class GroupMark:
    """What tells a collapsed group from a node: its copies, and whether all that is wrong inside is unfinished."""

    repeat: int = 1
    is_unfinished: bool = False


@dataclass(frozen=True, slots=True)
class NodeFace:
    """Everything that is drawn of a block, a node or a collapsed group, except its selection."""

    title: str
    category: Category
    rows: tuple[tuple[str, str], ...]
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    shape: str
    parameters: str
    error: tuple[str, ...]
    width: float
    height: float
    group: GroupMark | None = None
    is_bypassed: bool = False

    def port_point(self, index: int, direction: Direction, *, is_output: bool) -> tuple[float, float]:
        """Where a port is, from the node's top left corner.

        To the right, ports are on the left and right side beside their lines; downwards they
        share the upper and lower side equally. A port beyond the last one is there.
        """
        slots = self.outputs if is_output else self.inputs
        index = min(index, len(slots) - 1)
        if direction is Direction.RIGHT:
            return self.width if is_output else 0.0, slots[index].y if slots else PORT_Y
        share = (index + 1) / (len(slots) + 1) if slots else 0.5
        return float(round(self.width * share)), self.height if is_output else 0.0

    @property
    def is_incomplete(self) -> bool:
        """True if an input that is needed is not connected: not wrong, only not finished."""
        if self.group is not None:
            return self.group.is_unfinished
        return any(slot.is_free and not slot.is_spare for slot in self.inputs)

    def is_shaped_like(self, other: NodeFace) -> bool:
        """True if boxes and ports coincide, whatever is written on them."""
        if (self.width, self.height) != (other.width, other.height):
            return False
        return ([s.y for s in self.inputs], [s.y for s in self.outputs]) == (
            [s.y for s in other.inputs], [s.y for s in other.outputs]
        )

    @property
    def has_port_rows(self) -> bool:
        """True if inputs or outputs have lines of their own below the parameters."""
        return len(self.inputs) > 1 or len(self.outputs) > 1


def count_text(count: int) -> str:
    """A count as people read it: ``864``, ``36.9 k``, ``1.23 M``, ``8.1 G``."""
    if count < 1000:
        return str(count)
    for limit, unit in ((1e6, "k"), (1e9, "M"), (1e12, "G")):
        if count < limit * 0.9995:
            value = count / (limit / 1e3)
            return f"{value:.2f} {unit}" if value < 10 and unit != "k" else f"{value:.1f} {unit}"
    return f"{count / 1e12:.1f} T"


def value_text(value: Any) -> str:
    """A parameter value as the node shows it: ``3×3``, ``yes``, ``0.1``."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return "×".join(map(str, value)) if all(isinstance(v, int) for v in value) else ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def face_of(
    node: Node, ops: OpRegistry, received: Sequence[TensorSpec] | None, given: Sequence[TensorSpec] | None,
    parameters: int | None, problem: str = "",
) -> NodeFace:
    """Return the face of ``node``.

    ``received`` and ``given`` are the inferred shapes, None where they are unknown;
    ``problem`` is the first sentence about the node, empty if it is right.
    """
    connected = tuple(s is not None for s in node.inputs)
    shapes_in = tuple(x.extents for x in received) if received is not None else None
    shapes_out = tuple(x.extents for x in given) if given is not None else None
    channels = _channels(received[0]) if received else None
    if node.op not in ops:
        return _unknown(node.op, connected, problem)
    if node.bypassed:  # what it passes on need not be what its operator gives
        spec = ops[node.op]
        shown = shapes_out if len(spec.outputs(node.params)) == 1 else None
        return _left_out(_face(spec, node.params, connected, shapes_in, shown, channels, None, problem))
    return _face(ops[node.op], node.params, connected, shapes_in, shapes_out, channels, parameters, problem)


@lru_cache(maxsize=1024)
def _left_out(face: NodeFace) -> NodeFace:
    return replace(face, is_bypassed=True)


def _channels(spec: TensorSpec) -> Dim | None:
    """The extent that is shown as a value's channels; None for a single number."""
    return spec.shape[-1 if spec.rank == 3 else min(1, spec.rank - 1)] if spec.rank else None


def _unknown(op: str, connected: tuple[bool, ...], problem: str) -> NodeFace:
    inputs = slots_of(tuple(f"x{i + 1}" for i in range(len(connected))), None, connected, 0, 0)
    return sized(op, Category.HIDDEN, (), inputs, (Slot(PORT_Y, "out"),), "", "", problem)


@lru_cache(maxsize=8192)
def _face(
    spec: OpSpec[Any], params: Any, connected: tuple[bool, ...], shapes_in: tuple[str, ...] | None,
    shapes_out: tuple[str, ...] | None, channels: int | str | None, parameters: int | None, problem: str,
) -> NodeFace:
    # An input node's shape says all that its parameters say.
    rows = _rows(spec, params, channels) if spec.inputs else ()
    names, needed = _input_names(spec, connected)
    outs = spec.outputs(params)
    inputs = slots_of(names, shapes_in, connected, needed, len(rows))
    outputs = slots_of(outs, shapes_out, (True,) * len(outs), len(outs), len(rows))
    shape = shapes_out[0] if shapes_out else ""
    if len(outs) > 1 and shapes_out is not None:
        shape = f"{len(outs)} parts"
    count = count_text(parameters) if parameters else ""
    # A foreign node goes by what its file calls it.
    title = str(getattr(params, "kind", "")) or spec.title if spec.category is Category.HIDDEN else spec.title
    return sized(title, spec.category, rows, inputs, outputs, shape, count, problem)


def _rows(spec: OpSpec[Any], params: Any, channels: int | str | None) -> tuple[tuple[str, str], ...]:
    key = [line for line in spec.form if line.key][:MAX_ROWS]
    return tuple(_row(line, getattr(params, line.name), channels) for line in key)


def _row(line: Field, value: Any, channels: int | str | None) -> tuple[str, str]:
    """One parameter; what maps a number of channels to another shows both: ``3 → 64``."""
    label = line.label
    if label.startswith("Output ") and isinstance(value, int):
        label = label.removeprefix("Output ").capitalize()
        return label, value_text(value) if channels is None else f"{channels} → {value}"
    return label, value_text(value)


def _input_names(spec: OpSpec[Any], connected: tuple[bool, ...]) -> tuple[tuple[str, ...], int]:
    """The names of all input slots, and how many of them must be connected."""
    names, needed = [], 0
    for index, port in enumerate(spec.inputs):
        if not port.variadic:
            names.append(port.name)
            needed += 1
            continue
        rest = connected[index:]
        spare = 0 if False in rest else 1
        count = max(port.at_least, len(rest) + spare)
        names.extend(f"{port.name}{i + 1}" for i in range(count))
        needed += max(port.at_least, len(rest))
    return tuple(names), needed


def slots_of(
    names: tuple[str, ...], shapes: tuple[str, ...] | None, connected: tuple[bool, ...], needed: int, rows: int
) -> tuple[Slot, ...]:
    """Slots below ``rows`` lines; a single one beside the header. ``shapes`` are those of the connected ones."""
    alone = len(names) == 1
    found, seen = [], 0
    for index, name in enumerate(names):
        used = index < len(connected) and connected[index]
        shape = shapes[seen] if used and shapes is not None and seen < len(shapes) else ""
        seen += used
        y = PORT_Y if alone else HEADER + 4 + ROW * (rows + index) + ROW / 2
        if not used and index >= needed:
            y = HEADER + 8 + ROW * (rows + index) + FOOTER / 2  # beside the footer: no line of its own
        found.append(Slot(y, name, shape, not used, not used and index >= needed))
    return tuple(found)


def sized(
    title: str, category: Category, rows: tuple[tuple[str, str], ...], inputs: tuple[Slot, ...],
    outputs: tuple[Slot, ...], shape: str, parameters: str, problem: str, group: GroupMark | None = None,
) -> NodeFace:
    """Return a face as large as its texts need; a problem adds to its height only."""
    lined = sum(1 for s in inputs if not s.is_spare) if len(inputs) > 1 else 0
    port_rows = max(lined, len(outputs) if len(outputs) > 1 else 0)
    width = max(
        MIN_WIDTH,
        2 * PAD_X + _TITLE_CHAR * len(title) + _MARK + _group_width(group),
        *(2 * PAD_X + 14 + _TEXT_CHAR * len(a) + _MONO_CHAR * len(b) for a, b in rows),
        2 * PAD_X + _MONO_CHAR * len(shape) + (18 + _TEXT_CHAR * len(parameters) if parameters else 0),
        *(2 * PAD_X + 14 + _TEXT_CHAR * len(s.name) + _MONO_CHAR * len(s.shape)
          for s in (*inputs, *outputs) if port_rows),
    )
    width = min(MAX_WIDTH, -(-width // STEP) * STEP)
    error = _wrapped(problem, int((width - 2 * PAD_X) / _TEXT_CHAR)) if problem else ()
    foot = FOOTER + _ERROR_LEADING * max(0, len(error) - 1)
    lines = len(rows) + port_rows
    height = HEADER + (ROW * lines + 8 if lines else 0) + foot
    return NodeFace(title, category, rows, inputs, outputs, shape, parameters, error, width, height, group)


def _group_width(group: GroupMark | None) -> float:
    """Room in the header for the arrow that opens a group and, so that nothing grows later, for its copies."""
    return CHEVRON + BADGE if group is not None else 0.0


def _wrapped(text: str, columns: int) -> tuple[str, ...]:
    lines = textwrap.wrap(text, max(12, columns), max_lines=_ERROR_LINES, placeholder=" …")
    return tuple(lines) or (text,)
