"""From protobuf to the neutral raw graph, with every check that needs no operator."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, numpy_helper

from ghn_studio.errors import OnnxConversionError
from ghn_studio.ir.tensors import BATCH
from ghn_studio.lifting import RawGraph, RawInput, RawNode, RawTensor, ordered
from ghn_studio.lifting.lift import QUANTISING
from ghn_studio.onnx_io.files import opset_of
from ghn_studio.onnx_io.tensors import TYPES, TensorStore
from ghn_studio.ops.binding import tidy

ImageSize = int | tuple[int, int] | None

#: Where torch's exporter says in which modules a node was.
SCOPES_KEY = "pkg.torch.onnx.name_scopes"

_REAL = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
_CONSTANT_NUMBERS = {"value_float": "float32", "value_floats": "float32", "value_int": "int64", "value_ints": "int64"}


def to_raw(
    model: onnx.ModelProto, store: TensorStore, image_size: ImageSize, *, has_ids: bool, output: str = "",
    default_size: int | None = None,
) -> tuple[RawGraph, list[str]]:
    """The raw graph of a model, and warnings.

    Raises:
        OnnxConversionError: A tensor makes no sense, or the model does not take one batch of
            images and give tensors.
    """
    graph = model.graph
    warnings: list[str] = []
    if not graph.node:
        raise OnnxConversionError("it has no layers")
    tensors = _initialisers(graph, store, warnings)
    nodes: list[RawNode] = []
    for proto in graph.node:
        constant = _constant(proto, store, tensors)
        if constant is None:
            nodes.append(_node(proto, store))
        else:
            tensors[constant.name] = replace(constant, is_learned=False)
    outputs = _outputs(graph, output, has_ids, warnings)
    entry, batch = _input(model, tensors, outputs, (image_size, default_size), warnings)
    _say_precision(tensors.values(), graph, warnings)
    if any(n.op_type in QUANTISING for n in nodes):
        warnings.append("the file computes with whole numbers (quantised); the network computes with real ones, so its "
                        "results differ a little")
    raw = RawGraph(
        (entry,), outputs, tuple(nodes), tensors,
        opset_of(model) or 0, batch, has_ids,
    )
    if any(isinstance(n, bytes) for p in graph.node for n in (p.name, *p.input, *p.output)):
        warnings.append("names that are no UTF-8 text were cleaned")
    if any(a is not b for a, b in zip(ordered(raw), raw.nodes, strict=True)):
        warnings.append("the nodes were not in the order of computation; they were sorted")
    return raw, warnings


def leaves_size_open(model: onnx.ModelProto) -> bool:
    """True if the height or width of a model's images is no number."""
    stored = {tensor.name for tensor in model.graph.initializer}
    shapes = [e.type.tensor_type.shape.dim for e in model.graph.input if e.name not in stored]
    return any(len(dims) == 4 and any(d.dim_value < 1 for d in dims[2:]) for dims in map(list, shapes))


def text(value: str | bytes) -> str:
    """A name of the file; bytes that are no UTF-8 become replacement characters."""
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _initialisers(graph: onnx.GraphProto, store: TensorStore, warnings: list[str]) -> dict[str, RawTensor]:
    if graph.sparse_initializer:
        raise OnnxConversionError("it holds sparse tensors, which cannot be read")
    tensors: dict[str, RawTensor] = {}
    for proto in graph.initializer:
        name = text(proto.name)
        if name in tensors:
            raise OnnxConversionError(f"two stored tensors are called '{name}'")
        if proto.data_type in TYPES or proto.data_type not in TensorProto.DataType.values():
            tensors[name] = store.add(proto, name)
        else:
            kind = TensorProto.DataType.Name(proto.data_type).lower()
            tensors[name] = RawTensor(name, tuple(proto.dims), kind)
            store.leave_out(name, kind)
            warnings.append(f"the tensor '{name}' of type {kind} was ignored")
    return tensors


def _constant(proto: onnx.NodeProto, store: TensorStore, tensors: dict[str, RawTensor]) -> RawTensor | None:
    """The tensor of a ``Constant`` node; None for other nodes and for texts."""
    if proto.op_type != "Constant" or proto.domain not in ("", "ai.onnx") or len(proto.output) != 1:
        return None
    if len(proto.attribute) != 1:
        raise OnnxConversionError(f"Constant '{text(proto.output[0])}' needs one value, has {len(proto.attribute)}")
    name, attribute = text(proto.output[0]), proto.attribute[0]
    if name in tensors:
        raise OnnxConversionError(f"two values are called '{name}'")
    if attribute.name == "value":
        return store.add(attribute.t, name) if attribute.t.data_type in TYPES else None
    if attribute.name in _CONSTANT_NUMBERS:
        numbers = np.asarray(_attribute(attribute, store), _CONSTANT_NUMBERS[attribute.name])
        return store.add(numpy_helper.from_array(numbers), name)
    if attribute.name == "sparse_value":
        raise OnnxConversionError(f"Constant '{name}' is a sparse tensor, which cannot be read")
    return None


def _node(proto: onnx.NodeProto, store: TensorStore) -> RawNode:
    attrs = {text(a.name): _attribute(a, store) for a in proto.attribute}
    if proto.op_type in ("Cast", "CastLike") and attrs.get("to") in TYPES:
        attrs["to"] = TYPES[attrs["to"]][0]
    domain = "" if proto.domain == "ai.onnx" else text(proto.domain)
    inputs, outputs = tuple(map(text, proto.input)), tuple(map(text, proto.output))
    return RawNode(text(proto.op_type), inputs, outputs, attrs, _name(proto), domain)


def _name(proto: onnx.NodeProto) -> str:
    """The node's name, in front of it the modules it was in if the exporter says so beside the name."""
    scopes = next((p.value for p in proto.metadata_props if p.key == SCOPES_KEY), "")
    try:
        path = ast.literal_eval(scopes) if len(scopes) < 4096 else None
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        path = None
    if isinstance(path, list) and len(path) > 1 and all(isinstance(part, str) for part in path):
        return "/".join(["", *path[1:-1], text(proto.op_type)])
    return text(proto.name)


def _attribute(proto: AttributeProto, store: TensorStore) -> Any:
    """An attribute as a plain value; subgraphs, which no operator has, as None."""
    if proto.type == AttributeProto.FLOAT:
        return tidy(proto.f)
    if proto.type == AttributeProto.INT:
        return int(proto.i)
    if proto.type == AttributeProto.STRING:
        return text(proto.s)
    if proto.type == AttributeProto.FLOATS:
        return tuple(tidy(v) for v in proto.floats)
    if proto.type == AttributeProto.INTS:
        return tuple(int(v) for v in proto.ints)
    if proto.type == AttributeProto.STRINGS:
        return tuple(text(v) for v in proto.strings)
    if proto.type == AttributeProto.TENSOR and proto.t.data_type in TYPES:
        return store.add(proto.t, f"attribute '{text(proto.name)}'")
    return None


def _input(
    model: onnx.ModelProto, tensors: dict[str, RawTensor], outputs: tuple[str, ...],
    sizes: tuple[ImageSize, int | None], warnings: list[str],
) -> tuple[RawInput, int | None]:
    """The image input with its size settled, and the batch size if the file fixes one.

    Raises:
        OnnxConversionError: There is not exactly one input, or it is no batch of images.
    """
    graph = model.graph
    stored = [text(i.name) for i in graph.input if text(i.name) in tensors]
    if stored and model.ir_version >= 4:
        warnings.append(f"{_listed(stored)}: a stored tensor is also an input; it was read as a weight")
    used = _leading_to(graph, outputs)
    entries = [i for i in graph.input if text(i.name) not in tensors and text(i.name) in used]
    if not entries:  # an unused one may be read inside a subgraph
        entries = [i for i in graph.input if text(i.name) not in tensors]
    if not entries:
        why = f": {_listed(stored)} is also stored, which makes it a weight" if stored else ""
        raise OnnxConversionError(f"it has no image input, so it cannot be a classifier{why}")
    if len(entries) > 1:
        names = _listed(text(i.name) for i in entries)
        raise OnnxConversionError(
            f"it has {len(entries)} inputs ({names}); a network here takes one, the images. If another output needs "
            "the images alone, choose that one (`--output`)"
        )
    return _image(entries[0], *sizes, warnings)


def _leading_to(graph: onnx.GraphProto, outputs: tuple[str, ...]) -> set[str]:
    """The names of all values that outputs are computed from."""
    makers = {text(name): node for node in graph.node for name in node.output}
    found: set[str] = set()
    stack = list(outputs)
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            if name in makers:
                stack.extend(text(n) for n in makers[name].input if n)
    return found


def _image(
    proto: onnx.ValueInfoProto, image_size: ImageSize, default_size: int | None, warnings: list[str]
) -> tuple[RawInput, int | None]:
    name, kind = text(proto.name), proto.type
    if kind.WhichOneof("value") != "tensor_type":
        raise OnnxConversionError(f"its input '{name}' is no tensor, so it is not an image classifier")
    tensor = kind.tensor_type
    dims = list(tensor.shape.dim) if tensor.HasField("shape") else []
    shown = [d.dim_value if d.HasField("dim_value") else text(d.dim_param) or "?" for d in dims]
    if tensor.elem_type not in _REAL or len(dims) != 4:
        held = TYPES[tensor.elem_type][0] if tensor.elem_type in TYPES else "unknown values"
        raise OnnxConversionError(
            f"its input '{name}' takes {held} of shape {shown}; an image classifier takes real numbers of shape "
            "[batch, channels, height, width]"
        )
    batch = shown[0] if isinstance(shown[0], int) and shown[0] > 0 else None
    channels, height, width = shown[1:]
    if not isinstance(channels, int) or channels < 1:
        raise OnnxConversionError(f"its input '{name}' has {channels} channels; export it with a fixed number")
    if image_size is None and default_size is not None and not all(isinstance(d, int) and d > 0 for d in shown[2:]):
        known = [d if isinstance(d, int) and d > 0 else default_size for d in shown[2:]]
        image_size = (known[0], known[1])
        warnings.append(f"the file leaves height and width open ({height} × {width}); {known[0]} × {known[1]} px were "
                        "taken, another image size can be chosen")
    size = _size(name, (height, width), image_size)
    return RawInput(name, (BATCH, channels, *size)), batch


def _size(name: str, found: tuple[int | str, int | str], wanted: ImageSize) -> tuple[int, int]:
    """The image size: the file's, or the caller's where the file leaves it open."""
    given = (wanted, wanted) if isinstance(wanted, int) else wanted
    size: list[int] = []
    for axis, extent in enumerate(found):
        if isinstance(extent, int) and extent > 0:
            if given is not None and given[axis] != extent:
                raise OnnxConversionError(
                    f"its input '{name}' is fixed at {found[0]} × {found[1]} px; {given[0]} × {given[1]} px cannot be "
                    "chosen. Export it with dynamic height and width, or change the input after the import"
                )
            size.append(extent)
        elif given is not None:
            if given[axis] < 1:
                raise OnnxConversionError(f"an image of {given[0]} × {given[1]} px is not possible")
            size.append(given[axis])
        else:
            raise OnnxConversionError(
                f"its input '{name}' leaves height and width open ({found[0]} × {found[1]}); choose an image size, for "
                "example 224 (`--image-size 224`)"
            )
    return (size[0], size[1])


def _outputs(graph: onnx.GraphProto, wanted: str, has_ids: bool, warnings: list[str]) -> tuple[str, ...]:
    """The outputs to read: all of a file of ours, else the one that holds the class scores."""
    if not graph.output:
        raise OnnxConversionError("it has no output")
    names = tuple(text(o.name) for o in graph.output)
    if wanted and wanted not in names:
        raise OnnxConversionError(f"it has no output '{wanted}', but {_listed(names)}")
    if len(names) > 1 and not has_ids:
        chosen = wanted or names[0]
        if not wanted:
            warnings.append(f"it has {len(names)} outputs ({_listed(names)}); '{chosen}' was taken for the class "
                            "scores, another can be chosen (`--output`)")
        names = (chosen,)
    for output in graph.output:
        if text(output.name) in names and output.type.WhichOneof("value") not in ("tensor_type", None):
            raise OnnxConversionError(f"its output '{text(output.name)}' is no tensor; export the class scores")
    return names


def _say_precision(tensors: Iterable[RawTensor], graph: onnx.GraphProto, warnings: list[str]) -> None:
    kinds = sorted({t.dtype for t in tensors if t.dtype in ("float16", "bfloat16", "float64")})
    if kinds:
        warnings.append(f"{' and '.join(kinds)} weights were converted to float32")


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(f"'{name}'" for name in names[:5]) + (" …" if len(names) > 5 else "")
