"""The task that gives a network the weights of a file, after a table of what fits."""

from __future__ import annotations

from pathlib import Path

from ghn_studio.app.exchange.exporting import check_folder
from ghn_studio.app.exchange.weights import Fit, WeightsTable, completed, match, read_state
from ghn_studio.app.requests import LoadWeightsRequest
from ghn_studio.app.results import LoadWeightsReport
from ghn_studio.errors import CheckpointError, UsageError
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress
from ghn_studio.project import Project, write


def load_weights(request: LoadWeightsRequest, graph: Architecture | None) -> Job[LoadWeightsReport]:
    """Compare, and write a project with the values if a target is given and all of them fit.

    Raises:
        UsageError: The target is no ``.ghn`` file, or its folder is not there.
        CheckpointError: The file cannot be read, or does not fit; nothing was written.
    """
    assert graph is not None
    if request.to:
        if Path(request.to).suffix.lower() != ".ghn":
            raise UsageError(f"'{request.to}' must end in .ghn")
        check_folder(Path(request.to))
    yield Progress("reading weights")
    state = read_state(request.weights)
    table = match(graph, state, request.section or None)
    if request.to:
        _require_fit(request, table, graph.name)
        yield Progress("writing")
        origin = {"kind": "imported", "file": state.name}
        write(request.to, Project(graph), completed(graph, table, request.seed), origin)
    counts = {fit: tuple(e.text for e in table.of(fit)) for fit in Fit}
    return LoadWeightsReport(
        architecture=graph.name, file=request.weights, section=table.section, prefix=table.prefix,
        matched=len(counts[Fit.MATCHED]), tensors=sum(e.expected is not None for e in table.entries),
        missing=counts[Fit.MISSING], unexpected=counts[Fit.UNEXPECTED], misshaped=counts[Fit.MISSHAPED],
        not_finite=table.not_finite, notes=table.notes, written=request.to,
    )


def _require_fit(request: LoadWeightsRequest, table: WeightsTable, name: str) -> None:
    matched, missing, misshaped = (table.of(fit) for fit in (Fit.MATCHED, Fit.MISSING, Fit.MISSHAPED))
    if not matched:
        raise CheckpointError(f"'{table.file}' has no tensor of '{name}'; open the network it belongs to")
    if not table.is_complete and not request.partial:
        shown = [e.text for e in (*misshaped, *missing)]
        raise CheckpointError(
            f"'{table.file}' does not fit '{name}': {len(misshaped)} tensors have another shape, {len(missing)} are "
            f"missing ({'; '.join(shown[:5])}{'; …' if len(shown) > 5 else ''}); nothing was written. Open the network "
            "it belongs to, or take what fits (--partial)"
        )
    if table.not_finite and not request.not_finite:
        more = " …" if len(table.not_finite) > 5 else ""
        raise CheckpointError(
            f"'{table.file}' holds NaN or infinity in {', '.join(table.not_finite[:5])}{more}; nothing was written. "
            "Get other weights, or take them as they are (--not-finite)"
        )
