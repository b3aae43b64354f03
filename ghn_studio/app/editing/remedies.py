"""What might mend a problem of a network: candidates, most likely first, not yet tried. No Qt.

Operators are found in the registry by what they do: one that sets a number of channels,
one that gives a wanted size, one that changes the number of axes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ghn_studio.analysis.shapes import Problem, ShapeReport
from ghn_studio.app.drawing.faces import value_text
from ghn_studio.app.editing.adapters import Layers, chains, extent, given_by, is_simple, title_of
from ghn_studio.app.editing.edits import id_between
from ghn_studio.errors import GhnStudioError
from ghn_studio.ir.graph import Architecture, Edge, Group, Node, NodeId, Source
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops import OpRegistry
from ghn_studio.ops.shapes import channel_axis
from ghn_studio.ops.spec import Category, Measure, OpSpec, check_params

GraphEdit = Callable[[Architecture], Architecture]
Shapes = tuple[TensorSpec, ...]

#: What comes in question as a layer that only gives a value another form.
_FORMING = (Category.RESHAPE, Category.POOLING, Category.ATTENTION)


@dataclass(frozen=True, slots=True)
class Remedy:
    """An edit that might help. A last resort is not worth offering beside anything else."""

    title: str
    edit: GraphEdit = field(repr=False, compare=False)
    is_last_resort: bool = False


def remedies(graph: Architecture, shapes: ShapeReport, ops: OpRegistry, problem: Problem) -> Iterator[Remedy]:
    """Yield candidates for a problem of a known operator."""
    node = graph.nodes[problem.node]
    spec = ops[node.op]
    if check_params(node.params):
        yield from _into_range(node, spec)
        return
    yield from _repeats(graph, node, problem)
    yield from _ownership(graph, node)
    missing = [i for i, port in enumerate(spec.inputs) if not port.variadic and node.source(i) is None]
    if missing or not node.sources or _lacks_inputs(spec, node):
        yield from _connection(node, graph, spec, ops, missing)
        return
    yield from _sources(node, graph, shapes, spec)
    inputs = _inputs(node, shapes)
    if inputs is not None:
        yield from _for_inputs(node, graph, shapes, ops, inputs)
    yield from _bypasses(node, graph)


def deletion(node_id: NodeId) -> Remedy:
    """Delete a node."""
    return Remedy(f"Delete '{node_id}'", lambda graph: graph.without_nodes([node_id]))


def _for_inputs(
    node: Node, graph: Architecture, shapes: ShapeReport, ops: OpRegistry, inputs: Shapes
) -> Iterator[Remedy]:
    spec = ops[node.op]
    for index, value in enumerate(inputs):
        port = spec.port(index)
        if port is not None and port.ranks and value.rank not in port.ranks:
            yield from formings(node, index, value, port.ranks, ops)
    yield from _other_parameters(node, spec, inputs)
    if len(inputs) > 1:
        yield from _matches(node, graph, shapes, ops, inputs)
    yield from _multiples(node, graph, ops, inputs)


# --- parameters ----------------------------------------------------------------------------------


def _into_range(node: Node, spec: OpSpec[Any]) -> Iterator[Remedy]:
    """Move every value that is out of bounds to the nearest one allowed."""
    changes: dict[str, Any] = {}
    for line in spec.form:
        value = getattr(node.params, line.name)
        if line.choices and value not in line.choices:
            changes[line.name] = line.default
            continue
        parts = value if isinstance(value, tuple) else (value,)
        moved = tuple(_clamped(part, line.low, line.high) for part in parts)
        if moved != parts:
            changes[line.name] = moved if isinstance(value, tuple) else moved[0]
    if changes:
        yield _setting(node.id, spec, changes)


def _clamped(value: Any, low: float | None, high: float | None) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if low is not None and value < low:
        return type(value)(low)
    return type(value)(high) if high is not None and value > high else value


def _other_parameters(node: Node, spec: OpSpec[Any], inputs: Shapes) -> Iterator[Remedy]:
    """The first nearby parameters under which the node's shapes fit, and those the operator itself proposes."""
    fitting = (c for c in _nearby(node.params, spec, inputs) if _fits(spec, node.params, c, inputs))
    first = next(fitting, None)
    if first is not None:
        yield _setting(node.id, spec, first)
        return
    try:
        proposed = spec.suggest(node.params, inputs)
    except (ValueError, TypeError, IndexError):
        return
    changes = {f.name: getattr(proposed, f.name) for f in spec.form
               if getattr(proposed, f.name) != getattr(node.params, f.name)}
    if changes and _fits(spec, node.params, changes, inputs):
        yield _setting(node.id, spec, changes)


def _fits(spec: OpSpec[Any], params: Any, changes: dict[str, Any], inputs: Shapes) -> bool:
    try:
        changed = replace(params, **changes)
        if changed == params or check_params(changed):
            return False
        spec.infer_outputs(changed, inputs)
    except (ValueError, TypeError, IndexError):
        return False
    return True


def _nearby(params: Any, spec: OpSpec[Any], inputs: Shapes) -> Iterator[dict[str, Any]]:
    names = {f.name for f in spec.form}
    for line in spec.form:
        if line.measure is Measure.PARTS:
            yield from ({line.name: n} for n in range(getattr(params, line.name) - 1, 0, -1))
    if {"padding", "kernel_size"} <= names:
        yield {"padding": _halves(params.kernel_size)}
    kernel = getattr(params, "kernel_size", ())
    extents = [d for d in inputs[0].shape[2:] if isinstance(d, int)]
    if isinstance(kernel, tuple) and len(extents) == len(kernel) > 0:
        smaller = tuple(min(k, d) for k, d in zip(kernel, extents, strict=True))
        yield {"kernel_size": smaller} | ({"dilation": (1,) * len(kernel)} if "dilation" in names else {})


def _halves(kernel: Any) -> Any:
    return tuple(k // 2 for k in kernel) if isinstance(kernel, tuple) else kernel // 2


def _multiples(node: Node, graph: Architecture, ops: OpRegistry, inputs: Shapes) -> Iterator[Remedy]:
    """Make channels a multiple of the groups or heads they are divided into: here, and where they come from."""
    spec = ops[node.op]
    parts = spec.measuring(Measure.PARTS)
    if not parts or getattr(node.params, parts) < 2:
        return
    count = getattr(node.params, parts)
    own = {spec.width: _multiple(getattr(node.params, spec.width), count)} if spec.width else {}
    if own and own[spec.width] == getattr(node.params, spec.width):
        own = {}
    if own:
        yield _setting(node.id, spec, own)
    owner = _owner(graph, node.sources[0].node, ops)
    wanted = extent(inputs[0], channel_axis(inputs[0]))
    if owner is None or wanted is None:
        return
    width = ops[owner.op].width
    now = getattr(owner.params, width)
    if now == _multiple(now, count):
        return
    before = _named(_setting(owner.id, ops[owner.op], {width: _multiple(now, count)}), owner.id)
    yield before
    if own:
        here = _named(_setting(node.id, spec, own), node.id)
        yield Remedy(f"{before.title} and '{node.id}' to {own[spec.width]}", lambda g: here.edit(before.edit(g)))


def _multiple(value: int, of: int) -> int:
    return max(of, round(value / of) * of)


def _owner(graph: Architecture, start: NodeId, ops: OpRegistry) -> Node | None:
    """The layer that decides how many channels ``start`` gives: it, or the one before it that does."""
    node = graph.nodes[start]
    while node.op in ops and (node.bypassed or not ops[node.op].width):
        if len(node.sources) != 1:
            return None
        node = graph.nodes[node.sources[0].node]
    return node if node.op in ops else None


def _setting(node_id: NodeId, spec: OpSpec[Any], changes: dict[str, Any]) -> Remedy:
    def edit(graph: Architecture) -> Architecture:
        return graph.with_params(node_id, replace(graph.nodes[node_id].params, **changes))

    shown = ", ".join(f"{f.label.lower()} to {value_text(changes[f.name])}" for f in spec.form if f.name in changes)
    return Remedy(f"Set {shown}", edit)


def _named(remedy: Remedy, node_id: NodeId) -> Remedy:
    """Say whose parameters are set, for a node other than the one that has the problem."""
    what, _, value = remedy.title.partition(" to ")
    return replace(remedy, title=f"{what} of '{node_id}' to {value}")


# --- wires ---------------------------------------------------------------------------------------


def _lacks_inputs(spec: OpSpec[Any], node: Node) -> bool:
    last = spec.inputs[-1] if spec.inputs else None
    return last is not None and last.variadic and len(node.sources) - len(spec.inputs) + 1 < last.at_least


def _connection(
    node: Node, graph: Architecture, spec: OpSpec[Any], ops: OpRegistry, missing: list[int]
) -> Iterator[Remedy]:
    """Connect a loose input to the only output that nobody uses, or take the node out of its wire."""
    unused = [
        n.id for n in graph.nodes.values()
        if n.id != node.id and n.op in ops and n.op != "output" and not graph.consumers(n.id)
        and not graph.is_upstream(node.id, n.id)
    ]
    loose = missing or [len(node.inputs)]
    if len(loose) == 1 and len(unused) == 1:
        yield _joining(f"Connect to '{unused[0]}'", Edge(unused[0], 0, node.id, loose[0]))
    if len(node.sources) == 1:
        yield Remedy(f"Remove '{node.id}' and join its wire", lambda g: _taken_out(g, node))
    if node.bypassed:
        yield Remedy(f"Delete '{node.id}'", lambda g: g.without_nodes([node.id]), is_last_resort=True)


def _joining(title: str, edge: Edge) -> Remedy:
    return Remedy(title, lambda graph: graph.with_edge(edge))


def _taken_out(graph: Architecture, node: Node) -> Architecture:
    source = node.sources[0]
    for edge in graph.consumers(node.id):
        graph = graph.with_edge(Edge(source.node, source.port, edge.target, edge.target_port))
    return graph.without_nodes([node.id])


def _sources(node: Node, graph: Architecture, shapes: ShapeReport, spec: OpSpec[Any]) -> Iterator[Remedy]:
    """Wires from outputs that are not there, and more wires than there are inputs."""
    for port, source in enumerate(node.inputs):
        if source is not None and source.port >= len(shapes.outputs.get(source.node, ("",) * (source.port + 1))):
            yield _joining(f"Take the first output of '{source.node}'", Edge(source.node, 0, node.id, port))
    count = len(spec.inputs)
    if len(node.inputs) > count and not any(p.variadic for p in spec.inputs):
        def edit(current: Architecture) -> Architecture:
            return current.with_node(replace(current.nodes[node.id], inputs=node.inputs[:count]))

        yield Remedy("Remove the wires too many", edit)


def _repeats(graph: Architecture, node: Node, problem: Problem) -> Iterator[Remedy]:
    if not problem.message.startswith("in copy "):
        return
    for group in graph.groups.values():
        if group.repeat > 1 and node.id.startswith(group.path + "."):
            yield _once(group)


def _once(group: Group) -> Remedy:
    once = replace(group, repeat=1)
    return Remedy(f"Use '{group.title or group.path}' only once", lambda graph: graph.with_group(once))


def _ownership(graph: Architecture, node: Node) -> Iterator[Remedy]:
    if node.shares is None:
        return
    owner = graph.nodes[node.shares]

    def own(current: Architecture) -> Architecture:
        return current.with_node(replace(current.nodes[node.id], shares=None))

    if owner.params != node.params:
        def alike(current: Architecture) -> Architecture:
            return current.with_node(replace(current.nodes[node.id], params=owner.params))

        yield Remedy(f"Take the settings of '{owner.id}'", alike)
    yield Remedy("Give it parameters of its own", own)


def _bypasses(node: Node, graph: Architecture) -> Iterator[Remedy]:
    for source in node.sources:
        before = graph.nodes[source.node]
        if before.bypassed:
            yield _bypass(f"Use '{before.id}' again", before.id, on=False)
    if len(node.sources) == 1 and not node.bypassed and graph.consumers(node.id):
        yield replace(_bypass("Bypass it", node.id, on=True), is_last_resort=True)


def _bypass(title: str, node_id: NodeId, *, on: bool) -> Remedy:
    return Remedy(title, lambda graph: graph.with_node(replace(graph.nodes[node_id], bypassed=on)))


# --- layers in between ---------------------------------------------------------------------------


def _inputs(node: Node, shapes: ShapeReport) -> Shapes | None:
    found = [shapes.outputs.get(s.node, ())[s.port : s.port + 1] for s in node.sources]
    return None if any(not f for f in found) else tuple(f[0] for f in found)


def formings(node: Node, index: int, value: TensorSpec, ranks: tuple[int, ...], ops: OpRegistry) -> Iterator[Remedy]:
    """Layers without parameters that give a value the number of axes that is wanted."""
    for spec in (s for kind in _FORMING for s in ops if s.category is kind):
        if is_simple(spec) and spec.function is None:
            params = spec.params()
            given = given_by(spec, params, value)
            if given is not None and given.rank in ranks:
                yield _insertion(node, index, ((spec, params),))


def _matches(
    node: Node, graph: Architecture, shapes: ShapeReport, ops: OpRegistry, inputs: Shapes
) -> Iterator[Remedy]:
    """Give every other input the shape that goes with one of them; the best model's way first, then other sizes."""
    models = _models(node, graph, inputs)
    ways = [_onto(node, ops, inputs, model, learned=i == 0) for i, model in enumerate(models)]
    yield from ways[0][:1]
    for model in models[::-1]:
        yield from _other_width(node, graph, ops, inputs, model)
    rest = [ways[0][1:], *ways[1:]]
    for rank in range(max(map(len, rest))):
        for found in rest:
            yield from found[rank:rank + 1]


def _models(node: Node, graph: Architecture, inputs: Shapes) -> list[int]:
    """Inputs that the others should follow: the end of the longer branch before the one it sets out from."""
    def is_late(index: int) -> bool:
        own = node.sources[index].node
        return any(graph.is_upstream(s.node, own) for s in node.sources if s.node != own)

    order = sorted(range(len(inputs)), key=lambda i: not is_late(i))
    seen: dict[TensorSpec, int] = {}
    for index in order:
        seen.setdefault(inputs[index], index)
    return list(seen.values())[:3]


def _onto(node: Node, ops: OpRegistry, inputs: Shapes, model: int, *, learned: bool) -> list[Remedy]:
    """Layers in front of every input that does not go with the model's."""
    targets = _targets(ops[node.op], node.params, inputs, model)
    wrong = [i for i, target in enumerate(targets) if target.shape != inputs[i].shape]
    found = []
    for layers in chains(inputs[wrong[0]], targets[wrong[0]], ops) if wrong else ():
        if learned or not any(s.width for s, _ in layers):
            alike = [_alike(layers, chains(inputs[i], targets[i], ops)) for i in wrong]
            found.append(_joint([_insertion(node, i, c) for i, c in zip(wrong, alike, strict=True) if c], len(wrong)))
    return found


def _alike(layers: Layers, others: Iterator[Layers]) -> Layers:
    """The one among others with the same operators; nothing where there is none."""
    return next((o for o in others if [s for s, _ in o] == [s for s, _ in layers]), ())


def _other_width(
    node: Node, graph: Architecture, ops: OpRegistry, inputs: Shapes, model: int
) -> Iterator[Remedy]:
    """Let the layer before the one odd input give as many channels as are wanted."""
    targets = _targets(ops[node.op], node.params, inputs, model)
    wrong = [i for i, target in enumerate(targets) if target.shape != inputs[i].shape]
    if len(wrong) != 1:
        return
    owner = _owner(graph, node.sources[wrong[0]].node, ops)
    wanted = extent(targets[wrong[0]], channel_axis(targets[wrong[0]]))
    if owner is not None and wanted is not None:
        spec = ops[owner.op]
        if getattr(owner.params, spec.width) != wanted:
            yield _named(_setting(owner.id, spec, {spec.width: wanted}), owner.id)


def _joint(parts: list[Remedy], wanted: int) -> Remedy:
    def edit(graph: Architecture) -> Architecture:
        if len(parts) < wanted:
            raise GhnStudioError("not every input can be given the same form")
        for part in parts:
            graph = part.edit(graph)
        return graph

    return Remedy(parts[0].title if len(parts) == 1 else f"{parts[0].title}, {len(parts)} times", edit)


def _targets(spec: OpSpec[Any], params: Any, inputs: Shapes, model: int) -> Shapes:
    """The shapes all inputs would need beside the model's; channels are kept where the operator allows it.

    The inputs themselves where nothing goes with the model.
    """
    wanted = inputs[model]
    kept = tuple(_with_own_channels(x, wanted) for x in inputs)
    for candidate in (kept, (wanted,) * len(inputs)):
        try:
            spec.infer_outputs(params, candidate)
        except (ValueError, IndexError):
            continue
        return candidate
    return inputs


def _with_own_channels(value: TensorSpec, wanted: TensorSpec) -> TensorSpec:
    axis = channel_axis(wanted)
    if value.rank != wanted.rank or value.rank < 2:
        return wanted
    return wanted.with_size(axis, value.shape[axis])


def _insertion(node: Node, index: int, layers: Sequence[tuple[OpSpec[Any], Any]]) -> Remedy:
    """Put layers in front of an input; it counts the connected ones."""
    port = [i for i, s in enumerate(node.inputs) if s is not None][index]
    source = node.inputs[port]
    assert source is not None

    def edit(graph: Architecture) -> Architecture:
        last = source
        for spec, params in layers:
            node_id = id_between(graph, spec.id, last.node, node.id)
            graph = graph.with_node(Node(node_id, spec.id, params, (last,)))
            last = Source(node_id)
        return graph.with_edge(Edge(last.node, last.port, node.id, port))

    return Remedy(title_of(layers), edit)
