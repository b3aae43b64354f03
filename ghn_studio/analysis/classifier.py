"""The last linear layer: finding it, and giving it another number of classes."""

from __future__ import annotations

from dataclasses import replace

from ghn_studio.analysis.program import output_nodes
from ghn_studio.analysis.shapes import infer_shapes
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir.graph import Architecture, NodeId
from ghn_studio.ops.registry import OpRegistry


def classifier_of(graph: Architecture, ops: OpRegistry) -> NodeId:
    """Return the linear layer whose outputs are the classes.

    It is the last layer with parameters; only layers without any may come after it.

    Raises:
        ArchitectureError: There is none, with the reason.
    """
    node = graph.nodes[output_nodes(graph)[0]]
    # Layers without parameters have no functional form.
    while node.op in ops and (node.bypassed or ops[node.op].function is None):
        if len(node.sources) != 1:
            raise ArchitectureError(
                f"the classifier of '{graph.name}' cannot be found: '{node.id}' joins {len(node.sources)} values; "
                "end the network in one Linear layer"
            )
        node = graph.nodes[node.sources[0].node]
    if node.op != "linear":
        title = ops[node.op].title if node.op in ops else node.op
        raise ArchitectureError(
            f"'{graph.name}' has no linear classifier: its last layer with parameters is '{node.id}' ({title}); "
            "end the network in global pooling and a Linear layer"
        )
    return node.id


def with_classes(graph: Architecture, classes: int, ops: OpRegistry) -> Architecture:
    """Return the network with a classifier for ``classes`` classes; itself if it has that many.

    Raises:
        ArchitectureError: There is no linear classifier, it lies in a repeated block, or
            what follows it does not take another size.
    """
    node_id = classifier_of(graph, ops)
    params = graph.nodes[node_id].params
    if params.out_features == classes:
        return graph
    if any(g.repeat > 1 and node_id.startswith(f"{g.path}.") for g in graph.groups.values()):
        raise ArchitectureError(f"the classifier '{node_id}' lies in a repeated block: move it out of the block first")
    changed = graph.with_params(node_id, replace(params, out_features=classes))
    before = set(infer_shapes(graph, ops).problems)
    new = [p for p in infer_shapes(changed, ops).problems if p not in before]
    if new:
        raise ArchitectureError(f"'{node_id}' cannot have {classes} outputs: {new[0]}")
    return changed
