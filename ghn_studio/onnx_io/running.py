"""What onnxruntime makes of a file: the reference that an import is compared with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto

from ghn_studio.errors import OnnxConversionError
from ghn_studio.onnx_io.files import MAX_BYTES
from ghn_studio.onnx_io.tensors import TensorStore

#: Images of the batch, where the file does not fix their number.
BATCH = 2

#: The seed of the images.
SEED = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """A batch of normally distributed images and what the file's first output makes of them."""

    images: np.ndarray
    result: np.ndarray


def session_of(data: bytes) -> Any:
    """An onnxruntime session of a serialised model.

    Raises:
        ValueError: onnxruntime is not installed or does not accept the model.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ValueError("onnxruntime is not installed") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have any type
        raise ValueError(f"onnxruntime cannot run it: {plainly(error)}") from error


def plainly(error: Exception) -> str:
    """The first line of the runtime's error, without its codes and without what was said before."""
    line = str(error).partition("\n")[0].removeprefix("onnxruntime cannot run it: ")
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", line)[:200]


def sample(
    model: onnx.ModelProto, store: TensorStore, entry: str, shape: tuple[int, int, int], batch: int | None,
    output: str,
) -> Sample:
    """Run a file on one seeded batch.

    Raises:
        ValueError: It cannot or may not be run here.
    """
    if any(_has_loop(node) for node in model.graph.node):
        raise ValueError("it has loops, which could run for ever")
    whole = _with_data(model, store)
    if whole.ByteSize() > MAX_BYTES:
        raise ValueError("it is too large to be run for a comparison")
    session = session_of(whole.SerializeToString())
    images = np.random.default_rng(SEED).standard_normal((batch or BATCH, *shape)).astype(np.float32)
    kinds = {e.name: e.type for e in session.get_inputs()}
    dtype = {"tensor(float16)": np.float16, "tensor(double)": np.float64}.get(kinds.get(entry, ""), np.float32)
    try:
        result = session.run([output], {entry: images.astype(dtype)})[0]
    except Exception as error:  # its errors have any type
        raise ValueError(f"onnxruntime cannot run it: {plainly(error)}") from error
    return Sample(images, np.asarray(result, np.float32))


def _has_loop(node: onnx.NodeProto) -> bool:
    if node.op_type in ("Loop", "Scan"):
        return True
    graphs = [a.g for a in node.attribute if a.type == AttributeProto.GRAPH]
    return any(_has_loop(inner) for graph in graphs for inner in graph.node)


def _with_data(model: onnx.ModelProto, store: TensorStore) -> onnx.ModelProto:
    """The model with its external data inside: the runtime opens no file."""
    if not any(t.data_location == TensorProto.EXTERNAL for t in model.graph.initializer):
        return model
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    total = 0
    for proto in whole.graph.initializer:
        if proto.data_location != TensorProto.EXTERNAL:
            continue
        try:
            data = store.external_bytes(proto, proto.name)
        except OnnxConversionError as error:
            raise ValueError(str(error)) from error
        total += len(data)
        if total > MAX_BYTES:
            raise ValueError("it is too large to be run for a comparison")
        proto.ClearField("external_data")
        proto.data_location = TensorProto.DEFAULT
        proto.raw_data = data
    return whole
