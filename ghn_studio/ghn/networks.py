"""The graph hypernetwork: embeds the nodes of a graph, updates them, decodes parameters.

The algorithm is that of GHN-2 (Knyazev et al., "Parameter Prediction for Unseen Deep
Architectures", NeurIPS 2021): sections 3 and 4 of the paper and its appendix B. Tensor
names follow the official checkpoints. Deliberate differences of our own hypernetworks
are in :class:`ghn_studio.ghn.config.GhnConfig`: kernels are cropped from the centre of the decoded grid, as in
GHN-3 (Knyazev et al., 2023), so that kernel sizes share their middle.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ghn_studio.ghn.config import GhnConfig
from ghn_studio.ghn.decoding import ClassHead, DecodeKey, decoder_for, key_of, linear_at
from ghn_studio.ghn.encoders import Graphormer, encoder_for
from ghn_studio.ghn.encoding import PRIMITIVE_INDEX, VOCABULARY, EncodedParameter, GraphEncoding
from ghn_studio.ghn.fitting import fit, squash, written

#: Numbers that are decoded at once for a prediction.
_LARGEST_GROUP = 1 << 23


def channel_table(classes: int) -> list[int]:
    """Channel counts with an embedding row of their own (parity specification, section 6)."""
    return sorted({1, 3, classes} | set(range(8, 57, 8)) | set(range(64, 4081, 16)) | set(range(4096, 8193, 32)))


def spatial_table(grid: int) -> list[int]:
    """Kernel extents with an embedding row of their own."""
    return sorted(set(range(1, max(12, grid), 2)) | {14, 16})


def nearest(table: Sequence[int], value: int) -> int:
    """Index of the entry nearest to ``value``; ties go to the smaller entry."""
    at = bisect_left(table, value)
    if at == 0:
        return 0
    if at == len(table):
        return at - 1
    return at if table[at] - value < value - table[at - 1] else at - 1


def shape_to_four(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Bring any parameter shape to ``(out, in, height, width)`` for embedding."""
    if len(shape) < 2:
        return (*shape, *(1,) * (4 - len(shape)))  # type: ignore[return-value]
    if len(shape) == 2:
        return (shape[0], shape[1], 1, 1)
    if len(shape) == 3:
        if shape[0] == 1 and min(shape[1:]) > 1:
            side = math.isqrt(shape[1])
            return (1, shape[2], side, side)
        return (shape[0], shape[1], shape[2], 1)
    return (shape[0], shape[1], shape[2], shape[3])


class ShapeEncoder(nn.Module):
    """Embeds a parameter's shape: two channel counts and two kernel extents."""

    def __init__(self, hidden: int, classes: int, grid: int) -> None:
        super().__init__()
        self._channels, self._extents = channel_table(classes), spatial_table(grid)
        self.embed_channel = nn.Embedding(len(self._channels) + 1, hidden // 4)
        self.embed_spatial = nn.Embedding(len(self._extents) + 1, hidden // 4)

    def rows(self, shape: tuple[int, ...] | None) -> tuple[int, int, int, int]:
        """Rows of the two tables for a shape; the last rows stand for "no shape"."""
        if shape is None:
            return (len(self._channels), len(self._channels), len(self._extents), len(self._extents))
        out, into, height, width = shape_to_four(shape)
        return (*map(self._channel, (out, into)), *map(self._extent, (height, width)))  # type: ignore[return-value]

    def forward(self, rows: Tensor) -> Tensor:
        """Map ``(nodes, 4)`` row numbers to ``(nodes, hidden)``."""
        return torch.cat((self.embed_channel(rows[:, :2]).flatten(1), self.embed_spatial(rows[:, 2:]).flatten(1)), 1)

    def _channel(self, count: int) -> int:
        return nearest(self._channels, 8 if 4 <= count <= 7 and count not in self._channels else count)

    def _extent(self, size: int) -> int:
        return nearest(self._extents, 3 if size == 2 else size)


@dataclass(frozen=True, slots=True)
class _Group:
    """Parameters that were decoded together.

    Attributes:
        items: Number of the network, row of the node and parameter.
        sources: ``(items, ...)``, one decoded tensor each.
    """

    key: DecodeKey
    items: list[tuple[int, int, EncodedParameter]]
    sources: Tensor


class Hypernetwork(nn.Module):
    """Predicts every parameter of a network in one pass."""

    def __init__(self, config: GhnConfig) -> None:
        super().__init__()
        self.config = config
        h, m = config.hidden, config.max_channels
        self.embed = nn.Embedding(len(VOCABULARY), h)
        self.shape_enc = ShapeEncoder(h, config.classes, config.grid)
        self.gnn = encoder_for(config)
        self.ln = nn.LayerNorm(h) if config.layer_norm else None
        self.decoder = decoder_for(config)
        self.decoder_1d = nn.ModuleDict({"fc": nn.Sequential(nn.Linear(h, 2 * h), nn.ReLU(), nn.Linear(2 * h, 2 * m))})
        self.bias_class = nn.Sequential(nn.ReLU(), nn.Linear(m, config.classes))

    @torch.no_grad()
    def initialise(self, seed: int) -> Hypernetwork:
        """Fill the parameters so that decoded weights start with unit variance; repeatable.

        Then a fresh hypernetwork already predicts networks at Kaiming scale.
        """
        generator = torch.Generator().manual_seed(seed)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                module.weight.normal_(0, math.sqrt(2 / module.in_features), generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.Embedding):
                module.weight.normal_(0, 1, generator=generator)
            elif isinstance(module, nn.GRUCell):
                for parameter in module.parameters():
                    bound = 1 / math.sqrt(module.hidden_size)
                    parameter.uniform_(-bound, bound, generator=generator)
        if isinstance(self.gnn, Graphormer):
            self.gnn.soften()
        for last in (self.decoder.last, linear_at(self.decoder_1d["fc"], 2)):
            last.weight.mul_(math.sqrt(0.5))  # no ReLU follows
        # Small first logits: a loss of log(classes), not one of confident nonsense.
        linear_at(self.decoder.class_layer_predictor, 1).weight.mul_(0.1)
        linear_at(self.bias_class, 1).weight.mul_(0.1)
        return self

    def classifier(self, node: str | None, start: int = 0, stop: int | None = None) -> ClassHead | None:
        """The classifier at a node, taking the class rows from ``start`` to ``stop``, by default all."""
        return None if node is None else ClassHead(node, start, self.config.classes if stop is None else stop)

    def embed_graphs(self, graphs: Sequence[GraphEncoding]) -> list[Tensor]:
        """Return the updated node vectors of each graph, ``(nodes, hidden)`` in its own order.

        Graphs do not influence each other, so neither does their order in the batch.
        """
        device = self.embed.weight.device
        primitives = [PRIMITIVE_INDEX[n.primitive] for g in graphs for n in g.nodes]
        rows = [self.shape_enc.rows(n.shape) for g in graphs for n in g.nodes]
        x = self.embed(torch.tensor(primitives, device=device)) + self.shape_enc(torch.tensor(rows, device=device))
        x = self.gnn(x, graphs)
        if self.ln is not None:
            x = self.ln(x)
        return list(x.split([len(g.nodes) for g in graphs]))

    def forward(
        self, graphs: Sequence[GraphEncoding], heads: Sequence[ClassHead | None] | None = None
    ) -> list[dict[str, Tensor]]:
        """Predict the parameters of several networks.

        Args:
            graphs: One encoding per network.
            heads: Each network's classifier; its weight and bias are decoded by the class
                decoder when they have as many outputs as the head has rows. None: no classifier.

        Returns:
            For each network a tensor per trainable parameter, by full name. Gradients
            flow back into the hypernetwork.
        """
        return self.decode(graphs, self.embed_graphs(graphs), heads)

    def decode(
        self, graphs: Sequence[GraphEncoding], vectors: Sequence[Tensor],
        heads: Sequence[ClassHead | None] | None = None,
    ) -> list[dict[str, Tensor]]:
        """Predict parameters, as :meth:`forward` does, from what :meth:`embed_graphs` returned."""
        results: list[dict[str, Tensor]] = [{} for _ in graphs]
        for group in self._decoded(graphs, vectors, heads or [None] * len(graphs)):
            for (index, _, parameter), source in zip(group.items, group.sources.unbind(0), strict=True):
                results[index][parameter.name] = fit(source, parameter, self.config.weight_norm)
        return results

    @torch.no_grad()
    def predict(
        self, graph: GraphEncoding, head: ClassHead | None = None, vectors: Tensor | None = None
    ) -> tuple[dict[str, Tensor], frozenset[str]]:
        """Predict the parameters of one network without gradients, for use rather than training.

        Args:
            head: Its classifier, as in :meth:`forward`.
            vectors: What :meth:`embed_graphs` returned for it; computed by default.

        Returns:
            A tensor with memory of its own per trainable parameter, by full name, on the
            hypernetwork's device; and the names of those that are not finite.
        """
        values: dict[str, Tensor] = {}
        names: list[str] = []
        finite: list[Tensor] = []
        vectors = self.embed_graphs([graph])[0] if vectors is None else vectors
        for group in self._decoded([graph], [vectors], [head]):
            sources, key = group.sources, group.key
            finite.append(sources.isfinite().flatten(1).all(1))
            if key.is_vector and self.config.weight_norm:
                sources = squash(sources, key.is_scale)  # all at once
            scaled = self.config.weight_norm and not key.is_vector
            for (_, _, parameter), source in zip(group.items, sources.unbind(0), strict=True):
                values[parameter.name] = written(source, parameter, scaled)
                names.append(parameter.name)
        flags = torch.cat(finite).tolist() if finite else []  # one transfer
        return values, frozenset(name for name, is_finite in zip(names, flags, strict=True) if not is_finite)

    def _decoded(
        self, graphs: Sequence[GraphEncoding], vectors: Sequence[Tensor], heads: Sequence[ClassHead | None]
    ) -> Iterator[_Group]:
        """What is decoded for the parameters of several networks, group by group."""
        wanted: dict[DecodeKey, list[tuple[int, int, EncodedParameter]]] = {}
        row = 0
        for index, (graph, head) in enumerate(zip(graphs, heads, strict=True)):
            for node in graph.nodes:
                for parameter in node.parameters:
                    key = key_of(parameter, head, self.config.max_channels)
                    wanted.setdefault(key, []).append((index, row, parameter))
                row += 1
        joined = torch.cat(list(vectors))
        for key, items in wanted.items():
            size = self._group_size(key)
            for part in (items[start:start + size] for start in range(0, len(items), size)):
                rows = torch.tensor([row for _, row, _ in part], device=joined.device)
                yield _Group(key, part, self._decode(key, joined[rows]))

    def _group_size(self, key: DecodeKey) -> int:
        """How many tensors of a key are decoded at once: all in training, a few dozen megabytes for use."""
        if torch.is_grad_enabled():
            return sys.maxsize
        one = self.config.max_channels * key.inputs * math.prod(key.kernel)
        return max(1, _LARGEST_GROUP // max(1, one))

    def _decode(self, key: DecodeKey, x: Tensor) -> Tensor:
        """Decode the vectors of one key, ``(items, hidden)``, to ``(items, ...)`` of one common size."""
        if key.kind == "class_weight":
            weight = self.decoder.class_weight(x)
            return weight if key.rows is None else weight[:, slice(*key.rows)]
        if key.kind == "weight":
            return self.decoder(x, key.kernel, key.inputs)  # type: ignore[no-any-return]
        rows = self.decoder_1d["fc"](x).unflatten(1, (2, -1))
        if key.is_class:
            rows = self.bias_class(rows)
        rows = rows[:, 0 if key.is_scale else 1]
        return rows if key.rows is None else rows[:, slice(*key.rows)]  # type: ignore[no-any-return]
