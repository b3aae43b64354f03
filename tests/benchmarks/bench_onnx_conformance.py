"""onnx's own cases for every node type: imported inside a network, compared with the results they come with.

    python tests/benchmarks/bench_onnx_conformance.py [TYPE …] [--wrong]

Each case becomes a network: its first real input is the images, reshaped to what the case wants; its other inputs
are stored. What is no network of that kind (texts, sequences, no real input) is counted as "not applicable". The rest
passes, is refused in words, is kept for onnxruntime, or is wrong; wrong must be none.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ghn_studio import onnx_io
from ghn_studio.engine.execution import Plan
from ghn_studio.errors import GhnStudioError
from ghn_studio.lifting.joining import rejoin
from ghn_studio.ops import REGISTRY


def network_of(model: onnx.ModelProto, inputs: list[Any]) -> tuple[onnx.ModelProto, np.ndarray] | None:
    """A network around a case's node, and its images; None if it cannot be one."""
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    arrays = [i for i in inputs if isinstance(i, np.ndarray)]
    if len(arrays) != len(inputs) or not 7 <= opset <= 24 or len(model.graph.input) != len(inputs):
        return None
    first = next((k for k, a in enumerate(arrays) if a.dtype == np.float32 and a.ndim >= 1 and a.size), None)
    if first is None or any(a.dtype == object or a.dtype.kind not in "fiub" for a in arrays):
        return None
    if model.graph.output[0].type.WhichOneof("value") != "tensor_type":
        return None
    x, name = arrays[first], model.graph.input[first].name
    images = x if x.ndim == 4 else x.reshape(x.shape[0], -1, 1, 1)
    wrapped = onnx.ModelProto()
    wrapped.CopyFrom(model)
    graph = wrapped.graph
    entry = helper.make_tensor_value_info("images", TensorProto.FLOAT, images.shape)
    for value, array in zip(model.graph.input, arrays, strict=True):
        if value.name != name:
            graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), value.name))
    graph.initializer.append(numpy_helper.from_array(np.asarray(x.shape, np.int64), "shape of the case"))
    nodes = [helper.make_node("Reshape", ["images", "shape of the case"], [name], "enter"), *graph.node]
    kept = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
    del graph.input[:], graph.node[:]
    graph.input.append(entry)
    graph.node.extend(kept)
    return wrapped, images


def outcome(model: onnx.ModelProto, images: np.ndarray, expected: np.ndarray, folder: Path) -> tuple[str, str]:
    """What became of one case, and a remark."""
    path = folder / "case.onnx"
    path.write_bytes(model.SerializeToString())
    try:
        found = onnx_io.read(path, keep_filled=True, keep_foreign=True)
    except GhnStudioError as error:
        return "refused", str(error)[:300]
    if found.opaque:
        return "kept", ""
    joined = rejoin(found.architecture, REGISTRY, found.values)
    tensors = {k: torch.from_numpy(v) for k, v in joined.values(found.values, REGISTRY).items()}
    with torch.inference_mode():
        result = Plan(joined.graph).run(torch.from_numpy(np.array(images)), tensors).numpy()
    if result.size != expected.size:
        return "wrong", f"{result.shape} instead of {expected.shape}"
    same = np.allclose(result.reshape(expected.shape), expected, rtol=1e-3, atol=1e-5, equal_nan=True)
    largest = np.abs(result.reshape(expected.shape) - expected).max()
    return ("passed", "") if same else ("wrong", f"differs by {largest}")


def main() -> None:
    """Run all cases and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("types", nargs="*")
    parser.add_argument("--reasons", action="store_true", help="print why cases were refused")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)
    counts: Counter[str] = Counter()
    by_type: dict[str, Counter[str]] = defaultdict(Counter)
    with tempfile.TemporaryDirectory() as name:
        for case in cases:
            kind = case.model.graph.node[0].op_type if case.model is not None and case.model.graph.node else "?"
            if arguments.types and kind not in arguments.types:
                continue
            inputs, outputs = case.data_sets[0]
            made = network_of(case.model, list(inputs))
            if made is None or not isinstance(outputs[0], np.ndarray) or outputs[0].dtype.kind not in "f":
                counts["not applicable"] += 1
                continue
            try:
                what, remark = outcome(*made, outputs[0], Path(name))
            except Exception as error:  # noqa: BLE001 - any failure of a case is one to look at
                what, remark = "wrong", f"{type(error).__name__}: {error}"
            counts[what] += 1
            by_type[kind][what] += 1
            if what == "wrong" or (arguments.reasons and what == "refused"):
                print(f"{what}: {case.name}: {remark[:300]}", flush=True)
    for kind, found in sorted(by_type.items()):
        if found["passed"]:
            print(f"{kind:28}" + ", ".join(f"{n} {what}" for what, n in found.most_common()))
    print(f"{sum(counts.values())} cases: " + ", ".join(f"{n} {what}" for what, n in counts.most_common()))


if __name__ == "__main__":
    main()
