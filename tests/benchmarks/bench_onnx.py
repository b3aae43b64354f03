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
from math import prod
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ghn_studio import onnx_io
from ghn_studio.analysis.shapes import infer_shapes
from ghn_studio.app.importing.reading import Wanted, read_network
from ghn_studio.errors import GhnStudioError
from ghn_studio.jobs import run
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
    """Import one file in a process of its own, as the program does."""
    began = perf_counter()
    try:
        found = run(read_network(path, Wanted(image_size)))
    except GhnStudioError as error:
        return Row(path.stem, f"{path.stem:42} not read: {str(error)[:200]!r}{_peer(path, image_size) if peer else ''}",
                   False, None)
    seconds = perf_counter() - began
    graph = found.project.architecture
    report = infer_shapes(graph, REGISTRY)
    weights = {n.id: REGISTRY[n.op].weights(n.params, report.inputs[n.id]) for n in graph.nodes.values()
               if n.id in report.inputs}
    used = Counter(n.op for n in graph.nodes.values())
    left = {op: n for op, n in used.items() if REGISTRY[op].category is Category.TENSOR and op != "linear_map"}
    shown = ", ".join(f"{n} {op}" for op, n in left.items()) or "none"
    trainable = sum(prod(w.shape) for own in weights.values() for w in own if w.trainable)
    error = found.max_relative_error
    text = (f"{path.stem:42}{len(graph.nodes):6}{len(found.opaque):7}{sum(map(bool, weights.values())):7}"
            f"{trainable:12,}{'-' if error is None else f'{error:.1e}':>9}{seconds:9.2f}  {shown}")
    if layers:
        text += "\n" + " " * 20 + ", ".join(f"{n} {op}" for op, n in used.items() if op not in left)
    if peer:
        text += _peer(path, image_size)
    return Row(path.stem, text, True, error)


def relative(result: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference over the largest value."""
    return float(np.abs(result - expected).max() / max(float(np.abs(expected).max()), 1e-30))


def _peer(path: Path, image_size: int | None) -> str:
    """What onnx2torch makes of the file."""
    from onnx2torch import convert

    began = perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = convert(str(path)).eval()
            seconds = perf_counter() - began
            count = sum(p.numel() for p in module.parameters())
            given = onnx_io.read(path, image_size, default_size=224, keep_foreign=True, run=True).sample
            if given is None:
                return f"\n{'':20}onnx2torch: {count:,} parameters, {seconds:.2f} s"
            with torch.inference_mode():
                error = relative(module(torch.from_numpy(given.images)).numpy(), given.result)
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
