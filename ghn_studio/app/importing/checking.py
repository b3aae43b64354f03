"""Comparing an imported network with what onnxruntime computed, and undoing what changed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ghn_studio.analysis.shapes import infer_shapes
from ghn_studio.app.importing.process import Answer
from ghn_studio.errors import GhnStudioError
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import full_name

if TYPE_CHECKING:
    import numpy as np

    from ghn_studio.lifting.joining import Rejoined

#: Differences up to this are rounding.
TOLERANCE = 1e-4


def checked(
    graph: Architecture, values: Mapping[str, np.ndarray], answer: Answer
) -> Job[tuple[Rejoined, float | None, list[str]]]:
    """The network joined to layers, its relative error, and what to say. Imports torch.

    Every rule is applied; if the result then differs, each rule is left out in turn, and at last all of them.
    """
    from ghn_studio.lifting.joining import rejoin, rule_names

    given = values or _filled(graph, answer.said["fills"])
    images, wanted = answer.arrays["images"], answer.arrays["result"]
    everything = rejoin(graph, REGISTRY, given)
    yield Progress("comparing")
    error, why = _error(everything, given, images, wanted)
    yield Progress("comparing")
    if error is None or error <= TOLERANCE:
        return everything, error, [why] if why else []
    plain = rejoin(graph, REGISTRY, given, rule_names())
    base, _ = _error(plain, given, images, wanted)
    if base is None or base >= error / 2:
        return everything, error, []  # joining is not to blame
    for name in rule_names():
        yield Progress(f"comparing without '{name}'")
        fewer = rejoin(graph, REGISTRY, given, {name})
        found, _ = _error(fewer, given, images, wanted)
        if found is not None and found <= max(TOLERANCE, 2 * base):
            return fewer, found, [f"layers of the kind '{name}' changed the result and were left taken apart"]
    return plain, base, ["recognising layers changed the result, so all of them were left taken apart"]


def _error(
    joined: Rejoined, values: Mapping[str, np.ndarray], images: np.ndarray, wanted: np.ndarray
) -> tuple[float | None, str]:
    """The largest difference over the largest value; None, with the reason, if the network cannot be run."""
    import numpy as np
    import torch

    from ghn_studio.engine.execution import Plan

    try:
        plan = Plan(joined.graph)
        tensors = {k: torch.from_numpy(v) for k, v in joined.values(values, REGISTRY).items()}
        with torch.inference_mode():
            result = plan.run(torch.from_numpy(images), tensors).numpy()
    except (GhnStudioError, RuntimeError) as error:
        return None, f"the network could not be run to compare it: {str(error)[:300]}"
    if result.size != wanted.size:
        return float("inf"), ""
    if not np.isfinite(wanted).all():
        return None, "the file's own result is not finite, so it could not be compared"
    difference = np.abs(result.reshape(wanted.shape) - wanted).max(initial=0.0)
    return float(difference / max(float(np.abs(wanted).max(initial=0.0)), 1e-30)), ""


def _filled(graph: Architecture, fills: Mapping[str, float | list[float]]) -> dict[str, np.ndarray]:
    """Tensors that a file describes by one number each."""
    import numpy as np

    report = infer_shapes(graph, REGISTRY)
    found = {}
    for node in graph.nodes.values():
        inputs = report.inputs.get(node.id)
        for weight in () if inputs is None else REGISTRY[node.op].weights(node.params, inputs):
            name = full_name(node.id, weight.name)
            if name in fills:
                given = np.asarray(fills[name], weight.dtype)
                shaped = given.reshape(weight.shape) if given.ndim else np.broadcast_to(given, weight.shape)
                found[name] = np.array(shaped)
    return found
