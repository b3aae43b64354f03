"""Source of a part of a network."""

from __future__ import annotations

import pytest
import torch

from ghn_studio.analysis.shapes import infer_shapes
from ghn_studio.app.architectures import open_architecture
from ghn_studio.codegen import part_to_source, to_source
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir import NodeId
from ghn_studio.ops import REGISTRY


def source_of(graph, *names: str) -> str:
    return part_to_source(graph, [NodeId(n) for n in names], infer_shapes(graph, REGISTRY), REGISTRY)


def run(text: str) -> dict:
    scope: dict = {"__name__": "part"}
    exec(compile(text, "part", "exec"), scope)
    return scope


def test_everything_is_the_whole_network():
    graph = open_architecture("example:plain_cnn").architecture
    assert source_of(graph) == source_of(graph, *graph.nodes) == to_source(graph)


def test_a_part_between_two_wires_is_a_network_that_runs():
    graph = open_architecture("example:resnet20").architecture
    block = [n for n in graph.nodes if n.startswith(next(n.rpartition(".")[0] for n in graph.nodes if "." in n))]
    scope = run(source_of(graph, *block))
    network = next(v for v in scope.values() if isinstance(v, type) and issubclass(v, torch.nn.Module)
                   and v.__module__ == "part" and "Resnet" in v.__name__)()
    first = graph.nodes[block[0]]
    given = infer_shapes(graph, REGISTRY).inputs[first.id][0]
    assert network(torch.zeros(2, *given.shape[1:])).shape[0] == 2


def test_other_nodes_give_their_constructor_lines():
    graph = open_architecture("example:plain_cnn").architecture
    chosen = [n.id for n in graph.nodes.values() if n.op in ("conv2d", "batch_norm")]
    text = source_of(graph, *chosen)
    scope = run(text)
    layers = [v for v in scope.values() if isinstance(v, torch.nn.Module)]
    assert len(layers) == len(chosen) and "class " not in text
    assert f"# of {graph.nodes[chosen[0]].sources[0].node}" in text


def test_layers_torch_lacks_come_with_their_definition():
    graph = open_architecture("example:vit_small").architecture
    chosen = [n.id for n in graph.nodes.values() if n.op in ("msa", "patch_embedding")]
    scope = run(source_of(graph, *chosen))
    assert sum(isinstance(v, torch.nn.Module) for v in scope.values()) == len(chosen)


def test_an_incomplete_network_still_gives_lines_for_what_is_known():
    graph = open_architecture("example:plain_cnn").architecture
    conv = [n.id for n in graph.nodes.values() if n.op == "conv2d"]
    cut = graph.without_edge(next(iter(e for e in graph.edges() if e.target == conv[1])))
    text = source_of(cut, conv[0], conv[1])
    assert "nn.Conv2d(3," in text and f"# {conv[1]} (conv2d): what it receives is not known" in text
    with pytest.raises(ArchitectureError):
        source_of(cut)
