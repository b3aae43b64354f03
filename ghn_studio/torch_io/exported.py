"""Tracing with torch.export, for modules whose code insists on real tensors.

The graph has ATen operators instead of layers; parameters keep their names, and functions
that run on the parameters of one layer become that layer again.
"""

from __future__ import annotations

import torch
from torch import Tensor, fx

from ghn_studio.torch_io.symbolic import SCOPE, VALUE, Entry, on_meta


def exported(entry: Entry, images: Tensor) -> fx.Graph:
    """Return the graph of a network on ``images``, marked as those of ``ShapeTracer`` are.

    Constants that its code makes become attributes of ``entry``.

    Raises:
        RuntimeError: It cannot be exported either (torch raises various kinds).
    """
    with torch.no_grad():
        program = torch.export.export(entry.network, (images,), strict=False)
    signature = program.graph_signature
    stored = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    constants = {node: name.replace(".", "_") for node, name in signature.inputs_to_lifted_tensor_constants.items()}
    for placeholder, name in signature.inputs_to_lifted_tensor_constants.items():
        setattr(entry, constants[placeholder], program.constants[name])
    for node in program.graph.nodes:
        node.meta[SCOPE] = _scope(node)
        node.meta[VALUE] = fx.node.map_aggregate(node.meta.get("val"), on_meta)
        if node.op == "placeholder" and node.name in stored:
            node.op, node.target = "get_attr", f"network.{stored[node.name]}"
        elif node.op == "placeholder" and node.name in constants:
            node.op, node.target = "get_attr", constants[node.name]
    graph: fx.Graph = program.graph
    return graph


def _scope(node: fx.Node) -> str:
    """The path of the module whose code made a node."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values()]
    return str(paths[-1]) if paths else ""
