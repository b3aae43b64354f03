"""How long predicting takes, graph included, with hypernetworks of the official sizes and random weights.

    python tests/benchmarks/bench_predict.py [--ghn ghn2|ghn3] [--size 224] [--classes 1000] [MODEL ...]
        [--reference official_predict_times.csv]

Every torchvision model by default, from its architecture: shapes, graph, hypernetwork and writing are
timed. One thread. "Warm" is the second call in the process with the cache of architectures emptied,
while the first result is still held; "again" is the third, which finds memory that the second gave
back. Memory is what the process holds at most during the first call, above what it held before.
"""

from __future__ import annotations

import argparse
import csv
import gc
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import torch
from torch import Tensor

from ghn_studio.engine.execution import Plan
from ghn_studio.ghn.config import GhnConfig
from ghn_studio.ghn.graphs import forget_graphs
from ghn_studio.ghn.networks import Hypernetwork
from ghn_studio.ghn.prediction import predict_parameters
from ghn_studio.torch_io import zoo

CONFIGS = {
    "ghn2": GhnConfig(hidden=32, max_channels=64, grid=11, decoder=(128, 256), crop="corner", graph="ppuda"),
    "ghn3": GhnConfig(hidden=64, max_channels=64, grid=16, decoder=(256, 512), encoder="graphormer", layers=3, heads=8,
                      graph="ghn3"),
}
Values = dict[str, Tensor]


def peak_mb() -> float:
    """The most memory held since :func:`forget_peak`, MB; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def forget_peak() -> None:
    clear = Path("/proc/self/clear_refs")
    if clear.is_file():
        clear.write_text("5")


def prediction(ghn: Hypernetwork, name: str, classes: int, shape: tuple[int, int, int]) -> Callable[[], Values]:
    """Predicts a torchvision model's architecture: shapes, graph, hypernetwork, writing."""
    network = zoo.network(name, classes, shape).architecture
    return lambda: predict_parameters(ghn, Plan(network)).values


def measure(run: Callable[[], Values]) -> dict[str, Any]:
    gc.collect()
    forget_peak()
    before, start = peak_mb(), perf_counter()
    first = run()
    found: dict[str, Any] = {"cold": perf_counter() - start, "mb": sum(v.nbytes for v in first.values()) / 2**20,
                             "peak": peak_mb() - before}
    for kept in ("warm", "again"):
        forget_graphs()
        gc.collect()
        start, cpu = perf_counter(), process_time()
        values = run()
        found |= {kept: perf_counter() - start, f"{kept}_cpu": process_time() - cpu}
        del values
    del first
    return found


def official_times(path: Path | None, ghn: str) -> dict[str, float]:
    if path is None:
        return {}
    with path.open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if ("ghn3" in r["system"]) == (ghn == "ghn3")]
    return {r["model"]: float(r["warm_total_s"]) for r in rows if r["warm_total_s"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--ghn", choices=sorted(CONFIGS), default="ghn2")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--reference", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    ghn = Hypernetwork(CONFIGS[options.ghn]).initialise(0).eval().requires_grad_(False)
    official, rows, slower = official_times(options.reference, options.ghn), [], []
    print(f"{'model':22}{'cold s':>9}{'warm s':>9}{'cpu s':>9}{'again s':>9}{'official':>9}{'MB':>8}{'peak MB':>9}")
    for name in options.models or zoo.names():
        shape = (3, 299, 299) if name == "inception_v3" and options.size == 224 else (3, options.size, options.size)
        try:
            row = measure(prediction(ghn, name, options.classes, shape))
        except Exception as error:  # noqa: BLE001 - one model that fails must not hide the others
            print(f"{name:22} {type(error).__name__}: {error}"[:160], flush=True)
            continue
        rows.append(row)
        if name in official and row["warm"] > official[name]:
            slower.append(name)
        known = f"{official[name]:9.3f}" if name in official else f"{'–':>9}"
        print(f"{name:22}{row['cold']:9.3f}{row['warm']:9.3f}{row['warm_cpu']:9.3f}{row['again']:9.3f}{known}"
              f"{row['mb']:8.0f}{row['peak']:9.0f}", flush=True)
    medians = ", ".join(f"{key} {median(row[key] for row in rows):.3f} s" for key in ("warm", "warm_cpu", "again"))
    print(f"medians of {len(rows)}: {medians}; slower than the official code: {', '.join(slower) or 'none'}")


if __name__ == "__main__":
    main()
