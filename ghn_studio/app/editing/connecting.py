"""Which wires can be drawn, and why the others cannot."""

from __future__ import annotations

from ghn_studio.analysis.shapes import ShapeReport
from ghn_studio.ir.graph import Architecture, Edge, NodeId
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import OpSpec

CYCLE = "would close a cycle"


def refusal(graph: Architecture, shapes: ShapeReport, ops: OpRegistry, edge: Edge) -> str:
    """Say why ``edge`` cannot be drawn; empty if it can.

    Only what can never work is refused: cycles, ports that are not there, a wrong number
    of axes. Extents that do not match are shown as a problem of the node instead, for the
    next edit may be the one that mends them.
    """
    if edge.source == edge.target or graph.is_upstream(edge.target, edge.source):
        return CYCLE
    given = shapes.outputs.get(edge.source)
    value = given[edge.source_port] if given is not None and edge.source_port < len(given) else None
    target = graph.nodes[edge.target]
    if target.op not in ops:
        return f"unknown operator '{target.op}'"
    return port_refusal(ops[target.op], edge.target_port, value)


def port_refusal(spec: OpSpec[object], port: int, value: TensorSpec | None) -> str:
    """Say why input ``port`` cannot take ``value`` (None: shape not known yet); empty if it can."""
    wanted = spec.port(port)
    if wanted is None:
        return f"takes {len(spec.inputs)} inputs" if len(spec.inputs) != 1 else "takes one input"
    if value is not None and wanted.ranks and value.rank not in wanted.ranks:
        needed = " or ".join(map(str, wanted.ranks))
        return f"needs {needed} axes, {value.extents} has {value.rank} with the batch"
    return ""


def downstream(graph: Architecture, node_id: NodeId) -> set[NodeId]:
    """The node and everything its value reaches."""
    found = {node_id}
    stack = [node_id]
    while stack:
        for edge in graph.consumers(stack.pop()):
            if edge.target not in found:
                found.add(edge.target)
                stack.append(edge.target)
    return found


def upstream(graph: Architecture, node_id: NodeId) -> set[NodeId]:
    """The node and everything that reaches it."""
    found = {node_id}
    stack = [node_id]
    while stack:
        for source in graph.nodes[stack.pop()].sources:
            if source.node not in found:
                found.add(source.node)
                stack.append(source.node)
    return found
