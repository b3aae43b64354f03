"""What is wrong with a network, for itself and for a dataset, with the edits that put it right. No Qt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ghn_studio.analysis.classifier import classifier_of, with_classes
from ghn_studio.analysis.shapes import Problem, ShapeReport
from ghn_studio.app.document import Document
from ghn_studio.app.editing.fixes import Fix, fixes, problems_of
from ghn_studio.app.editing.remedies import deletion, formings
from ghn_studio.datasets import DatasetInfo
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir.graph import Architecture, Edge, Node, NodeId, Source
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops import OpRegistry
from ghn_studio.ops.spec import NoParams

#: Fixes are tried out, so only for as many problems as a person looks at.
FIXED = 12


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to put right: where (None for the whole network), what, and how."""

    node: NodeId | None
    message: str
    fixes: tuple[Fix, ...] = ()
    #: Wrong only for the chosen dataset; the network itself is sound.
    about_dataset: bool = False
    #: Nothing is wrong yet, only something is missing.
    is_incomplete: bool = False

    @property
    def text(self) -> str:
        """The message with its place in front."""
        return f"{self.node}: {self.message}" if self.node else self.message


def notices(document: Document, dataset: DatasetInfo | None = None) -> tuple[Notice, ...]:
    """Everything that keeps the network from running, or from running on ``dataset``."""
    graph, ops, shapes = document.graph, document.ops, document.shapes
    if not graph.nodes:
        return ()
    found = [_notice(problem, document, tried=i < FIXED) for i, problem in enumerate(shapes.problems)]
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
        yield Notice(None, "the network has no input: nothing receives the images", _add_input(graph, ops),
                     is_incomplete=True)
    if not outputs:
        yield Notice(None, "the network has no output: nothing is returned", _add_output(graph, shapes),
                     is_incomplete=True)
    for extra in inputs[1:]:
        yield Notice(extra.id, "a network has one input; delete this one", (_deletion(extra.id),))
    if outputs and outputs[0].id in shapes.outputs:
        value = shapes.outputs[outputs[0].id][0]
        if value.rank != 2:
            yield Notice(
                outputs[0].id, f"one number per class is needed, gets {value.extents}",
                _vectors(graph, outputs[0], value, ops),
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
    # After each edit of a value whose table of consumers nobody else needs.
    used = {s.node for node in graph.nodes.values() for s in node.inputs if s is not None}
    ends = [n for n in graph.nodes if n not in used]
    if len(ends) != 1:
        return ()

    def edit(current: Architecture) -> Architecture:
        node_id = current.fresh_id("output")
        return current.with_node(Node(node_id, "output", NoParams(), (Source(ends[0]),)))

    return (Fix(f"Add an output behind '{ends[0]}'", edit),)


def _takes_input(ops: OpRegistry, node: Node) -> bool:
    return node.op in ops and bool(ops[node.op].inputs)


def _deletion(node_id: NodeId) -> Fix:
    remedy = deletion(node_id)
    return Fix(remedy.title, remedy.edit)


def _vectors(graph: Architecture, output: Node, value: TensorSpec, ops: OpRegistry) -> tuple[Fix, ...]:
    """Layers in front of the output that make one vector of its value."""
    found = [Fix(r.title, r.edit) for r in formings(output, 0, value, (2,), ops)]
    return tuple(fix for fix in found if not problems_of(fix.edit(graph), ops))[:2]


def _notice(problem: Problem, document: Document, *, tried: bool) -> Notice:
    if problem.node not in document.graph.nodes:
        return Notice(None, problem.message)
    found = fixes(document, problem) if tried else ()
    return Notice(problem.node, problem.message, found, is_incomplete=_is_incomplete(problem.node, document))


def _is_incomplete(node_id: NodeId, document: Document) -> bool:
    """True if an input that is needed has no wire."""
    node = document.graph.nodes[node_id]
    if node.op not in document.ops:
        return False
    needed = sum(port.at_least for port in document.ops[node.op].inputs)
    return sum(source is not None for source in node.inputs) < needed
