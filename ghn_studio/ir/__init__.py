"""The architecture as an immutable value; standard library only."""

from ghn_studio.ir.graph import Architecture, Edge, GraphDiff, Group, Node, NodeId, Source, diff
from ghn_studio.ir.tensors import BATCH, Dim, TensorSpec

__all__ = [
    "BATCH", "Architecture", "Dim", "Edge", "GraphDiff", "Group", "Node", "NodeId", "Source", "TensorSpec", "diff",
]
