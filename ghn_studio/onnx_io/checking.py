"""Run a written model with onnxruntime, where that is installed."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np

from ghn_studio.errors import OnnxConversionError
from ghn_studio.onnx_io.external import OnnxFiles


def _runtime() -> Any:
    """The module; it is no dependency, so it is asked for by name."""
    return importlib.import_module("onnxruntime")


def runtime_name() -> str:
    """``onnxruntime 1.32.0``; empty where it is not installed."""
    if importlib.util.find_spec("onnxruntime") is None:
        return ""
    return f"onnxruntime {_runtime().__version__}"


def outputs_of(files: OnnxFiles, images: np.ndarray) -> list[np.ndarray]:
    """What onnxruntime computes for a batch of images; it reads no file.

    Raises:
        OnnxConversionError: It refuses the model.
    """
    onnxruntime = _runtime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    data = b"".join(files.data)
    if data:
        options.add_external_initializers_from_files_in_memory([files.data_name], [data], [len(data)])
    try:
        session = onnxruntime.InferenceSession(files.model, options, providers=["CPUExecutionProvider"])
        found = session.run(None, {session.get_inputs()[0].name: images})
    except Exception as error:  # it has a dozen types, some of them bare RuntimeErrors
        reason = str(error).partition("\n")[0][:400]
        raise OnnxConversionError(
            f"onnxruntime cannot run the model: {reason}; try another operator set (--opset)"
        ) from error
    return [np.asarray(f) for f in found]
