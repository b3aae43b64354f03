"""Predicting every parameter of one network, with a report of what was left out and why."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from ghn_studio.engine.execution import Plan
from ghn_studio.engine.initial import kaiming
from ghn_studio.ghn.encoding import encode
from ghn_studio.ghn.networks import Hypernetwork


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
    """

    values: dict[str, Tensor]
    predicted: tuple[str, ...]
    unpredicted: tuple[tuple[str, tuple[int, ...], str], ...]
    graph_seconds: float
    predict_seconds: float
    vectors: Tensor


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
    encoding = encode(plan.graph, plan.ops, plan.report)
    encoded = time.perf_counter()
    vectors = ghn.embed_graphs([encoding])
    raw = ghn.decode([encoding], vectors, [ghn.classifier(plan.head, *(rows or ()))])[0]
    device = ghn.embed.weight.device
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    predicted_at = time.perf_counter()
    values: dict[str, Tensor] = {}
    predicted: list[str] = []
    unpredicted: list[tuple[str, tuple[int, ...], str]] = []
    fallback: dict[str, Tensor] | None = None
    for weight in plan.parameters:
        if not weight.trainable:
            continue
        tensor = raw.get(weight.name)
        if tensor is not None and bool(torch.isfinite(tensor).all()):
            # Decoded tensors share memory, with their axes in another order.
            values[weight.name] = tensor.clone(memory_format=torch.contiguous_format)
            predicted.append(weight.name)
            continue
        fallback = fallback if fallback is not None else kaiming(plan, seed)
        values[weight.name] = fallback[weight.name].to(device)
        reason = "the operator names no primitive for it" if tensor is None else "the prediction is not finite"
        unpredicted.append((weight.name, weight.shape, reason))
    return Prediction(
        values, tuple(predicted), tuple(unpredicted), encoded - start, predicted_at - encoded, vectors[0]
    )
