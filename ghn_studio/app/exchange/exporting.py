"""Writing a network to a file: weights, programs, source, projects, or a folder of them.

Equal networks and values give equal bytes, whatever the file is called: no file holds a
time, a path or a random name. A file is written whole or not at all.
"""

from __future__ import annotations

import hashlib
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
from ghn_studio.app.exchange import export_files
from ghn_studio.app.exchange.description import (
    FIGURES,
    PREPROCESSING,
    Figures,
    Preprocessing,
    known_figures,
    known_preprocessing,
)
from ghn_studio.app.exchange.export_files import Written
from ghn_studio.app.requests import OPSET, ExportRequest
from ghn_studio.app.results import ExportReport
from ghn_studio.datasets import portable_name
from ghn_studio.errors import CheckpointError, UsageError
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress, run
from ghn_studio.ops import REGISTRY
from ghn_studio.project import Content, Position, Project, dumps, replace_files, replace_folder, write

#: What an ending stands for, in words. A folder has none.
FORMATS: Mapping[str, str] = {
    ".pt": "PyTorch state dict",
    ".pt2": "PyTorch program that runs without source",
    ".safetensors": "safetensors",
    ".onnx": "ONNX model",
    ".py": "PyTorch source",
    ".ghn": "GHN Studio project with its values beside it",
    "": "Folder for the Hugging Face hub",
}

#: What the option ``format`` calls the endings.
ENDINGS: Mapping[str, str] = {"huggingface" if not e else e[1:]: e for e in FORMATS}


def export(request: ExportRequest, graph: Architecture | None) -> Job[ExportReport]:
    """Write ``graph`` with the values it brings along, or else with predicted ones.

    Raises:
        UsageError: The ending stands for no format, or the folder is not there.
        OnnxConversionError: An operator has no ONNX form in the operator set; named before anything is predicted.
        PredictionError: Values have to be predicted and the parts do not fit together.
    """
    from ghn_studio.app.fitting import fitted
    from ghn_studio.app.predicting import input_size, origin_of, predict_on, set_up

    assert graph is not None
    ending = check_target(request.to, request.format)
    graph = fitted(request, graph)
    if ending == ".onnx":
        _require_onnx_forms(graph, request.opset)
    if ending == ".py":
        return (yield from writing(request.to, graph, None, _known(request), format=request.format,
                                   describe=request.describe))
    if request.stored:
        yield Progress("reading values")
        found = stored_values(request.stored)
        if found is None:
            raise CheckpointError(f"'{request.stored}' brings no parameter values; leave --stored out to predict them")
        values, origin = found.tensors, found.origin
    else:
        bench = yield from set_up(request, size=input_size(graph))
        report = yield from predict_on(bench, graph, evaluate=False)
        values, origin = report.values, origin_of(report)
    yield Progress("exporting")
    return (yield from writing(request.to, graph, values, origin, format=request.format, opset=request.opset,
                               batch=request.batch, describe=request.describe))


def check_target(to: str, format: str = "auto") -> str:
    """Return the ending of an export's format, in small letters: that of the file, or that of ``format``.

    Raises:
        UsageError: No such format, no such folder, or no right to write there.
    """
    path = Path(to)
    ending = path.suffix.lower() if format == "auto" else ENDINGS[format]
    if ending not in FORMATS or (format == "auto" and not ending):
        found = f"'{path.suffix}'" if path.suffix else "no ending"
        known = ", ".join(e for e in FORMATS if e)
        raise UsageError(f"'{to}' has {found}: name a file that ends in {known}, or say what it is (--format)")
    if ending:
        check_folder(path)
    else:
        _check_model_folder(path)
    return ending


def check_folder(path: Path) -> None:
    """Raise :class:`UsageError` unless a file can be put at ``path``."""
    if path.is_dir():
        raise UsageError(f"'{path}' is a folder; name a file")
    _check_around(path)


def _check_around(path: Path) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise UsageError(f"there is no folder '{folder}' to write '{path.name}' into; make it first")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"'{folder}' does not let you write; choose another folder")


def _check_model_folder(path: Path) -> None:
    """Raise :class:`UsageError` unless a folder can be put there without anybody losing files."""
    from ghn_studio.app.exchange.model_folder import SETTINGS, is_model_folder

    _check_around(path)
    if path.exists() and not path.is_dir():
        raise UsageError(f"'{path}' is a file; name a folder")
    settings = path / SETTINGS
    ours = settings.is_file() and is_model_folder(settings.read_text("utf-8", errors="replace"))
    if path.is_dir() and any(path.iterdir()) and not ours:
        raise UsageError(f"'{path}' holds other files; name a new folder, or one an export has made")


def write_network(
    to: str | Path,
    graph: Architecture,
    values: Mapping[str, Any] | None,  # torch.Tensor; this room has no torch
    origin: Mapping[str, Any],
    layout: Mapping[Any, Position] | None = None,
) -> ExportReport:
    """:func:`writing` to its end, in the format its file's ending stands for."""
    return run(writing(to, graph, values, origin, layout))


def writing(
    to: str | Path,
    graph: Architecture,
    values: Mapping[str, Any] | None,  # torch.Tensor; this room has no torch
    origin: Mapping[str, Any],
    layout: Mapping[Any, Position] | None = None,
    *,
    format: str = "auto",
    opset: int = OPSET,
    batch: int | None = None,
    describe: bool = True,
) -> Job[ExportReport]:
    """Write a network.

    Args:
        values: Every tensor of the network by state-dict name, running statistics included. None for
            ``.py``, or for a project without values.
        origin: Where the values come from (``kind`` and more), plain JSON data; how images are prepared and
            how well the values did are told by ``app.description``.
        layout: Positions of the nodes, kept in a project.
        format: A key of :data:`ENDINGS`, or ``auto`` for what the file's ending says.
        opset: ONNX operator set.
        batch: Images an ONNX model takes at a time; None for any number.
        describe: Say how images are prepared and what the classes are called, where that is known.

    Raises:
        UsageError, ProjectError: The file cannot be written; what was there before is unharmed.
        CheckpointError: The values are not those of the network.
        OnnxConversionError: It has no ONNX form, or onnxruntime computes something else.
    """
    path = Path(to)
    ending = check_target(str(to), format)
    complete = _complete(graph, values) if values is not None and ending != ".py" else None
    if ending == ".ghn":
        write(path, Project(graph, layout or {}), complete, dict(origin) if complete is not None else None)
        return _report(path, ending, graph, complete, origin, Written(path.read_bytes()))
    if ending != ".py" and complete is None:
        raise CheckpointError(f"a {ending} file holds parameter values, and there are none yet: predict them first")
    written = yield from _contents(path, ending, graph, complete or {}, origin, opset, batch, describe)
    if isinstance(written.content, Mapping):
        replace_folder(path, written.content)
    else:
        beside = [(path.with_name(written.beside[0]), written.beside[1])] if written.beside is not None else []
        replace_files([*beside, (path, written.content)])
        if ending == ".onnx":
            _remove_older_data(path, written.beside[0] if written.beside is not None else "")
    return _report(path, ending, graph, complete, origin, written)


def metadata(
    graph: Architecture, origin: Mapping[str, Any], prepared: Preprocessing | None
) -> dict[str, str | int | float]:
    """What an exported file says about itself: plain texts and numbers, nothing that differs between equal runs.

    The preprocessing and the figures are texts of JSON.
    """
    told = {PREPROCESSING: prepared, FIGURES: known_figures(origin)}
    own = {k: v for k, v in origin.items() if k not in told}
    facts = {
        "version": __version__, "architecture": graph.name, "sha256": fingerprint(graph), **own, **_dataset(origin),
        **{k: v.to_json() for k, v in told.items() if v is not None},
    }
    plain = {
        k: v if isinstance(v, str | int | float) else json.dumps(v, sort_keys=True, ensure_ascii=False)
        for k, v in facts.items()
    }
    # Pickle writes a text once per object: only shared objects give equal bytes for equal texts.
    return {sys.intern(k): sys.intern(v) if isinstance(v, str) else v for k, v in plain.items()}


def _dataset(origin: Mapping[str, Any]) -> dict[str, str]:
    """The name of the dataset without the path of a folder on this machine."""
    return {"dataset": portable_name(str(origin["dataset"]))} if "dataset" in origin else {}


def fingerprint(graph: Architecture) -> str:
    """SHA-256 of the network as a project writes it, layout left out."""
    return hashlib.sha256(dumps(Project(graph)).encode()).hexdigest()


def _contents(
    path: Path, ending: str, graph: Architecture, values: Mapping[str, Any], origin: Mapping[str, Any], opset: int,
    batch: int | None, describe: bool,
) -> Job[Written]:
    """What goes into the file or folder."""
    prepared, figures = known_preprocessing(graph, origin) if describe else None, known_figures(origin)
    facts = metadata(graph, origin, prepared)
    if ending == ".py":
        yield Progress("writing source")
        return Written(export_files.source(graph, prepared, figures).encode())
    if ending == ".onnx":
        return (yield from export_files.onnx_model(graph, values, facts, path.stem, opset, batch))
    if ending == ".pt2":
        return (yield from export_files.program(graph, values, facts))
    if ending == ".safetensors":
        return Written(export_files.safetensors_bytes(values, facts))
    if ending == ".pt":
        return export_files.state_dict(graph, values, facts)
    return _folder(graph, values, facts, prepared, figures, origin)


def _folder(
    graph: Architecture, values: Mapping[str, Any], facts: export_files.Facts, prepared: Preprocessing | None,
    figures: Figures | None, origin: Mapping[str, Any],
) -> Written:
    from ghn_studio.app.exchange.model_folder import model_folder

    return model_folder(graph, values, facts, prepared, figures, _origin_text(origin))


def _known(request: ExportRequest) -> Mapping[str, Any]:
    """What source can say of a network's use: that of its stored values, or else the dataset it was exported for."""
    from ghn_studio.app.architectures import stored_origin

    return (stored_origin(request.stored) if request.stored else None) or {"dataset": request.dataset}


def _require_onnx_forms(graph: Architecture, opset: int) -> None:
    from ghn_studio import onnx_io

    onnx_io.require_forms(graph, opset=opset)


def _remove_older_data(path: Path, current: str) -> None:
    """Remove the parameters that only the model replaced just now referred to."""
    from ghn_studio.onnx_io import is_data_of

    for other in path.parent.iterdir():
        if other.name != current and is_data_of(other.name, path.stem):
            other.unlink(missing_ok=True)


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
    path: Path, ending: str, graph: Architecture, values: Mapping[str, Any] | None, origin: Mapping[str, Any],
    written: Written,
) -> ExportReport:
    size, digest = _measured(written)
    trainable = 0
    full = graph.expanded()
    shapes = require_shapes(full, REGISTRY)
    for node in (n for n in full.nodes.values() if n.shares is None):
        for weight in REGISTRY[node.op].weights(node.params, shapes.inputs[node.id]):
            trainable += prod(weight.shape) if weight.trainable else 0
    figures = known_figures(origin)
    return ExportReport(
        architecture=graph.name, file=str(path), format=FORMATS[ending], bytes=size,
        sha256=digest, tensors=len(values) if values is not None else 0,
        parameters=trainable, origin=_origin_text(origin) if values is not None else "",
        checked=written.checked, figures=figures.text if figures is not None else "",
    )


def _measured(written: Written) -> tuple[int, str]:
    """Bytes and SHA-256 of the file; of a folder those of all its files, by name."""
    if isinstance(written.content, Mapping):
        parts = {name: _measured(Written(data)) for name, data in sorted(written.content.items())}
        names = "".join(f"{digest}  {name}\n" for name, (_, digest) in parts.items())
        return sum(size for size, _ in parts.values()), hashlib.sha256(names.encode()).hexdigest()
    digest, size = hashlib.sha256(), 0
    for part in _parts(written.content):
        digest.update(part)
        size += len(part)
    beside = sum(len(part) for part in _parts(written.beside[1])) if written.beside is not None else 0
    return size + beside, digest.hexdigest()


def _parts(content: Content) -> tuple[bytes | memoryview, ...]:
    return (content,) if isinstance(content, bytes) else tuple(content)


def _origin_text(origin: Mapping[str, Any]) -> str:
    """``predicted by ghn2-digits, seed 0``."""
    kind = str(origin.get("kind", "unknown"))
    if origin.get("ghn"):
        kind += f" by {origin['ghn']}"
    if origin.get("head") == "closed-form":
        kind += f", {origin.get('label', 'head in closed form')}"
    return f"{kind}, seed {origin['seed']}" if "seed" in origin else kind
