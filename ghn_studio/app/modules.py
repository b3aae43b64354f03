"""Predicting the parameters of a PyTorch module in place. Torch is imported inside the functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ghn_studio.app.predicting import predict
from ghn_studio.app.requests import PredictRequest
from ghn_studio.app.results import PredictReport, Unpredicted
from ghn_studio.errors import UsageError
from ghn_studio.jobs import Job, Progress

if TYPE_CHECKING:
    from torch import nn

    from ghn_studio.torch_io import Traced


def predict_module(request: PredictRequest, module: nn.Module, example: object) -> Job[PredictReport]:
    """Predict every parameter of ``module`` and write them into it.

    What cannot be predicted keeps its value and is listed. Running statistics are written if
    they were estimated, which an evaluation does.

    Raises:
        UsageError: There is no example, or the module holds no data to write into.
        TorchConversionError: Some part of the module cannot be expressed.
        PredictionError: The network, the GHN and the dataset do not fit together.
    """
    from ghn_studio.torch_io import trace

    _check(module, example)
    yield Progress("tracing")
    traced = trace(module, example)
    report = yield from predict(request, traced.architecture, traced.values)
    _fill(module, traced, report.values)
    return _complete(report, module, traced)


def is_module(value: object) -> bool:
    """True for a ``torch.nn.Module``, without importing torch."""
    return any(f"{c.__module__}.{c.__qualname__}" == "torch.nn.modules.module.Module" for c in type(value).__mro__)


def _check(module: nn.Module, example: object) -> None:
    if example is None:
        raise UsageError(
            "a module needs an example of what it takes: predict(module, example=torch.zeros(1, 3, 32, 32))"
        )
    if any(p.is_meta for p in module.parameters()):
        raise UsageError("the module is on the meta device and holds no data; call module.to_empty(device='cpu') first")


def _fill(module: nn.Module, traced: Traced, values: Mapping[str, Any]) -> None:
    import torch

    from ghn_studio.torch_io import stored_tensors

    stored = stored_tensors(module)
    with torch.no_grad():
        for name, value in values.items():
            if name in traced.names:
                stored[traced.names[name]].copy_(value)


def _complete(report: PredictReport, module: nn.Module, traced: Traced) -> PredictReport:
    """The report with the module's own names and the parameters the network does not use."""
    shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}
    reason = "the result does not depend on it, and nothing in the network fits it"
    unused = tuple(Unpredicted(name, shapes[name], reason) for name in traced.unused)
    left = tuple(replace(u, name=traced.names.get(u.name, u.name)) for u in report.unpredicted)
    values = {traced.names.get(name, name): value for name, value in report.values.items()}
    return replace(report, parameters=sum(p.numel() for p in module.parameters()), unpredicted=(*left, *unused),
                   values=values)
