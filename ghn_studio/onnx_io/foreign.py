"""Nodes that no operator takes: kept whole, for onnxruntime to run, or as unsupported."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from ghn_studio.lifting import Foreign, RawNode
from ghn_studio.lifting.values import MAX_VALUE_ELEMENTS
from ghn_studio.onnx_io.graphs import text
from ghn_studio.ops.registry import OpRegistry

#: The operator that stands for them.
OPAQUE = "opaque"

#: Tensors of the file that belong to such a node are kept with it up to this size in bytes.
MOST_BYTES = 4 * 1024 * 1024


class UnrunnableError(ValueError):
    """onnxruntime does not accept a node, or fails on it."""


def keeper(model: onnx.ModelProto, ops: OpRegistry) -> Callable[[RawNode, tuple[Any, ...]], Foreign]:
    """Says how nodes of ``model`` are kept that no operator takes."""
    protos = {text(name): proto for proto in model.graph.node for name in proto.output}
    shapes = {text(v.name): _extents(v) for v in (*model.graph.value_info, *model.graph.output)}

    def keep(node: RawNode, known: tuple[Any, ...]) -> Foreign:
        proto = protos.get(next((o for o in node.outputs if o), ""))
        if proto is None:
            raise ValueError("it has no result")
        data = tuple(i for i, value in enumerate(known) if isinstance(value, tuple))
        kind = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        params = ops[OPAQUE].params
        if not data:
            raise ValueError("it computes a constant")
        try:
            alone = _alone(model, proto, known)
            found = _shapes(alone, [known[i] for i in data])
            payload = base64.b64encode(alone.SerializeToString(deterministic=True)).decode("ascii")
            return Foreign(OPAQUE, params("onnx", kind, payload, found), data)
        except ValueError as error:
            if isinstance(error, UnrunnableError) and not node.domain and ops.for_onnx(node.op_type):
                raise  # a node of a kind we know that no runtime accepts is a mistake of the file
            guessed = tuple(shapes.get(name) or tuple(known[data[0]][1:]) for name in node.outputs)
            return Foreign(OPAQUE, params("", kind, f"{error} {_attributes(node.attrs)}".strip()[:4000], guessed), data)

    return keep


def _alone(model: onnx.ModelProto, proto: onnx.NodeProto, known: tuple[Any, ...]) -> onnx.ModelProto:
    """A model of one node, whose computed inputs have any batch size.

    Raises:
        ValueError: It runs other graphs, or needs too large tensors.
    """
    if any(a.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for a in proto.attribute):
        raise ValueError("it runs graphs of its own, which are never executed here")
    stored = [(f"x{i}", v) for i, v in enumerate(known) if isinstance(v, np.ndarray)]
    if sum(v.nbytes for _, v in stored) > MOST_BYTES:
        raise ValueError("its stored tensors are too large to be kept with it")
    single = onnx.NodeProto()
    single.CopyFrom(proto)
    del single.input[:], single.output[:], single.metadata_props[:]
    single.input.extend("" if v is None else f"x{i}" for i, v in enumerate(known))
    single.output.extend(f"y{i}" for i in range(len(proto.output)))
    entries = [helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, list(v)) for i, v in enumerate(known)
               if isinstance(v, tuple)]
    graph = helper.make_graph(
        [single], "node", entries, [onnx.ValueInfoProto(name=name) for name in single.output],
        [numpy_helper.from_array(np.ascontiguousarray(v), name) for name, v in stored],
    )
    imports = [helper.make_opsetid(o.domain, o.version) for o in model.opset_import]
    return helper.make_model(graph, opset_imports=imports, ir_version=max(model.ir_version, 4))


def _shapes(model: onnx.ModelProto, inputs: list[tuple[Any, ...]]) -> tuple[tuple[int, ...], ...]:
    """The extents of one item of each output, found by running the node on two images of zeros.

    Raises:
        ValueError: onnxruntime cannot run it, or a result is no batch of real numbers.
    """
    from ghn_studio.onnx_io.running import plainly, session_of

    if not inputs or any(shape[:1] != ("N",) for shape in inputs):
        raise ValueError("it is fed no batch of values")
    try:
        session = session_of(model.SerializeToString())
        entries = zip(session.get_inputs(), inputs, strict=True)
        results = session.run(None, {e.name: np.zeros((2, *shape[1:]), np.float32) for e, shape in entries})
    except Exception as error:  # its errors have any type
        raise UnrunnableError(f"onnxruntime cannot run it: {plainly(error)}") from error
    for result in results:
        if not isinstance(result, np.ndarray) or result.dtype != np.float32 or result.ndim < 1 or len(result) != 2:
            raise ValueError("its result is no batch of real numbers")
        if result.size // 2 > MAX_VALUE_ELEMENTS:
            raise ValueError("its result is too large to compute")
    return tuple(tuple(int(d) for d in r.shape[1:]) for r in results)


def _extents(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    """The extents of one item, if the file names them; () if not."""
    dims = value.type.tensor_type.shape.dim
    found = tuple(d.dim_value for d in list(dims)[1:])
    return found if found and all(d > 0 for d in found) else ()


def _attributes(attrs: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{name} = {value!r}"[:200] for name, value in list(attrs.items())[:20])
    return f"({shown})" if shown else ""
