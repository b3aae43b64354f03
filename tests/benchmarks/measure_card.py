"""Take a measurement onto a hypernetwork's card, or print it as a table.

    ghn-studio measure --ghn models/my-ghn --dataset folder:photos --out measured
    python tests/benchmarks/measure_card.py models/my-ghn --run measured --table
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ghn_studio.datasets import portable_name
from ghn_studio.ghn.cards import CARD_FILE, Card, read_card

#: Top-1 accuracy in per cent of the official GHN-2 on CIFAR-10 at 32 px, mean over all networks of a split:
#: Knyazev et al., "Parameter Prediction for Unseen Deep Architectures", NeurIPS 2021, results of GHN-2.
OFFICIAL_GHN2 = {
    "test": 66.9, "wide": 64.0, "deep": 60.5, "dense": 65.8, "bnfree": 36.8, "torchvision:resnet50": 58.6,
}
TITLES = {
    "test": "test: unseen, like those learnt from", "wide": "wide: four times the channels",
    "deep": "deep: 10 to 36 cells", "dense": "dense: up to 10 sum nodes a cell", "bnfree": "bnfree: no batch norm",
}
#: The columns of the table: (parameters, head).
COLUMNS = (("ghn", "predicted"), ("ghn", "closed-form"), ("kaiming", "predicted"), ("kaiming", "closed-form"))

Row = dict[str, Any]


def levels(rows: Sequence[Row]) -> Iterator[tuple[bool, Row]]:
    """Each row, and whether it is the one measured on all images: the second of its split, parameters and head."""
    seen: set[tuple[str, str, str]] = set()
    for row in rows:
        key = (row["split"], row["init"], row["head"])
        yield key in seen, row
        seen.add(key)


def card_results(card: Card, request: Row, rows: Sequence[Row]) -> dict[str, Row]:
    """The entries for a card. Their keys name the dataset only where the card is for several or for another."""
    name = portable_name(request["dataset"])
    dataset = "" if card.dataset == name else f"{name}: "
    size = f" at {request['image_size']} px" if request["image_size"] else ""
    return {
        f"{dataset}{row['split']}{size}, {row['init']}, {row['head']}{', all images' if in_full else ''}": {
            "networks": row["networks"], "mean": round(row["mean"], 4),
            "standard_error": round(row["standard_error"] or 0.0, 4), "min": round(row["min"], 4),
            "max": round(row["max"], 4), "label": row["label"], "images": row["images"],
        }
        for in_full, row in levels(rows)
    }


def markdown(rows: Sequence[Row], official: dict[str, float]) -> str:
    """A table with a line per split, and one more where it was measured on all images; per cent."""
    lines: dict[tuple[str, bool], dict[tuple[str, str], Row]] = {}
    for in_full, row in levels(rows):
        lines.setdefault((row["split"], in_full), {})[row["init"], row["head"]] = row
    head = ["networks", "n", "predicted", "closed form", "random", "random, closed form"]
    head += ["official GHN-2"] if official else []
    table = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for (split, in_full), found in lines.items():
        fitted = next((row["label"] for (_, kind), row in found.items() if kind == "closed-form"), "no closed form")
        cells = [f"{TITLES.get(split, split)}; {fitted}", str(max(row["networks"] for row in found.values()))]
        cells += [cell(found.get(column)) for column in COLUMNS]
        if official:
            cells.append("–" if in_full or split not in official else f"{official[split]:.1f}")
        table.append("| " + " | ".join(cells) + " |")
    return "\n".join(table)


def cell(row: Row | None) -> str:
    """``66.9 ± 0.3 (max 77.1)``; a dash for what was not measured."""
    if row is None:
        return "–"
    if row["networks"] == 1:
        return f"{100 * row['mean']:.1f}"
    return f"{100 * row['mean']:.1f} ± {100 * row['standard_error']:.1f} (max {100 * row['max']:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("ghn", type=Path, help="folder of the hypernetwork")
    parser.add_argument("--run", type=Path, required=True, help="folder of `ghn-studio measure`, run to its end")
    parser.add_argument("--table", action="store_true", help="print a Markdown table and leave the card as it is")
    parser.add_argument("--official", action="store_true", help="add the official GHN-2's figures for CIFAR-10")
    options = parser.parse_args()
    card = read_card(options.ghn)
    request = json.loads((options.run / "request.json").read_text("utf-8"))
    rows = json.loads((options.run / "summary.json").read_text("utf-8"))["rows"]
    if request["weights"] != card.sha256:
        parser.error(f"'{options.run}' measured other weights than those in '{options.ghn}'")
    if options.table:
        print(markdown(rows, OFFICIAL_GHN2 if options.official else {}))
        return
    results = {**card.results, **card_results(card, request, rows)}
    (options.ghn / CARD_FILE).write_text(replace(card, results=results).to_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
