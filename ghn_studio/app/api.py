"""The calls that ``import ghn_studio`` offers, made of tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.modules import is_module, predict_module
from ghn_studio.app.requests import PredictRequest
from ghn_studio.app.results import PredictReport
from ghn_studio.app.tasks import task
from ghn_studio.errors import UsageError
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Progress, run
from ghn_studio.ops.spec import form_of
from ghn_studio.project import Project

if TYPE_CHECKING:
    from torch import nn


def predict(
    architecture: str | Path | Architecture | Project | nn.Module,
    ghn: str | Path,
    example: object,
    on_progress: Callable[[Progress], None] | None,
    options: Mapping[str, Any],
) -> PredictReport:
    """See :func:`ghn_studio.predict`."""
    known = [line.name for line in form_of(PredictRequest) if line.name != "ghn"]
    unknown = [name for name in options if name not in known]
    if unknown:
        raise UsageError(f"predict takes no option '{unknown[0]}'; it takes {', '.join(known)}")
    if is_module(architecture):
        request = PredictRequest(ghn=str(ghn), **{"evaluate": False, **options})
        task("predict").check(request)
        job = predict_module(request, architecture, example)  # type: ignore[arg-type]
    else:
        request = PredictRequest(ghn=str(ghn), **options)
        job = task("predict").start(request, _network(architecture, request))  # type: ignore[arg-type]
    return run(job, on_progress) if on_progress else run(job)


def _network(given: str | Path | Architecture | Project, request: PredictRequest) -> Architecture:
    if isinstance(given, Architecture):
        return given
    if isinstance(given, Project):
        return given.architecture
    return open_architecture(str(given), task("predict").wish(request)).architecture
