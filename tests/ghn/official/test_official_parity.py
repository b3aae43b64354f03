"""Graphs and predictions against the official code, on stored results of checkpoints with random weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from torch import nn

from ghn_studio.engine.execution import Plan
from ghn_studio.ghn.config import GhnConfig
from ghn_studio.ghn.encoding import GraphEncoding
from ghn_studio.ghn.graphs import graph_for
from ghn_studio.ghn.networks import Hypernetwork
from ghn_studio.ghn.official.encode import encode_module
from ghn_studio.torch_io import trace

Label = tuple[str, tuple[int, ...] | None]


@cache
def official(path: Path) -> Hypernetwork:
    """A checkpoint with random weights, as the official code writes them."""
    stored = torch.load(path, map_location="cpu", weights_only=True)
    config, is_third = stored["config"], path.name.startswith("ghn3")
    hidden = config["hid"]
    ghn = Hypernetwork(GhnConfig(
        hidden=hidden, max_channels=config["max_shape"][0], grid=config["max_shape"][2],
        decoder=(4 * hidden, 8 * hidden), classes=config["num_classes"], virtual_edges=config["ve"],
        layer_norm=config["layernorm"], weight_norm=config["weight_norm"], crop="centre" if is_third else "corner",
        encoder="graphormer" if is_third else "gated-gnn", layers=config.get("layers", 1),
        heads=config.get("heads", 1), graph="ghn3" if is_third else "ppuda",
    ))
    ghn.load_state_dict({k: v.flatten(1) if v.dim() == 4 else v for k, v in stored["state_dict"].items()})
    return ghn.eval().requires_grad_(False)


def label(kind: str, shape: Any) -> Label:
    return kind, tuple(shape) if shape else None


def assert_same_graph(graph: GraphEncoding, reference: dict[str, Any], virtual_edges: bool) -> None:
    found = [label(str(node.primitive), node.shape) for node in graph.nodes]
    expected = [label(kind, shape) for kind, shape in reference["nodes"]]
    assert Counter(found) == Counter(expected)
    ours = directed(found, zip(*np.nonzero(graph.distances == 1), strict=True))
    assert nx.is_isomorphic(ours, directed(expected, reference["edges"]), node_match=lambda a, b: a == b)
    assert (np.count_nonzero(graph.distances > 1) if virtual_edges else 0) == reference["n_virtual_edges"]


def directed(labels: list[Label], edges: Any) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from((place, {"label": text}) for place, text in enumerate(labels))
    graph.add_edges_from(edges)
    return graph


def test_graphs_and_predictions_are_those_of_the_official_code(
    reference: dict[str, Any], module_of: Callable[[dict[str, Any]], nn.Module]
) -> None:
    ghn, module = official(reference["folder"] / reference["ghn"]), module_of(reference)
    graph = encode_module(module, reference["input"], ghn.config.graph)
    assert_same_graph(graph, reference["graph"], ghn.config.virtual_edges)
    values, broken = ghn.predict(graph)
    assert not broken
    left_out = {*reference.get("not_predicted", ()), *(n for n in reference["parameters"] if "layer_scale" in n)}
    assert set(values) == set(reference["parameters"]) - left_out
    for name, tensor in values.items():
        stored = reference["parameters"][name]
        assert list(tensor.shape) == stored["shape"], name
        expected = torch.tensor(stored["value"])
        torch.testing.assert_close(
            tensor.flatten()[stored["index"]], expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()), msg=name
        )
        assert float(tensor.double().norm()) == pytest.approx(stored["l2"], rel=1e-5), name


def test_architectures_give_the_graph_of_their_module(
    reference: dict[str, Any], module_of: Callable[[dict[str, Any]], nn.Module]
) -> None:
    """What a person draws or imports is read like the module it stands for."""
    mode = "ghn3" if reference["ghn"].startswith("ghn3") else "ppuda"
    module = module_of(reference)
    chosen = graph_for(mode, Plan(trace(module, torch.empty(1, *reference["input"], device="meta")).architecture))
    assert (chosen.mode, chosen.note) == (mode, "")
    expected = encode_module(module, reference["input"], mode)
    assert_same_parameters(chosen.graph, expected)
    assert_same_graph(chosen.graph, reference["graph"], virtual_edges=not reference["ghn"].startswith("ghn1"))


def assert_same_parameters(found: GraphEncoding, expected: GraphEncoding) -> None:
    """The same tensors at nodes of the same type and at the same distances from each other."""
    places = [
        {p.name: place for place, node in enumerate(graph.nodes) for p in node.parameters}
        for graph in (found, expected)
    ]
    names = sorted(places[0])
    assert names == sorted(places[1])
    ours, theirs = ([place[name] for name in names] for place in places)
    for one, other in zip(ours, theirs, strict=True):
        assert found.nodes[one] == expected.nodes[other]
    assert np.array_equal(found.distances[np.ix_(ours, ours)], expected.distances[np.ix_(theirs, theirs)])
