"""The gated GNN's sweeps in NumPy, for predictions: what takes microseconds should not pay for autograd.

A level holds few nodes, so its update is a dozen operations on tiny matrices, hundreds of
times. :class:`ghn_studio.ghn.encoders.GatedGnn` is the definition; equality is tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Cell:
    """The weights of a gated GNN, laid out for sweeps.

    The message to direct neighbours and the one along virtual edges are computed together:
    first layers side by side, second layers on the diagonal of one matrix.
    """

    first: Matrix
    first_bias: Matrix
    second: Matrix
    second_bias: Matrix
    input: Matrix
    input_bias: Matrix
    state: Matrix
    state_bias: Matrix
    kinds: int

    def send(self, level: Matrix) -> Matrix:
        """Messages of nodes ``(nodes, hidden)``, one row per node and kind."""
        inner = np.maximum(level @ self.first + self.first_bias, 0)
        both: Matrix = np.maximum(inner @ self.second + self.second_bias, 0)
        return both.reshape(-1, level.shape[1])


def cell_of(gru: nn.GRUCell, messages: tuple[nn.Sequential, ...]) -> _Cell:
    """Lay out the weights of a gated GNN with one or two kinds of messages."""
    firsts, seconds = ([_array(_linear(m, i).weight).T for m in messages] for i in (0, 2))
    inner, hidden = seconds[0].shape
    second = np.zeros((inner * len(messages), hidden * len(messages)), np.float32)
    for kind, matrix in enumerate(seconds):
        second[kind * inner:(kind + 1) * inner, kind * hidden:(kind + 1) * hidden] = matrix
    biases = [np.concatenate([_array(_linear(m, i).bias) for m in messages]) for i in (0, 2)]
    return _Cell(
        np.ascontiguousarray(np.concatenate(firsts, 1)), biases[0], second, biases[1],
        np.ascontiguousarray(_array(gru.weight_ih).T), _array(gru.bias_ih),
        np.ascontiguousarray(_array(gru.weight_hh).T), _array(gru.bias_hh), len(messages),
    )


def edge_weights(distances: NDArray[np.uint8], kinds: int) -> Matrix:
    """``(nodes, nodes * kinds)``: how much of each message of each node reaches a node.

    Direct neighbours count 1; with two kinds the second is 1 / distance along all paths.
    """
    weights = np.empty((*distances.T.shape, kinds), np.float32)
    np.equal(distances.T, 1, out=weights[..., 0], casting="unsafe")
    if kinds > 1:
        inverse = np.zeros(256, np.float32)
        inverse[1:] = 1 / np.arange(1, 256, dtype=np.float32)
        weights[..., 1] = inverse[distances.T]
    return weights.reshape(len(distances), -1)


def sweep(cell: _Cell, x: Matrix, bounds: tuple[int, ...], weights: Matrix) -> Matrix:
    """Update nodes in order, level by level; ``x`` is left as it was.

    Args:
        bounds: Where each level starts, and the end.
        weights: As :func:`edge_weights`, in the order of ``x``.
    """
    kinds, hidden = cell.kinds, x.shape[1]
    updated = np.empty_like(x)
    states = x @ cell.state + cell.state_bias
    # Nodes that are still to come have sent what they started with; only cycles look there.
    sent = cell.send(x)
    with np.errstate(over="ignore"):  # of gates that are shut
        for start, stop in pairwise(bounds):
            gates = (weights[start:stop] @ sent) @ cell.input + cell.input_bias
            state = states[start:stop]
            both = 1 / (1 + np.exp(-(gates[:, :2 * hidden] + state[:, :2 * hidden])))
            new = np.tanh(gates[:, 2 * hidden:] + both[:, :hidden] * state[:, 2 * hidden:])
            level = (new + both[:, hidden:] * (x[start:stop] - new)).astype(np.float32, copy=False)
            updated[start:stop] = level
            sent[start * kinds:stop * kinds] = cell.send(level)
    return updated


def _linear(layers: nn.Sequential, index: int) -> nn.Linear:
    layer = layers[index]
    assert isinstance(layer, nn.Linear)
    return layer


def _array(tensor: Tensor) -> Matrix:
    return tensor.detach().cpu().numpy()
