"""Predicting every parameter of one network, with a report of what was left out and why."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from ghn_studio.engine.execution import Plan
from ghn_studio.engine.initial import initial_tensor
from ghn_studio.ghn.graphs import graph_for
from ghn_studio.ghn.networks import Hypernetwork

_BROKEN = "the prediction is not finite"


@dataclass(frozen=True, slots=True)
class Prediction:
    """Parameters of a network and where they came from.

    Attributes:
        values: Every trainable parameter by full name, on the hypernetwork's device;
            those in ``unpredicted`` at their random start.
        predicted: Names of the predicted tensors.
        unpredicted: ``(name, shape, reason)`` of the rest.
        graph_seconds: Time to encode the network as a graph.
        predict_seconds: Time of the hypernetwork itself.
        vectors: The network's node vectors, ``(nodes, hidden)``, that its parameters were decoded from.
        graph_mode: The graph it read: ``semantic``, or as the official code makes it (``ppuda``, ``ghn3``).
        graph_note: Why that is not the one its card names; empty if it is.
    """

    values: dict[str, Tensor]
    predicted: tuple[str, ...]
    unpredicted: tuple[tuple[str, tuple[int, ...], str], ...]
    graph_seconds: float
    predict_seconds: float
    vectors: Tensor
    graph_mode: str = "semantic"
    graph_note: str = ""


# Not inference mode: its tensors could never be trained further.
@torch.no_grad()
def predict_parameters(
    ghn: Hypernetwork, plan: Plan, seed: int = 0, rows: tuple[int, int] | None = None
) -> Prediction:
    """Predict all parameters of a network; ``seed`` fills what cannot be predicted.

    ``rows`` says where the class rows for the network's dataset start and stop, by default all.
    A tensor whose prediction is not finite counts as not predicted.
    """
    start = time.perf_counter()
    chosen = graph_for(ghn.config.graph, plan)
    encoded = time.perf_counter()
    head = ghn.classifier(plan.head, *(rows or ())) if chosen.mode == "semantic" else None
    vectors = ghn.embed_graphs([chosen.graph])[0]
    values, broken = ghn.predict(chosen.graph, head, vectors)
    predicted_at = time.perf_counter()
    values = {name: value for name, value in values.items() if name not in broken}
    unpredicted = []
    for weight in plan.parameters:
        if weight.trainable and weight.name not in values:
            values[weight.name] = initial_tensor(weight, seed).to(ghn.embed.weight.device)
            unpredicted.append((weight.name, weight.shape, _BROKEN if weight.name in broken else chosen.left_out))
    left = {name for name, _, _ in unpredicted}
    return Prediction(
        {w.name: values[w.name] for w in plan.parameters if w.trainable},
        tuple(w.name for w in plan.parameters if w.trainable and w.name not in left),
        tuple(unpredicted), encoded - start, predicted_at - encoded, vectors, chosen.mode, chosen.note,
    )
