"""Making a network wider or narrower by a factor, and keeping its shapes consistent. Pure functions, no Qt.

Which numbers count channels is said by the operators themselves (``ops.spec.Measure``). Equal
widths stay equal, because the new width is a function of the old one; groups and heads are
set anew from the channels that really arrive.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ghn_studio.analysis.classifier import classifier_of
from ghn_studio.analysis.shapes import infer_shapes
from ghn_studio.app.editing.edits import Edit, with_graph
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir.graph import Architecture, Node, NodeId
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops import OpRegistry
from ghn_studio.ops.shapes import channel_axis
from ghn_studio.ops.spec import Measure, OpSpec
from ghn_studio.project import Project

#: Widths that are multiples of this stay so: hardware likes them.
_DIVISOR = 8
_LIMIT = 2**20


@dataclass(frozen=True, slots=True)
class Scaled:
    """A network with other widths.

    ``layers`` are those whose width changed, ``also`` those among them that nobody chose but that
    have to go along, because their values are added to chosen ones.
    """

    graph: Architecture
    layers: tuple[NodeId, ...]
    also: tuple[NodeId, ...] = ()


def scalable(graph: Architecture, ops: OpRegistry, chosen: Collection[NodeId] = ()) -> tuple[NodeId, ...]:
    """The layers whose width can be set, the classifier left out: those chosen, or all where none is."""
    kept = _classifiers(graph, ops)
    inside = set(chosen) or set(graph.nodes)
    return tuple(n.id for n in graph.nodes.values()
                 if n.id in inside and n.id not in kept and n.op in ops and ops[n.op].width)


def scaled(graph: Architecture, factor: float, ops: OpRegistry, chosen: Collection[NodeId] = ()) -> Scaled:
    """Multiply the widths of layers by ``factor``; all layers but the classifier where none is chosen.

    Raises:
        ArchitectureError: The network has problems already, no layer has a width, or shapes would
            no longer fit; the message names the node.
    """
    before = infer_shapes(graph, ops)
    if before.problems:
        raise ArchitectureError(f"solve the network's problems first: {before.problems[0]}")
    first = scalable(graph, ops, chosen)
    if not first:
        raise ArchitectureError("no layer here has a width of its own" if chosen else "the network has no such layer")
    wide = set(first)
    kept = _classifiers(graph, ops)
    while True:
        params, wrong = _walked(graph, factor, wide, ops, before.outputs)
        if not wrong:
            break
        more = _owners_before(graph, wrong, ops) - wide - kept
        if not more:
            node_id, text = next(iter(wrong.items()))
            raise ArchitectureError(f"'{node_id}' does not fit any more: {text}")
        wide |= more
    result = graph
    for node_id, new in params.items():
        if new != graph.nodes[node_id].params:
            result = result.with_params(node_id, new)
    _check_copies(result, ops)
    changed = tuple(n for n in graph.nodes if n in wide and result.nodes[n].params != graph.nodes[n].params)
    return Scaled(result, changed, tuple(n for n in changed if n not in first))


def new_width(width: int, factor: float) -> int:
    """``width`` times ``factor``; where that is no whole number, the nearest multiple of two, four or eight.

    Of these the largest that divides the old width.
    """
    exact = width * factor
    if exact >= 1 and abs(exact - round(exact)) < 1e-9:
        return min(_LIMIT, round(exact))
    divisor = next(d for d in (_DIVISOR, 4, 2, 1) if width % d == 0)
    while divisor > 1 and width * factor < divisor:
        divisor //= 2
    return min(_LIMIT, max(divisor, int(width * factor / divisor + 0.5) * divisor))


def _classifiers(graph: Architecture, ops: OpRegistry) -> set[NodeId]:
    """The layer whose outputs are the classes; where it cannot be told, every layer no other comes after."""
    if any(n.op == "output" for n in graph.nodes.values()):
        try:
            return {classifier_of(graph, ops)}
        except ArchitectureError:
            pass
    last: set[NodeId] = set()
    seen: set[NodeId] = set()
    stack = [n for n in graph.nodes if not graph.consumers(n)]
    while stack:
        node = graph.nodes[stack.pop()]
        if node.id in seen:
            continue
        seen.add(node.id)
        if node.op in ops and ops[node.op].width:
            last.add(node.id)
        else:
            stack.extend(s.node for s in node.sources)
    return last if any(n.op == "output" for n in graph.nodes.values()) else set()


def _walked(
    graph: Architecture, factor: float, wide: Collection[NodeId], ops: OpRegistry,
    old: Mapping[NodeId, tuple[TensorSpec, ...]],
) -> tuple[dict[NodeId, Any], dict[NodeId, str]]:
    """Parameters with new widths, groups and heads, in the order of the network; also what does not fit, by node."""
    outputs: dict[NodeId, tuple[TensorSpec, ...]] = {}
    params: dict[NodeId, Any] = {}
    wrong: dict[NodeId, str] = {}
    for node in graph.topological():
        given = [outputs[s.node] for s in node.sources]
        inputs = tuple(g[s.port] for g, s in zip(given, node.sources, strict=True))
        if node.bypassed:
            outputs[node.id] = inputs[:1]
            continue
        spec = ops[node.op]
        was = tuple(old[s.node][s.port] for s in node.sources)
        owner = node.shares if node.shares is not None else node.id
        new = params[owner] if owner in params else _fitted(node, spec, factor, owner in wide, was, inputs)
        params[owner] = new
        try:
            outputs[node.id] = spec.infer_outputs(new, inputs)
        except (ValueError, IndexError) as error:
            wrong[node.id] = str(error)
            outputs[node.id] = _supposed(old[node.id], was, inputs)
    return params, wrong


def _supposed(
    given: tuple[TensorSpec, ...], was: tuple[TensorSpec, ...], inputs: tuple[TensorSpec, ...]
) -> tuple[TensorSpec, ...]:
    """What a node that does not fit would give if it did: the new width, so that all it meets is found at once."""
    if len(given) != 1:
        return given
    grown = (new for old, new in zip(was, inputs, strict=True) if old == given[0] and new != old)
    return (next(grown, given[0]),)


def _fitted(
    node: Node, spec: OpSpec[Any], factor: float, is_wide: bool, was: tuple[TensorSpec, ...],
    inputs: tuple[TensorSpec, ...],
) -> Any:
    params, changes = node.params, dict[str, Any]()
    old_in, new_in = (_channels(x) for x in (was, inputs))
    width = getattr(params, spec.width) if spec.width else None
    parts = spec.measuring(Measure.PARTS)
    count = getattr(params, parts) if parts else 1
    # A depthwise layer has one group for each channel it gets.
    depthwise = width is not None and count > 1 and count == old_in and width % count == 0
    if depthwise and new_in is not None and width is not None:
        changes = {spec.width: width // count * new_in, parts: new_in}
    else:
        if width is not None and is_wide:
            changes[spec.width] = new_width(width, factor)
        if parts and count > 1 and new_in is not None:
            sizes = [new_in] if width is None else [new_in, changes.get(spec.width, width)]
            changes[parts] = _nearest_divisor(count, sizes)
    inner = spec.measuring(Measure.INNER)
    if inner and getattr(params, inner) and old_in and new_in:
        changes[inner] = new_width(getattr(params, inner), new_in / old_in)
    return replace(params, **changes) if changes else params


def _channels(values: tuple[TensorSpec, ...]) -> int | None:
    if not values or values[0].rank < 2:
        return None
    extent = values[0].shape[channel_axis(values[0])]
    return extent if isinstance(extent, int) else None


def _nearest_divisor(count: int, sizes: list[int]) -> int:
    """The number nearest to ``count`` that divides all sizes."""
    fits = [n for n in range(1, min(sizes) + 1) if all(size % n == 0 for size in sizes)]
    return min(fits, key=lambda n: (abs(n - count), n))


def _owners_before(graph: Architecture, wrong: Iterable[NodeId], ops: OpRegistry) -> set[NodeId]:
    """The layers that decide how wide the inputs of nodes are."""
    found: set[NodeId] = set()
    seen: set[NodeId] = set()
    stack = [s.node for n in wrong for s in graph.nodes[n].sources]
    while stack:
        node = graph.nodes[stack.pop()]
        if node.id in seen:
            continue
        seen.add(node.id)
        if node.op in ops and ops[node.op].width and not node.bypassed and not _is_depthwise(node, ops[node.op]):
            found.add(node.id if node.shares is None else node.shares)
        else:
            stack.extend(s.node for s in node.sources)
    return found


def _is_depthwise(node: Node, spec: OpSpec[Any]) -> bool:
    """True for a layer that gives as many channels as it has groups: it follows what it gets."""
    parts = spec.measuring(Measure.PARTS)
    return bool(parts) and 1 < getattr(node.params, parts) == getattr(node.params, spec.width)


def _check_copies(graph: Architecture, ops: OpRegistry) -> None:
    if any(g.repeat > 1 for g in graph.groups.values()):
        problems = infer_shapes(graph.expanded(), ops).problems
        if problems:
            raise ArchitectureError(f"a repeated block does not go into itself any more: {problems[0]}")


def scaling(factor: float, ops: OpRegistry, chosen: Collection[NodeId] = ()) -> Edit:
    """:func:`scaled` as an edit of a project."""
    layers = tuple(chosen)

    def edit(project: Project) -> Project:
        result = scaled(project.architecture, factor, ops, layers)
        return project if result.graph is project.architecture else with_graph(project, result.graph)

    return edit
