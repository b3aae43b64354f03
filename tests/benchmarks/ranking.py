"""How well networks are ranked without training them: Kendall's tau against trained accuracy, with intervals.

``python tests/benchmarks/ranking.py digits`` or ``… cifar --dataset folder:PATH``. The truth comes from
``ranking_truth.py``: the mean accuracy of three runs of SGD on test images. Rankings see validation images only.
Refined ones spend a tenth of the steps the truth took. The interval holds 95 % of 2,000 draws of networks with
replacement; "one seed" is how well one run of the truth ranks another, the ceiling for any single measurement.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from ranking_truth import CASES, NETWORKS, SEEDS, SIZE, read

from ghn_studio.app.ranking.learned import cross_validated_tau
from ghn_studio.app.ranking.records import RankReport
from ghn_studio.app.ranking.requests import RankRequest
from ghn_studio.app.ranking.task import rank
from ghn_studio.engine.evidence import kendall
from ghn_studio.jobs import run

DRAWS = 2000


def tau(a: Sequence[float], b: Sequence[float]) -> float:
    """Kendall's tau-b; 0 where there is no order."""
    return kendall([float(x) for x in a], [float(x) for x in b]) or 0.0


def interval(scores: Sequence[float], truth: Sequence[float]) -> str:
    """``0.43 [0.21, 0.60]``."""
    random, pairs = np.random.default_rng(0), np.array([scores, truth])
    draws = [tau(*pairs[:, random.integers(0, pairs.shape[1], pairs.shape[1])]) for _ in range(DRAWS)]
    low, high = np.percentile(draws, [2.5, 97.5])
    return f"{tau(scores, truth):6.2f}  [{low:.2f}, {high:.2f}]"


def main() -> None:
    """Print the table of one case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--dataset", help="images of the case 'cifar': folder:PATH")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--images", type=int, default=2000, help="validation images that rankings see")
    arguments = parser.parse_args()
    case = CASES[arguments.case]
    runs = {(int(e["index"]), int(e["seed"])): e for e in read(arguments.case)}
    missing = [(i, s) for i in range(NETWORKS) for s in SEEDS if (i, s) not in runs]
    if missing:
        command = f"python tests/benchmarks/ranking_truth.py {arguments.case}"
        raise SystemExit(f"the truth lacks {len(missing)} runs: {command}")
    seeds = [[runs[i, s]["accuracy"] for i in range(NETWORKS)] for s in SEEDS]
    truth = [sum(column) / len(SEEDS) for column in zip(*seeds, strict=True)]
    print(f"{NETWORKS} networks of test, {case.config.steps} steps of SGD, {len(SEEDS)} seeds: accuracy "
          f"{min(truth):.3f} to {max(truth):.3f}, standard deviation {np.std(truth):.3f}; "
          f"{sum(e['seconds'] for e in runs.values()) / len(SEEDS):.0f} s of training for one seed of all")

    def ranking(**options: object) -> RankReport:
        request = RankRequest(**{
            "ghn": case.ghn, "dataset": arguments.dataset or case.dataset, "split": "test", "count": NETWORKS,
            "image_size": SIZE, "images": arguments.images, "device": "cpu", "jobs": arguments.jobs, "top": NETWORKS,
            "head_images": 1000, **options,
        })
        return run(rank(request))

    def of(report: RankReport, name: str = "accuracy") -> list[float]:
        rows = {r.name: r.accuracy if name == "accuracy" else r.scores[name] for r in report.ranking}
        return [rows.get(f"test/{i}", -1.0) for i in range(NETWORKS)]

    tenth = case.config.steps // 10
    predicted, solved = ranking(), ranking(head="closed-form")
    refined, halved = ranking(refine=tenth), ranking(refine=2 * tenth, top=NETWORKS // 4)
    tuned = ranking(refine=tenth, refine_from="start")
    order = {row.name: -row.rank for row in halved.ranking}
    lines = {
        "predicted head": of(predicted), "closed-form head": of(solved),
        f"refined: {tenth} steps for all": of(refined),
        f"refined: halving, at most {2 * tenth} steps": [order.get(f"test/{i}", -NETWORKS) for i in range(NETWORKS)],
        f"refined on from the prediction: {tenth} steps": of(tuned),
        "random start, closed-form head": of(ranking(init="kaiming", head="closed-form")),
        **{name: of(predicted, name) for name in ("parameters", "macs", "synflow")},
    }
    for name, scores in lines.items():
        print(f"{name:38} {interval(scores, truth)}")
    learned = np.array([[a, b, c, np.log10(p), np.log10(m)] for a, b, c, p, m in zip(
        of(predicted), of(solved), of(refined), of(predicted, "parameters"), of(predicted, "macs"), strict=True)])
    print(f"{'learned on these, cross-validated':38} {cross_validated_tau(learned, np.array(truth)):6.2f}")
    pairs = [tau(a, b) for i, a in enumerate(seeds) for b in seeds[i + 1:]]
    print(f"{'one seed against another':38} {np.mean(pairs):6.2f}  [{min(pairs):.2f}, {max(pairs):.2f}]")
    for name, report in (("predicted", predicted), ("refined", refined), ("halving", halved)):
        print(f"seconds, {name:29} {sum(r.seconds for r in report.ranking):6.0f}")


if __name__ == "__main__":
    main()
