"""The Graphormer against its definition, node by node and pair by pair."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ghn_studio import deepnets
from ghn_studio.deepnets import SamplerConfig
from ghn_studio.engine.execution import Plan, random_images
from ghn_studio.ghn.config import GhnConfig
from ghn_studio.ghn.encoders import Graphormer
from ghn_studio.ghn.encoding import GraphEncoding, encode
from ghn_studio.ghn.networks import Hypernetwork

MakeDag = Callable[[int, int], GraphEncoding]

HEADS = 4
SMALL = GhnConfig(hidden=16, max_channels=8, grid=5, decoder=(16, 16), encoder="graphormer", layers=2, heads=HEADS)


def pair_by_pair(gnn: Graphormer, x: Tensor, graph: GraphEncoding) -> Tensor:
    """Section 7.3 of the parity specification, as it is written there."""
    state, heads = gnn.state_dict(), HEADS
    s, count, features = graph.distances.tolist(), len(x), x.shape[1] // HEADS

    def linear(name: str, value: Tensor) -> Tensor:
        return F.linear(value, state[f"{name}.weight"], state.get(f"{name}.bias"))

    def norm(name: str, value: Tensor) -> Tensor:
        return F.layer_norm(value, value.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])

    rows = []
    for v in range(count):
        into = min(100, sum(s[u][v] == 1 for u in range(count)))
        out = min(100, sum(s[v][w] == 1 for w in range(count)))
        rows.append(x[v] + state["0.centrality_embed_in.weight"][into] + state["0.centrality_embed_out.weight"][out]
                    + state["0.input_dist_embed.weight"][min(s[0][v], 1000)])
    x = torch.stack(rows)
    table = state["0.attn.edge_embed.embed.weight"]
    bias = torch.zeros(count, count, heads)
    for u in range(count):
        for v in range(count):
            pair = torch.cat((table[s[u][v] + 2], table[s[v][u] + 2]))
            bias[u, v] = linear("0.attn.proj_e.2", linear("0.attn.proj_e.0", pair).relu())
    for layer in range(len(gnn)):
        q, k, v_ = linear(f"{layer}.attn.to_qkv", norm(f"{layer}.ln1", x)).view(count, 3, heads, features).unbind(1)
        mixed = torch.zeros(count, heads, features)
        for h in range(heads):
            logits = q[:, h] @ k[:, h].T / math.sqrt(features) + bias[:, :, h]
            mixed[:, h] = logits.softmax(1) @ v_[:, h]
        x = x + linear(f"{layer}.attn.to_out.0", mixed.flatten(1))
        x = x + linear(f"{layer}.ff.net.3", F.gelu(linear(f"{layer}.ff.net.0", norm(f"{layer}.ln2", x))))
    return x


@pytest.mark.parametrize(("count", "seed"), [(1, 0), (2, 1), (25, 3), (60, 4)])
@torch.no_grad()
def test_it_equals_its_definition(make_random_dag: MakeDag, count: int, seed: int) -> None:
    torch.manual_seed(seed)
    gnn, graph, x = Graphormer(16, 2, HEADS), make_random_dag(count, seed), torch.randn(count, 16)
    torch.testing.assert_close(gnn(x, [graph]), pair_by_pair(gnn, x, graph), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_pairs_of_a_graph_with_a_cycle_keep_both_distances(make_random_dag: MakeDag) -> None:
    """The official builder makes such graphs of Swin V2."""
    torch.manual_seed(0)
    gnn, graph, x = Graphormer(16, 2, HEADS), make_random_dag(12, 5), torch.randn(12, 16)
    distances = graph.distances.copy()
    distances[8, 1], distances[1, 8] = 3, 2
    cyclic = replace(graph, distances=distances)
    torch.testing.assert_close(gnn(x, [cyclic]), pair_by_pair(gnn, x, cyclic), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(gnn(x, [cyclic]), gnn(x, [graph]), atol=1e-4)


@torch.no_grad()
def test_graphs_of_a_batch_do_not_influence_each_other(make_random_dag: MakeDag) -> None:
    """The published code indexes padded rows with unpadded offsets, so that order matters there."""
    ghn = Hypernetwork(SMALL).initialise(0)
    graphs = [make_random_dag(count, count) for count in (3, 30, 11)]
    alone = [ghn.embed_graphs([g])[0] for g in graphs]
    for order in permutations(range(3)):
        together = ghn.embed_graphs([graphs[i] for i in order])
        for i, found in zip(order, together, strict=True):
            torch.testing.assert_close(found, alone[i], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_it_learns_eight_networks_by_heart() -> None:
    """Overfitting: labels that no image explains are learnt by the networks it predicts."""
    torch.manual_seed(0)
    config = SamplerConfig(channels=(8, 8), image_size=8, classes=4)
    drawn = [Plan(deepnets.sample("train", i, config)) for i in range(40)]
    plans = sorted(drawn, key=lambda plan: len(plan.graph.nodes))[:8]
    graphs = [encode(plan.graph, report=plan.report) for plan in plans]
    ghn = Hypernetwork(replace(SMALL, classes=4, max_channels=16)).initialise(0)
    heads = [ghn.classifier(plan.head) for plan in plans]
    images, labels = random_images(plans[0], 16), torch.arange(16) % 4
    optimiser = torch.optim.AdamW(ghn.parameters(), lr=6e-3)
    for _ in range(40):
        losses = [
            F.cross_entropy(plan.run(images, values), labels)
            for plan, values in zip(plans, ghn(graphs, heads), strict=True)
        ]
        loss = torch.stack(losses).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(ghn.parameters(), 1.0)
        optimiser.step()
    assert loss < 0.8, "chance is log(4) = 1.39"
