"""Every classification model of torchvision: imported, run against the original, predicted.

    python tests/benchmarks/bench_torchvision.py [NAME …] [--no-run] [--no-predict]

Prints a table: nodes, nodes no operator expresses, layers with parameters, tensor
operators left outside lifted ones, relative error of the output with the original's (random,
seeded) parameters, tensors predicted of tensors, and seconds to import, run and predict.
"""

from __future__ import annotations

import argparse
import gc
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "torch_io"))

from random_values import filled

from ghn_studio.engine.execution import Plan
from ghn_studio.ghn.cards import resolve
from ghn_studio.ghn.networks import Hypernetwork
from ghn_studio.ghn.prediction import predict_parameters
from ghn_studio.ghn.storage import load_ghn
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import Category
from ghn_studio.torch_io import Traced, trace, zoo

HEADER = (f"{'model':22}{'nodes':>6}{'opaque':>7}{'layers':>7}  {'tensor operators':28}{'error':>9}"
          f"{'predicted':>11}  seconds")


@dataclass(frozen=True)
class Row:
    """What was found out about one model."""

    name: str
    nodes: int
    opaque: int
    layers: int
    left: str
    error: float | None
    predicted: str
    seconds: str

    def __str__(self) -> str:
        error = "-" if self.error is None else f"{self.error:.1e}"
        return (f"{self.name:22}{self.nodes:6}{self.opaque:7}{self.layers:7}  {self.left:28}{error:>9}"
                f"{self.predicted:>11}  {self.seconds}")


def measure(name: str, ghn: Hypernetwork | None, *, runs: bool) -> Row:
    """Import, run and predict one model."""
    began = perf_counter()
    traced = zoo.network(name)
    imported = perf_counter() - began
    graph, plan = traced.architecture, Plan(traced.architecture)
    owners = [n for n in graph.nodes.values() if REGISTRY[n.op].weights(n.params, plan.report.inputs[n.id])]
    left: dict[str, int] = {}
    for node in graph.nodes.values():
        if REGISTRY[node.op].category is Category.TENSOR and node.op != "linear_map":
            left[node.op] = left.get(node.op, 0) + 1
    began = perf_counter()
    error = _error(name) if runs else None
    ran, began = perf_counter() - began, perf_counter()
    predicted = _predicted(ghn, plan, traced, name) if ghn is not None else "-"
    took = perf_counter() - began
    opaque = sum(n.op == "opaque" for n in graph.nodes.values())
    shown = ", ".join(f"{count} {op}" for op, count in left.items()) or "none"
    return Row(name, len(graph.nodes), opaque, len(owners), shown, error, predicted,
               f"{imported:.2f} + {ran:.1f} + {took:.2f}")


def _error(name: str) -> float:
    """Relative difference of the two outputs."""
    shape = zoo.input_of(name)
    network = filled(zoo.module(name))
    images = torch.randn(1, *shape, generator=torch.Generator().manual_seed(1))
    traced = trace(network, images)
    with torch.no_grad():
        expected = network(images)
        found = Plan(traced.architecture).run(images, traced.values)
    return float((found - expected).norm() / expected.norm())


def _predicted(ghn: Hypernetwork, plan: Plan, traced: Traced, name: str) -> str:
    """Tensors predicted, of those of the original; names and shapes have to be the original's."""
    wanted = {n: tuple(p.shape) for n, p in zoo.module(name).named_parameters()}
    found = predict_parameters(ghn, plan)
    shapes = {traced.names[n]: tuple(t.shape) for n, t in found.values.items()}
    assert shapes == wanted, f"{name}: {set(shapes.items()) ^ set(wanted.items())}"
    return f"{len(found.predicted)}/{len(wanted)}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="models; all by default")
    parser.add_argument("--no-run", action="store_true", help="do not run the originals")
    parser.add_argument("--no-predict", action="store_true", help="do not predict")
    arguments = parser.parse_args()
    card = None if arguments.no_predict else resolve("ghn2-digits", "digits")
    ghn = load_ghn(card, torch.device("cpu")) if card is not None else None
    print(HEADER, flush=True)
    for name in arguments.names or zoo.names():
        print(measure(name, ghn, runs=not arguments.no_run), flush=True)
        gc.collect()


if __name__ == "__main__":
    main()
