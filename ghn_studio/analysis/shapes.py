"""Shape inference over a whole architecture.

A network under construction is usually incomplete, so this never raises: it returns
what could be worked out and a list of problems with their addresses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ghn_studio.errors import ArchitectureError
from ghn_studio.ir.graph import Architecture, Edge, Node, NodeId
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import OpSpec, check_params


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a person has to fix, and where. ``edge`` is set when one wire is to blame."""

    node: NodeId
    message: str
    edge: Edge | None = None

    def __str__(self) -> str:
        return f"{self.node}: {self.message}" if self.node else self.message


@dataclass(frozen=True, slots=True)
class ShapeReport:
    """The shapes of every output that could be inferred, and why the rest could not.

    ``inputs`` holds the specs each inferred node received, in port order.
    """

    outputs: Mapping[NodeId, tuple[TensorSpec, ...]]
    inputs: Mapping[NodeId, tuple[TensorSpec, ...]]
    problems: tuple[Problem, ...]


_EMPTY, _NOTHING = Architecture(), ShapeReport({}, {}, ())
_Specs: TypeAlias = "tuple[TensorSpec, ...]"


def infer_shapes(graph: Architecture, ops: OpRegistry) -> ShapeReport:
    """Infer every output that can be inferred; nodes below a problem stay silent.

    Repeated groups are analysed once, as drawn, not copy by copy.
    """
    return update_shapes(_NOTHING, _EMPTY, graph, ops)


def update_shapes(before: ShapeReport, old: Architecture, graph: Architecture, ops: OpRegistry) -> ShapeReport:
    """Return the report of ``graph``, given the one of ``old``: equal to :func:`infer_shapes` of ``graph``.

    Works out only what changed, and what follows from it until outputs come out as before.
    Shapes that stay equal stay the same objects, so that whoever shows them compares identities.
    """
    outputs: dict[NodeId, _Specs] = {}
    received: dict[NodeId, _Specs] = {}
    problems: list[Problem] = []
    told: dict[NodeId, list[Problem]] = {}
    for problem in before.problems:
        told.setdefault(problem.node, []).append(problem)
    stale: set[NodeId] = set()  # nodes whose outputs differ
    unseen = set(old.cycle())  # nodes that nothing is known about
    for node in graph.topological():
        known = old.nodes.get(node.id)
        is_kept = known is not None and (known is node or known == node) and node.id not in unseen
        if is_kept and not (stale and any(s is not None and s.node in stale for s in node.inputs)):
            if node.id in before.outputs:
                outputs[node.id], received[node.id] = before.outputs[node.id], before.inputs[node.id]
            else:
                problems.extend(told.get(node.id, ()))
            continue
        inputs, given, wrong = _inferred(node, ops, outputs)
        problems.extend(wrong)
        earlier = before.outputs.get(node.id)
        if given != earlier:
            stale.add(node.id)
        if given is not None and inputs is not None:
            outputs[node.id] = earlier if earlier is not None and given == earlier else given
            earlier = before.inputs.get(node.id)
            received[node.id] = earlier if earlier is not None and inputs == earlier else inputs
    problems.extend(_sharing_problems(graph, ops, received))
    return ShapeReport(outputs, received, tuple(problems))


def _inferred(
    node: Node, ops: OpRegistry, outputs: Mapping[NodeId, _Specs]
) -> tuple[_Specs | None, _Specs | None, list[Problem]]:
    """What one node receives and gives, or why that is unknown: no reason if it was told upstream."""
    if node.op not in ops:
        return None, None, [Problem(node.id, f"unknown operator '{node.op}'")]
    if node.bypassed:
        return _passed_on(node, outputs)
    spec = ops[node.op]
    wrong = [Problem(node.id, text) for text in (*check_params(node.params), *_missing(spec, node))]
    if wrong:
        return None, None, wrong
    absent = _absent_port(node, outputs)
    if absent is not None:
        return None, None, [absent]
    inputs = _inputs(node, outputs)
    if inputs is None:
        return None, None, []
    bad_rank = _rank_problem(spec, node, inputs)
    if bad_rank is not None:
        return None, None, [bad_rank]
    try:
        return inputs, spec.infer_outputs(node.params, inputs), []
    except ValueError as error:
        text = str(error)
    except IndexError:  # a port for any number of axes got a value without the one it asks for
        text = f"{spec.title} needs more axes than {', '.join(map(str, inputs))} has"
    return None, None, [Problem(node.id, text, _last_edge(node))]


def require_shapes(graph: Architecture, ops: OpRegistry) -> ShapeReport:
    """Like :func:`infer_shapes` on the expanded network, for callers that need all of it.

    Raises:
        ArchitectureError: There is a problem; the message names up to five of them.
    """
    report = infer_shapes(graph.expanded(), ops)
    if report.problems:
        shown = "; ".join(map(str, report.problems[:5]))
        more = f" (and {len(report.problems) - 5} more)" if len(report.problems) > 5 else ""
        raise ArchitectureError(f"'{graph.name}' is not complete: {shown}{more}")
    return report


def _sharing_problems(
    graph: Architecture, ops: OpRegistry, received: Mapping[NodeId, tuple[TensorSpec, ...]]
) -> Iterator[Problem]:
    """Uses that take the tensors of another node and do not fit them."""
    for node in graph.nodes.values():
        if node.shares is None or node.id not in received or node.shares not in received:
            continue
        owner, spec = graph.nodes[node.shares], ops[node.op]
        if node.bypassed or owner.bypassed:
            continue  # left out of what runs; the first use left becomes the owner
        if owner.params != node.params:
            yield Problem(node.id, f"shares the parameters of '{owner.id}' but has other settings")
            continue
        own, other = (spec.weights(n.params, received[n.id]) for n in (node, owner))
        if not own:
            yield Problem(node.id, f"has no parameters to share with '{owner.id}'")
        for mine, theirs in zip(own, other, strict=False):
            if mine.shape != theirs.shape:
                yield Problem(node.id, f"needs {mine.keyword} of shape {list(mine.shape)}, "
                                       f"'{owner.id}' has {list(theirs.shape)}")
                break


def _passed_on(
    node: Node, outputs: Mapping[NodeId, _Specs]
) -> tuple[_Specs | None, _Specs | None, list[Problem]]:
    """Like :func:`_inferred` for a bypassed node: it gives what its first connected input gets."""
    if not node.sources:
        return None, None, [Problem(node.id, "is bypassed and has no input to pass on")]
    absent = _absent_port(node, outputs)
    if absent is not None:
        return None, None, [absent]
    inputs = _inputs(node, outputs)
    return inputs, None if inputs is None else inputs[:1], []


def _missing(spec: OpSpec[object], node: Node) -> list[str]:
    """A sentence for every input that nothing feeds."""
    found = []
    for index, port in enumerate(spec.inputs):
        if not port.variadic:
            if node.source(index) is None:
                found.append(f"nothing is connected to {port.name}")
            continue
        connected = sum(1 for s in node.inputs[index:] if s is not None)
        if connected < port.at_least:
            found.append(f"needs at least {port.at_least} inputs, has {connected or 'none'}")
    return found


def _inputs(node: Node, outputs: Mapping[NodeId, tuple[TensorSpec, ...]]) -> tuple[TensorSpec, ...] | None:
    found = []
    for source in node.inputs:
        if source is None:
            continue
        specs = outputs.get(source.node)
        if specs is None or source.port >= len(specs):
            return None
        found.append(specs[source.port])
    return tuple(found)


def _absent_port(node: Node, outputs: Mapping[NodeId, tuple[TensorSpec, ...]]) -> Problem | None:
    for port, source in enumerate(node.inputs):
        if source is not None and source.node in outputs and source.port >= len(outputs[source.node]):
            text = f"'{source.node}' has no output number {source.port + 1}, only {len(outputs[source.node])}"
            return Problem(node.id, text, Edge(source.node, source.port, node.id, port))
    return None


def _rank_problem(spec: OpSpec[object], node: Node, inputs: tuple[TensorSpec, ...]) -> Problem | None:
    for index, value in enumerate(inputs):
        port = spec.port(index)
        if port is None:
            return Problem(node.id, f"takes {len(spec.inputs)} inputs, gets {len(inputs)}", _last_edge(node))
        if port.ranks and value.rank not in port.ranks:
            wanted = " or ".join(map(str, port.ranks))
            source = node.sources[index]
            edge = Edge(source.node, source.port, node.id, index)
            return Problem(node.id, f"{port.name} needs {wanted} axes, gets {value}", edge)
    return None


def _last_edge(node: Node) -> Edge | None:
    for port in range(len(node.inputs) - 1, -1, -1):
        source = node.inputs[port]
        if source is not None:
            return Edge(source.node, source.port, node.id, port)
    return None
