"""How fast the canvas is, against its budget and beside NodeGraphQt in the same run.

Run: ``python tests/benchmarks/bench_canvas.py [--peer-python PATH]``; offscreen, a window of 1,600 × 1,000
pixels, processor time of the GUI thread, median of several processes. The peer needs an interpreter that has
``NodeGraphQt==0.6.44``, ``setuptools`` and the same PySide6. Exit status 1 if a budget is missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SIZES = (100, 500, 1000, 2000)
MEASURED = 2000  # the size that the budgets of the canvas are about
#: Seconds a peer may take for one size: its fit command alone needs half a minute at 2,000 nodes.
PEER_LIMIT_S = 900


@dataclass(frozen=True)
class Row:
    """One line of the table: the largest of some figures, and what it may be."""

    title: str
    keys: tuple[str, ...]
    budget: float | None
    unit: str = "ms"


def _each(kind: str, zooms: tuple[float, ...]) -> tuple[str, ...]:
    return tuple(f"{kind} {zoom}" for zoom in zooms)


def rows(zooms: tuple[float, ...]) -> tuple[Row, ...]:
    """The lines about a canvas with one network."""
    return (
        Row("load: place, draw, first frame", ("load",), 400),
        Row("full repaint, any zoom", (*_each("repaint", zooms), "repaint, zoom 1", "repaint, all in view"), 20),
        Row("first frame after a zoom step, any zoom", _each("step", zooms), 20),
        Row("sharp frame when zooming rests, any zoom", _each("sharp", zooms), 20),
        Row("pan step, zoom 1", ("pan, zoom 1",), 4),
        Row("pan step, all in view", ("pan, all in view",), 4),
        Row("drag of one node, zoom 1", ("drag, zoom 1",), 8),
        Row("drag of one node, all in view", ("drag, all in view",), 8),
        Row("fit, the command", ("fit",), 10),
        Row("fit, with its frame", ("fit and frame",), None),
        Row("memory above the empty window, after use", ("memory",), 80, "MB"),
    )


OWN_ROWS = (
    Row("edit + diff + shapes + repaint, 1,000 nodes: last layer", ("edit last",), 30),
    Row("  … a layer in the middle", ("edit middle",), 30),
    Row("  … first layer, every shape changes", ("edit first",), 30),
    Row("  … first layer, every wire loses its shape", ("edit broken",), 30),
    Row("  … a layer in the middle, in the whole window", ("window middle",), 30),
    Row("  … first layer, every shape changes, in the whole window", ("window first",), 30),
    Row("layout of 1,000 nodes", ("layout 1000",), 60),
    Row("layout of DenseNet-121, all 429 nodes", ("layout densenet121",), 1500),
    Row("layout of EfficientNet-B7, all 591 nodes", ("layout efficientnet_b7",), None),
    Row("layout of Swin-S, all 257 nodes", ("layout swin_s",), None),
    Row("EfficientNet-B7, imported to painted, groups collapsed", ("open efficientnet_b7",), 1000),
    Row("Swin-S, imported to painted, groups collapsed", ("open swin_s",), 1000),
    Row("idle window, all threads, in 2 s", ("idle",), 2),
)


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--peer-python", type=Path, help="one that has NodeGraphQt; default: this one")
    options.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="numbers of nodes")
    options.add_argument("--processes", type=int, default=3, help="processes per size of our own (peer: 1)")
    options.add_argument("--every-zoom", action="store_true", help="also print each zoom")
    chosen = options.parse_args()
    peer = _peer(chosen.peer_python)
    missed = []
    for size in chosen.sizes:
        own = _median([_figures(sys.executable, "own_canvas.py", size) for _ in range(chosen.processes)])
        other = _figures(peer, "peer_canvas.py", size) if peer else {}
        zooms = tuple(float(key.split()[1]) for key in own if key.startswith("step "))
        missed += _table(f"{size:,} nodes", rows(zooms), own, other, is_binding=size == MEASURED)
        if chosen.every_zoom:
            _zooms(zooms, own, other)
    more = _median([_figures(sys.executable, "own_canvas.py", "edits") for _ in range(chosen.processes)])
    more |= _figures(sys.executable, "own_canvas.py", "models")
    missed += _table("Whole networks", OWN_ROWS, more, {}, is_binding=True)
    if peer:
        cycles = _figures(peer, "peer_canvas.py", "cycles")
        own = _figures(sys.executable, "own_canvas.py", "cycles")
        keys = tuple(Row(key, (key,), None) for key in cycles)
        _table("Check for cycles: the first wire of a residual chain drawn again", keys, own, cycles, is_binding=False)
    else:
        print("\nNo NodeGraphQt: give --peer-python for the comparison.")
    print(f"\n{len(missed)} budgets missed" + "".join(f"\n  {title}" for title in missed))
    return 1 if missed else 0


def _peer(given: Path | None) -> str | None:
    """The interpreter that can import NodeGraphQt, or None."""
    python = str(given or sys.executable)
    probe = subprocess.run([python, "-c", "import NodeGraphQt"], capture_output=True, check=False)
    if probe.returncode and given:
        raise SystemExit(f"{given} cannot import NodeGraphQt: {probe.stderr.decode(errors='replace').strip()[-200:]}")
    return None if probe.returncode else python


def _figures(python: str, script: str, what: int | str) -> dict[str, float]:
    """The figures that a measuring script prints last; none if it takes too long."""
    command = [python, str(HERE / script), str(what)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PEER_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        print(f"{script} {what}: more than {PEER_LIMIT_S} s")
        return {}
    if done.returncode:
        raise SystemExit(f"{script} {what} failed:\n{done.stderr[-2000:]}")
    return {str(k): float(v) for k, v in json.loads(done.stdout.splitlines()[-1]).items()}


def _median(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def _table(
    title: str, lines: tuple[Row, ...], own: dict[str, float], peer: dict[str, float], *, is_binding: bool
) -> list[str]:
    """Print the lines and return those over their budget."""
    missed = []
    print(f"\n{title:<62}{'own':>10}{'budget':>12}{'':>6}" + (f"{'peer':>11}{'peer/own':>10}" if peer else ""))
    for row in lines:
        ours = max(own[key] for key in row.keys)
        is_over = row.budget is not None and not ours <= row.budget
        if is_over and is_binding:
            missed.append(f"{title}: {row.title.strip(' …')}")
        budget = "" if row.budget is None else f"{row.budget:.0f} {row.unit}"
        verdict = "" if row.budget is None else "over" if is_over else "ok"
        text = f"{row.title:<62}{ours:>7.1f} {row.unit}{budget:>12}{verdict:>6}"
        if all(key in peer for key in row.keys):
            theirs = max(peer[key] for key in row.keys)
            text += f"{theirs:>8.1f} {row.unit}{theirs / ours:>10.1f}"
        print(text, flush=True)
    return missed


def _zooms(zooms: tuple[float, ...], own: dict[str, float], peer: dict[str, float]) -> None:
    print("  zoom   repaint / after a step / sharp" + ("        peer repaint / after a step" if peer else ""))
    for zoom in zooms:
        mine = " / ".join(f"{own[f'{kind} {zoom}']:5.1f}" for kind in ("repaint", "step", "sharp"))
        other = " / ".join(f"{peer[f'{kind} {zoom}']:5.1f}" for kind in ("repaint", "step")) if peer else ""
        print(f"  {zoom:4.2f}   {mine} ms" + (f"            {other} ms" if other else ""))


if __name__ == "__main__":
    sys.exit(main())
