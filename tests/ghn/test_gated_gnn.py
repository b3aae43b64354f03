"""The level-by-level update against its definition, node by node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from torch import Tensor

from ghn_studio import deepnets
from ghn_studio.deepnets import SamplerConfig
from ghn_studio.ghn.config import GhnConfig
from ghn_studio.ghn.encoders import GatedGnn, collate
from ghn_studio.ghn.encoding import GraphEncoding, encode
from ghn_studio.ghn.networks import Hypernetwork
from ghn_studio.ir import Architecture

MakeDag = Callable[[int, int], GraphEncoding]


def one_by_one(gnn: GatedGnn, start: Tensor, distances: Sequence[Sequence[int]]) -> Tensor:
    """Section 7.1 of the parity specification, as it is written there."""
    h = list(start.unbind(0))

    def message(sources: list[tuple[int, int]]) -> Tensor:
        total = torch.zeros_like(h[0])
        for u, distance in sources:
            if distance == 1:
                total = total + gnn.mlp(h[u][None])[0]
            if gnn.mlp_ve is not None:
                total = total + gnn.mlp_ve(h[u][None])[0] / distance
        return total

    count = len(h)
    for v in range(count):
        h[v] = gnn.gru(message([(u, distances[u][v]) for u in range(count) if distances[u][v]])[None], h[v][None])[0]
    for v in reversed(range(count)):
        h[v] = gnn.gru(message([(w, distances[v][w]) for w in range(count) if distances[v][w]])[None], h[v][None])[0]
    return torch.stack(h)


@pytest.mark.parametrize("virtual_edges", [True, False])
@pytest.mark.parametrize(("count", "seed"), [(1, 0), (2, 1), (12, 2), (25, 3), (40, 4)])
@torch.no_grad()
def test_level_by_level_equals_the_definition(
    make_random_dag: MakeDag, count: int, seed: int, virtual_edges: bool
) -> None:
    torch.manual_seed(seed)
    gnn, graph = GatedGnn(16, virtual_edges), make_random_dag(count, seed)
    x = torch.randn(count, 16)
    batch = collate([graph])
    found = torch.empty_like(x)
    found[batch.order] = gnn.update(x[batch.order], batch)
    torch.testing.assert_close(found, one_by_one(gnn, x, graph.distances.tolist()), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gnn(x, [graph]), found, rtol=1e-5, atol=1e-5)
    if not virtual_edges and count > 2:
        assert (graph.distances > 1).any(), "the graph could not tell the two apart"


@pytest.mark.parametrize("virtual_edges", [True, False])
@torch.no_grad()
def test_nodes_of_a_cycle_take_each_others_last_state(make_random_dag: MakeDag, virtual_edges: bool) -> None:
    torch.manual_seed(0)
    gnn, graph = GatedGnn(16, virtual_edges), make_random_dag(20, 5)
    distances = graph.distances.copy()
    distances[15, 2], distances[7, 3] = 1, 2
    cyclic = replace(graph, distances=distances, levels=np.arange(20))
    x = torch.randn(20, 16)
    torch.testing.assert_close(gnn(x, [cyclic]), one_by_one(gnn, x, distances.tolist()), rtol=1e-5, atol=1e-5)


def test_with_and_without_gradients_the_update_is_the_same(make_random_dag: MakeDag) -> None:
    gnn, graphs = GatedGnn(16, True), [make_random_dag(count, count) for count in (9, 31)]
    x = torch.randn(40, 16)
    with torch.no_grad():
        found = gnn(x, graphs)
    torch.testing.assert_close(found, gnn(x, graphs), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_virtual_edges_change_the_result(make_random_dag: MakeDag) -> None:
    gnn, graph = GatedGnn(16, True), make_random_dag(25, 3)
    near = replace(graph, distances=(graph.distances == 1).astype(graph.distances.dtype))
    x = torch.randn(25, 16)
    with_, without = collate([graph]), collate([near])
    assert not torch.allclose(gnn.update(x[with_.order], with_), gnn.update(x[without.order], without), atol=1e-3)


@torch.no_grad()
def test_graphs_of_a_batch_do_not_influence_each_other(make_random_dag: MakeDag) -> None:
    ghn = Hypernetwork(GhnConfig(hidden=16, max_channels=8, grid=5, decoder=(8, 8))).initialise(0)
    graphs = [make_random_dag(count, count) for count in (3, 30, 11)]
    alone = [ghn.embed_graphs([g])[0] for g in graphs]
    for order in permutations(range(3)):
        together = ghn.embed_graphs([graphs[i] for i in order])
        for i, found in zip(order, together, strict=True):
            torch.testing.assert_close(found, alone[i], rtol=0, atol=1e-5)


@torch.no_grad()
def test_batches_of_networks_are_predicted_in_any_order(
    small_ghn: Hypernetwork, example_networks: dict[str, Architecture]
) -> None:
    config = SamplerConfig(channels=(8, 8))
    graphs = [encode(deepnets.sample("train", 0, config)), encode(example_networks["lenet5"]),
              encode(deepnets.sample("bnfree", 0, config))]
    alone = [small_ghn([g])[0] for g in graphs]
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        for i, found in zip(order, small_ghn([graphs[i] for i in order]), strict=True):
            assert found.keys() == alone[i].keys()
            for name, tensor in found.items():
                torch.testing.assert_close(tensor, alone[i][name], rtol=0, atol=1e-5, msg=name)


def test_gradients_reach_every_parameter_that_was_used(small_ghn: Hypernetwork) -> None:
    ghn = Hypernetwork(small_ghn.config).initialise(1)
    graph = deepnets.sample("train", 3, SamplerConfig(channels=(8, 8)))
    head = "classifier" if any(n == "classifier" for n in graph.nodes) else None
    values = ghn([encode(graph)], [ghn.classifier(head)])[0]
    sum(v.square().sum() for v in values.values()).backward()
    missing = {n for n, p in ghn.named_parameters() if p.grad is None or not p.grad.isfinite().all()}
    assert missing <= {n for n, _ in ghn.named_parameters() if "class" in n}
