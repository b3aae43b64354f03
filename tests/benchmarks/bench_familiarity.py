"""How well a hypernetwork's familiarity tells splits apart, and what it says about accuracy.

    python tests/benchmarks/bench_familiarity.py models/ghn2-digits

For each split: area under the curve of its distances against those of ``test`` (0.5: no
difference), share of each verdict, mean accuracy of the networks measured; then Kendall's
tau between distance and accuracy over all of these.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ghn_studio.app.predicting import Bench, predict_on, set_up
from ghn_studio.app.requests import PredictRequest
from ghn_studio.app.splits import sampler_config
from ghn_studio.deepnets import sample
from ghn_studio.engine.evidence import kendall
from ghn_studio.engine.execution import Plan
from ghn_studio.ghn.cards import resolve
from ghn_studio.ghn.encoding import encode
from ghn_studio.ghn.familiarity import FAR, IN_DISTRIBUTION, UNUSUAL, Familiarity
from ghn_studio.ghn.reference import embedding_of, neighbourhood
from ghn_studio.jobs import run

SPLITS = ("test", "val", "wide", "deep", "dense", "bnfree")


def area(lower: Sequence[float], higher: Sequence[float]) -> float:
    """Probability that a value of ``higher`` exceeds one of ``lower``, ties counting half."""
    a, b = torch.tensor(lower)[None], torch.tensor(higher)[:, None]
    return float(((b > a).double() + 0.5 * (b == a).double()).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ghn", help="name or folder of a hypernetwork")
    parser.add_argument("--count", type=int, default=50, help="networks of each split whose distance is measured")
    parser.add_argument("--evaluated", type=int, default=10, help="how many of them are also evaluated")
    parser.add_argument("--head", choices=("predicted", "closed-form"), default="predicted")
    options = parser.parse_args()
    card = resolve(options.ghn)
    request = PredictRequest(ghn=options.ghn, dataset=card.dataset, device="cpu", head=options.head)
    bench = run(set_up(request))
    assert bench.card is not None and bench.ghn is not None
    near = run(neighbourhood(bench.card, bench.ghn))
    found: dict[str, list[Familiarity]] = {}
    pairs: list[tuple[float, float]] = []
    print(f"{'split':8} {'AUC':>5} {'in':>5} {'unus.':>5} {'far':>5} {'accuracy':>8}")
    for split in SPLITS:
        found[split] = []
        accuracies = []
        for index in range(options.count):
            graph = sample(split, index, sampler_config(bench))
            familiarity = near.familiarity(embedding(bench, Plan(graph)))
            assert familiarity is not None
            found[split].append(familiarity)
            if index < options.evaluated:
                accuracies.append(run(predict_on(bench, graph, evaluate=True)).accuracy or 0.0)
                pairs.append((familiarity.distance, accuracies[-1]))
        distances = [f.distance for f in found[split]]
        auc = area([f.distance for f in found["test"]], distances)
        verdicts = [f.verdict for f in found[split]]
        shares = " ".join(f"{verdicts.count(v) / len(verdicts):5.2f}" for v in (IN_DISTRIBUTION, UNUSUAL, FAR))
        print(f"{split:8} {auc:5.2f} {shares} {sum(accuracies) / max(1, len(accuracies)):8.3f}", flush=True)
    tau = kendall([d for d, _ in pairs], [a for _, a in pairs])
    shown = "undefined" if tau is None else f"{tau:.2f}"
    print(f"distance and accuracy of {len(pairs)} networks: Kendall's tau {shown}")


@torch.no_grad()
def embedding(bench: Bench, plan: Plan) -> NDArray[np.float32]:
    assert bench.ghn is not None
    return embedding_of(bench.ghn.embed_graphs([encode(plan.graph, report=plan.report)])[0])


if __name__ == "__main__":
    main()
