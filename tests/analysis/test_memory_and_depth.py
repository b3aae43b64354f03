"""Memory of a forward pass, checked on real tensors; depth as the literature counts it; repeats seen as drawn."""

from __future__ import annotations

from typing import Any

import torch

from ghn_studio.analysis import infer_shapes, require_shapes
from ghn_studio.analysis.copies import as_drawn, copies
from ghn_studio.analysis.depth import depth
from ghn_studio.analysis.memory import activations
from ghn_studio.app.architectures import open_architecture
from ghn_studio.engine.build import build
from ghn_studio.ir import Architecture, Group, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams


def node(name: str, op: str, params: Any, *sources: str) -> Node:
    return Node(NodeId(name), op, params, tuple(Source(NodeId(s)) for s in sources))


def branching() -> Architecture:
    return Architecture.build([
        node("image", "input", InputParams(3, 8, 8)), node("wide", "conv2d", Conv2dParams(32), "image"),
        node("thin", "conv2d", Conv2dParams(4, stride=(2, 2)), "wide"),
        node("skip", "conv2d", Conv2dParams(4, (1, 1), (2, 2), (0, 0)), "image"),
        node("sum", "add", NoParams(), "thin", "skip"), node("end", "relu", NoParams(), "sum"),
    ])


def test_bytes_are_those_of_the_real_tensors() -> None:
    graph = open_architecture("example:resnet20").architecture.expanded()
    shapes = require_shapes(graph, REGISTRY)
    found = activations(graph, shapes)
    network = build(graph).eval()
    sizes: dict[str, int] = {}
    for name, module in network.named_modules():
        if not list(module.children()) and name:
            module.register_forward_hook(lambda m, i, out, name=name: sizes.__setitem__(name, out.nbytes))
    image = shapes.outputs[next(iter(graph.nodes))][0]
    network(torch.zeros(1, *(image.size(a) for a in range(1, image.rank))))
    assert sizes
    assert {name: found.by_node[NodeId(name)] for name in sizes} == sizes
    assert found.total == sum(found.by_node.values())


def test_peak_counts_what_is_alive_at_once() -> None:
    graph = branching()
    found = activations(graph, infer_shapes(graph, REGISTRY))
    image, wide, thin = 4 * 3 * 64, 4 * 32 * 64, 4 * 4 * 16
    assert (found.at, found.peak) == ("thin", image + wide + thin)
    assert found.peak < found.total


def test_unknown_shapes_and_an_empty_network_cost_nothing() -> None:
    graph = Architecture.build([node("image", "input", InputParams(3, 8, 8)), node("sum", "add", NoParams(), "image")])
    assert activations(graph, infer_shapes(graph, REGISTRY)).total == 4 * 3 * 64
    empty = Architecture()
    assert activations(empty, infer_shapes(empty, REGISTRY)).peak == 0
    assert depth(empty, REGISTRY, infer_shapes(empty, REGISTRY)).most_nodes == 0


def test_depth_counts_layers_with_weights_on_the_longest_path() -> None:
    """ResNet-20 has twenty, the projections beside the main path not among them (He et al., 2016, section 4.2)."""
    graph = open_architecture("example:resnet20").architecture.expanded()
    found = depth(graph, REGISTRY, require_shapes(graph, REGISTRY))
    assert found.most_layers == 20
    assert found.most_nodes > 40
    lenet = open_architecture("example:lenet5").architecture
    assert depth(lenet, REGISTRY, require_shapes(lenet, REGISTRY)).most_layers == 5


def test_copies_come_together_where_they_are_drawn() -> None:
    graph = Architecture.build(
        [node("image", "input", InputParams(4, 8, 8)), node("stage.block.conv", "conv2d", Conv2dParams(4), "image"),
         node("stage.block.relu", "relu", NoParams(), "stage.block.conv"),
         node("stage.last", "conv2d", Conv2dParams(4), "stage.block.relu"),
         node("end", "relu", NoParams(), "stage.last")],
        [Group("stage", "Stage", 3), Group("stage.block", "Block", 2)],
    )
    full = graph.expanded()
    counted = as_drawn(graph, dict.fromkeys(full.nodes, 1), sum)
    assert counted == {"image": 1, "stage.block.conv": 6, "stage.block.relu": 6, "stage.last": 3, "end": 1}
    assert {n: copies(graph)(n) for n in graph.nodes} == counted
    assert (copies(graph)("stage"), copies(graph)("stage.block")) == (3, 6)
    shapes = infer_shapes(full, REGISTRY)
    assert depth(full, REGISTRY, shapes).most_layers == 9
    plain = branching()
    values = dict.fromkeys(plain.nodes, 1)
    assert as_drawn(plain, values, sum) is values
