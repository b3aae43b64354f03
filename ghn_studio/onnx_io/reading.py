"""Read an ONNX file made of layers the registry knows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ghn_studio.errors import ArchitectureError, MissingDataError, OnnxConversionError
from ghn_studio.ir.graph import Architecture, Group, Node, NodeId
from ghn_studio.lifting import LiftedWeight, LiftProblem, RawGraph, lift, realise
from ghn_studio.lifting.names import clean
from ghn_studio.onnx_io.advice import advice
from ghn_studio.onnx_io.constants import computer
from ghn_studio.onnx_io.files import opset_of, parse, read_bytes
from ghn_studio.onnx_io.foreign import OPAQUE, keeper
from ghn_studio.onnx_io.functions import without_branches, without_functions
from ghn_studio.onnx_io.graphs import ImageSize, leaves_size_open, to_raw
from ghn_studio.onnx_io.running import Sample, sample
from ghn_studio.onnx_io.tensors import TensorStore
from ghn_studio.onnx_io.writing import DRAWN_KEY, GROUPS_KEY, PRODUCER, SHARES_KEY, functions_of, with_exact_settings
from ghn_studio.ops import REGISTRY, OpRegistry
from ghn_studio.ops.binding import DOMAIN
from ghn_studio.ops.spec import Role

#: Where torch's exporter names the classes of the modules around a node.
NAMESPACE_KEY = "namespace"
#: How those begin that only hold others, such as ``Sequential``.
CONTAINERS = "torch.nn.modules.container."

#: Weights that a file describes by one number each are made up to this many elements in all.
MAX_FILLED = 2**28


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file held.

    ``values`` are arrays by full name, all of them or, where the file stores no parameters, none.
    ``warnings`` are sentences to show. ``opaque`` names the nodes only their own runtime understands, and
    those nothing here can run. ``fills`` are parameters that the file describes by one number each, and small
    ones it stores all the same. ``sample`` is what onnxruntime makes of the file, if that was asked for;
    ``unsampled`` says why there is none. ``is_ours`` says that GHN Studio wrote the file; then
    ``drawn`` is the text of the project it was made from, as far as the file carries one. ``operations`` counts
    the file's nodes, functions written out; ``is_size_open`` says that it takes images of any size.
    """

    architecture: Architecture
    values: Mapping[str, np.ndarray]
    warnings: tuple[str, ...] = ()
    opaque: tuple[NodeId, ...] = ()
    fills: Mapping[str, float | list[float]] = field(default_factory=dict)
    sample: Sample | None = None
    unsampled: str = ""
    is_ours: bool = False
    operations: int = 0
    is_size_open: bool = False
    drawn: str = ""


def read(
    path: Path | str,
    image_size: ImageSize = None,
    *,
    keep_filled: bool = False,
    keep_foreign: bool = False,
    run: bool = False,
    output: str = "",
    default_size: int | None = None,
    with_weights: bool = True,
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
        keep_foreign: Keep nodes that no operator takes, for onnxruntime to run; without it
            they are an error.
        run: Let onnxruntime run the file on one seeded batch, to compare with.
        output: The output that holds the class scores, where there are several; the first by default.
        default_size: Height and width where the file leaves them open and none is given.
        with_weights: Read the parameters too; without, their data need not be there, and nothing is run.
        ops: The registry to read with.

    Raises:
        MissingDataError: Its weights lie in a file that is not there.
        OnnxConversionError: The file cannot be read, or nodes of it match no operator; the
            message names up to ten of them with the reasons.
    """
    path = Path(path)
    model = parse(read_bytes(path), path.name)
    store = TensorStore(path.parent)
    is_ours = model.producer_name == PRODUCER
    try:
        model = model if is_ours else without_branches(without_functions(model))
        raw, warnings = to_raw(model, store, image_size, has_ids=is_ours, output=output, default_size=default_size)
        load = store.load if with_weights else _what_is_there(store)
        lifted = lift(raw, ops, load, keeper(model, ops) if keep_foreign else None, computer(model))
        if lifted.problems:
            raise OnnxConversionError(_refusal(lifted.problems, len(raw.nodes)))
        nodes = _shared(model, lifted.nodes)
        weights = _owned(lifted.weights, nodes)
        values = _values(weights, lifted.computed, store, keep_filled, warnings) if with_weights else {}
        graph = Architecture.build(nodes, _groups(model, nodes, warnings), model.graph.name or path.stem)
        reference, unsampled = _run(model, store, raw, graph) if run and with_weights else (None, "")
    except (ValueError, ArchitectureError, OnnxConversionError) as error:
        # Names in a file can have any length; a message is for reading.
        kind = MissingDataError if isinstance(error, MissingDataError) else OnnxConversionError
        raise kind(f"'{path.name}' cannot be imported: {str(error)[:4000]}") from error
    if not with_weights and weights:
        warnings.append("only the layers were read, as asked: predict, train or load the parameters")
    warnings += [*_changed_functions(model, graph, ops), *advice(graph, values)]
    opaque = tuple(n.id for n in nodes if n.op == OPAQUE)
    fills = {} if values or not with_weights else _fills(weights, lifted.computed, store)
    return Imported(graph, values, tuple(dict.fromkeys(warnings)), opaque, fills, reference, unsampled, is_ours,
                    len(raw.nodes), leaves_size_open(model), _drawn(model) if is_ours else "")


def _what_is_there(store: TensorStore) -> Callable[[str], np.ndarray]:
    """Loads tensors for constants; those whose data are missing are constants nobody knows."""
    def load(name: str) -> np.ndarray:
        try:
            return store.load(name)
        except MissingDataError as error:
            raise ValueError(str(error)) from error

    return load


def asks_for_size(path: Path) -> bool:
    """True if a file can be parsed and leaves the size of its images open."""
    try:
        return leaves_size_open(parse(read_bytes(path), path.name))
    except OnnxConversionError:
        return False


def _run(
    model: onnx.ModelProto, store: TensorStore, raw: RawGraph, graph: Architecture
) -> tuple[Sample | None, str]:
    """What onnxruntime makes of the file, or why it cannot be run."""
    entry = next(n.params for n in graph.nodes.values() if n.op == "input")
    shape = (entry.channels, entry.height, entry.width)
    try:
        return sample(model, store, raw.inputs[0].name, shape, raw.batch, raw.outputs[0]), ""
    except ValueError as error:
        return None, str(error)


def _refusal(problems: Sequence[LiftProblem], total: int) -> str:
    """One message for all nodes that no operator takes."""
    kinds = ", ".join(f"{kind} × {count}" for kind, count in Counter(p.op_type for p in problems).most_common(8))
    lines = [f"  {p.op_type} '{p.node}': {p.reason}" for p in problems[:10]]
    if len(problems) > 10:
        lines.append(f"  … and {len(problems) - 10} more")
    return "\n".join([
        f"{len(problems)} of {total} nodes match no operator ({kinds})", *lines,
        "`ghn-studio list operators` shows what can be said in layers. Check the model these nodes come from, or "
        "export it in another way: opset 17 or later, a fixed image size, evaluation mode.",
    ])


def _values(
    weights: Mapping[str, LiftedWeight], computed: Mapping[str, np.ndarray], store: TensorStore, keep_filled: bool,
    warnings: list[str],
) -> dict[str, np.ndarray]:
    """The parameters as float32 arrays, tables of positions as int64; empty if the file stores none."""
    if not weights:
        return {}
    matrices = [w for w in weights.values() if w.spec.role is Role.WEIGHT]
    if matrices and all(w.recipe.is_filled for w in matrices) and not keep_filled:
        warnings.append("the file holds an architecture without parameters: predict, train or load them")
        return {}
    _refuse_huge_fills(weights)
    loaded: dict[str, np.ndarray] = dict(computed)

    def load(name: str) -> np.ndarray:
        if name not in loaded:
            loaded[name] = store.load(name)
        return loaded[name]

    values: dict[str, np.ndarray] = {}
    for name, weight in weights.items():
        values[name] = np.array(realise(weight.recipe, load), weight.spec.dtype, order="C")
    return values


def _fills(
    weights: Mapping[str, LiftedWeight], computed: Mapping[str, np.ndarray], store: TensorStore
) -> dict[str, float | list[float]]:
    """What a file without parameters says of them: a number, or the values of small ones."""
    found: dict[str, float | list[float]] = {}
    for name, weight in weights.items():
        if weight.recipe.is_filled:
            found[name] = weight.recipe.fill
        elif prod(weight.spec.shape) <= 2**16:
            array = realise(weight.recipe, lambda n: computed[n] if n in computed else store.load(n))
            found[name] = array.astype(float).ravel().tolist()
    return found


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


def _groups(model: onnx.ModelProto, nodes: Sequence[Node], warnings: list[str]) -> list[Group]:
    """The groups an export of ours carries, malformed ones reported and left out; for files of others, the
    modules that node names tell of."""
    if model.producer_name != PRODUCER:
        return _modules(model, nodes)
    text = next((p.value for p in model.metadata_props if p.key == GROUPS_KEY), None)
    if text is None:
        return []
    try:
        groups = [Group(str(path), str(title), int(repeat)) for path, title, repeat in json.loads(text)]
    except (TypeError, ValueError, RecursionError):
        warnings.append("the groups in the file are damaged and were left out")
        return []
    # A model's nodes are written out: a repeat would copy them once more.
    return [Group(group.path, group.title) for group in groups]


def _drawn(model: onnx.ModelProto) -> str:
    return next((p.value for p in model.metadata_props if p.key == DRAWN_KEY), "")


def _modules(model: onnx.ModelProto, nodes: Sequence[Node]) -> list[Group]:
    """A block for every path that holds nodes, with the class of the module where the exporter names it.

    A mere container has no name besides its path.
    """
    classes: dict[str, str] = {}
    for proto in model.graph.node:
        space = next((p.value for p in proto.metadata_props if p.key == NAMESPACE_KEY), "")
        for part in space.split("/")[1:-1]:
            path, found, name = part.partition(": ")
            if found and not name.startswith(CONTAINERS):
                classes[clean(path)] = name.rpartition(".")[2][:60]
    paths: dict[str, None] = {}
    for node in nodes:
        parts = node.id.split(".")
        paths.update(dict.fromkeys(".".join(parts[:i]) for i in range(1, len(parts))))
    return [Group(path, classes.get(path, "")) for path in paths]


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
