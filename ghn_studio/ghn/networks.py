"""The graph hypernetwork: embeds the nodes of a graph, updates them, decodes parameters.

The algorithm is that of GHN-2 (Knyazev et al., "Parameter Prediction for Unseen Deep
Architectures", NeurIPS 2021): sections 3 and 4 of the paper and its appendix B. Tensor
names follow the official checkpoints. Deliberate differences of our own hypernetworks
are in :class:`GhnConfig`: kernels are cropped from the centre of the decoded grid, as in
GHN-3 (Knyazev et al., 2023), so that kernel sizes share their middle.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ghn_studio.ghn.encoding import PRIMITIVE_INDEX, VOCABULARY, EncodedParameter, GraphEncoding
from ghn_studio.ghn.fitting import as_map, fit
from ghn_studio.ops.spec import Role

#: Largest sizes a card may ask for; several times those of the largest published hypernetwork.
_LARGEST = {"hidden": 4096, "max_channels": 2048, "grid": 64, "classes": 100_000}
_WIDEST_DECODER = 16384


@dataclass(frozen=True, slots=True)
class GhnConfig:
    """Sizes and conventions of a hypernetwork; stored on its card.

    Attributes:
        hidden: Width of the node vectors.
        max_channels: Side of the decoded weight matrix; wider layers repeat it.
        grid: Side of the decoded kernel grid in pixels; smaller kernels are its centre.
        decoder: Widths of the two hidden layers of the weight decoder.
        classes: Outputs of the predicted classifier.
        virtual_edges: Also pass messages along shortest paths of up to 50 edges.
        layer_norm: Normalise node vectors before decoding.
        weight_norm: Scale decoded tensors by their fan-in (appendix B.3).
        crop: ``centre`` (GHN-3 and ours) or ``corner`` (GHN-2).

    Raises:
        ValueError: A size is out of range; the sentence names it.
    """

    hidden: int = 64
    max_channels: int = 32
    grid: int = 11
    decoder: tuple[int, int] = (128, 128)
    classes: int = 10
    virtual_edges: bool = True
    layer_norm: bool = True
    weight_norm: bool = True
    crop: str = "centre"

    def __post_init__(self) -> None:
        """Refuse sizes that no hypernetwork has: a card comes from a file."""
        sizes = {name: (getattr(self, name), most) for name, most in _LARGEST.items()}
        sizes |= {f"decoder[{i}]": (width, _WIDEST_DECODER) for i, width in enumerate(self.decoder)}
        for name, (value, most) in sizes.items():
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise ValueError(f"{name} must be a whole number from 1 to {most}, not {value!r}")
        if self.hidden % 4 or len(self.decoder) != 2:
            raise ValueError(f"hidden must be a multiple of 4, decoder two widths, not {self.hidden}, {self.decoder}")
        for name in ("virtual_edges", "layer_norm", "weight_norm"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, not {getattr(self, name)!r}")
        if self.crop not in ("centre", "corner"):
            raise ValueError(f"crop must be centre or corner, not {self.crop!r}")

    def to_json(self) -> dict[str, Any]:
        """A JSON object that :meth:`from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GhnConfig:
        """Read what :meth:`to_json` wrote.

        Raises:
            TypeError, KeyError, ValueError: There is an unknown or missing key, or a value out of range.
        """
        return cls(**{**data, "decoder": tuple(data["decoder"])})


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
    if len(shape) == 1:
        return (shape[0], 1, 1, 1)
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

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        """Map ``(nodes, hidden)`` vectors in the batch's order to updated ones."""
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


class Hypernetwork(nn.Module):
    """Predicts every parameter of a network in one pass."""

    def __init__(self, config: GhnConfig) -> None:
        super().__init__()
        self.config = config
        h, m = config.hidden, config.max_channels
        self.embed = nn.Embedding(len(VOCABULARY), h)
        self.shape_enc = ShapeEncoder(h, config.classes, config.grid)
        self.gnn = GatedGnn(h, config.virtual_edges)
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
                module.bias.zero_()
            elif isinstance(module, nn.Embedding):
                module.weight.normal_(0, 1, generator=generator)
            elif isinstance(module, nn.GRUCell):
                for parameter in module.parameters():
                    bound = 1 / math.sqrt(module.hidden_size)
                    parameter.uniform_(-bound, bound, generator=generator)
        for layers in (self.decoder.conv, self.decoder_1d["fc"]):
            _linear(layers, 2).weight.mul_(math.sqrt(0.5))  # no ReLU follows
        # Small first logits: a loss of log(classes), not one of confident nonsense.
        _linear(self.decoder.class_layer_predictor, 1).weight.mul_(0.1)
        _linear(self.bias_class, 1).weight.mul_(0.1)
        return self

    def embed_graphs(self, graphs: Sequence[GraphEncoding]) -> list[Tensor]:
        """Return the updated node vectors of each graph, ``(nodes, hidden)`` in its own order.

        Graphs do not influence each other, so neither does their order in the batch.
        """
        device = self.embed.weight.device
        primitives = [PRIMITIVE_INDEX[n.primitive] for g in graphs for n in g.nodes]
        rows = [self.shape_enc.rows(n.shape) for g in graphs for n in g.nodes]
        x = self.embed(torch.tensor(primitives, device=device)) + self.shape_enc(torch.tensor(rows, device=device))
        batch = collate(graphs, device)
        updated = self.gnn(x[batch.order], batch)
        x = torch.empty_like(updated).index_copy(0, batch.order, updated)
        if self.ln is not None:
            x = self.ln(x)
        return list(x.split([len(g.nodes) for g in graphs]))

    def forward(
        self, graphs: Sequence[GraphEncoding], heads: Sequence[str | None] | None = None
    ) -> list[dict[str, Tensor]]:
        """Predict the parameters of several networks.

        Args:
            graphs: One encoding per network.
            heads: Node id of each network's classifier; its weight and bias are decoded by
                the class decoder when their size is that of ``config.classes``. None: no classifier.

        Returns:
            For each network a tensor per trainable parameter, by full name. Gradients
            flow back into the hypernetwork.
        """
        return self.decode(graphs, self.embed_graphs(graphs), heads)

    def decode(
        self, graphs: Sequence[GraphEncoding], vectors: Sequence[Tensor], heads: Sequence[str | None] | None = None
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
                results[index][parameter.name] = fit(source, parameter, self.config.weight_norm)
        return results

    def _key(self, parameter: EncodedParameter, head: str | None) -> _DecodeKey:
        shape, role = parameter.shape, parameter.role
        is_class = head is not None and parameter.name.rpartition(".")[0] == head and shape[0] == self.config.classes
        if role is Role.WEIGHT:
            if is_class and len(shape) == 2:
                return _DecodeKey("class_weight")
            kernel = _kernel(shape)
            return _DecodeKey("weight", kernel, 1 if shape[1] == 1 else self.config.max_channels)
        if role is Role.POSITION:
            return _DecodeKey("position", _kernel(as_map(shape)))
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


def _kernel(shape: tuple[int, ...]) -> tuple[int, int]:
    return (shape[2] if len(shape) > 2 else 1, shape[3] if len(shape) > 3 else 1)
