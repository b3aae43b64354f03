"""What a ranking can be asked."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass

from ghn_studio.app.requests import CommonRequest
from ghn_studio.ops.spec import param


@dataclass(frozen=True, slots=True, kw_only=True)
class RankRequest(CommonRequest):
    """Predict and evaluate candidates and put them in order. Exactly one of the three kinds of candidates is given."""

    candidates: str = param("", label="Networks", help="Networks to rank, one after the other.")
    split: str = param("", label="Split",
                       help="Rank networks of a DeepNets-1M split: train, val, test, wide, deep, dense, bnfree.")
    variants: str = param("", label="Variants of",
                          help="Rank a network and its neighbours: other widths, depths, kernels and operators.")
    start: int = param(0, label="First index", low=0, help="Begin with this network of the split.")
    count: int = param(20, label="Count", low=1, help="So many networks of the split, or variants at most.")
    budget: str = param("", label="Budget",
                        help="Only networks within a limit: parameters, macs or latency (ms), and the number.")
    refine: int = param(0, label="Refine", low=0,
                        help="Spend SGD steps on the best by successive halving: the last ones get N.")
    refine_from: str = param("random", label="Refine from", choices=("random", "start"),
                             help="What the steps begin with: a random start, which tells most of how training from "
                                  "scratch ends, or the parameters that were ranked.")
    top: int = param(10, label="Top", low=1, help="The refinement ends with so many; all are listed.")
    measure_latency: bool = param(False, label="Measure latency",
                                  help="Also time one image on one thread of the processor.")
    learned: bool = param(False, label="Learned ranker",
                          help="Also predict the order from earlier runs on the dataset; printed with its tau.")
    jobs: int = param(1, label="Processes", low=1, high=64, help="Worker processes that share the candidates.")
    backend: str = param("loky", label="Backend",
                         help="Of joblib: loky on this machine; dask or ray reach a cluster that was set up for them.")


def parted(text: str) -> tuple[str, ...]:
    """The names in ``a.ghn, "b, c.ghn"``, each once; names with a comma stand in quotes."""
    names = (name.strip() for line in csv.reader([text], skipinitialspace=True) for name in line)
    return tuple(dict.fromkeys(name for name in names if name))


def joined(names: Iterable[str]) -> str:
    """Names as one text, for :func:`parted`."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(names)
    return text.getvalue()
