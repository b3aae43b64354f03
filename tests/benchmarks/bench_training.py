"""Networks that a hypernetwork learns from per second, for several numbers of processes.

Run: ``python tests/benchmarks/bench_training.py [--warm-up 120] [--seconds 30] [--processes 1,2]``.
The recipe is that of ``models/ghn-cifar10`` in its first part, 8 to 32 channels and 16 px, with
batches of 32. Aim on two cores: 30 networks per second with two processes. Exit status 1 if it is
missed; other machines have no aim.

The first minutes of a run are slower, because oneDNN compiles a kernel for every convolution
shape it meets; the warm-up leaves them out. Beside wall time the leader's processor time per
network is printed, which says more on a machine that does other things too. Where there is a
GPU, up to eight processes share it: small kernels are bound by their launches, not by the GPU.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from ghn_studio import paths
from ghn_studio.engine.devices import choose, core_count, describe
from ghn_studio.ghn.recipe import TrainConfig
from ghn_studio.ghn.training import TrainOptions, train

AIM_PER_S = 30.0
NEVER_S = 1e9

#: That of the shipped hypernetwork, on one dataset and with smaller batches.
RECIPE = replace(
    TrainConfig.read(str(paths.resources() / "recipes" / "cifar10-16px.json")),
    shares=(), batch=32, checkpoint_seconds=NEVER_S, validate_seconds=NEVER_S,
)


@dataclass(frozen=True)
class Reading:
    """What one run did after its warm-up."""

    per_second: float
    cpu_ms: float


def measure(processes: int, device: str, precision: str, warm_up_s: float, seconds: float) -> Reading:
    """Train for a while with so many processes and say how fast it went."""
    config = TrainConfig.from_json({**RECIPE.to_json(), "precision": precision})
    with TemporaryDirectory() as folder:
        options = TrainOptions(
            out=Path(folder) / "run", config=config, steps=10**9, processes=processes, device=device
        )
        with closing(train(options)) as job:
            steps = (progress.done for progress in job if progress.stage.startswith("training"))
            begin = next(steps)
            begin = advance(steps, warm_up_s) or begin
            started, cpu = time.monotonic(), time.process_time()
            done = (advance(steps, seconds) or begin) - begin
            wall, cpu = time.monotonic() - started, time.process_time() - cpu
    networks = done * config.networks
    return Reading(networks * processes / wall, 1e3 * cpu / max(1.0, networks))


def advance(steps, seconds: float) -> float:  # type: ignore[no-untyped-def]
    """Take steps for a while and return the number of the last; 0 if there was none."""
    last, deadline = 0.0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        last = next(steps)
    return last


def main() -> int:
    """Print a line per number of processes and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--warm-up", type=float, default=120)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--processes", default="")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="float32")
    arguments = parser.parse_args()
    device = choose(arguments.device)
    counts = arguments.processes or ("1,2" if device.type == "cpu" else "1,2,4,8")
    print(f"{describe(device)}, torch {torch.__version__}, {arguments.precision}")
    print("processes  networks/s  leader's CPU ms per network")
    readings = {}
    for count in map(int, counts.split(",")):
        reading = measure(count, device.type, arguments.precision, arguments.warm_up, arguments.seconds)
        readings[count] = reading
        print(f"{count:9d}  {reading.per_second:10.1f}  {reading.cpu_ms:27.1f}", flush=True)
        for index in range(torch.cuda.device_count() if device.type == "cuda" else 0):
            peak = torch.cuda.max_memory_allocated(index) / 2**20
            print(f"           GPU {index}: {peak:.0f} MiB at most in the leader", flush=True)
    has_aim = device.type == "cpu" and core_count() == 2 and 2 in readings
    return int(has_aim and readings[2].per_second < AIM_PER_S)


if __name__ == "__main__":
    sys.exit(main())
