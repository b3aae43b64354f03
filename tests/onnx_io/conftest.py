"""Where prepared files are, and a runtime to compare with."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest


def shared_folder() -> Path:
    """The folder of prepared files beside the repository, wherever it is; it may not exist."""
    return Path(os.environ.get("GHN_STUDIO_SHARED") or Path(__file__).resolve().parents[3] / "shared")


@pytest.fixture
def execute() -> Callable[[onnx.ModelProto | Path, np.ndarray], np.ndarray]:
    """Run a model in onnxruntime and give its first output."""

    def run(model: onnx.ModelProto | Path, images: np.ndarray) -> np.ndarray:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        source = str(model) if isinstance(model, Path) else model.SerializeToString()
        session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        # Files of IR 3 list their weights among the inputs.
        name = next(i.name for i in session.get_inputs() if len(i.shape) == 4)
        return np.asarray(session.run(None, {name: images})[0])

    return run
