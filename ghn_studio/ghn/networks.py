"""The graph hypernetwork: embeds the nodes of a graph, updates them, decodes parameters.

The algorithm is that of GHN-2 (Knyazev et al., "Parameter Prediction for Unseen Deep
Architectures", NeurIPS 2021): sections 3 and 4 of the paper and its appendix B. Tensor
names follow the official checkpoints. Deliberate differences of our own hypernetworks
are in :class:`ghn_studio.ghn.config.GhnConfig`: kernels are cropped from the centre of the decoded grid, as in
GHN-3 (Knyazev et al., 2023), so that kernel sizes share their middle.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ghn_studio.ghn.config import GhnConfig
from ghn_studio.ghn.encoders import Graphormer, encoder_for
from ghn_studio.ghn.encoding import PRIMITIVE_INDEX, VOCABULARY, EncodedParameter, GraphEncoding
from ghn_studio.ghn.fitting import as_map, as_tokens, fit
from ghn_studio.ops.spec import Role


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


def _linear(layers: nn.Module, index: int) -> nn.Linear:
    """The linear layer at a place in a sequence."""
    assert isinstance(layers, nn.Sequential)
    layer = layers[index]
    assert isinstance(layer, nn.Linear)
    return layer


class WeightDecoder(nn.Module):
    """Decodes node vectors into weights of up to ``channels`` × ``channels`` × kernel (GHN-2, appendix B.2)."""

    def __init__(self, config: GhnConfig) -> None:
        super().__init__()
        self.channels, self.grid, self.crop = config.max_channels, config.grid, config.crop
        first, second = config.decoder
        self.fc = nn.Sequential(nn.Linear(config.hidden, first * config.grid**2), nn.ReLU())
        self.conv = nn.Sequential(nn.Linear(first, second), nn.ReLU(), nn.Linear(second, self.channels**2))
        self.class_layer_predictor = nn.Sequential(nn.ReLU(), nn.Linear(self.channels, config.classes))
        self._first = first

    def forward(self, x: Tensor, kernel: tuple[int, int], inputs: int) -> Tensor:
        """Map ``(nodes, hidden)`` to ``(nodes, channels, inputs, *kernel)``, ``inputs`` at most ``channels``."""
        rows, columns = (self._window(k) for k in kernel)
        pixels = self._pixels(x, rows, columns)
        hidden = self.conv[1](self.conv[0](pixels))
        last = _linear(self.conv, 2)
        weight = last.weight.view(self.channels, self.channels, -1)[:, :inputs].flatten(0, 1)
        bias = last.bias.view(self.channels, self.channels)[:, :inputs].flatten()
        decoded: Tensor = F.linear(hidden, weight, bias)  # (nodes, rows, columns, channels * inputs)
        decoded = decoded.unflatten(-1, (self.channels, inputs)).permute(0, 3, 4, 1, 2)
        if decoded.shape[-2:] == kernel:
            return decoded
        flat = F.interpolate(decoded.flatten(1, 2), kernel, mode="bilinear", align_corners=False)
        resized: Tensor = flat.unflatten(1, (self.channels, inputs))
        return resized

    def class_weight(self, x: Tensor) -> Tensor:
        """Map ``(nodes, hidden)`` to classifier weights ``(nodes, classes, channels)``."""
        square = self(x, (1, 1), self.channels)[..., 0, 0]  # (nodes, out, in)
        return self.class_layer_predictor(square.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]

    def _window(self, size: int) -> slice:
        if size > self.grid:
            return slice(0, self.grid)
        start = 0 if self.crop == "corner" else self.grid // 2 - size // 2
        return slice(start, start + size)

    def _pixels(self, x: Tensor, rows: slice, columns: slice) -> Tensor:
        """Only the pixels that are used are decoded: ``(nodes, rows, columns, first)``."""
        fc = _linear(self.fc, 0)
        grid = (self._first, self.grid, self.grid)
        weight = fc.weight.view(*grid, -1)[:, rows, columns].permute(1, 2, 0, 3)
        bias = fc.bias.view(grid)[:, rows, columns].permute(1, 2, 0)
        out: Tensor = F.linear(x, weight.flatten(0, 2), bias.flatten()).relu().unflatten(-1, bias.shape)
        return out


@dataclass(frozen=True, slots=True)
class ClassHead:
    """A network's classifier: its node, and which of the hypernetwork's class rows it takes.

    A hypernetwork for several tasks has the rows of all of them, one task after the other.
    """

    node: str
    start: int
    stop: int


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
        self.decoder = WeightDecoder(config)
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
        for layers in (self.decoder.conv, self.decoder_1d["fc"]):
            _linear(layers, 2).weight.mul_(math.sqrt(0.5))  # no ReLU follows
        # Small first logits: a loss of log(classes), not one of confident nonsense.
        _linear(self.decoder.class_layer_predictor, 1).weight.mul_(0.1)
        _linear(self.bias_class, 1).weight.mul_(0.1)
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
        heads = heads if heads is not None else [None] * len(graphs)
        wanted: dict[_DecodeKey, list[tuple[int, Tensor, EncodedParameter]]] = {}
        for index, (graph, rows, head) in enumerate(zip(graphs, vectors, heads, strict=True)):
            for node, row in zip(graph.nodes, rows.unbind(0), strict=True):
                for parameter in node.parameters:
                    key = self._key(parameter, head)
                    wanted.setdefault(key, []).append((index, row, parameter))
        results: list[dict[str, Tensor]] = [{} for _ in graphs]
        for key, items in wanted.items():
            decoded = self._decode(key, torch.stack([row for _, row, _ in items]))
            for (index, _, parameter), source in zip(items, decoded.unbind(0), strict=True):
                head = heads[index]
                if key.is_class and head is not None:
                    source = source[head.start:head.stop]
                results[index][parameter.name] = fit(source, parameter, self.config.weight_norm)
        return results

    def _key(self, parameter: EncodedParameter, head: ClassHead | None) -> _DecodeKey:
        shape, role = parameter.shape, parameter.role
        is_class = (
            head is not None and parameter.name.rpartition(".")[0] == head.node
            and shape[0] == head.stop - head.start
        )
        if role in (Role.WEIGHT, Role.TRANSPOSED):
            if is_class and len(shape) == 2:
                return _DecodeKey("class_weight")
            inputs = shape[0 if role is Role.TRANSPOSED else 1]
            return _DecodeKey("weight", _kernel(shape), 1 if inputs == 1 else self.config.max_channels)
        if role in (Role.POSITION, Role.TABLE):
            return _DecodeKey("position", _kernel(as_map(shape if role is Role.POSITION else as_tokens(shape))))
        if role is Role.BIAS and is_class:
            return _DecodeKey("class_bias")
        return _DecodeKey("scale" if role is Role.SCALE else "bias")

    def _decode(self, key: _DecodeKey, x: Tensor) -> Tensor:
        """Decode the vectors of one key, ``(items, hidden)``, to ``(items, ...)`` of one common size."""
        if key.kind == "class_weight":
            return self.decoder.class_weight(x)
        if key.kind in ("weight", "position"):
            return self.decoder(x, key.kernel, key.inputs or self.config.max_channels)  # type: ignore[no-any-return]
        rows = self.decoder_1d["fc"](x).unflatten(1, (2, -1))
        if key.kind == "class_bias":
            return self.bias_class(rows)[:, 1]  # type: ignore[no-any-return]
        return rows[:, 0 if key.kind == "scale" else 1]  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class _DecodeKey:
    """Parameters with equal keys are decoded in one call."""

    kind: str
    kernel: tuple[int, int] = (1, 1)
    inputs: int = 0

    @property
    def is_class(self) -> bool:
        """True for the tensors of a classifier."""
        return self.kind.startswith("class")


def _kernel(shape: tuple[int, ...]) -> tuple[int, int]:
    return (shape[2] if len(shape) > 2 else 1, shape[3] if len(shape) > 3 else 1)
