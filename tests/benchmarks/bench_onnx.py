"""Every ONNX file of a folder: imported, compared with onnxruntime, and with onnx2torch in the same run.

    python tests/benchmarks/bench_onnx.py FOLDER [NAME …] [--peer] [--layers]

Prints a table: nodes, nodes only their own runtime executes, layers with parameters, trainable of
all parameters, tensor operators left outside lifted ones, relative error of the output with
onnxruntime's on one seeded batch, seconds; with ``--peer`` what onnx2torch makes of the file.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ghn_studio import onnx_io
from ghn_studio.engine.build import build
from ghn_studio.errors import GhnStudioError
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import Category

HEADER = (f"{'file':42}{'nodes':>6}{'opaque':>7}{'layers':>7}{'parameters':>12}{'error':>9}{'seconds':>9}  "
          "tensor operators left")


@dataclass(frozen=True)
class Row:
    """What was found out about one file."""

    name: str
    text: str
    is_read: bool
    error: float | None


def measure(path: Path, image_size: int | None, *, layers: bool, peer: bool) -> Row:
    """Import one file and compare it."""
    began = perf_counter()
    try:
        found = onnx_io.read(path, image_size, keep_filled=True)
    except GhnStudioError as error:
        return Row(path.stem, f"{path.stem:42} not read: {str(error)[:200]!r}{_peer(path, None, None) if peer else ''}",
                   False, None)
    seconds = perf_counter() - began
    graph = found.architecture
    images = _images(graph, path)
    expected = _reference(path, images)
    module = build(graph).eval()
    module.load_state_dict({k: torch.from_numpy(v) for k, v in found.values.items()}, strict=False)
    with torch.inference_mode():
        result = module(torch.from_numpy(images)).numpy().reshape(expected.shape)
    error = relative(result, expected)
    used = Counter(n.op for n in graph.nodes.values())
    left = {op: n for op, n in used.items() if REGISTRY[op].category is Category.TENSOR and op != "linear_map"}
    shown = ", ".join(f"{n} {op}" for op, n in left.items()) or "none"
    trainable = sum(p.numel() for p in module.parameters())
    own = sum(1 for m in module.modules() if list(m.parameters(recurse=False)))
    text = (f"{path.stem:42}{len(graph.nodes):6}{used['opaque']:7}{own:7}{trainable:12,}{error:9.1e}{seconds:9.2f}  "
            f"{shown}")
    if layers:
        text += "\n" + " " * 20 + ", ".join(f"{n} {op}" for op, n in used.items() if op not in left)
    if peer:
        text += _peer(path, images, expected)
    return Row(path.stem, text, True, error)


def relative(result: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference over the largest value."""
    return float(np.abs(result - expected).max() / max(float(np.abs(expected).max()), 1e-30))


def _images(graph: Any, path: Path) -> np.ndarray:
    entry = next(n for n in graph.nodes.values() if n.op == "input").params
    first = onnx.load(path, load_external_data=False).graph.input
    names = {i.name for i in onnx.load(path, load_external_data=False).graph.initializer}
    batch = next(i for i in first if i.name not in names).type.tensor_type.shape.dim[0].dim_value or 2
    shape = (batch, entry.channels, entry.height, entry.width)
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def _reference(path: Path, images: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    entry = next(i for i in session.get_inputs() if len(i.shape) == 4)
    kind = np.float16 if "float16" in entry.type else np.float32
    return np.asarray(session.run(None, {entry.name: images.astype(kind)})[0], np.float32)


def _peer(path: Path, images: np.ndarray | None, expected: np.ndarray | None) -> str:
    """What onnx2torch makes of the file."""
    from onnx2torch import convert

    began = perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = convert(str(path)).eval()
            seconds = perf_counter() - began
            count = sum(p.numel() for p in module.parameters())
            if images is None or expected is None:
                return f"\n{'':20}onnx2torch: read in {seconds:.2f} s"
            with torch.inference_mode():
                error = relative(module(torch.from_numpy(images)).numpy(), expected)
    except Exception as error_:  # noqa: BLE001 - its errors have any type
        reason = f"{error_}".partition("\n")[0][:80] or type(error_).__name__
        return f"\n{'':20}onnx2torch: not read ({reason})"
    return f"\n{'':20}onnx2torch: {count:,} parameters, error {error:.1e}, {seconds:.2f} s"


def main() -> None:
    """Measure the files that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--peer", action="store_true", help="let onnx2torch read each file too")
    parser.add_argument("--layers", action="store_true", help="count the layers by kind")
    parser.add_argument("--image-size", type=int, default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    paths = sorted(arguments.folder.glob("*.onnx"))
    if arguments.names:
        paths = [p for p in paths if p.stem in arguments.names]
    print(HEADER)
    rows = []
    for path in paths:
        rows.append(measure(path, arguments.image_size, layers=arguments.layers, peer=arguments.peer))
        print(rows[-1].text, flush=True)
    agree = sum(row.error is not None and row.error <= 1e-4 for row in rows)
    print(f"{sum(row.is_read for row in rows)} of {len(rows)} read, {agree} agree within 1e-4")


if __name__ == "__main__":
    main()
