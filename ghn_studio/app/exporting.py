"""Writing a network to a file: ``.pt``, ``.safetensors``, ``.ghn`` and ``.py``.

Equal networks and values give equal bytes, whatever the file is called: no file holds a
time, a path or a random name. A file is written whole or not at all.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from ghn_studio import __version__
from ghn_studio.analysis.shapes import require_shapes
from ghn_studio.app.architectures import stored_values
from ghn_studio.app.requests import ExportRequest
from ghn_studio.app.results import ExportReport
from ghn_studio.errors import CheckpointError, UsageError
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress
from ghn_studio.ops import REGISTRY
from ghn_studio.project import Position, Project, dumps, replace_file, tensors_to_bytes, write

#: What an ending stands for, in words.
FORMATS: Mapping[str, str] = {
    ".pt": "PyTorch state dict",
    ".safetensors": "safetensors",
    ".ghn": "GHN Studio project with its values beside it",
    ".py": "PyTorch source",
}

#: Key of our entry in a state dict's ``_metadata``.
METADATA_KEY = "ghn_studio"


def export(request: ExportRequest, graph: Architecture | None) -> Job[ExportReport]:
    """Write ``graph`` with the values it brings along, or else with predicted ones.

    Raises:
        UsageError: The ending stands for no format, or the folder is not there.
        PredictionError: Values have to be predicted and the parts do not fit together.
    """
    from ghn_studio.app.fitting import fitted
    from ghn_studio.app.predicting import input_size, origin_of, predict_on, set_up

    assert graph is not None
    ending = check_target(request.to)
    graph = fitted(request, graph)
    if ending == ".py":
        yield Progress("writing source")
        return write_network(request.to, graph, None, {})
    if request.stored:
        yield Progress("reading values")
        found = stored_values(request.stored)
        if found is None:
            raise CheckpointError(f"'{request.stored}' brings no parameter values; leave --stored out to predict them")
        return write_network(request.to, graph, found.tensors, found.origin)
    bench = yield from set_up(request, size=input_size(graph))
    report = yield from predict_on(bench, graph, evaluate=False)
    yield Progress("exporting")
    return write_network(request.to, graph, report.values, origin_of(report))


def check_target(to: str) -> str:
    """Return the ending of an export's file, in small letters.

    Raises:
        UsageError: No such format, no such folder, or no right to write there.
    """
    path = Path(to)
    ending = path.suffix.lower()
    if ending not in FORMATS:
        found = f"'{path.suffix}'" if path.suffix else "no ending"
        raise UsageError(f"'{to}' has {found}: name a file that ends in {', '.join(FORMATS)}")
    check_folder(path)
    return ending


def check_folder(path: Path) -> None:
    """Raise :class:`UsageError` unless a file can be put at ``path``."""
    folder = path.parent
    if not folder.is_dir():
        raise UsageError(f"there is no folder '{folder}' to write '{path.name}' into; make it first")
    if path.is_dir():
        raise UsageError(f"'{path}' is a folder; name a file")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"'{folder}' does not let you write; choose another folder")


def write_network(
    to: str | Path,
    graph: Architecture,
    values: Mapping[str, Any] | None,  # torch.Tensor; this room has no torch
    origin: Mapping[str, Any],
    layout: Mapping[Any, Position] | None = None,
) -> ExportReport:
    """Write a network in the format its file's ending stands for.

    Args:
        values: Every tensor of the network by state-dict name, running statistics included. None for
            ``.py``, or for a project without values.
        origin: Where the values come from (``kind`` and more), plain JSON data.
        layout: Positions of the nodes, kept in a project.

    Raises:
        UsageError, ProjectError: The file cannot be written; what was there before is unharmed.
        CheckpointError: The values are not those of the network.
    """
    path = Path(to)
    ending = check_target(str(to))
    complete = _complete(graph, values) if values is not None and ending != ".py" else None
    if ending == ".ghn":
        project = Project(graph, layout or {})
        write(path, project, complete, dict(origin) if complete is not None else None)
    else:
        replace_file(path, _bytes(ending, graph, complete, origin))
    return _report(path, ending, graph, complete, origin)


def metadata(graph: Architecture, origin: Mapping[str, Any]) -> dict[str, str | int | float]:
    """What an exported file says about itself: plain texts and numbers, nothing that differs between equal runs."""
    facts = {"version": __version__, "architecture": graph.name, "sha256": fingerprint(graph), **origin}
    plain = {k: v if isinstance(v, str | int | float) else json.dumps(v, sort_keys=True) for k, v in facts.items()}
    # Pickle writes a text once per object: only shared objects give equal bytes for equal texts.
    return {sys.intern(k): sys.intern(v) if isinstance(v, str) else v for k, v in plain.items()}


def fingerprint(graph: Architecture) -> str:
    """SHA-256 of the network as a project writes it, layout left out."""
    return hashlib.sha256(dumps(Project(graph)).encode()).hexdigest()


def _bytes(ending: str, graph: Architecture, values: Mapping[str, Any] | None, origin: Mapping[str, Any]) -> bytes:
    if ending == ".py":
        from ghn_studio.codegen import to_source

        return to_source(graph).encode("utf-8")
    if values is None:
        raise CheckpointError(f"a {ending} file holds parameter values, and there are none yet: predict them first")
    if ending == ".safetensors":
        return tensors_to_bytes(values, {k: str(v) for k, v in metadata(graph, origin).items()})
    return _state_dict_bytes(graph, values, origin)


def _state_dict_bytes(graph: Architecture, values: Mapping[str, Any], origin: Mapping[str, Any]) -> bytes:
    """The network's own state dict, loaded strictly into a module first, so that it is sure to fit."""
    import torch

    from ghn_studio.engine.build import build

    module = build(graph)
    module.load_state_dict(dict(values), strict=True)
    state = module.state_dict()
    state._metadata[METADATA_KEY] = metadata(graph, origin)  # type: ignore[attr-defined]
    buffer = io.BytesIO()  # torch names the records after the file it is given; a buffer has no name
    torch.save(state, buffer)
    return buffer.getvalue()


def _complete(graph: Architecture, values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` in the network's order, with the tables that operators make from their settings.

    Raises:
        CheckpointError: They are not exactly the network's tensors. Running statistics count:
            without them the exported network would be another one in ``eval`` mode.
    """
    from ghn_studio.engine.execution import Plan, initial_value

    wanted = {w.name: w for w in Plan(graph).parameters}
    tables = {n: w.spec.initial for n, w in wanted.items() if not w.trainable and w.spec.initial is not None}
    values = {**{n: initial_value(call) for n, call in tables.items()}, **values}
    missing = [n for n in wanted if n not in values]
    unknown = [n for n in values if n not in wanted]
    wrong = [n for n, w in wanted.items() if n in values and tuple(values[n].shape) != w.shape]
    for names, problem in ((missing, "are missing"), (unknown, "belong to no node"), (wrong, "have another shape")):
        if names:
            shown = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
            raise CheckpointError(
                f"the values are not those of '{graph.name}': {len(names)} {problem} ({shown}); "
                "predict and evaluate it first"
            )
    return {n: values[n] for n in wanted}


def _report(
    path: Path, ending: str, graph: Architecture, values: Mapping[str, Any] | None, origin: Mapping[str, Any]
) -> ExportReport:
    data = path.read_bytes()
    trainable = 0
    full = graph.expanded()
    shapes = require_shapes(full, REGISTRY)
    for node in (n for n in full.nodes.values() if n.shares is None):
        for weight in REGISTRY[node.op].weights(node.params, shapes.inputs[node.id]):
            trainable += prod(weight.shape) if weight.trainable else 0
    return ExportReport(
        architecture=graph.name, file=str(path), format=FORMATS[ending], bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(), tensors=len(values) if values is not None else 0,
        parameters=trainable, origin=_origin_text(origin) if values is not None else "",
    )


def _origin_text(origin: Mapping[str, Any]) -> str:
    """``predicted by ghn2-digits, seed 0``."""
    kind = str(origin.get("kind", "unknown"))
    if origin.get("ghn"):
        kind += f" by {origin['ghn']}"
    if origin.get("head") == "closed-form":
        kind += f", {origin.get('label', 'head in closed form')}"
    return f"{kind}, seed {origin['seed']}" if "seed" in origin else kind
