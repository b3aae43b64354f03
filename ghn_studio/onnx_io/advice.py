"""What a person should know about a network that was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from ghn_studio.ir.graph import Architecture

#: How to keep what exporters fold away.
_HINT = ("To keep it, export with training=torch.onnx.TrainingMode.PRESERVE and do_constant_folding=False "
         "(dynamo=False)")


def advice(graph: Architecture, values: Mapping[str, np.ndarray]) -> list[str]:
    """Sentences about norms that are missing and values that make no sense."""
    found = [*_about_norms(graph)]
    broken = [name for name, array in values.items() if not np.isfinite(array).all()]
    if broken:
        more = " …" if len(broken) > 5 else ""
        found.append(f"weights contain NaN or Inf in {', '.join(map(repr, broken[:5]))}{more}")
    negative = [name for name, array in values.items() if name.endswith(".running_var") and (array < 0).any()]
    if negative:
        found.append(f"variances below zero in {', '.join(map(repr, negative[:5]))}")
    return found


def _about_norms(graph: Architecture) -> list[str]:
    """BatchNorm that an exporter folded into convolutions, which get a bias by it."""
    used = Counter(node.op for node in graph.nodes.values())
    convolutions = [node for node in graph.nodes.values() if node.op == "conv2d"]
    biased = sum(node.params.bias for node in convolutions)
    if not biased or used["layer_norm"] > len(convolutions):
        return []  # networks that normalise another way
    if not used["batch_norm"] and biased == len(convolutions):
        return ["there is no BatchNorm in this file; if the model had it, its exporter folded it into the "
                f"convolutions. {_HINT}"]
    if used["batch_norm"] and 1 < biased < len(convolutions):
        return [f"{biased} of {len(convolutions)} convolutions have a bias and the others have none: the exporter may "
                f"have folded a part of the BatchNorm into them. {_HINT}"]
    return []
