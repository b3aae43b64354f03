"""Export and import again: sampled architectures and torchvision's models, one line each.

    python tests/benchmarks/bench_roundtrip.py --deepnets 200 --torchvision 30
    python tests/benchmarks/bench_roundtrip.py --torchvision all --json roundtrip.json

Random values. A row tells whether the architecture that was read equals the one that was written, the
largest difference of the outputs (as read; as onnxruntime computes them, of the largest output), the size
and the seconds of writing with its check and of reading.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import torch
from torchvision import models as torchvision_models

from ghn_studio import onnx_io
from ghn_studio.analysis.program import program
from ghn_studio.app.architectures import open_architecture, torchvision_names
from ghn_studio.app.exchange.exporting import writing
from ghn_studio.deepnets import SPLITS
from ghn_studio.engine.build import build
from ghn_studio.engine.execution import Plan
from ghn_studio.engine.initial import kaiming
from ghn_studio.errors import GhnStudioError
from ghn_studio.ir import Architecture
from ghn_studio.jobs import run
from ghn_studio.ops import REGISTRY

PASSES = 1e-5


@dataclass
class Row:
    name: str
    parameters: int = 0
    equal: bool = False
    difference: float = float("nan")
    runtime: str = ""
    megabytes: float = 0.0
    write_s: float = 0.0
    read_s: float = 0.0
    error: str = ""

    @property
    def passed(self) -> bool:
        return self.equal and self.difference <= PASSES


def outputs(graph: Architecture, values: dict[str, torch.Tensor]) -> torch.Tensor:
    network = build(graph).eval()
    network.load_state_dict(values, strict=False)
    shape = next(n.params for n in graph.nodes.values() if n.op == "input")
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        found = network(torch.randn(1, shape.channels, shape.height, shape.width, generator=generator))
    return found if isinstance(found, torch.Tensor) else found[0]


def measured(name: str, graph: Architecture, folder: Path) -> Row:
    row = Row(name, program(graph, REGISTRY).parameters)
    try:
        values = kaiming(Plan(graph), 0)
        began = perf_counter()
        report = run(writing(folder / "net.onnx", graph, values, {"kind": "random"}))
        row.write_s, row.megabytes = perf_counter() - began, report.bytes / 1e6
        row.runtime = report.checked.partition("difference ")[2].partition(" ")[0]
        began = perf_counter()
        found = onnx_io.read(folder / "net.onnx")
        row.read_s = perf_counter() - began
        row.equal = found.architecture == graph.expanded()
        expected = outputs(graph, values)
        again = outputs(found.architecture, {k: torch.from_numpy(v) for k, v in found.values.items()})
        row.difference = float((again - expected).abs().max()) / max(1.0, float(expected.abs().max()))
    except GhnStudioError as error:
        row.error = " ".join(str(error).split())[:200]
    return row


def networks(deepnets: int, torchvision: str) -> Iterator[tuple[str, Architecture]]:
    for number in range(deepnets):
        split = sorted(SPLITS)[number % len(SPLITS)]
        name = f"deepnets:{split}/{number // len(SPLITS)}"
        yield name, open_architecture(name).architecture
    limit = float("inf") if torchvision == "all" else float(torchvision) * 1e6
    for model in torchvision_names() if limit > 0 else ():
        if torchvision_models.get_model_weights(model).DEFAULT.meta["num_params"] > limit:  # type: ignore[attr-defined]
            continue
        try:
            graph = open_architecture(f"torchvision:{model}").architecture
        except GhnStudioError as error:
            print(f"{model}: not opened: {error}")
            continue
        yield f"torchvision:{model}", graph


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deepnets", type=int, default=0, help="so many sampled architectures, of all splits in turn")
    parser.add_argument("--torchvision", default="0", help="models up to so many million parameters, or all")
    parser.add_argument("--json", type=Path, help="also write the rows there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, graph in networks(arguments.deepnets, arguments.torchvision):
            row = measured(name, graph, Path(folder))
            rows.append(row)
            print(f"{'ok ' if row.passed else 'BAD'} {name:34} {row.parameters / 1e6:7.2f} M  equal {row.equal!s:5}  "
                  f"read {row.difference:.1e}  runtime {row.runtime:8} {row.write_s:5.1f} s + {row.read_s:5.1f} s  "
                  f"{row.error}", flush=True)
    print(f"{sum(r.passed for r in rows)} of {len(rows)} networks come back equal, outputs within {PASSES:g}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(r) for r in rows], indent=1), "utf-8")
    return 0 if all(r.passed for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
