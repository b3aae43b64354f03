"""The truth that rankings are measured against: networks of ``test``, trained from three random starts each.

``python tests/benchmarks/ranking_truth.py digits`` or ``… cifar --dataset folder:PATH`` writes one line per network and
seed to ``tests/benchmarks/data/ranking-NAME.jsonl`` and goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small networks leave a second thread idle

from ghn_studio import paths
from ghn_studio.app.splits import sampler_config
from ghn_studio.deepnets import sample
from ghn_studio.engine.data import load
from ghn_studio.engine.descent.loop import train
from ghn_studio.engine.descent.settings import DescentConfig
from ghn_studio.engine.execution import Plan
from ghn_studio.ghn.cards import read_card
from ghn_studio.jobs import run

DATA = Path(__file__).parent / "data"
NETWORKS, SEEDS, SIZE = 40, (0, 1, 2), 16


@dataclass(frozen=True)
class Case:
    """What networks are trained on, and how long. The budget leaves their accuracies apart."""

    ghn: str
    dataset: str
    test_images: int
    config: DescentConfig


CASES = {
    "cifar": Case("ghn-cifar10", "", 4000, DescentConfig(
        steps=300, batch_size=64, learning_rate=0.05, weight_decay=5e-4, augmentation="shift and flip",
    )),
    "digits": Case("ghn2-digits", "digits", 364, DescentConfig(
        steps=24, batch_size=64, learning_rate=0.02, weight_decay=5e-4,
    )),
}


def file_of(name: str) -> Path:
    """Where a case's truth is kept."""
    return DATA / f"ranking-{name}.jsonl"


def read(name: str) -> list[dict[str, float]]:
    """One entry per network and seed that was trained."""
    path = file_of(name)
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--dataset", help="images of the case 'cifar': folder:PATH")
    parser.add_argument("--part", default="0/1", help="of several processes that share the work: NUMBER/COUNT")
    arguments = parser.parse_args()
    case = CASES[arguments.case]
    data = load(arguments.dataset or case.dataset)
    sizes = sampler_config(read_card(paths.models() / case.ghn), data.info, SIZE)
    number, count = map(int, arguments.part.split("/"))
    there = {(entry["index"], entry["seed"]) for entry in read(arguments.case)}
    left = [(i, s) for s in SEEDS for i in range(NETWORKS) if (i, s) not in there and i % count == number]
    for index, seed in left:
        plan = Plan(sample("test", index, sizes))
        config = DescentConfig(**{**_fields(case.config), "seed": seed})
        done = run(train(plan, data, config, images=case.test_images, measure_at=()))
        entry = {"index": index, "seed": seed, "accuracy": round(done.evaluation.accuracy, 6),
                 "seconds": round(done.seconds, 2)}
        with file_of(arguments.case).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        print(entry, flush=True)


def _fields(config: DescentConfig) -> dict[str, object]:
    return {name: getattr(config, name) for name in DescentConfig.__dataclass_fields__}


if __name__ == "__main__":
    main()
