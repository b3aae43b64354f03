"""The bytes of each export format. Torch and ONNX are imported by the formats that need them.

Every function gets a network and all of its tensors by state-dict name, in the network's order, and
the facts of :func:`ghn_studio.app.exchange.exporting.metadata`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ghn_studio.app.exchange.description import Figures, Preprocessing
from ghn_studio.errors import CheckpointError, OnnxConversionError
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import Category
from ghn_studio.project import Content, Project, dumps, tensors_to_bytes

if TYPE_CHECKING:
    import torch
    from torch import Tensor

#: Key of our entry in a state dict's ``_metadata``.
METADATA_KEY = "ghn_studio"

#: Name of our entry in an exported program, and beginning of the names of those in an ONNX model.
FACTS_FILE, PROPERTY = "ghn_studio.json", "ghn_studio."

#: An exported network may differ from ours by this much of the largest output, from rounding in many layers.
TOLERANCE = 1e-3

Facts = Mapping[str, str | int | float]


@dataclass(frozen=True, slots=True)
class Written:
    """What goes to disk: the file itself (or a folder's files by name), one beside it, and how it was checked."""

    content: Content | Mapping[str, Content]
    beside: tuple[str, Content] | None = None
    checked: str = ""


def state_dict(graph: Architecture, values: Mapping[str, Tensor], facts: Facts) -> Written:
    """The network's own state dict, loaded strictly into a module first, so that it is sure to fit."""
    import torch

    state = module_of(graph, values).state_dict()
    state._metadata[METADATA_KEY] = dict(facts)  # type: ignore[attr-defined]
    buffer = io.BytesIO()  # torch names the records after the file it is given; a buffer has no name
    torch.save(state, buffer)
    return Written(buffer.getvalue())


def safetensors_bytes(values: Mapping[str, Tensor], facts: Facts) -> bytes:
    """The tensors by name; the facts as texts, for the format knows nothing else."""
    return tensors_to_bytes(values, {k: str(v) for k, v in facts.items()})


def source(graph: Architecture, prepared: Preprocessing | None, figures: Figures | None, state_file: str = "") -> str:
    """PyTorch source. With ``state_file`` it says where its values are, and how well they did."""
    from ghn_studio.codegen import to_source

    return to_source(
        graph, state_file=state_file or None, preprocessing=prepared.to_json() if prepared is not None else None,
        remarks=(f"Measured: {figures.text}.",) if figures is not None else (),
    )


def program(graph: Architecture, values: Mapping[str, Tensor], facts: Facts) -> Job[Written]:
    """An exported program (``torch.export``): it runs in any PyTorch, without source, on any number of images.

    Raises:
        CheckpointError: What was written computes something else than the network, or it has nodes that only
            onnxruntime can run.
    """
    import torch

    foreign = [n.id for n in graph.nodes.values() if REGISTRY[n.op].category is Category.HIDDEN]
    if foreign:
        raise CheckpointError(
            f"'{foreign[0]}' of '{graph.name}' came from a file and is run by onnxruntime, which a PyTorch program "
            "cannot hold: export .py or .pt, which call onnxruntime, or replace the node by layers"
        )
    module, images = module_of(graph, values), seeded_images(graph)
    yield Progress("tracing the program")
    with torch.no_grad():
        exported = torch.export.export(
            module, (images,), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=False
        )
    for part in exported.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)  # paths of this machine
    buffer = io.BytesIO()
    torch.export.save(exported, buffer, extra_files={FACTS_FILE: _json(facts)})
    yield Progress("checking the program")
    again = torch.export.load(io.BytesIO(buffer.getvalue())).module()
    with torch.no_grad():
        found, expected = _several(again(images[:1])), _several(module(images[:1]))
    difference = _difference(found, expected)
    if not (difference <= TOLERANCE or _is_rounding(graph, values, images[:1], found, expected)):
        raise CheckpointError(f"the exported program of '{graph.name}' computes something else than the network "
                              f"(difference {difference:.2g} of the largest output); export to another format")
    return Written(buffer.getvalue(), checked=f"loaded and run, difference {_told(difference)}")


def onnx_model(
    graph: Architecture, values: Mapping[str, Tensor], facts: Facts, stem: str, opset: int,
    batch: int | None = None,
) -> Job[Written]:
    """An ONNX model with its parameters, beside it where they take more than the format holds.

    The metadata hold the facts and, as ``ghn_studio.project``, the network with all that ONNX has no
    place for: repeated groups, bypassed nodes, settings that only training needs.

    Raises:
        OnnxConversionError: An operator has no form in the operator set, or onnxruntime refuses the
            model or computes something else.
    """
    import torch

    from ghn_studio import onnx_io

    properties = {f"{PROPERTY}{k}": str(v) for k, v in facts.items()}
    properties[onnx_io.DRAWN_KEY] = dumps(Project(graph))
    arrays = {k: v.detach().cpu().numpy() for k, v in values.items()}
    files = onnx_io.export_files(graph, arrays, stem, opset=opset, properties=properties, batch=batch)
    runtime = onnx_io.runtime_name()
    checked = "passed onnx.checker; onnxruntime is not installed"
    if runtime:
        yield Progress("checking with onnxruntime")
        images = seeded_images(graph, batch or 2)
        with torch.no_grad():
            expected = _several(module_of(graph, values)(images))
        found = tuple(torch.from_numpy(f) for f in onnx_io.outputs_of(files, images.numpy()))
        difference = _difference(found, expected)
        if not (difference <= TOLERANCE or _is_rounding(graph, values, images, found, expected)):
            raise OnnxConversionError(f"onnxruntime computes something else for '{graph.name}' than the network "
                                      f"(difference {difference:.2g} of the largest output); nothing was written")
        checked = f"run by {runtime}, difference {_told(difference)}"
    beside = (files.data_name, files.data) if files.data_name else None
    return Written(files.model, beside, checked)


def module_of(graph: Architecture, values: Mapping[str, Tensor]) -> torch.nn.Module:
    """The network as a module in ``eval`` mode, with these values, on the processor."""
    from ghn_studio.engine.build import build

    module = build(graph)
    module.load_state_dict(dict(values), strict=True)
    return module.eval()


def seeded_images(graph: Architecture, count: int = 2) -> Tensor:
    """Images of normal noise, the same each time."""
    import torch

    shape = next(n.params for n in graph.nodes.values() if REGISTRY[n.op].takes_images)
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, shape.channels, shape.height, shape.width, generator=generator)


def _several(result: Any) -> tuple[Tensor, ...]:
    return tuple(result) if isinstance(result, tuple | list) else (result,)


def _difference(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> float:
    """The largest difference relative to the largest output; infinite where shapes differ.

    Outputs that are no finite numbers are not compared: a network may be exported before it is any good.
    """
    worst = 0.0
    for one, other in zip(found, expected, strict=True):
        if one.shape != other.shape:
            return float("inf")
        if not bool(other.isfinite().all()):
            continue
        gap = float((one - other).abs().nan_to_num(float("inf")).max())
        worst = max(worst, gap / max(float(other.abs().max()), 1e-12))
    return worst


def _is_rounding(
    graph: Architecture, values: Mapping[str, Tensor], images: Tensor, found: tuple[Tensor, ...],
    expected: tuple[Tensor, ...],
) -> bool:
    """True if the network's own float32 result is as far from its result in float64 as what was found.

    Deep networks without estimated statistics amplify rounding until nothing but it is left.
    """
    import torch

    try:
        with torch.no_grad():
            precise = _several(module_of(graph, values).double()(images.double()))
    except RuntimeError:  # a layer that computes in float32 whatever it is given
        return False
    own = _difference(tuple(e.double() for e in expected), precise)
    return own > TOLERANCE / 10 and _difference(tuple(f.double() for f in found), precise) <= 10 * own


def _told(difference: float) -> str:
    return f"{difference:.1e}" + (" (rounding, which this network amplifies)" if difference > TOLERANCE else "")


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
