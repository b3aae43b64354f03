"""Constants that a file computes in ways the lifting has no rule for; onnx's own reference evaluator has them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import AttributeProto, helper

from ghn_studio.lifting import RawNode
from ghn_studio.onnx_io.graphs import text

#: Larger inputs are not computed with, in elements: the evaluator is written for clarity.
LARGEST = 2**23

#: What gives another result each time.
_RANDOM = frozenset({
    "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial",
})

Compute = Callable[[RawNode, Sequence[np.ndarray | None]], list[np.ndarray] | None]


def computer(model: onnx.ModelProto) -> Compute:
    """Works out nodes of ``model`` that have only constants, one at a time; for use in a process with limits."""
    protos = {text(name): proto for proto in model.graph.node for name in proto.output if name}
    imports = [helper.make_opsetid(o.domain, o.version) for o in model.opset_import]

    def compute(node: RawNode, arrays: Sequence[np.ndarray | None]) -> list[np.ndarray] | None:
        proto = protos.get(next((name for name in node.outputs if name), ""))
        if proto is None or proto.op_type != node.op_type or len(proto.input) != len(arrays) or node.domain:
            return None
        graphs = any(a.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for a in proto.attribute)
        if graphs or node.op_type in _RANDOM or sum(a.size for a in arrays if a is not None) > LARGEST:
            return None
        from onnx.reference import ReferenceEvaluator

        names = [f"x{i}" for i in range(len(arrays))]
        given = {name: array for name, array in zip(names, arrays, strict=True) if array is not None}
        alone = onnx.NodeProto()
        alone.CopyFrom(proto)
        del alone.input[:], alone.output[:]
        alone.input.extend(name if name in given else "" for name in names)
        alone.output.extend(f"y{i}" for i in range(len(node.outputs)))
        entries = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in given.items()
        ]
        results = [onnx.ValueInfoProto(name=name) for name in alone.output]
        single = helper.make_model(helper.make_graph([alone], "constant", entries, results), opset_imports=imports)
        try:
            found = ReferenceEvaluator(single).run(None, given)
        except Exception as error:  # it has no errors of its own
            raise ValueError(f"its result cannot be worked out ({type(error).__name__}: {str(error)[:200]})") from error
        if not all(isinstance(f, np.ndarray | np.generic) for f in found):
            return None
        return [np.asarray(f, np.float32) if np.issubdtype(np.asarray(f).dtype, np.floating) else np.asarray(f)
                for f in found]

    return compute
