"""Measure a hypernetwork on the DeepNets-1M splits and write the figures onto its card.

    python tests/benchmarks/measure_card.py models/ghn2-digits

Every figure comes from the task behind ``ghn-studio evaluate-split``; random
initialisation is measured on the same networks in the same run.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from ghn_studio.app.requests import SplitRequest
from ghn_studio.app.tasks import task
from ghn_studio.ghn.cards import CARD_FILE, read_card
from ghn_studio.jobs import run

COUNTS = {"test": 100, "wide": 50, "deep": 50, "dense": 50, "bnfree": 50}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--splits", nargs="*", default=list(COUNTS))
    parser.add_argument("--share", type=float, default=1.0, help="of the networks, for a quick look")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--only", choices=("ghn", "kaiming"))
    parser.add_argument("--write", action="store_true", help="write the figures onto the card")
    options = parser.parse_args()
    card = read_card(options.folder)
    results = dict(card.results)
    for split in options.splits:
        count = max(2, round(COUNTS[split] * options.share))
        for init in ("ghn", "kaiming"):
            for head in ("predicted", "closed-form"):
                if options.only not in (None, init):
                    continue
                request = SplitRequest(
                    ghn=str(options.folder), dataset=card.dataset, device="cpu", head=head, init=init,
                    image_size=options.image_size, split=split, count=count,
                )
                report = run(task("evaluate-split").start(request))
                size = f" at {options.image_size} px" if options.image_size else ""
                row = {
                    "networks": report.count, "mean": round(report.mean, 4),
                    "standard_error": round(report.standard_error or 0.0, 4),
                    "min": round(report.min, 4), "max": round(report.max, 4), "label": report.label,
                }
                results[f"{split}{size}, {init}, {head}"] = row
                print(split, init, head, json.dumps(row), flush=True)
    if options.write:
        (options.folder / CARD_FILE).write_text(replace(card, results=results).to_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
