"""What is wrong with a network, for itself and for a dataset, and edits that put it right. No Qt.

A fix is offered only if it is obvious, and only after it was tried: a candidate whose
shapes still do not fit is never shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ghn_studio.analysis.classifier import classifier_of, with_classes
from ghn_studio.analysis.shapes import Problem, ShapeReport, infer_shapes
from ghn_studio.app.document import Document
from ghn_studio.app.edits import on_graph
from ghn_studio.app.faces import value_text
from ghn_studio.datasets import DatasetInfo
from ghn_studio.errors import ArchitectureError, GhnStudioError
from ghn_studio.ir.graph import Architecture, Edge, Node, NodeId, Source
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops import OpRegistry
from ghn_studio.ops.spec import NoParams, OpSpec, check_params

GraphEdit = Callable[[Architecture], Architecture]

@dataclass(frozen=True, slots=True)
class Fix:
    """One edit that solves a notice; ``title`` is the button's text and the undo step's name."""

    title: str
    edit: GraphEdit = field(repr=False, compare=False)

    def apply(self, document: Document) -> bool:
        """Make the edit as one undo step."""
        return document.apply(self.title, on_graph(self.edit))


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to put right: where (None for the whole network), what, and how."""

    node: NodeId | None
    message: str
    fixes: tuple[Fix, ...] = ()
    #: Wrong only for the chosen dataset; the network itself is sound.
    about_dataset: bool = False

    @property
    def text(self) -> str:
        """The message with its place in front."""
        return f"{self.node}: {self.message}" if self.node else self.message


def notices(document: Document, dataset: DatasetInfo | None = None) -> tuple[Notice, ...]:
    """Everything that keeps the network from running, or from running on ``dataset``."""
    graph, ops, shapes = document.graph, document.ops, document.shapes
    if not graph.nodes:
        return ()
    found = [_notice(problem, graph, shapes, ops) for problem in shapes.problems]
    found.extend(_terminals(graph, shapes, ops))
    if not found and dataset is not None:
        found.extend(_classes(graph, shapes, ops, dataset))
    return tuple(found)


def output_classes(graph: Architecture, shapes: ShapeReport) -> int | None:
    """How many classes the network tells apart, or None while that is unknown."""
    for node in graph.nodes.values():
        if node.op == "output" and node.id in shapes.outputs:
            shape = shapes.outputs[node.id][0].shape
            return shape[1] if len(shape) == 2 and isinstance(shape[1], int) else None
    return None


def classes_fix(graph: Architecture, ops: OpRegistry, classes: int, title: str = "") -> Fix | None:
    """The edit that makes the network fit a dataset of ``classes`` classes, or None if nobody can tell how."""
    try:
        with_classes(graph, classes, ops)
    except ArchitectureError:
        return None
    return Fix(title or f"Set classes to {classes}", lambda g: with_classes(g, classes, ops))


# --- the whole network -------------------------------------------------------------------


def _terminals(graph: Architecture, shapes: ShapeReport, ops: OpRegistry) -> Iterator[Notice]:
    inputs = [n for n in graph.nodes.values() if n.op == "input"]
    outputs = [n for n in graph.nodes.values() if n.op == "output"]
    if not inputs:
        yield Notice(None, "the network has no input: nothing receives the images", _add_input(graph, ops))
    if not outputs:
        yield Notice(None, "the network has no output: nothing is returned", _add_output(graph, shapes))
    for extra in inputs[1:]:
        yield Notice(extra.id, "a network has one input; delete this one", (_deletion(extra.id),))
    if outputs and outputs[0].id in shapes.outputs:
        value = shapes.outputs[outputs[0].id][0]
        if value.rank != 2:
            yield Notice(
                outputs[0].id, f"one number per class is needed, gets {value.extents}",
                _insertions(graph, outputs[0].id, 0, ops, wanted=(2,)),
            )


def _classes(graph: Architecture, shapes: ShapeReport, ops: OpRegistry, dataset: DatasetInfo) -> Iterator[Notice]:
    classes = output_classes(graph, shapes)
    if classes is None or not dataset.classes or classes == len(dataset.classes):
        return
    fix = classes_fix(graph, ops, len(dataset.classes))
    yield Notice(
        classifier_of(graph, ops) if fix else next(n.id for n in graph.nodes.values() if n.op == "output"),
        f"tells {classes} classes apart, {dataset.title} has {len(dataset.classes)}",
        (fix,) if fix else (), about_dataset=True,
    )


def _add_input(graph: Architecture, ops: OpRegistry) -> tuple[Fix, ...]:
    open_ends = [n for n in graph.nodes.values() if n.source(0) is None and _takes_input(ops, n)]

    def edit(current: Architecture) -> Architecture:
        node_id = current.fresh_id("input")
        current = current.with_node(Node(node_id, "input", ops["input"].params()))
        return current.with_edge(Edge(node_id, 0, open_ends[0].id, 0)) if len(open_ends) == 1 else current

    return (Fix("Add an input", edit),)


def _add_output(graph: Architecture, shapes: ShapeReport) -> tuple[Fix, ...]:
    ends = [n for n in graph.nodes if not graph.consumers(n)]
    if len(ends) != 1:
        return ()

    def edit(current: Architecture) -> Architecture:
        node_id = current.fresh_id("output")
        return current.with_node(Node(node_id, "output", NoParams(), (Source(ends[0]),)))

    return (Fix(f"Add an output behind '{ends[0]}'", edit),)


def _takes_input(ops: OpRegistry, node: Node) -> bool:
    return node.op in ops and bool(ops[node.op].inputs)


def _deletion(node_id: NodeId) -> Fix:
    return Fix(f"Delete '{node_id}'", lambda graph: graph.without_nodes([node_id]))


# --- one node ----------------------------------------------------------------------------


def _notice(problem: Problem, graph: Architecture, shapes: ShapeReport, ops: OpRegistry) -> Notice:
    node = graph.nodes.get(problem.node)
    if node is None:
        return Notice(None, problem.message)
    return Notice(node.id, problem.message, _fixes(node, graph, shapes, ops))


def _fixes(node: Node, graph: Architecture, shapes: ShapeReport, ops: OpRegistry) -> tuple[Fix, ...]:
    if node.op not in ops:
        return (_deletion(node.id),)
    spec = ops[node.op]
    if check_params(node.params):
        return _into_range(node, spec)
    if any(node.source(i) is None for i, port in enumerate(spec.inputs) if not port.variadic):
        return _connection(node, graph, spec, ops)
    inputs = _inputs(node, shapes)
    if inputs is None:
        return ()
    for index, value in enumerate(inputs):
        port = spec.port(index)
        if port is not None and port.ranks and value.rank not in port.ranks:
            return _insertions(graph, node.id, index, ops, wanted=port.ranks)
    return _other_parameters(node, spec, inputs)


def _inputs(node: Node, shapes: ShapeReport) -> tuple[TensorSpec, ...] | None:
    found = [shapes.outputs.get(s.node, ())[s.port : s.port + 1] for s in node.sources]
    return None if any(not f for f in found) else tuple(f[0] for f in found)


def _into_range(node: Node, spec: OpSpec[Any]) -> tuple[Fix, ...]:
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
    if not changes:
        return ()
    shown = ", ".join(f"{f.label.lower()} to {value_text(changes[f.name])}" for f in spec.form if f.name in changes)
    return (Fix(f"Set {shown}", _setting(node.id, changes)),)


def _clamped(value: Any, low: float | None, high: float | None) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if low is not None and value < low:
        return type(value)(low)
    return type(value)(high) if high is not None and value > high else value


def _connection(node: Node, graph: Architecture, spec: OpSpec[Any], ops: OpRegistry) -> tuple[Fix, ...]:
    """Connect a loose input to the only output that nobody uses."""
    loose = [i for i, port in enumerate(spec.inputs) if not port.variadic and node.source(i) is None]
    unused = [
        n.id for n in graph.nodes.values()
        if n.id != node.id and n.op in ops and n.op != "output" and not graph.consumers(n.id)
        and not graph.is_upstream(node.id, n.id)
    ]
    if len(loose) != 1 or len(unused) != 1:
        return ()
    edge = Edge(unused[0], 0, node.id, loose[0])
    return (Fix(f"Connect to '{unused[0]}'", lambda g: g.with_edge(edge)),)


def _insertions(
    graph: Architecture, target: NodeId, port: int, ops: OpRegistry, wanted: tuple[int, ...]
) -> tuple[Fix, ...]:
    """Put a layer that changes the number of axes in front of ``target``."""
    fixes = []
    for op, title in (("flatten", "Insert Flatten"), ("global_avg_pool", "Insert global pooling"),
                      ("token_pool", "Insert token pooling")):
        if op not in ops:
            continue
        spec = ops[op]
        candidate = _inserted(graph, target, port, spec, spec.params())
        report = infer_shapes(candidate, ops)
        new = next(n for n in candidate.nodes if n not in graph.nodes)
        solved = all(p.node not in (new, target) for p in report.problems)
        if solved and new in report.outputs and report.outputs[new][0].rank in wanted:
            fixes.append(Fix(title, partial(_inserted, target=target, port=port, spec=spec, params=spec.params())))
    return tuple(fixes[:2])


def _inserted(graph: Architecture, target: NodeId, port: int, spec: OpSpec[Any], params: Any) -> Architecture:
    source = graph.nodes[target].source(port)
    node_id = graph.fresh_id(spec.id)
    added = graph.with_node(Node(node_id, spec.id, params, (source,) if source else ()))
    return added.with_edge(Edge(node_id, 0, target, port))


def _other_parameters(node: Node, spec: OpSpec[Any], inputs: tuple[TensorSpec, ...]) -> tuple[Fix, ...]:
    """The first nearby parameters under which the node's shapes fit."""
    for changes in _nearby(node.params, inputs):
        try:
            params = replace(node.params, **changes)
            if check_params(params):
                continue
            spec.infer_outputs(params, inputs)
        except (ValueError, TypeError, GhnStudioError):
            continue  # this candidate does not fit either
        labels = {f.name: f.label.lower() for f in spec.form}
        shown = ", ".join(f"{labels[name]} to {value_text(value)}" for name, value in changes.items())
        return (Fix(f"Set {shown}", _setting(node.id, changes)),)
    return ()


def _nearby(params: Any, inputs: tuple[TensorSpec, ...]) -> Iterator[dict[str, Any]]:
    names = getattr(params, "__dataclass_fields__", {})
    for name in ("groups", "heads"):
        if name in names:
            yield from ({name: n} for n in range(getattr(params, name) - 1, 0, -1))
    if "padding" in names and "kernel_size" in names:
        yield {"padding": tuple(k // 2 for k in params.kernel_size)}
    if "kernel_size" in names and inputs and inputs[0].rank == 4:
        extents = [d for d in inputs[0].shape[2:] if isinstance(d, int)]
        if len(extents) == 2:
            smaller = tuple(min(k, d) for k, d in zip(params.kernel_size, extents, strict=True))
            yield {"kernel_size": smaller} | ({"dilation": (1, 1)} if "dilation" in names else {})


def _setting(node_id: NodeId, changes: dict[str, Any]) -> GraphEdit:
    def edit(graph: Architecture) -> Architecture:
        return graph.with_params(node_id, replace(graph.nodes[node_id].params, **changes))

    return edit
