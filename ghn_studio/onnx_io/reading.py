"""Read an ONNX file made of layers the registry knows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ghn_studio.errors import ArchitectureError, OnnxConversionError
from ghn_studio.ir.graph import Architecture, Group, Node, NodeId
from ghn_studio.lifting import LiftedWeight, LiftProblem, lift, realise
from ghn_studio.onnx_io.files import opset_of, parse, read_bytes
from ghn_studio.onnx_io.graphs import ImageSize, to_raw
from ghn_studio.onnx_io.tensors import TensorStore
from ghn_studio.onnx_io.writing import GROUPS_KEY, PRODUCER, SHARES_KEY, functions_of, with_exact_settings
from ghn_studio.ops import REGISTRY, OpRegistry
from ghn_studio.ops.binding import DOMAIN
from ghn_studio.ops.spec import Role

#: Weights that a file describes by one number each are made up to this many elements in all.
MAX_FILLED = 2**28


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file held.

    ``values`` are arrays by full name, all of them or, where the file
    stores no parameters, none. ``warnings`` are sentences to show. ``opaque`` names the nodes
    only their own runtime understands; this version refuses such files, so it is empty.
    """

    architecture: Architecture
    values: Mapping[str, np.ndarray]
    warnings: tuple[str, ...] = ()
    opaque: tuple[NodeId, ...] = ()


def read(
    path: Path | str,
    image_size: ImageSize = None,
    *,
    keep_filled: bool = False,
    ops: OpRegistry = REGISTRY,
) -> Imported:
    """Import an ONNX file. No code of it is run and no other file is read but external
    data inside its own folder.

    Args:
        path: The file.
        image_size: Height and width in pixels (or one number for both), where the file
            leaves them open.
        keep_filled: Also make the parameters of files that describe each by one number, as
            files without parameters do.
        ops: The registry to read with.

    Raises:
        OnnxConversionError: The file cannot be read, or nodes of it match no operator; the
            message names up to ten of them with the reasons.
    """
    path = Path(path)
    model = parse(read_bytes(path), path.name)
    store = TensorStore(path.parent)
    try:
        raw, warnings = to_raw(model, store, image_size, has_ids=model.producer_name == PRODUCER)
        lifted = lift(raw, ops)
        if lifted.problems:
            raise OnnxConversionError(_refusal(lifted.problems, len(raw.nodes)))
        nodes = _shared(model, lifted.nodes)
        graph = Architecture.build(nodes, _groups(model, warnings), model.graph.name or path.stem)
        values = _values(_owned(lifted.weights, nodes), store, keep_filled, warnings)
    except (ValueError, ArchitectureError, OnnxConversionError) as error:
        # Names in a file can have any length; a message is for reading.
        raise OnnxConversionError(f"'{path.name}' cannot be imported: {str(error)[:4000]}") from error
    warnings += [*_changed_functions(model, graph, ops), *_advice(graph, values)]
    return Imported(graph, values, tuple(warnings))


def _refusal(problems: Sequence[LiftProblem], total: int) -> str:
    """One message for all nodes that no operator takes."""
    kinds = ", ".join(f"{kind} × {count}" for kind, count in Counter(p.op_type for p in problems).most_common(8))
    lines = [f"  {p.op_type} '{p.node}': {p.reason}" for p in problems[:10]]
    if len(problems) > 10:
        lines.append(f"  … and {len(problems) - 10} more")
    return "\n".join([
        f"{len(problems)} of {total} nodes match no operator ({kinds})", *lines,
        "Files made of plain layers can be read so far (see `ghn-studio list operators`); what needs several nodes "
        "per layer has to wait for a later version.",
    ])


def _values(
    weights: Mapping[str, LiftedWeight], store: TensorStore, keep_filled: bool, warnings: list[str]
) -> dict[str, np.ndarray]:
    """The parameters as float32 arrays, tables of positions as int64; empty if the file stores none."""
    if not weights:
        return {}
    matrices = [w for w in weights.values() if w.spec.role is Role.WEIGHT]
    if matrices and all(w.recipe.is_filled for w in matrices) and not keep_filled:
        warnings.append("the file holds an architecture without parameters: predict, train or load them")
        return {}
    _refuse_huge_fills(weights)
    loaded: dict[str, np.ndarray] = {}

    def load(name: str) -> np.ndarray:
        if name not in loaded:
            loaded[name] = store.load(name)
        return loaded[name]

    values: dict[str, np.ndarray] = {}
    for name, weight in weights.items():
        values[name] = np.array(realise(weight.recipe, load), weight.spec.dtype, order="C")
    return values


def _refuse_huge_fills(weights: Mapping[str, LiftedWeight]) -> None:
    size = sum(prod(w.spec.shape) for w in weights.values() if w.recipe.is_filled)
    if size > MAX_FILLED:
        raise OnnxConversionError(f"it describes {size:,} parameters by rules; {MAX_FILLED:,} are made at most")


def _shared(model: onnx.ModelProto, nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes, with the owners of shared parameters that an export of ours names.

    Files of others are not asked: exporters store equal tensors once, shared or not.

    Raises:
        ValueError: The table of owners is damaged.
    """
    nodes = with_exact_settings(model, nodes)
    text = next((p.value for p in model.metadata_props if p.key == SHARES_KEY), None)
    if text is None or model.producer_name != PRODUCER:
        return tuple(nodes)
    owners = json.loads(text)
    if not isinstance(owners, dict) or not all(isinstance(owner, str) for owner in owners.values()):
        raise ValueError("the table of shared parameters is damaged")
    return tuple(replace(n, shares=NodeId(owners[n.id])) if n.id in owners else n for n in nodes)


def _owned(weights: Mapping[str, LiftedWeight], nodes: Sequence[Node]) -> dict[str, LiftedWeight]:
    """The weights without those of nodes that share another's."""
    shared = {n.id for n in nodes if n.shares is not None}
    return {
        name: weight for name, weight in weights.items()
        if not shared or name.removesuffix(weight.spec.name).removesuffix(".") not in shared
    }


def _groups(model: onnx.ModelProto, warnings: list[str]) -> list[Group]:
    """The groups an export of ours carries; malformed ones are reported and left out."""
    text = next((p.value for p in model.metadata_props if p.key == GROUPS_KEY), None)
    if text is None or model.producer_name != PRODUCER:
        return []
    try:
        groups = [Group(str(path), str(title), int(repeat)) for path, title, repeat in json.loads(text)]
    except (TypeError, ValueError, RecursionError):
        warnings.append("the groups in the file are damaged and were left out")
        return []
    # A model's nodes are written out: a repeat would copy them once more.
    return [Group(group.path, group.title) for group in groups]


def _changed_functions(model: onnx.ModelProto, graph: Architecture, ops: OpRegistry) -> list[str]:
    """A warning per function of ours whose body is not what this version would write."""
    mine = [f for f in model.functions if f.domain == DOMAIN]
    if not mine:
        return []
    try:
        known = {_body(f) for f in functions_of(graph, opset=opset_of(model) or 0, ops=ops)}
    except OnnxConversionError:
        known = set()  # this version would not write the network at all, so it cannot compare
    changed = sorted(f.name for f in mine if _body(f) not in known)
    return [
        f"the file defines '{name}' in another way than this version; the operator of that name was used"
        for name in changed
    ]


def _body(function: onnx.FunctionProto) -> tuple[Any, ...]:
    nodes = tuple(node.SerializeToString(deterministic=True) for node in function.node)
    return (function.name.partition("__")[0], tuple(function.input), tuple(function.output), nodes)


def _advice(graph: Architecture, values: Mapping[str, np.ndarray]) -> list[str]:
    """What a person should know about a network that was read."""
    found = []
    used = Counter(node.op for node in graph.nodes.values())
    if used["conv2d"] and not used["batch_norm"] and all(
        node.params.bias for node in graph.nodes.values() if node.op == "conv2d"
    ):
        found.append(
            "there is no BatchNorm in this file; if the model had it, its exporter folded it into the convolutions. "
            "To keep it, export with training=torch.onnx.TrainingMode.PRESERVE and do_constant_folding=False"
        )
    broken = [name for name, array in values.items() if not np.isfinite(array).all()]
    if broken:
        more = " …" if len(broken) > 5 else ""
        found.append(f"weights contain NaN or Inf in {', '.join(map(repr, broken[:5]))}{more}")
    negative = [name for name, array in values.items() if name.endswith(".running_var") and (array < 0).any()]
    if negative:
        found.append(f"variances below zero in {', '.join(map(repr, negative[:5]))}")
    return found
