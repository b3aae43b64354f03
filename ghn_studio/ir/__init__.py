"""The architecture as an immutable value; standard library only."""

from ghn_studio.ir.changes import GraphDiff, diff
from ghn_studio.ir.graph import Architecture, Edge, Group, Node, NodeId, Source
from ghn_studio.ir.tensors import BATCH, Dim, TensorSpec

__all__ = [
    "BATCH", "Architecture", "Dim", "Edge", "GraphDiff", "Group", "Node", "NodeId", "Source", "TensorSpec", "diff",
]
