"""How the nodes of a graph learn of each other: gated GNN, Graphormer, or not at all.

Every encoder maps the node vectors of several graphs, one graph after the other, to
updated ones in the same order. Graphs never influence each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ghn_studio.ghn.config import GhnConfig
from ghn_studio.ghn.encoding import GraphEncoding
from ghn_studio.ghn.sweeps import cell_of, edge_weights, sweep

#: Sizes of the Graphormer's tables in the official checkpoints; larger numbers share the last row.
_DISTANCES, _DEGREES, _DEPTHS = 257, 101, 1001

#: Row of "no edge" in the distance table; the two before it are unused.
_NO_EDGE = 2


def encoder_for(config: GhnConfig) -> nn.Module:
    """The encoder a configuration asks for; parameters are named as in the official checkpoints."""
    if config.encoder == "graphormer":
        return Graphormer(config.hidden, config.layers, config.heads)
    if config.encoder == "mlp":
        return NodeMlp(config.hidden)
    return GatedGnn(config.hidden, config.virtual_edges)


class MessageMlp(nn.Module):
    """Two layers, ReLU after both (GHN-2, appendix B.1)."""

    def __init__(self, hidden: int, inner: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(hidden, inner), nn.ReLU(), nn.Linear(inner, hidden), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(nodes, hidden)`` to messages of the same shape."""
        return self.fc(x)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Batch:
    """Several graphs as one disconnected graph, nodes ordered by level.

    Attributes:
        order: ``(nodes,)`` position in the concatenation of the graphs of each ordered node.
        bounds: Where each level starts in that order, and the end.
        near: ``(nodes, nodes)`` float, 1 where u feeds v, rows u, columns v.
        far: ``(nodes, nodes)`` float, 1 / distance along shortest paths, 0 where there is none.
    """

    order: Tensor
    bounds: tuple[int, ...]
    near: Tensor
    far: Tensor


def collate(graphs: Sequence[GraphEncoding], device: torch.device | str = "cpu") -> Batch:
    """Join graphs so that nodes without a path between them can be updated together."""
    levels = np.concatenate([g.levels for g in graphs])
    order = np.argsort(levels, kind="stable")
    total = len(levels)
    distances = np.zeros((total, total), dtype=np.uint8)
    start = 0
    for graph in graphs:
        stop = start + len(graph.nodes)
        distances[start:stop, start:stop] = graph.distances
        start = stop
    distances = distances[order][:, order]
    far = np.zeros((total, total), dtype=np.float32)
    np.divide(1.0, distances, out=far, where=distances > 0)
    counts = np.bincount(levels)
    return Batch(
        torch.from_numpy(order).to(device),
        (0, *np.cumsum(counts).tolist()),
        torch.from_numpy((distances == 1).astype(np.float32)).to(device),
        torch.from_numpy(far).to(device),
    )


class GatedGnn(nn.Module):
    """One forward and one backward sweep over the nodes, each updated by a GRU cell.

    The definition visits nodes one by one (GHN-2, equations 3 and 4): the message to a
    node sums over all its ancestors (forward) or descendants (backward), which a
    topological order has updated before. Nodes with the same longest path from the
    start never depend on each other, so a sweep updates a whole level at once.
    """

    def __init__(self, hidden: int, virtual_edges: bool) -> None:
        super().__init__()
        inner = hidden // 2 if virtual_edges else hidden
        self.mlp = MessageMlp(hidden, inner)
        self.mlp_ve = MessageMlp(hidden, inner) if virtual_edges else None
        self.gru = nn.GRUCell(hidden, hidden)

    def forward(self, x: Tensor, graphs: Sequence[GraphEncoding]) -> Tensor:
        """Map ``(nodes, hidden)`` to the same shape."""
        if not torch.is_grad_enabled():
            parts = np.split(x.detach().cpu().numpy(), np.cumsum([len(g.nodes) for g in graphs])[:-1])
            alone = [self._update_alone(part, graph) for part, graph in zip(parts, graphs, strict=True)]
            return torch.from_numpy(np.concatenate(alone)).to(x.device)
        batch = collate(graphs, x.device)
        updated = self.update(x[batch.order], batch)
        return torch.empty_like(updated).index_copy(0, batch.order, updated)

    def _update_alone(self, x: NDArray[np.float32], graph: GraphEncoding) -> NDArray[np.float32]:
        """Update one graph without autograd; nodes of a cycle take each other's last state."""
        kinds = (self.mlp,) if self.mlp_ve is None else (self.mlp, self.mlp_ve)
        cell = cell_of(self.gru, tuple(kind.fc for kind in kinds))
        order = np.argsort(graph.levels, kind="stable")
        distances = graph.distances[np.ix_(order, order)]
        bounds = (0, *np.cumsum(np.bincount(graph.levels)).tolist())
        forward = sweep(cell, x[order], bounds, edge_weights(distances, cell.kinds))
        back = tuple(len(x) - b for b in reversed(bounds))
        reverse = edge_weights(np.ascontiguousarray(distances.T[::-1, ::-1]), cell.kinds)
        updated = np.empty_like(x)
        updated[order] = sweep(cell, np.ascontiguousarray(forward[::-1]), back, reverse)[::-1]
        return updated

    def update(self, x: Tensor, batch: Batch) -> Tensor:
        """Map vectors in the batch's order, level by level, to updated ones."""
        forward = self._sweep(x, batch.bounds, batch.near, batch.far)
        # The backward sweep is a forward sweep over the reversed graph, in reversed order.
        total = len(x)
        bounds = tuple(total - b for b in reversed(batch.bounds))
        back = self._sweep(forward.flip(0), bounds, batch.near.T.flip(0, 1), batch.far.T.flip(0, 1))
        return back.flip(0)

    def _sweep(self, x: Tensor, bounds: tuple[int, ...], near: Tensor, far: Tensor) -> Tensor:
        done: list[Tensor] = []
        # Messages of all nodes so far. Growing one tensor keeps the backward pass linear in
        # the number of levels; joining a list of them anew at every level would not.
        sent = x.new_zeros(0, 2 * x.shape[1])
        for start, stop in pairwise(bounds):
            level = x[start:stop]
            level = self.gru(self._collect(sent, near[:start, start:stop], far[:start, start:stop]), level)
            done.append(level)
            sent = torch.cat((sent, self._send(level)))
        return torch.cat(done)

    def _send(self, level: Tensor) -> Tensor:
        """Messages to direct neighbours and along virtual edges, side by side."""
        if self.mlp_ve is None:
            return torch.cat((self.mlp(level), torch.zeros_like(level)), 1)
        return torch.cat((self.mlp(level), self.mlp_ve(level)), 1)

    def _collect(self, sent: Tensor, near: Tensor, far: Tensor) -> Tensor:
        """Sum the messages that reach each node of a level."""
        direct, virtual = sent.chunk(2, 1)
        message = near.T @ direct
        return message if self.mlp_ve is None else message + far.T @ virtual


class NodeMlp(nn.Module):
    """Updates every node by itself: the MLP baseline of the GHN-2 paper."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.fc = MessageMlp(hidden, hidden).fc

    def forward(self, x: Tensor, graphs: Sequence[GraphEncoding]) -> Tensor:
        """Map ``(nodes, hidden)`` to the same shape; the graphs do not matter."""
        return self.fc(x)  # type: ignore[no-any-return]


class Graphormer(nn.ModuleList):
    """Transformer layers over the nodes of a graph, biased by their distances.

    GHN-3 (Knyazev et al., 2023, section 3), after Ying et al. (2021). The first layer holds
    the tables: degrees and the distance from the input are added to the nodes, distances
    between nodes become a bias on the attention of every layer.
    """

    def __init__(self, hidden: int, layers: int, heads: int) -> None:
        super().__init__(GraphormerLayer(hidden, heads, is_first=index == 0) for index in range(layers))

    @torch.no_grad()
    def soften(self) -> None:
        """Scale fresh layers so that attention starts almost even and depth does not add up."""
        for layer in self:
            assert isinstance(layer, GraphormerLayer)
            layer.attn.to_qkv.weight.mul_(math.sqrt(0.5))
            for last in (layer.attn.to_out["0"], layer.feed_forward["3"]):
                _weight(last).mul_(math.sqrt(0.5 / len(self)))
            if layer.is_first:
                _weight(layer.attn.proj_e[2]).mul_(0.1)

    def forward(self, x: Tensor, graphs: Sequence[GraphEncoding]) -> Tensor:
        """Map ``(nodes, hidden)`` to the same shape. Attention stays inside each graph."""
        first = self[0]
        assert isinstance(first, GraphormerLayer)
        x = x + first.place(graphs)
        biases = [first.attn.bias(graph.distances) for graph in graphs]
        for layer in self:
            x = layer(x, biases)
        return x


class GraphormerLayer(nn.Module):
    """Attention and a two-layer perceptron, each after a layer norm and added to its input."""

    def __init__(self, hidden: int, heads: int, is_first: bool) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.attn = GraphAttention(hidden, heads, is_first)
        # Activation and dropout have the places 1 and 2 in the official files.
        self.ff = nn.ModuleDict({"net": nn.ModuleDict({
            "0": nn.Linear(hidden, 4 * hidden), "3": nn.Linear(4 * hidden, hidden),
        })})
        self.is_first = is_first
        if is_first:
            self.centrality_embed_in = nn.Embedding(_DEGREES, hidden)
            self.centrality_embed_out = nn.Embedding(_DEGREES, hidden)
            self.input_dist_embed = nn.Embedding(_DEPTHS, hidden)

    def forward(self, x: Tensor, biases: Sequence[Tensor]) -> Tensor:
        """Map ``(nodes, hidden)`` to the same shape, given one ``(heads, n, n)`` bias per graph."""
        x = x + self.attn(self.ln1(x), biases)
        net = self.feed_forward
        return x + net["3"](F.gelu(net["0"](self.ln2(x))))  # type: ignore[no-any-return]

    def place(self, graphs: Sequence[GraphEncoding]) -> Tensor:
        """Where each node stands, ``(nodes, hidden)``: in- and out-degree, distance from the input (node 0)."""
        device = self.input_dist_embed.weight.device
        direct = [graph.distances == 1 for graph in graphs]
        into, out = (np.concatenate([d.sum(axis) for d in direct]).clip(max=_DEGREES - 1) for axis in (0, 1))
        depth = np.concatenate([graph.distances[0] for graph in graphs]).astype(np.int64)
        rows = torch.from_numpy(np.stack((into, out, depth.clip(max=_DEPTHS - 1)))).to(device)
        degrees: Tensor = self.centrality_embed_in(rows[0]) + self.centrality_embed_out(rows[1])
        return degrees + self.input_dist_embed(rows[2])  # type: ignore[no-any-return]

    @property
    def feed_forward(self) -> nn.ModuleDict:
        """The two linear layers, by their places in the official files."""
        net = self.ff["net"]
        assert isinstance(net, nn.ModuleDict)
        return net


class GraphAttention(nn.Module):
    """Self-attention inside each graph; row u of the bias says how much u looks at every v."""

    def __init__(self, hidden: int, heads: int, is_first: bool) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(hidden, 3 * hidden, bias=False)
        self.to_out = nn.ModuleDict({"0": nn.Linear(hidden, hidden)})
        if is_first:
            self.edge_embed = nn.ModuleDict({"embed": nn.Embedding(_DISTANCES, hidden)})
            self.proj_e = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.ReLU(), nn.Linear(hidden, heads))

    def forward(self, x: Tensor, biases: Sequence[Tensor]) -> Tensor:
        """Map ``(nodes, hidden)`` to the same shape."""
        # (3, heads, nodes, features)
        qkv = self.to_qkv(x).unflatten(1, (3, self.heads, -1)).permute(1, 2, 0, 3)
        parts = qkv.split([bias.shape[-1] for bias in biases], 2)
        mixed = []
        for (q, k, v), bias in zip(parts, biases, strict=True):
            scores = torch.baddbmm(bias, q, k.mT, alpha=q.shape[-1] ** -0.5)
            mixed.append(scores.softmax(-1) @ v)
        return self.to_out["0"](torch.cat(mixed, 1).transpose(0, 1).flatten(1))  # type: ignore[no-any-return]

    def bias(self, distances: NDArray[np.uint8]) -> Tensor:
        """The attention bias of one graph, ``(heads, n, n)``, from its directed distances.

        A pair is described by the distances there and back. In a graph without cycles one of
        the two is always missing, so few pairs differ: the perceptron runs once on each.
        """
        sides = int(distances.max()) + 1
        codes = distances.astype(np.int64) * sides + distances.T
        place = np.zeros(sides * sides, np.int64)
        place[codes] = 1
        pairs = np.flatnonzero(place)
        place[pairs] = np.arange(len(pairs))
        device = _weight(self.edge_embed["embed"]).device
        rows = torch.from_numpy(np.stack((pairs // sides, pairs % sides), 1) + _NO_EDGE).to(device)
        table = self.proj_e(self.edge_embed["embed"](rows).flatten(1))  # (pairs, heads)
        return F.embedding(torch.from_numpy(place[codes]).to(device), table).permute(2, 0, 1)


def _weight(layer: nn.Module) -> Tensor:
    """The matrix of a linear layer or a table."""
    assert isinstance(layer, nn.Linear | nn.Embedding)
    return layer.weight
